"""What stands over a conversation: the developer's instructions and the tools on offer.

Both are turns like any other, written where they change, so that the prompt before them never does.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..errors import UnknownName
from ..memory.parts import Part, TextPart, ToolsPart, ToolSpec, Turn
from ..tools import Tool, find_tools

_log = logging.getLogger(__name__)


def standing_turn(branch: Sequence[Turn], *, system: str | None, tools: Sequence[Tool]) -> Turn | None:
    """The system turn that a branch needs for these instructions and tools; None if they stand already."""
    parts: list[Part] = []
    if system and system != _text(branch):
        parts.append(TextPart(system))
    wanted = tuple(tool.spec for tool in tools)
    if wanted != standing_tools(branch):
        parts.append(ToolsPart(wanted))
    return Turn("system", tuple(parts)) if parts else None


def standing_tools(branch: Sequence[Turn]) -> tuple[ToolSpec, ...]:
    """The tools that the model was last told of."""
    offers = (part.tools for turn in reversed(branch) for part in turn.parts if isinstance(part, ToolsPart))
    return next(offers, ())


def found_tools(branch: Sequence[Turn]) -> list[Tool]:
    """The standing tools as far as they go by a name; one that was a function of another program is left out."""
    found: list[Tool] = []
    for spec in standing_tools(branch):
        try:
            found += find_tools([spec.name])
        except UnknownName:
            _log.warning("the tool %r of this conversation is not installed here; name it again to offer it", spec.name)
    return found


def _text(branch: Sequence[Turn]) -> str | None:
    said = (
        part.text
        for turn in reversed(branch)
        if turn.role == "system"
        for part in turn.parts
        if isinstance(part, TextPart)
    )
    return next(said, None)
