"""A branch as a page tells it: exchanges, and the pictures that a call brought."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...memory.parts import ImagePart, ToolResultPart, Turn


@dataclass(slots=True)
class Exchange:
    """A question with what was set up before it, and the turns that follow it up to the next one."""

    setup: list[Turn] = field(default_factory=list[Turn])
    question: Turn | None = None
    replies: list[Turn] = field(default_factory=list[Turn])


def exchanges(turns: Iterable[Turn]) -> list[Exchange]:
    """A branch, cut before each of the user's turns and what was set up for it."""
    cut: list[Exchange] = []
    for turn in turns:
        last = cut[-1] if cut else None
        begins = turn.role in ("system", "user") and (last is None or last.question is not None)
        if last is None or begins:
            last = Exchange()
            cut.append(last)
        if turn.role == "system":
            last.setup.append(turn)
        elif turn.role == "user":
            last.question = turn
        else:
            last.replies.append(turn)
    return cut


def brought_by(turn: Turn, result: ToolResultPart) -> list[str]:
    """The pictures of one result: those that stand between it and the next result of its turn."""
    names: list[str] = []
    inside = False
    for part in turn.parts:
        if isinstance(part, ToolResultPart):
            inside = part is result
        elif inside and isinstance(part, ImagePart):
            names.append(part.name)
    return names
