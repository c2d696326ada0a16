"""Calibrations: fitted on answers whose worth is known, and what they are worth on others."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from pydantic import ValidationError

from looktwice.agent.answer import Signals
from looktwice.agent.eval.fitting import Case, calibrate
from looktwice.agent.trigger import UNCALIBRATED, Calibration
from looktwice.errors import InvalidInput


def cases(count: int, *, seed: int = 1, gain: float = 0.8, harm: float = 0.1) -> list[Case]:
    """Answers whose probability is that of being right; a look mends a wrong one, and spoils a right one, so often."""
    rng, made = random.Random(seed), list[Case]()
    for _ in range(count):
        sure = rng.uniform(0.05, 0.999)
        is_right = rng.random() < sure
        looked = rng.random() >= harm if is_right else rng.random() < gain
        made.append(Case(Signals(math.log(sure), math.log(sure), 1 - sure, False), float(is_right), float(looked)))
    return made


def test_doubt_is_the_share_of_wrong_answers() -> None:
    report = calibrate("m", cases(4000))
    assert [part.count for part in report.bins] == [800] * 5
    for part in report.bins:
        assert part.doubt == pytest.approx(part.wrong, abs=0.08)
    assert report.bins[0].wrong < 0.2 < 0.6 < report.bins[-1].wrong


def test_looking_by_doubt_beats_always_never_and_chance() -> None:
    report = calibrate("m", cases(1000))
    never, always, doubted, by_chance = report.policies
    assert [policy.name for policy in report.policies] == ["never", "always", "by doubt", "at random"]
    assert (never.looks, always.looks) == (0, 1)
    assert 0.2 < doubted.looks < 0.95
    assert doubted.score > by_chance.score + 0.03
    assert doubted.score - 0.02 * doubted.looks > max(never.score, always.score - 0.02)
    assert doubted.helped > 4 * doubted.hurt


def test_looks_that_only_harm_are_never_taken() -> None:
    report = calibrate("m", cases(400, gain=0.0, harm=0.3))
    assert report.calibration.threshold == 1.0
    assert report.policies[2].score == pytest.approx(report.policies[0].score, abs=0.01)


def test_a_signal_without_an_example_keeps_its_default_weight() -> None:
    fit = calibrate("m", cases(400)).calibration  # none of these answers declines
    assert fit.weights["declined"] == UNCALIBRATED.weights["declined"]
    sure, declining = (Signals(-0.01, -0.01, 0.0, declined) for declined in (False, True))
    assert fit.doubt(sure) < fit.threshold < fit.doubt(declining)


def test_a_fit_survives_answers_that_are_told_apart_perfectly() -> None:
    declined = [Case(Signals(-0.1, -0.1, 0.2, place % 2 == 0), float(place % 2), 1.0) for place in range(80)]
    fit = calibrate("m", declined).calibration
    assert fit.doubt(declined[0].signals) > fit.threshold > fit.doubt(declined[1].signals)
    assert all(math.isfinite(weight) for weight in fit.weights.values())


def seen(count: int, *, tells: bool) -> list[Case]:
    """Answers whose tokens tell nothing; the model says of most whether it saw enough, rightly or by chance."""
    rng, made = random.Random(4), list[Case]()
    for _ in range(count):
        is_right = rng.random() < 0.6
        visible = rng.uniform(0.6, 0.9) if is_right == (tells or rng.random() < 0.5) else rng.uniform(0.1, 0.5)
        known = rng.random() < 0.9
        signals = Signals(-0.1, -0.1, 0.1, False, visible=visible if known else None)
        made.append(Case(signals, float(is_right), 1.0, passes=2, seconds=0.5))
    return made


def test_a_signal_that_costs_something_is_used_where_it_tells_something() -> None:
    report = calibrate("m", seen(300, tells=True))
    fit = report.calibration
    assert fit.weighs("visible")
    assert not fit.weighs("small")
    assert fit.weights["visible"] < 0
    assert 0.4 < fit.usual["visible"] < 0.8
    unknown = Signals(-0.1, -0.1, 0.1, False)
    assert fit.doubt(replace(unknown, visible=0.9)) < fit.doubt(unknown) < fit.doubt(replace(unknown, visible=0.1))
    assert report.policies[2].score > report.policies[3].score + 0.1
    assert not calibrate("m", seen(300, tells=False)).calibration.weighs("visible")


def test_what_looks_take_is_told_for_each_way() -> None:
    never, always, doubted, by_chance = calibrate("m", seen(300, tells=True)).policies
    assert (never.passes, always.passes, always.seconds) == (0, 2, 0.5)
    assert by_chance.passes == pytest.approx(2 * doubted.looks, abs=0.01)
    assert doubted.passes == pytest.approx(by_chance.passes + 1, abs=0.01)  # the model is asked what it sees


def test_a_calibration_of_an_earlier_version_goes_on_working() -> None:
    stored = {"model": "m", "bias": -1.0, "threshold": 0.5, "questions": 60}
    weights = {"mean": -1.5, "lowest": -1.0, "entropy": 3.0, "declined": 6.0}
    fit = Calibration.model_validate({**stored, "weights": weights})
    assert (fit.tiles, fit.usual) == (False, {})
    assert fit.doubt(Signals(-0.1, -0.2, 0.1, False)) == pytest.approx(1 / (1 + math.exp(0.35)))
    with pytest.raises(ValidationError, match="unknown signals: mood"):
        Calibration.model_validate({**stored, "weights": {"mood": 1.0}})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (cases(39), "39 questions, .* too few to calibrate 'm' by; give at least 40"),
        ([Case(Signals(0, 0, 0, False), 1.0, 1.0)] * 60, "60 questions, 0 answered wrongly: too few"),
    ],
)
def test_too_few_questions_are_refused_in_one_line(given: list[Case], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        calibrate("m", given)
