"""What stands over a conversation: the developer's instructions and the tools on offer.

Both are turns like any other, written where they change, so that the prompt before them never does.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..memory.parts import Part, TextPart, ToolsPart, ToolSpec, Turn
from ..tools import Tool, installed_tools

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
    """The standing tools that are installed here; one that was a function of some program is left out.

    The names come from stored turns, which may be a stranger's: none of them is ever taken as a module to import.
    """
    names = [spec.name for spec in standing_tools(branch)]
    found = installed_tools(names)
    for name in sorted(set(names) - {tool.name for tool in found}):
        _log.warning("the tool %r of this conversation is not installed here; name it again to offer it", name)
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
