"""The tables of a run: how right each mode was and what it cost, and what each did to the answers of the mode "off"."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from .results import Scored
from .scoring import folded

__all__ = ["ALL", "Agreement", "Bin", "Change", "Line", "Summary", "bins", "changed", "interval", "summarised"]

ALL = "all"
"""The kind of the line that holds every kind."""
_RESAMPLES = 2000
_BINS = 5


@dataclass(frozen=True, slots=True)
class Line:
    """A mode on a kind of question. ``share`` is the mean score, with its interval; None where nothing was answered.

    ``passes``, ``new_tokens``, ``seconds`` are per question: the mean, and the 95th percentile of the last two.
    """

    mode: str
    kind: str
    n: int
    failed: int
    share: float | None = None
    low: float | None = None
    high: float | None = None
    passes: float | None = None
    new_tokens: float | None = None
    new_tokens_p95: float | None = None
    seconds: float | None = None
    seconds_p95: float | None = None
    conflicts: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A mode against "off" on the ``n`` questions that both answered: the mean difference, with its paired interval."""

    mode: str
    kind: str
    n: int
    helped: int
    hurt: int
    unchanged: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many of the ``n`` questions that both modes answered got the same words."""

    mode: str
    other: str
    n: int
    same: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of a mode whose confidence lies from ``low`` up to ``high``: how many, their means."""

    mode: str
    low: float
    high: float
    n: int
    confidence: float
    share: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that a run's tables say. ``refused`` are the questions that could not be asked."""

    lines: tuple[Line, ...]
    changes: tuple[Change, ...]
    agreements: tuple[Agreement, ...]
    bins: tuple[Bin, ...]
    refused: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def summarised(answers: Sequence[Scored], *, modes: Sequence[str], refused: int = 0, seed: int = 0) -> Summary:
    """The tables of answers; intervals are drawn with ``seed``."""
    kinds = [*dict.fromkeys(answer.kind for answer in answers)]
    kinds = [ALL, *kinds] if len(kinds) > 1 else [ALL]
    cells = {(mode, kind): _of(answers, mode, kind) for mode in modes for kind in kinds}
    lines = tuple(_line(mode, kind, cell, seed) for (mode, kind), cell in cells.items())
    changes = tuple(
        _change(mode, kind, _pairs(cells["off", kind], cells[mode, kind]), seed)
        for mode in modes
        if mode != "off" and "off" in modes
        for kind in kinds
    )
    agreements = tuple(_agreement(*pair, cells[pair[0], ALL], cells[pair[1], ALL]) for pair in combinations(modes, 2))
    return Summary(lines, changes, agreements, tuple(b for m in modes for b in bins(m, cells[m, ALL])), refused)


def changed(answers: Iterable[Scored], mode: str) -> list[tuple[Scored, Scored]]:
    """The answers of "off" and of another mode that differ: helped and hurt in turn, then those that score the same."""
    both = _pairs([a for a in answers if a.mode == "off"], [a for a in answers if a.mode == mode])
    better = [(off, other) for off, other in both if _gain(off, other) > 0]
    worse = [(off, other) for off, other in both if _gain(off, other) < 0]
    longest = max(len(better), len(worse))
    turns = [pair for at in range(longest) for pair in (*better[at : at + 1], *worse[at : at + 1])]
    same = [(o, m) for o, m in both if not _gain(o, m) and folded(o.answer) != folded(m.answer)]
    return [*turns, *same]


def interval(values: Sequence[float], seed: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean: percentiles of 2000 resamples (Efron, 1979)."""
    import numpy as np

    rng, drawn = np.random.default_rng(seed), np.asarray(values)
    means = sorted(float(drawn[rng.integers(0, len(drawn), len(drawn))].mean()) for _ in range(_RESAMPLES))
    return means[round(0.025 * (_RESAMPLES - 1))], means[round(0.975 * (_RESAMPLES - 1))]


def bins(mode: str, answers: Iterable[Scored]) -> list[Bin]:
    """Answers by their confidence, in bins of equal width; those without a confidence are left out."""
    sorted_in: dict[int, list[tuple[float, float]]] = {}
    for answer in answers:
        if answer.confidence is not None and answer.score is not None:
            place = min(_BINS - 1, int(answer.confidence * _BINS))
            sorted_in.setdefault(place, []).append((answer.confidence, answer.score))
    return [
        Bin(mode, at / _BINS, (at + 1) / _BINS, len(held), _mean4([c for c, _ in held]), _mean4([s for _, s in held]))
        for at, held in sorted(sorted_in.items())
    ]


def _of(answers: Iterable[Scored], mode: str, kind: str) -> list[Scored]:
    return [answer for answer in answers if answer.mode == mode and kind in (ALL, answer.kind)]


def _line(mode: str, kind: str, cell: Sequence[Scored], seed: int) -> Line:
    answered = [answer for answer in cell if answer.score is not None]
    blank = Line(mode, kind, len(answered), len(cell) - len(answered))
    if not answered:
        return blank
    scores = [_score(answer) for answer in answered]
    low, high = interval(scores, seed)
    warm = [answer.seconds for answer in answered if not answer.is_cold] or [answer.seconds for answer in answered]
    new = [answer.new_tokens for answer in answered]
    return replace(
        blank,
        share=round(_mean(scores), 4),
        low=round(low, 4),
        high=round(high, 4),
        passes=round(_mean([answer.passes for answer in answered]), 3),
        new_tokens=round(_mean(new), 1),
        new_tokens_p95=_p95(new),
        seconds=round(_mean(warm), 4),
        seconds_p95=_p95(warm),
        conflicts=sum(answer.conflicts for answer in answered),
        unreadable=sum(answer.unreadable for answer in answered),
    )


def _change(mode: str, kind: str, pairs: Sequence[tuple[Scored, Scored]], seed: int) -> Change:
    gains = [_gain(off, other) for off, other in pairs]
    helped, hurt = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    found = Change(mode, kind, len(gains), helped, hurt, len(gains) - helped - hurt)
    if not gains:
        return found
    low, high = interval(gains, seed)
    return replace(found, difference=round(_mean(gains), 4), low=round(low, 4), high=round(high, 4))


def _agreement(mode: str, other: str, first: Sequence[Scored], second: Sequence[Scored]) -> Agreement:
    pairs = _pairs(first, second)
    return Agreement(mode, other, len(pairs), sum(folded(a.answer) == folded(b.answer) for a, b in pairs))


def _pairs(first: Iterable[Scored], second: Iterable[Scored]) -> list[tuple[Scored, Scored]]:
    """The answers of two modes to the same questions, where both have one."""
    others = {answer.item: answer for answer in second if answer.score is not None}
    return [(a, others[a.item]) for a in first if a.score is not None and a.item in others]


def _gain(off: Scored, other: Scored) -> float:
    return _score(other) - _score(off)


def _score(answer: Scored) -> float:
    assert answer.score is not None
    return answer.score


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _mean4(values: Sequence[float]) -> float:
    return round(_mean(values), 4)


def _p95(values: Iterable[float]) -> float:
    """The 95th percentile: the smallest value that 95 % of them don't exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(0.95 * len(ordered)) - 1]
