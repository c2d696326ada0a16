"""Fitting when an answer is doubtful: from questions with known answers, asked without a look and with a forced one.

A logistic regression tells how likely an answer is wrong, given its signals; the threshold is the one that would have
been worth most. What it is worth is told on questions that it was not fitted on: each half is judged by the other's
fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ...errors import InvalidInput
from ..answer import Signals
from ..trigger import UNCALIBRATED, Calibration

__all__ = ["Bin", "Case", "Policy", "Report", "calibrate"]

_LEAST = 40  # questions, and
_LEAST_OF_EACH = 5  # right and wrong ones, for a fit that means anything
_RIDGE = 1.0  # on standardised signals; keeps weights finite where right and wrong are told apart perfectly
_STEPS = 50
_BINS = 5
_NAMES = tuple(each.name for each in fields(Signals))


@dataclass(frozen=True, slots=True)
class Case:
    """A question: the first answer's signals and score (0..1), and the score of the answer after a look."""

    signals: Signals
    first: float
    looked: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same doubt: the mean doubt, and the share that was wrong."""

    count: int
    doubt: float
    wrong: float


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to decide on looks: mean score, the share of questions looked at, and where that helped and hurt."""

    name: str
    score: float
    looks: float
    helped: int
    hurt: int


@dataclass(frozen=True, slots=True)
class Report:
    """A calibration, and what it is worth on questions that it was not fitted on."""

    calibration: Calibration
    questions: int
    bins: tuple[Bin, ...]
    policies: tuple[Policy, ...]
    """Never, always, by doubt, and as often as by doubt but at random (expected)."""


def calibrate(model: str, cases: Sequence[Case], *, cost: float = 0.02) -> Report:
    """Fit a calibration. ``cost`` is the score that a look must bring to be worth it.

    Raises InvalidInput for too few questions, or for answers that are nearly all right or nearly all wrong.
    """
    wrong = sum(case.first < 0.5 for case in cases)
    if len(cases) < _LEAST or min(wrong, len(cases) - wrong) < _LEAST_OF_EACH:
        needed = f"give at least {_LEAST}, with {_LEAST_OF_EACH} right and {_LEAST_OF_EACH} wrong ones"
        raise InvalidInput(
            f"{len(cases)} questions, {wrong} answered wrongly: too few to calibrate {model!r} by; {needed}"
        )
    halves = cases[::2], cases[1::2]
    doubts: list[tuple[Case, float, bool]] = []
    for fitted_on, judged in (halves, halves[::-1]):
        fit = _fitted(model, fitted_on, cost)
        doubts += [(case, (doubt := fit.doubt(case.signals)), doubt >= fit.threshold) for case in judged]
    return Report(_fitted(model, cases, cost), len(cases), _bins(doubts), _policies(doubts))


def _fitted(model: str, cases: Sequence[Case], cost: float) -> Calibration:
    weights, bias = _regression(cases)
    fit = Calibration(model=model, weights=weights, bias=bias, threshold=1.0, questions=len(cases))
    return fit.model_copy(update={"threshold": _threshold(fit, cases, cost)})


def _regression(cases: Sequence[Case]) -> tuple[dict[str, float], float]:
    """Weights and bias of a logistic regression with a ridge, by Newton's method on standardised signals."""
    import numpy as np

    values = np.array([[float(value) for value in asdict(case.signals).values()] for case in cases])
    wrong = np.array([float(case.first < 0.5) for case in cases])
    middle, varies = values.mean(0), values.std(0) > 0
    spread = np.where(varies, values.std(0), 1.0)
    inputs = np.column_stack([(values - middle) / spread, np.ones(len(cases))])
    ridge = np.diag([_RIDGE] * len(_NAMES) + [0.0])
    found = np.zeros(len(_NAMES) + 1)
    for _ in range(_STEPS):
        likely = 1 / (1 + np.exp(-np.clip(inputs @ found, -30, 30)))
        slope = inputs.T @ (likely - wrong) + ridge @ found
        curve = (inputs * (likely * (1 - likely))[:, None]).T @ inputs + ridge + 1e-9 * np.eye(len(found))
        step: Any = np.linalg.solve(curve, slope)
        found = found - step
        if float(np.abs(step).max()) < 1e-9:
            break
    weights = found[:-1] / spread
    bias = float(found[-1] - weights[varies] @ middle[varies])
    # What the data has no example of keeps the weight that it has without any data.
    fitted = {
        name: round(float(weight), 6) if has_examples else UNCALIBRATED.weights.get(name, 0.0)
        for name, weight, has_examples in zip(_NAMES, weights, varies, strict=True)
    }
    return fitted, round(bias, 6)


def _threshold(fit: Calibration, cases: Sequence[Case], cost: float) -> float:
    """The doubt from which on looks would have brought most; 1.0, which no doubt reaches, if none brings anything."""
    ordered = sorted(((fit.doubt(case.signals), case.looked - case.first - cost) for case in cases), reverse=True)
    best, gained, total = 1.0, 0.0, 0.0
    for place, (doubt, gain) in enumerate(ordered):
        total += gain
        is_last_of_its_doubt = place + 1 == len(ordered) or ordered[place + 1][0] < doubt
        if is_last_of_its_doubt and total > gained + 1e-9:
            below = ordered[place + 1][0] if place + 1 < len(ordered) else 0.0
            best, gained = max(1e-6, (doubt + below) / 2), total
    return round(best, 6)


def _bins(doubts: Sequence[tuple[Case, float, bool]]) -> tuple[Bin, ...]:
    ordered = sorted(doubts, key=lambda each: each[1])
    size = math.ceil(len(ordered) / _BINS)
    parts = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    return tuple(
        Bin(
            len(part),
            round(sum(doubt for _, doubt, _ in part) / len(part), 4),
            round(sum(case.first < 0.5 for case, _, _ in part) / len(part), 4),
        )
        for part in parts
    )


def _policies(doubts: Sequence[tuple[Case, float, bool]]) -> tuple[Policy, ...]:
    never = _policy("never", [(case, False) for case, _, _ in doubts])
    always = _policy("always", [(case, True) for case, _, _ in doubts])
    doubted = _policy("by doubt", [(case, looked) for case, _, looked in doubts])
    share = doubted.looks
    score = (1 - share) * never.score + share * always.score
    by_chance = Policy("at random", round(score, 4), share, round(share * always.helped), round(share * always.hurt))
    return never, always, doubted, by_chance


def _policy(name: str, decided: Sequence[tuple[Case, bool]]) -> Policy:
    looked = [case for case, is_looked in decided if is_looked]
    total = sum(case.looked if is_looked else case.first for case, is_looked in decided)
    return Policy(
        name,
        round(total / len(decided), 4),
        round(len(looked) / len(decided), 4),
        sum(case.looked > case.first for case in looked),
        sum(case.looked < case.first for case in looked),
    )
