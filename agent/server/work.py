"""What a request turns into: something that can be run once for each choice, telling what happens as it goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from ...memory.parts import ToolCallPart
from ..answer import Usage
from ..backends import Token

__all__ = ["Choice", "Ending", "Tell", "Work"]

Ending: TypeAlias = Literal["stop", "length", "tool_calls"]
Tell: TypeAlias = "Callable[[Token | Mapping[str, Any]], object]"
"""Hears the tokens of the words as they come, and what else happens as plain JSON."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: its words, or the call that it ends in. ``tokens`` are those of the words, where they are known.

    ``own`` is what OpenAI's shape has no place for; it goes into the field ``looktwice``.
    """

    text: str
    finish: Ending
    usage: Usage
    call: ToolCallPart | None = None
    tokens: tuple[Token, ...] = ()
    own: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Work(Protocol):
    """A request that was read and checked, and can be answered."""

    @property
    def model(self) -> str:
        """The name that the client asked for."""
        ...

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        ...

    def run(self, number: int, tell: Tell, cancel: threading.Event) -> Choice:
        """Make one answer, in the thread that calls; ``cancel`` ends it early. Raises the errors of `looktwice`."""
        ...
