"""Where a call meets the pictures of a conversation: look up, check, approve, run, name what comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import BadArguments, UnknownName
from ..memory import Box, Conversation, Memory, NamedPicture, Picture, fold
from ..memory.parts import ToolCallPart, Turn
from ..tools import Crop, Tool, ToolResult, View, find_tools
from .answer import Look
from .hooks import Cancel, Hooks, Pause, ToolRequest

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

ToolLike: TypeAlias = "str | Tool | Callable[..., Any] | BaseTool | Sequence[Tool]"


def offered(wanted: Iterable[ToolLike] | str) -> list[Tool]:
    """The tools that a user names or gives: ours as ``find_tools`` has it, LangChain's, and several at once, as MCP's.

    Raises UnknownName and InvalidInput.
    """
    given: Iterable[Any] = [wanted] if isinstance(wanted, str) else wanted
    several = [item for each in given for item in (each if _is_several(each) else [each])]
    return find_tools([_adopted(item) if _is_langchains(item) else item for item in several])


def _is_several(item: object) -> bool:
    return isinstance(item, Sequence) and not isinstance(item, str)


def _is_langchains(item: object) -> bool:
    """Known by what it has, so that LangChain is imported only by those who use it."""
    return not isinstance(item, Tool | type) and all(hasattr(item, name) for name in ("invoke", "args_schema", "name"))


def _adopted(item: Any) -> Tool:
    from .langchain import from_langchain_tool

    return from_langchain_tool(item)


def view_of(memory: Memory, picture: NamedPicture) -> View:
    """A picture as a tool sees it; its pixels are read when they are needed."""

    def to_original(box: Box) -> Box:
        return memory.pictures.to_original(picture.key, box)[1]

    size = (picture.width, picture.height)
    return View(picture.name, picture.key, size, lambda: memory.pictures.pixels(picture.key), to_original)


class Toolbox:
    """Runs the calls of one ask on the pictures of its conversation."""

    def __init__(
        self,
        memory: Memory,
        conversation: Conversation,
        images: Mapping[str, NamedPicture],
        hooks: Hooks,
        cancel: threading.Event,
    ) -> None:
        """``images`` are the conversation's pictures by folded name, as they are when the ask begins."""
        self._memory = memory
        self._conversation = conversation
        self._hooks = hooks
        self._cancel = cancel
        self._images: Mapping[str, NamedPicture] | None = images

    def images(self) -> Mapping[str, NamedPicture]:
        """The conversation's pictures by folded name."""
        if self._images is None:
            self._images = {fold(p.name): p for p in self._memory.pictures.all(self._conversation)}
        return self._images

    def run(
        self,
        call: ToolCallPart,
        tools: Sequence[Tool],
        looks: Sequence[Look],
        *,
        approved: bool,
        seconds: float | None,
    ) -> ToolResult:
        """The result of a call to one of ``tools``, through the hooks.

        Raises Pause for a tool that acts and isn't approved. Everything else that goes wrong becomes a result that
        says so in one line: the model reads it. ``seconds`` is what is left of the ask's time.
        """
        offered = {tool.name: tool for tool in tools}

        def handler(request: ToolRequest) -> ToolResult:
            if request.tool is None:
                raise UnknownName("tool", request.call.tool, offered)
            return self._checked(request, request.tool, looks, seconds)

        try:
            request = ToolRequest(self._conversation.name, call, offered.get(call.tool), approved)
            return self._hooks.tool(request, handler)
        except Cancel as cancel:
            return ToolResult(text=f"the call was refused: {cancel}", error=True)
        except (BadArguments, UnknownName) as error:
            return ToolResult(text=str(error), error=True)

    def register(self, call: ToolCallPart, result: ToolResult, turn: Turn) -> tuple[str, ...]:
        """Name the pictures that a result brought, and keep what was read. Crops are kept as recipes."""
        names: list[str] = []
        with self._memory.atomic():
            for picture in result.pictures:
                kept = self._crop(picture, call, turn) if isinstance(picture, Crop) else self._new(picture, call)
                names.append(kept.name)
            there = {picture.key for picture in self.images().values() if not picture.forgotten}
            for key in there & result.readings.keys():
                self._memory.pictures.note(key, "text", result.readings[key])
        self._images = None
        return tuple(names)

    def _checked(self, request: ToolRequest, tool: Tool, looks: Sequence[Look], seconds: float | None) -> ToolResult:
        call = request.call
        used = sum(look.tool == tool.name for look in looks)
        if tool.max_calls is not None and used >= tool.max_calls:
            return ToolResult(text=f"{tool.name} was called {used} times, which is its limit; answer now", error=True)
        there = [p.name for p in self.images().values() if not p.forgotten]
        arguments = tool.validate(call.arguments, there)
        if tool.acts and not request.approved:
            raise Pause(f"{tool.name} acts outside the conversation")
        limit = tool.timeout if seconds is None else min(tool.timeout, seconds)
        return tool.run(arguments, self._view, timeout=limit, cancel=self._cancel)

    def _view(self, name: str) -> View:
        return view_of(self._memory, self.images()[fold(name)])

    def _crop(self, crop: Crop, call: ToolCallPart, turn: Turn) -> NamedPicture:
        return self._memory.pictures.add_recipe(
            self._conversation, crop.recipe(), stem=f"{crop.view.name}.{call.tool}", tool=call.tool, turn=turn.id
        )

    def _new(self, image: object, call: ToolCallPart) -> NamedPicture:
        """A picture that a tool drew itself: kept as PNG, named after the picture it was made from, if any."""
        picture = Picture.load(image)  # pyright: ignore[reportArgumentType]
        given = (fold(word.strip().removeprefix("@")) for word in call.arguments.values() if isinstance(word, str))
        parents = [self.images()[name].name for name in given if name in self.images()]
        stem = f"{parents[0]}.{call.tool}" if parents else call.tool
        taken = {fold(p.name) for p in self._memory.pictures.all(self._conversation)}
        number = next(n for n in range(1, len(taken) + 2) if fold(f"{stem}{n}") not in taken)
        return self._memory.pictures.add(self._conversation, picture, name=f"{stem}{number}")
