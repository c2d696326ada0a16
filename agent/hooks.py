"""Places to step in, with the names and the order of LangChain's middleware.

``before_*`` run in the order given, ``after_*`` in reverse, and ``wrap_*`` nest, the first one outermost.
A hook changes a request by returning another one; it stops things by raising ``Cancel`` or ``Pause``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..memory.parts import ToolCallPart, Turn
from ..tools import Tool, ToolResult
from .answer import Answer
from .backends.backend import Done, Settings


class Cancel(Exception):
    """Raise it in a hook to refuse a call (the model is told why) or, elsewhere, to end the ask (the person is)."""


class Pause(Exception):
    """Raise it before a tool runs to keep the call until someone approves it, in this process or another."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What the model is about to be asked: the branch, the tools on offer, and how to generate.

    ``looks_left`` is 0 on the last step, which always answers in words.
    """

    conversation: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...]
    settings: Settings
    looks_left: int
    tool_choice: str = "auto"

    def replace(self, **changes: Any) -> ModelRequest:
        """The same request with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A call that is about to run. ``tool`` is None when the model named one that isn't on offer.

    ``approved`` says that a person has approved it already: a hook that pauses calls lets it pass then.
    """

    conversation: str
    call: ToolCallPart
    tool: Tool | None
    approved: bool = False

    def replace(self, **changes: Any) -> ToolRequest:
        """The same request with some fields changed."""
        return replace(self, **changes)


class Hook:
    """Subclass it and write the methods you need; each of these does nothing.

    ``before_tool`` and ``after_tool`` are short forms of ``wrap_tool_call``.
    """

    def before_agent(self, conversation: str, turns: Sequence[Turn]) -> None:
        """Once per ask, when the question is kept and nothing has run."""

    def before_model(self, request: ModelRequest) -> ModelRequest | None:
        """Before each step of the model; return another request to change it."""

    def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], Done]) -> Done:
        """Around each step of the model: call ``handler`` once, often, or not at all."""
        return handler(request)

    def after_model(self, request: ModelRequest, response: Done) -> Done | None:
        """After each step; return another response to change what is read from it."""

    def before_tool(self, request: ToolRequest) -> ToolRequest | ToolResult | None:
        """Before a tool runs; return another request to change it, or a result to take its place."""

    def wrap_tool_call(self, request: ToolRequest, handler: Callable[[ToolRequest], ToolResult]) -> ToolResult:
        """Around each tool: call ``handler`` once, often, or not at all."""
        return handler(request)

    def after_tool(self, request: ToolRequest, result: ToolResult) -> ToolResult | None:
        """After a tool; return another result to change it."""

    def after_agent(self, answer: Answer) -> Answer | None:
        """Once per ask, with the answer, which is kept already; return another one to change what is kept.

        ``Cancel`` takes its words back and leaves the reason as a notice.
        """


class Hooks:
    """The hooks of an agent, run in their order."""

    def __init__(self, hooks: Sequence[Hook] = ()) -> None:
        self._hooks = tuple(hooks)

    def before_agent(self, conversation: str, turns: Sequence[Turn]) -> None:
        """Each hook's ``before_agent``."""
        for hook in self._hooks:
            hook.before_agent(conversation, turns)

    def model(self, request: ModelRequest, handler: Callable[[ModelRequest], Done]) -> Done:
        """One step of the model, through ``before_model``, the nested ``wrap_model_call`` and ``after_model``."""
        for hook in self._hooks:
            request = hook.before_model(request) or request
        for hook in reversed(self._hooks):
            handler = _wrapped(hook.wrap_model_call, handler)
        response = handler(request)
        for hook in reversed(self._hooks):
            response = hook.after_model(request, response) or response
        return response

    def tool(self, request: ToolRequest, handler: Callable[[ToolRequest], ToolResult]) -> ToolResult:
        """One call, through every hook's ``before_tool``, ``wrap_tool_call`` and ``after_tool``."""
        for hook in reversed(self._hooks):
            handler = _around(hook, handler)
        return handler(request)

    def after_agent(self, answer: Answer) -> Answer:
        """Each hook's ``after_agent``, last one first."""
        for hook in reversed(self._hooks):
            answer = hook.after_agent(answer) or answer
        return answer


def _wrapped(
    wrap: Callable[[ModelRequest, Callable[[ModelRequest], Done]], Done], handler: Callable[[ModelRequest], Done]
) -> Callable[[ModelRequest], Done]:
    return lambda request: wrap(request, handler)


def _around(hook: Hook, handler: Callable[[ToolRequest], ToolResult]) -> Callable[[ToolRequest], ToolResult]:
    def run(request: ToolRequest) -> ToolResult:
        early = hook.before_tool(request)
        if isinstance(early, ToolResult):
            return early
        request = early or request
        result = hook.wrap_tool_call(request, handler)
        return hook.after_tool(request, result) or result

    return run
