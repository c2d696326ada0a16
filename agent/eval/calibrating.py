"""A calibration from data with known answers: each question answered once, and again after a second look."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ...errors import InvalidInput
from ...memory import Memory
from ..backends import Backend
from ..toolbox import ToolLike
from .asking import Mode
from .evaluation import Progress, evaluate
from .fitting import Case, Report, always, calibrate
from .results import Scored

__all__ = ["calibrate_on", "cases_of"]


def calibrate_on(
    data: str | os.PathLike[str],
    model: str | Backend = "pocket",
    *,
    memory: Memory | None = None,
    tools: Iterable[ToolLike] = ("zoom",),
    tiles: bool = False,
    cost: float = 0.02,
    limit: int | None = None,
    out: str | os.PathLike[str] = ":memory:",
    seed: int = 0,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
    **wanted: Any,
) -> Report:
    """Fit when an answer of a model is doubtful, and keep that in ``memory`` if one is given.

    Questions at which the model looked by itself are left out: those are never doubted. ``tiles``: answer each question
    once more, looking where the model points in one pass over the parts of the picture, and take to that if looks by
    doubt bring more so than by a zoom of the model's own. ``cost`` is the score that a look must bring to be worth it;
    the rest is as in ``evaluate``. Raises InvalidInput where too little is there to fit.
    """
    modes: tuple[Mode, ...] = ("once", "again", "tiles") if tiles else ("once", "again")
    evaluation = evaluate(
        data,
        model,
        tools=tools,
        modes=modes,
        limit=limit,
        out=out,
        seed=seed,
        cancel=cancel,
        progress=progress,
        **wanted,
    )
    if not evaluation.is_whole:
        raise InvalidInput("stopped before every question was asked; the same command goes on, and fits then")
    name = str(evaluation.about["model"])
    report = calibrate(name, cases_of(evaluation.answers), cost=cost)
    if tiles:
        report = _better_place(report, calibrate(name, cases_of(evaluation.answers, "tiles"), cost=cost), cost)
    if memory is not None:
        memory.calibrations.put(name, report.calibration.model_dump())
    return report


def cases_of(answers: Sequence[Scored], looking: Mode = "again") -> list[Case]:
    """The questions that were answered in both modes, the first time without a look."""
    again = {answer.item: answer for answer in answers if answer.mode == looking and answer.score is not None}
    return [
        Case(
            once.signals,
            once.score,
            (looked := again[once.item]).score or 0.0,
            passes=looked.passes - 1,  # the first answer; what was asked aside for "once" belongs to the fit
            seconds=looked.seconds - once.seconds,
        )
        for once in answers
        if once.mode == "once" and once.item in again and not once.looks
        if once.signals is not None and once.score is not None
    ]


def _better_place(own: Report, tiles: Report, cost: float) -> Report:
    """The report of the way to a place that is worth more by doubt, with both of them in it."""
    better = tiles if tiles.worth(cost) > own.worth(cost) else own
    calibration = better.calibration.model_copy(update={"tiles": better is tiles})
    places = (always(own, "the model's own zoom"), always(tiles, "where it points"))
    return replace(better, calibration=calibration, places=places)
