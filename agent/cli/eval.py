"""``looktwice eval``: whether looking again helps on questions of one's own, and what it costs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click

from ...errors import InvalidInput
from . import options
from .output import Lines, is_plain, say, say_json, say_table

if TYPE_CHECKING:
    import threading

    from ..backends import Backend
    from ..eval import Evaluation

_EVERY = 5.0  # seconds between two lines of progress, where they are seen and not heard


class EvalOptions(options.ModelOptions):
    """Everything that ``eval`` takes beside the data."""

    db: str | None
    chat: str | None
    replay: bool
    tools: str | None
    looks: int
    check: bool | None
    system: str | None
    modes: str
    limit: int | None
    out: str
    keep: str | None
    report: str | None
    seed: int
    max_tokens: int
    retry_failed: bool
    as_json: bool
    plain: bool


@click.command("eval", short_help="Measure whether looking again helps, and what it costs.")
@click.argument("data", required=False)
@click.option("--replay", is_flag=True, help="Ask the questions of your own conversations again, instead of DATA.")
@options.db
@click.option("--chat", metavar="NAME", help="With --replay: only this conversation.")
@options.model_options
@click.option("--tools", metavar="NAMES", help="Tools on offer; else zoom, and ocr if it is installed.")
@click.option("--looks", type=click.IntRange(min=0), default=3, show_default=True, help="How often it may look again.")
@click.option("--check/--no-check", default=None, help="Check answers where it may look; else where ocr is on offer.")
@click.option("--system", metavar="TEXT", help="Instructions for the model.")
@click.option("--modes", default="off,on,forced", show_default=True, metavar="NAMES", help="Which modes to ask in.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Ask N questions, drawn with --seed.")
@click.option("--out", default="results.db", show_default=True, metavar="FILE", help="Where answers are kept.")
@click.option("--keep", metavar="FILE", help="A database for the conversations; else they are not kept.")
@click.option("--report", metavar="FILE", help="Write an HTML page, with the pictures of answers that changed.")
@click.option("--seed", type=int, default=0, show_default=True, help="Draws questions and intervals.")
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=512, show_default=True, metavar="N", help="The longest answer."
)
@click.option("--retry-failed", is_flag=True, help="Ask again what failed before.")
@options.json
@options.plain
def eval(data: str | None, **given: Unpack[EvalOptions]) -> None:
    """Ask the questions of DATA without tools, with them, and with a first look demanded; score and compare.

    DATA is a JSON Lines file, with lines such as {"images": ["a.png"], "question": "...", "answers": "..."}, or the
    folder of V*Bench, HR-Bench, TextVQA or DocVQA. The same command goes on where it was stopped or killed.

    Exit status: 0 measured, 1 refused or failed, 2 not understood, 130 interrupted.
    """
    from .follow import stopped_by_interrupt

    _require_sense(data, given)
    report = None if given["report"] is None else Path(given["report"])
    if report is not None and not report.absolute().parent.is_dir():
        raise InvalidInput(f"no folder {str(report.parent)!r} for the report; make it, or choose another file")
    lines = Lines(is_plain(given["plain"]))
    with stopped_by_interrupt() as cancel, Meter(lines) as meter:
        found = _measured(data, given, meter, cancel)
    for refused in found.refused:
        lines.tell("status", f"not asked: {refused}")
    if report is not None:
        _write(report, found.report())
        lines.tell("status", f"the report is in {report}")
    _print(found, as_json=given["as_json"])
    if not found.is_whole:
        lines.tell("status", "stopped; the answers so far are kept, and the same command goes on")
        sys.exit(130)


class Meter:
    """Says how far a run is: every few seconds, in plain lines every 30, also while nothing gets done.

    Used with ``with``, around all that takes time; called with how many of how many answers there are.
    """

    def __init__(self, lines: Lines) -> None:
        from .follow import LOADING, REMINDER, Progress

        self._lines = lines
        self._began = self._last = time.monotonic()
        self._first: int | None = None
        self._patience = REMINDER
        self._every = REMINDER if lines.plain else _EVERY
        self._progress = Progress(lines, LOADING)

    def __enter__(self) -> Meter:
        self._progress.watch()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.rest()

    def __call__(self, done: int, total: int) -> None:
        """Told how many of how many answers there are."""
        now = time.monotonic()
        if self._first is None:  # what came before may have been there already, or loaded the model
            self._first, self._began = done, now
        if done > self._first:
            self._progress.doing = f"working on answer {done + 1} of {total}"
        self._progress.watch(self._patience)
        if now - self._last < self._every and done < total:
            return
        self._last = now
        made, took = done - self._first, now - self._began
        rate = f", {made / took:.2g} a second" if made and took else ""
        left = f", {_span((total - done) * took / made)} left" if rate and done < total else ""
        self._lines.tell("status", f"{done} of {total} answers{rate}{left}")


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _require_sense(data: str | None, given: EvalOptions) -> None:
    if given["replay"] == (data is not None):
        raise click.UsageError("give DATA, or --replay for your own conversations")
    if given["chat"] is not None and not given["replay"]:
        raise click.UsageError("--chat goes with --replay")
    if given["replay"] and any(given[name] is not None for name in ("limit", "keep", "system")):
        raise click.UsageError("--limit, --keep and --system don't go with --replay")


def _measured(data: str | None, given: EvalOptions, meter: Meter, cancel: threading.Event) -> Evaluation:
    from ..eval import evaluate, replay

    if given["replay"]:
        options.require_database(given["db"])
    shared: dict[str, Any] = {
        "tools": options.named_tools(given["tools"]),
        "looks": given["looks"],
        "check": given["check"],
        "modes": [mode.strip() for mode in given["modes"].split(",") if mode.strip()],
        "out": given["out"],
        "seed": given["seed"],
        "max_new_tokens": given["max_tokens"],
        "retry_failed": given["retry_failed"],
        "cancel": cancel,
        "progress": meter,
    }
    backend: Backend = options.open_model(given)
    try:
        if data is None:
            return replay(options.database(given["db"]), backend, chat=given["chat"], **shared)
        own = {"limit": given["limit"], "keep": given["keep"], "system": given["system"]}
        return evaluate(data, backend, calibration=_calibration(given["db"], backend), **own, **shared)
    finally:
        backend.close()


def _calibration(db: str | None, backend: Backend) -> dict[str, Any] | None:
    """What was measured here of the model, as every other command uses it."""
    from ...memory import Memory

    if not Path(options.database(db)).is_file():
        return None
    with Memory(db) as memory:
        return memory.calibrations.get(backend.model)


def _print(found: Evaluation, *, as_json: bool) -> None:
    from ..eval.tables import tables

    if as_json:
        say_json(found.to_json())
        return
    questions = len({answer.item for answer in found.answers})
    counts = f"{questions} questions, {len(found.refused)} not asked"
    say(f"run {found.run} in {found.path}: {found.about['model']}, {counts}")
    for table in tables(found):
        say()
        say(table.caption)
        say_table(table.rows, heads=table.heads)


def _write(target: Path, text: str) -> None:
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"can't write {str(target)!r}: {error.strerror}; choose another file") from error
