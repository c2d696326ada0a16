"""Approval of tools that act, in LangChain's own way of pausing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from langchain.agents.middleware import HumanInTheLoopMiddleware, InterruptOnConfig
from langchain.agents.middleware.human_in_the_loop import DecisionType, InterruptMode
from langchain.agents.middleware.types import AgentState, ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.types import Command

from ....errors import InvalidInput
from ....tools import Tool
from ..messages import OWN

__all__ = ["Approval"]


class Approval(HumanInTheLoopMiddleware[AgentState[Any], Any, Any]):
    """Pauses the agent before a tool that acts runs, until a person decides; needs a checkpointer.

    Our tools say themselves whether they act (``@tool(acts=True)``), listed in ``tools`` or not. A tool of another
    kind, or a name, needs approval when it is listed. ``decisions`` are LangChain's: "approve", "edit", "reject" and
    "respond".

    Each call pauses on its own ("per_call") and takes one decision under its interrupt's id. With "batched" a model's
    turn pauses once and takes ``{"decisions": [...]}``; LangChain then knows only the tools that are listed, and one
    that acts and is not listed is refused.
    """

    def __init__(
        self,
        tools: Iterable[str | BaseTool | Tool] = (),
        *,
        decisions: Sequence[DecisionType] = ("approve", "edit", "reject", "respond"),
        interrupt_mode: InterruptMode = "per_call",
        description_prefix: str = "Tool execution requires approval",
    ) -> None:
        if isinstance(tools, str):
            raise InvalidInput(f"{tools!r} is one text; give a list of tools, as in {[tools]!r}")
        names = [name for tool in tools if (name := _gated(tool))]
        self._how = InterruptOnConfig(allowed_decisions=list(decisions))
        super().__init__(
            {name: self._how for name in names}, description_prefix=description_prefix, interrupt_mode=interrupt_mode
        )

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """Pause, run, or answer in the place of the tool."""
        refused = self._refused(request)
        return refused if refused is not None else super().wrap_tool_call(request, handler)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        """The same without blocking the event loop."""
        refused = self._refused(request)
        return refused if refused is not None else await super().awrap_tool_call(request, handler)

    def _refused(self, request: ToolCallRequest) -> ToolMessage | None:
        """See to it that a tool that acts never runs unasked: it is listed now, or refused where that is too late."""
        tool = request.tool
        if tool is None or tool.name in self.interrupt_on or not _acts(tool):
            return None
        if self.interrupt_mode == "per_call":
            self.interrupt_on[tool.name] = self._how
            return None
        return ToolMessage(
            f"{tool.name} acts and was not listed for approval, so it was not run; the program must list it",
            name=tool.name,
            tool_call_id=request.tool_call["id"] or "",
            status="error",
        )


def _gated(tool: object) -> str | None:
    """The name of a tool that needs approval. Raises InvalidInput for what is no tool."""
    match tool:
        case str():
            return tool
        case Tool():
            return tool.name if tool.acts else None
        case BaseTool():
            return tool.name if _acts(tool) or not _is_ours(tool) else None
        case _:
            raise InvalidInput(f"{tool!r} can't be approved; give a tool or its name")


def _own(tool: BaseTool) -> Mapping[str, Any] | None:
    own = cast("object", (tool.metadata or {}).get(OWN))
    return cast("Mapping[str, Any]", own) if isinstance(own, Mapping) else None


def _is_ours(tool: BaseTool) -> bool:
    return _own(tool) is not None


def _acts(tool: BaseTool) -> bool:
    return bool((_own(tool) or {}).get("acts", False))
