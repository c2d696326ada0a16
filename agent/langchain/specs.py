"""Tools of all the kinds that LangChain takes, as our grammar needs them, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.utils.function_calling import convert_to_openai_tool

from ...memory.parts import ToolSpec
from .errors import InvalidMessages

__all__ = ["as_choice", "as_dict", "as_spec"]

_OWN = "looktwice"


def as_dict(tool: Any) -> dict[str, Any]:
    """A tool of any kind as plain JSON: OpenAI's shape, and what it lacks of ours (which parameters are pictures)."""
    plain = convert_to_openai_tool(tool)
    metadata: dict[str, Any] = getattr(tool, "metadata", None) or {}
    return {**plain, _OWN: dict(metadata[_OWN])} if _OWN in metadata else plain


def as_spec(plain: Mapping[str, Any]) -> ToolSpec:
    """What the grammar is built from."""
    function, own = plain["function"], plain.get(_OWN, {})
    return ToolSpec(
        function["name"],
        function.get("description", ""),
        {"type": "object", "properties": {}, **function.get("parameters", {})},
        tuple(own.get("pictures", ())),
        tuple(own.get("boxes", ())),
    )


def as_choice(choice: Any, tools: Sequence[Mapping[str, Any]]) -> str:
    """LangChain's and OpenAI's ways to choose a tool as one of "auto", "none", "any" or a tool's name."""
    names: list[str] = [tool["function"]["name"] for tool in tools]
    if isinstance(choice, Mapping):
        chosen = cast("Mapping[str, Any]", choice)
        function: Mapping[str, Any] = chosen.get("function") or {}
        choice = cast("object", chosen.get("name") or function.get("name") or chosen.get("type"))
    if choice in (None, False, "auto"):
        return "auto"
    if choice in (True, "any", "required"):
        return "any"
    if choice == "none" or choice in names:
        return str(choice)
    raise InvalidMessages(f"tool_choice {choice!r} is not a tool here; the tools are {', '.join(names) or 'none'}")
