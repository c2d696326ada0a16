"""What happens while an answer is being made, in order. ``Answered`` is always the last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..memory import Approval
from ..memory.parts import ToolCallPart
from .answer import Answer, Evidence


@dataclass(frozen=True, slots=True)
class Started:
    """The question is kept as turn ``turn``; ``model`` begins.

    ``may_change``: words may come that don't stand in the end, since the answer is checked or looked at again.
    """

    model: str
    conversation: str
    turn: int
    may_change: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Words of the answer as they come; ``logprob`` is the natural logarithm of their token's probability."""

    text: str
    logprob: float = 0.0


@dataclass(frozen=True, slots=True)
class Called:
    """The model wrote a call; it is about to run."""

    call: ToolCallPart


@dataclass(frozen=True, slots=True)
class Returned:
    """A call's result; ``images`` are the names of the pictures that it brought."""

    call: ToolCallPart
    text: str
    images: tuple[str, ...] = ()
    error: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer's claims were held against its pictures; ``again``: the model looks again before it answers."""

    evidence: tuple[Evidence, ...]
    again: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should know: a limit reached, a picture that is gone."""

    text: str


@dataclass(frozen=True, slots=True)
class Paused:
    """A call waits for an approval; the ask ends here and goes on in ``Chat.decide``."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class Answered:
    """The end: the whole answer."""

    answer: Answer


Event: TypeAlias = Started | Text | Called | Returned | Checked | Notice | Paused | Answered
Emit: TypeAlias = Callable[[Event], object]
