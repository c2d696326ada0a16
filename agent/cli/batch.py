"""``looktwice batch``: one question over many pictures, with answers in a file that a second run goes on with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Unpack

import click

from . import options
from .eval import Meter
from .output import Lines, is_plain, say, say_json

if TYPE_CHECKING:
    from ..batch import BatchSummary


class BatchOptions(options.ModelOptions):
    """Everything that ``batch`` takes beside the question and the sources."""

    out: str
    batch: int
    max_tokens: int
    temperature: float
    seed: int | None
    retry_errors: bool
    limit: int | None
    as_json: bool
    plain: bool


@click.command(short_help="Ask one question about many pictures, and keep the answers in a file.")
@click.argument("question")
@click.argument("source", nargs=-1, required=True)
@click.option("--out", required=True, metavar="FILE", help="The answers: a .db (SQLite), .jsonl or .parquet file.")
@click.option(
    "--batch", type=click.IntRange(min=1), default=8, show_default=True, metavar="N", help="So many rows at once."
)
@options.model_options
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=512, show_default=True, metavar="N", help="The longest answer."
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="T",
    help="0 always takes the likeliest word.",
)
@click.option("--seed", type=int, metavar="N", help="Makes a temperature over 0 repeatable.")
@click.option("--retry-errors", is_flag=True, help="Ask again about rows that failed before.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N rows.")
@options.json
@options.plain
def batch(question: str, source: tuple[str, ...], **given: Unpack[BatchOptions]) -> None:
    """Ask QUESTION about every picture of SOURCE, several at once, and keep the answers in a file.

    SOURCE is a folder, a picture, or a .jsonl or .parquet file whose rows may have questions of their own (then
    QUESTION may be ""). The same command goes on where it was stopped or killed.

    Exit status: 0 all rows are answered, 1 some have an error, or refused, 2 not understood, 130 interrupted.
    """
    from .follow import stopped_by_interrupt

    lines = Lines(is_plain(given["plain"]))
    with stopped_by_interrupt() as cancel, Meter(lines) as meter:
        summary = _asked(question, source, given, {"cancel": cancel, "on_progress": meter})
    for row, error in summary.errors:
        lines.tell("status", f"no answer for {row}: {error}")
    if given["as_json"]:
        say_json(summary.to_json())
    else:
        say(_counts(summary))
    if not summary.is_whole:
        lines.tell("status", "stopped; the answers so far are kept, and the same command goes on")
        sys.exit(130)
    if summary.failed:
        lines.tell(
            "error",
            f"{summary.failed} of {summary.total} rows have no answer; the column 'error' of {summary.out!r} says why,"
            " and --retry-errors asks them again",
        )
        sys.exit(1)


def _asked(question: str, source: tuple[str, ...], given: BatchOptions, told: dict[str, Any]) -> BatchSummary:
    from ..backends import Settings
    from ..batch import ask_rows, read_rows
    from ..batch.results import require_place

    require_place(given["out"])
    rows = read_rows(source, question, limit=given["limit"])  # what was mistyped is told before a model is opened
    settings = Settings(max_new_tokens=given["max_tokens"], temperature=float(given["temperature"]), seed=given["seed"])
    shared: dict[str, Any] = {name: given[name] for name in ("out", "batch", "retry_errors")}
    backend = options.open_model(given)
    try:
        return ask_rows(backend, rows, settings, **shared, **told)
    finally:
        backend.close()


def _counts(summary: BatchSummary) -> str:
    rate = f", {summary.done / summary.seconds:.3g} a second" if summary.done and summary.seconds else ""
    return (
        f"{summary.out}: {summary.total} rows, {summary.done} done now ({summary.asked} computed) in"
        f" {summary.seconds:.1f} s{rate}, {summary.skipped} there before, {summary.failed} without an answer"
    )
