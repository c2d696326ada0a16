"""The second look: whether an answer is worth another one, where to look, and which of two answers stands.

Two things bring it about: a claim that conflicts with what can be read in a picture, and an answer that is doubtful by
its own signals. At most one for each question; the model's own looks are not counted here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..memory.parts import ToolCallPart, Turn
from .answer import Evidence, Signals
from .checks.checker import Checker
from .events import Checked, Emit
from .speaker import Said
from .trigger import Calibration, signals_of

__all__ = ["Again", "SecondLook", "Standing"]


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
        calibration: Calibration | None,
        emit: Emit,
        notice: Callable[[str], None],
    ) -> None:
        """``checker`` and ``calibration`` are None where claims aren't checked, or doubt brings no look about."""
        self._checker = checker
        self._calibration = calibration
        self._emit = emit
        self._notice = notice
        self._first: Standing | None = None

    def judge(self, said: Said, turns: Sequence[Turn], *, looks: int, can_zoom: bool) -> Standing | Again:
        """The answer that stands, or the look that comes before it.

        ``turns`` is the branch without the answer, ``looks`` how many this question had; ``can_zoom`` says whether the
        model could call "zoom" now.
        """
        answer = Standing(said, signals=signals_of(said.words, said.tokens))
        if said.done.finish != "stop" or not said.words:
            return self._first or answer
        if self._checker is not None:
            answer = Standing(said, self._checker.evidence(said.words, said.tokens, turns), answer.signals)
        if self._first is not None:
            return self._better(self._first, answer)
        again = self._again(answer, looks) if can_zoom else None
        if answer.evidence or again:
            self._emit(Checked(answer.evidence, again=again is not None))
        if again is not None:
            self._first = answer
        return again or answer

    def _again(self, answer: Standing, looks: int) -> Again | None:
        place = self._checker.where(answer.evidence) if self._checker else None
        if place is not None:
            name, box = place
            return Again("zoom", ToolCallPart(f"check{looks + 1}", "zoom", {"image": name, "box": box}))
        if self._calibration is None or looks or answer.signals is None or answer.count("agree"):
            return None
        doubt = self._calibration.doubt(answer.signals)
        if doubt < self._calibration.threshold:
            return None
        default = (
            "" if self._calibration.questions else "; this model is not calibrated, see: looktwice calibrate --help"
        )
        self._notice(f"looking again: the first answer is doubtful ({doubt:.0%}{default})")
        return Again("zoom")

    def _better(self, first: Standing, second: Standing) -> Standing:
        """The answer that the pictures' text bears out better, else the surer one; the other one is told."""
        stands = second if self._is_better(first, second) else first
        if first.said.words != second.said.words:
            told = f"a second look changed the answer; the first was: {first.said.words}"
            if stands is first:
                told = f"a second look did not change the answer; looking closely, the model said: {second.said.words}"
            self._notice(told)
        if stands.evidence:
            self._emit(Checked(stands.evidence))
        return stands

    def _is_better(self, first: Standing, second: Standing) -> bool:
        if first.count("conflict"):  # what brought the look about
            return second.count("agree") > first.count("agree") and second.count("conflict") < first.count("conflict")
        if second.count("conflict"):
            return False
        if first.signals is None or second.signals is None:
            return True
        if first.signals.declined != second.signals.declined:
            return first.signals.declined
        return second.signals.mean >= first.signals.mean
