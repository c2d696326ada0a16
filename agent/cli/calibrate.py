"""``looktwice calibrate``: when an answer of a model is doubtful, fitted on questions with known answers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Unpack

import click

from . import options
from .output import Lines, is_plain, say, say_json, say_table

if TYPE_CHECKING:
    from ..eval.fitting import Policy, Report


class CalibrateOptions(options.ModelOptions):
    """Everything that ``calibrate`` takes beside the data."""

    db: str | None
    tools: str
    tiles: bool
    limit: int | None
    cost: float
    out: str
    seed: int
    as_json: bool
    plain: bool


@click.command("calibrate", short_help="Fit when an answer of a model is doubtful.")
@click.argument("data")
@options.db
@options.model_options
@click.option("--tools", default="zoom", show_default=True, metavar="NAMES", help="Tools on offer; zoom among them.")
@click.option("--tiles", is_flag=True, help="Try, too, to look where the model points among parts of the picture.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Ask N questions, drawn with --seed.")
@click.option(
    "--cost",
    type=click.FloatRange(min=0, max=1),
    default=0.02,
    show_default=True,
    help="The score that a look must bring to be worth it.",
)
@click.option("--out", default="results.db", show_default=True, metavar="FILE", help="Where answers are kept.")
@click.option("--seed", type=int, default=0, show_default=True, help="Draws the questions.")
@options.json
@options.plain
def calibrate(data: str, **given: Unpack[CalibrateOptions]) -> None:
    """Answer the questions of DATA once, and again after a second look; fit when that look is worth it.

    DATA is what looktwice eval takes. The calibration is kept in the database for the model, and used from then on by
    ask and chat where zoom is on offer. The tables are of questions that it was not fitted on. With --tiles the model
    is asked, in one pass, which part of the picture matters; that is taken to if it brings more than its own zoom.

    Exit status: 0 fitted, 1 refused or failed, 2 not understood, 130 interrupted.
    """
    from ...memory import Memory
    from ..eval.calibrating import calibrate_on
    from .eval import Meter
    from .follow import stopped_by_interrupt

    lines = Lines(is_plain(given["plain"]))
    backend = options.open_model(given)
    with closing(backend), Memory(given["db"]) as memory, stopped_by_interrupt() as cancel, Meter(lines) as meter:
        report = calibrate_on(
            data,
            backend,
            memory=memory,
            tools=options.named_tools(given["tools"]) or (),
            tiles=given["tiles"],
            cost=given["cost"],
            limit=given["limit"],
            out=given["out"],
            seed=given["seed"],
            cancel=cancel,
            progress=meter,
        )
        if given["as_json"]:
            say_json(asdict(report) | {"calibration": report.calibration.model_dump()})
        else:
            _show(report)
        lines.tell("status", f"kept for {report.calibration.model!r} in {memory.path}")
    sys.exit(0)


def _show(report: Report) -> None:
    _show_policies(report.policies, "looks")
    if report.places:
        say()
        _show_policies(report.places, "always looking")
    say()
    bins = [(f"{part.doubt:.1%}", f"{part.wrong:.1%}", part.count) for part in report.bins]
    say_table(bins, heads=("doubt", "wrong", "questions"))
    say()
    say(f"signals: {', '.join(name for name in report.calibration.weights if report.calibration.weighs(name))}")


def _show_policies(policies: Sequence[Policy], head: str) -> None:
    rows = [
        (p.name, f"{p.score:.1%}", f"{p.looks:.1%}", p.helped, p.hurt, f"{p.passes:.2f}", f"{p.seconds:.2f}")
        for p in policies
    ]
    say_table(rows, heads=(head, "score", "looked at", "helped", "hurt", "passes more", "seconds more"))
