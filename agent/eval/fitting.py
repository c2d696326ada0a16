"""Fitting when an answer is doubtful: from questions with known answers, asked without a look and with a forced one.

A logistic regression tells how likely an answer is wrong, given its signals; the threshold is the one that would have
been worth most. A signal that costs a pass or a reading is only used where the others tell less without it. What all of
it is worth is told on questions that it was not fitted on: each half is judged by the other's fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ...errors import InvalidInput
from ..answer import Signals
from ..trigger import COSTLY, UNCALIBRATED, Calibration

__all__ = ["Bin", "Case", "Policy", "Report", "always", "calibrate"]

_LEAST = 40  # questions, and
_LEAST_OF_EACH = 5  # right and wrong ones, for a fit that means anything
_RIDGE = 1.0  # on standardised signals; keeps weights finite where right and wrong are told apart perfectly
_STEPS = 50
_BINS = 5
_NAMES = tuple(each.name for each in fields(Signals))
_WORTH = 0.01  # nats an answer by which a signal that costs something must make the doubts better


@dataclass(frozen=True, slots=True)
class Case:
    """A question: the first answer's signals and score (0..1), and the score of the answer after a look.

    ``passes`` and ``seconds`` are what the look took.
    """

    signals: Signals
    first: float
    looked: float
    passes: float = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same doubt: the mean doubt, and the share that was wrong."""

    count: int
    doubt: float
    wrong: float


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to decide on looks: mean score, the share of questions looked at, and where that helped and hurt.

    ``passes`` and ``seconds`` are what the looks took for each of all questions.
    """

    name: str
    score: float
    looks: float
    helped: int
    hurt: int
    passes: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """A calibration, and what it is worth on questions that it was not fitted on."""

    calibration: Calibration
    questions: int
    bins: tuple[Bin, ...]
    policies: tuple[Policy, ...]
    """Never, always, by doubt, and as often as by doubt but at random (expected)."""
    places: tuple[Policy, ...] = ()
    """Always, for each way to a place that was tried, if several were."""

    def worth(self, cost: float) -> float:
        """The mean score by doubt, less what the looks cost."""
        doubted = next(policy for policy in self.policies if policy.name == "by doubt")
        return doubted.score - cost * doubted.looks


def always(report: Report, name: str) -> Policy:
    """What it is worth to look always, under another name."""
    return replace(next(policy for policy in report.policies if policy.name == "always"), name=name)


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
    asides = 0
    for fitted_on, judged in (halves, halves[::-1]):
        fit = _fitted(model, fitted_on, cost)
        asides += len(judged) if fit.weighs("visible") else 0
        doubts += [(case, (doubt := fit.doubt(case.signals)), doubt >= fit.threshold) for case in judged]
    return Report(_fitted(model, cases, cost), len(cases), _bins(doubts), _policies(doubts, asides / len(cases)))


def _fitted(model: str, cases: Sequence[Case], cost: float) -> Calibration:
    names = [name for name in _NAMES if name not in COSTLY]
    for name in COSTLY:
        more = [*names, name]
        if any(getattr(case.signals, name) is not None for case in cases):
            names = more if _misjudged(names, cases) - _misjudged(more, cases) > _WORTH else names
    weights, bias, usual = _regression(names, cases)
    fit = Calibration(model=model, weights=weights, bias=bias, threshold=1.0, questions=len(cases), usual=usual)
    return fit.model_copy(update={"threshold": _threshold(fit, cases, cost)})


def _misjudged(names: Sequence[str], cases: Sequence[Case]) -> float:
    """The mean surprise (nats) at which answers were wrong, each half judged by the other's fit."""
    total = 0.0
    for fitted_on, judged in ((cases[::2], cases[1::2]), (cases[1::2], cases[::2])):
        weights, bias, usual = _regression(names, fitted_on)
        fit = Calibration(model="", weights=weights, bias=bias, threshold=1.0, questions=len(cases), usual=usual)
        for case in judged:
            doubt = fit.doubt(case.signals)
            total -= math.log(max(1e-6, doubt if case.first < 0.5 else 1 - doubt))
    return total / len(cases)


def _usual(names: Sequence[str], cases: Sequence[Case]) -> dict[str, float]:
    """The mean of the signals that aren't known of every answer."""
    found: dict[str, float] = {}
    for name in (name for name in names if name in COSTLY):
        known = [value for case in cases if (value := getattr(case.signals, name)) is not None]
        found[name] = round(math.fsum(known) / len(known), 4) if known else 0.0
    return found


def _regression(names: Sequence[str], cases: Sequence[Case]) -> tuple[dict[str, float], float, dict[str, float]]:
    """Weights and bias of a logistic regression with a ridge, by Newton's method on standardised signals.

    The last is what a signal counts as where it isn't known.
    """
    import numpy as np

    usual = _usual(names, cases)
    known = [asdict(case.signals) for case in cases]
    values = np.array([[float(usual[name] if row[name] is None else row[name]) for name in names] for row in known])
    wrong = np.array([float(case.first < 0.5) for case in cases])
    middle, varies = values.mean(0), values.std(0) > 0
    spread = np.where(varies, values.std(0), 1.0)
    inputs = np.column_stack([(values - middle) / spread, np.ones(len(cases))])
    ridge = np.diag([_RIDGE] * len(names) + [0.0])
    found = np.zeros(len(names) + 1)
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
        for name, weight, has_examples in zip(names, weights, varies, strict=True)
    }
    return fitted, round(bias, 6), usual


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


def _policies(doubts: Sequence[tuple[Case, float, bool]], asides: float) -> tuple[Policy, ...]:
    """``asides``: the passes that doubting takes by itself, for each question."""
    never = _policy("never", [(case, False) for case, _, _ in doubts])
    constant = _policy("always", [(case, True) for case, _, _ in doubts])
    doubted = _policy("by doubt", [(case, looked) for case, _, looked in doubts])
    share = doubted.looks
    score = (1 - share) * never.score + share * constant.score
    by_chance = Policy(
        "at random",
        round(score, 4),
        share,
        round(share * constant.helped),
        round(share * constant.hurt),
        round(share * constant.passes, 3),
        round(share * constant.seconds, 3),
    )
    return never, constant, replace(doubted, passes=round(doubted.passes + asides, 3)), by_chance


def _policy(name: str, decided: Sequence[tuple[Case, bool]]) -> Policy:
    looked = [case for case, is_looked in decided if is_looked]
    total = sum(case.looked if is_looked else case.first for case, is_looked in decided)
    return Policy(
        name,
        round(total / len(decided), 4),
        round(len(looked) / len(decided), 4),
        sum(case.looked > case.first for case in looked),
        sum(case.looked < case.first for case in looked),
        round(math.fsum(case.passes for case in looked) / len(decided), 3),
        round(math.fsum(case.seconds for case in looked) / len(decided), 3),
    )
