"""The second look: whether an answer is worth another one, where to look, and which of two answers stands.

Two things bring it about: a claim that conflicts with what can be read in a picture, and an answer that is doubtful by
its own signals. At most one for each question; the model's own looks are not counted here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..memory.parts import ToolCallPart, Turn
from ..memory.recipe import Box
from .answer import Evidence, Signals
from .checks.checker import Checker
from .events import Checked, Emit
from .journal import since_question
from .speaker import Said
from .trigger import Calibration, signals_of
from .where import Where

__all__ = ["Again", "SecondLook", "Standing"]

_OURS = "check"  # what the ids of our own calls begin with


@dataclass(frozen=True, slots=True)
class Again:
    """Look again: with this call, or with one of this tool that the model writes itself."""

    tool: str
    call: ToolCallPart | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """An answer with the evidence for its claims and its signals."""

    said: Said
    evidence: tuple[Evidence, ...] = ()
    signals: Signals | None = None

    def count(self, verdict: str) -> int:
        """How many claims have that verdict."""
        return sum(item.verdict == verdict for item in self.evidence)


class SecondLook:
    """Judges the answers to one question."""

    def __init__(
        self,
        checker: Checker | None,
        where: Where,
        calibration: Calibration | None,
        emit: Emit,
        notice: Callable[[str], None],
    ) -> None:
        """``checker`` and ``calibration`` are None where claims aren't checked, or doubt brings no look about."""
        self._checker = checker
        self._where = where
        self._calibration = calibration
        self._emit = emit
        self._notice = notice
        self.first: Standing | None = None
        """The answer that is being looked at again."""

    def judge(self, said: Said, turns: Sequence[Turn], *, can_zoom: bool) -> Standing | Again:
        """The answer that stands, or the look that comes before it.

        ``turns`` is the branch without the answer; ``can_zoom`` says whether the model could call "zoom" now.
        """
        answer = Standing(said, signals=signals_of(said.words, said.tokens))
        if said.done.finish != "stop" or not said.words:
            return answer if self.first is None else self.give_up("it was cut short")
        if self._checker is not None:
            evidence = self._checker.evidence(said.words, said.tokens, turns)
            answer = replace(answer, evidence=self._checker.closely(evidence, turns))
        if answer.signals is not None:
            answer = replace(answer, signals=self._where.told(answer.signals, turns))
        if self.first is not None:
            return self._better(self.first, answer)
        answer, again = self._again(answer, turns) if can_zoom else (answer, None)
        if answer.evidence or again:
            self._emit(Checked(answer.evidence, again=again is not None))
        if again is not None:
            self.first = answer
        return again or answer

    def give_up(self, why: str) -> Standing:
        """The first answer, since the second look came to nothing."""
        assert self.first is not None
        self._notice(f"the second look came to nothing, {why}; the first answer stands")
        return self.first

    def _again(self, answer: Standing, turns: Sequence[Turn]) -> tuple[Standing, Again | None]:
        """The answer with all signals that were taken, and the look that is worth it, if one is."""
        looks = [call for turn in since_question(turns) for call in turn.calls]
        place = self._checker.where(answer.evidence) if self._checker else None
        if place is not None and not any(call.id.startswith(_OURS) for call in looks):
            return answer, Again("zoom", _zoom(place, looks))
        fit = self._calibration
        if fit is None or looks or answer.signals is None or answer.count("agree"):
            return answer, None
        signals = self._where.asked(answer.signals, turns, fit)
        answer, doubt = replace(answer, signals=signals), fit.doubt(signals)
        if doubt < fit.threshold:
            return answer, None
        place = self._where.place(turns, signals, fit)
        if place is None and not self._where.may_be_the_models:
            return answer, None
        default = "" if fit.questions else "; this model is not calibrated: looktwice calibrate --help"
        self._notice(f"looking again: the first answer is doubtful ({doubt:.0%}{default})")
        return answer, Again("zoom", None if place is None else _zoom(place, looks))

    def _better(self, first: Standing, second: Standing) -> Standing:
        """The answer that the pictures' text bears out better, else the surer one; the other one is told."""
        stands = second if _is_better(first, second) else first
        if first.said.words != second.said.words:
            told = f"a second look changed the answer; the first was: {first.said.words}"
            if stands is first:
                told = f"a second look did not change the answer; looking closely, the model said: {second.said.words}"
            self._notice(told)
        if stands is first:
            stands = replace(first, evidence=_seen_closely(first.evidence, second.evidence))
        if stands.evidence:
            self._emit(Checked(stands.evidence))
        return stands


def _zoom(place: tuple[str, list[int]], looks: Sequence[ToolCallPart]) -> ToolCallPart:
    name, box = place
    return ToolCallPart(f"{_OURS}{len(looks) + 1}", "zoom", {"image": name, "box": box})


def _seen_closely(first: Sequence[Evidence], second: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The evidence of a first answer with what the second one, which looked closely, gave for the same places."""

    def looked(item: Evidence) -> str:
        there = (other for other in second if other.looked and other.kind == item.kind)  # read in the crop, maybe
        return next((other.looked for other in there if item.box and _meet(other.box, item.box)), item.looked)

    return tuple(replace(item, looked=looked(item)) for item in first)


def _is_better(first: Standing, second: Standing) -> bool:
    """Whether the second answer mends what brought the look about, or is the surer one where nothing can be read."""
    doubted = [item for item in first.evidence if item.verdict == "conflict"]
    if doubted:
        places = [item.box for item in doubted if item.box is not None]
        there = [item for item in second.evidence if any(_meet(item.box, place) for place in places)]
        return any(item.verdict == "agree" for item in there) and not any(item.verdict == "conflict" for item in there)
    if second.count("conflict"):
        return False
    if first.signals is None or second.signals is None:
        return True
    if first.signals.declined != second.signals.declined:
        return first.signals.declined
    return second.signals.mean >= first.signals.mean


def _meet(one: Box | None, other: Box) -> bool:
    """Whether two boxes in pixels of one original overlap."""
    if one is None:
        return False
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
