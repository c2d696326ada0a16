"""Our tools as LangChain's, on the pictures that the chat model was shown; and LangChain's tools as ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, cast

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, ToolException

from ...memory import Memory, Picture
from ...tools import Tool, ToolResult, find_tools
from .album import Album, open_memory, picture_bytes
from .desk import use
from .messages import OWN
from .sheet import sheet_of
from .specs import as_dict

__all__ = ["as_langchain_tools", "from_langchain_tool"]


def as_langchain_tools(
    tools: Iterable[str | Tool | Callable[..., Any]] = ("zoom", "ocr"),
    *,
    memory: Memory | str | os.PathLike[str] | None = None,
    conversation: str = "langchain",
) -> list[BaseTool]:
    """Tools of ours that any LangChain agent can call; pictures come back as blocks with a ``file_id``, without bytes.

    They work on the pictures that stood in the messages of the call. ``memory`` and ``conversation`` are where to look
    for the names in a call that this process's `ChatLookTwice` did not make: another vendor's model, or a program that
    was started again. The artifact of a result holds the tool's data and the names of its pictures.
    """
    album = Album(open_memory(memory), conversation)
    return [_adapted(tool, album) for tool in find_tools(tools)]


def from_langchain_tool(tool: BaseTool, *, acts: bool = False, timeout: float = 30.0) -> Tool:
    """A LangChain tool for our `Agent`, which takes it by itself too: ``Agent(tools=[their_tool])``.

    Name, description and schema stay; LangChain checks the arguments. Pictures in a result (base64) enter the
    conversation as ours do. ``acts`` says that a call needs approval; ``timeout`` is in seconds.
    """

    def call(**arguments: Any) -> ToolResult:
        return _result(tool.invoke(arguments))

    async def acall(**arguments: Any) -> ToolResult:
        return _result(await tool.ainvoke(arguments))

    is_async = getattr(tool, "coroutine", None) is not None and getattr(tool, "func", None) is None
    return Tool(
        acall if is_async else call,
        name=tool.name,
        description=tool.description,
        acts=acts,
        timeout=timeout,
        schema=as_dict(tool)["function"].get("parameters", {}),
    )


def _result(content: object) -> ToolResult:
    """What a LangChain tool gave: text, blocks, a message, or anything that is JSON."""
    message = content if isinstance(content, ToolMessage) else None
    if message is None and not _has_blocks(content):
        return ToolResult.of(content)
    message = message or ToolMessage(content=cast("list[str | dict[Any, Any]]", content), tool_call_id="")
    blocks = [dict(block) for block in message.content_blocks]
    words = [str(block.get("text", "")) for block in blocks if block.get("type") == "text"]
    words += [f"(a block of type {block.get('type')!r} was left out)" for block in blocks if not _is_read(block)]
    pictures = tuple(Picture.load(picture_bytes(block)).pixels() for block in blocks if block.get("type") == "image")
    return ToolResult("\n".join(words), pictures=pictures, error=message.status == "error").bounded()


def _is_read(block: Mapping[str, Any]) -> bool:
    return block.get("type") in ("text", "image")


def _has_blocks(content: object) -> bool:
    items = cast("list[object]", content) if isinstance(content, list) else []
    return bool(items) and all(isinstance(item, dict) and "type" in item for item in items)


class _OurTool(StructuredTool):
    """Knows which call it runs for, and so which pictures the names in it mean."""

    def run(self, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        """As every tool runs."""
        token = _call.set(kwargs.get("tool_call_id"))
        try:
            return super().run(tool_input, *args, **kwargs)
        finally:
            _call.reset(token)

    async def arun(self, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        """The same without blocking the event loop."""
        token = _call.set(kwargs.get("tool_call_id"))
        try:
            return await super().arun(tool_input, *args, **kwargs)
        finally:
            _call.reset(token)


_call: ContextVar[str | None] = ContextVar("call", default=None)


def _adapted(tool: Tool, album: Album) -> BaseTool:
    def call(**arguments: Any) -> tuple[str | list[str | dict[str, Any]], dict[str, Any]]:
        given = {name: value for name, value in arguments.items() if value is not None}
        seen = sheet_of(_call.get()) or album
        result, pictures = use(tool, given, seen)
        if result.error:
            raise ToolException(result.text)
        blocks: list[str | dict[str, Any]] = [{"type": "text", "text": result.text}] if result.text else []
        blocks += [seen.block(picture) for picture in pictures]
        own = {"data": result.data, "pictures": [picture.name for picture in pictures]}
        return (blocks if pictures else result.text or "finished"), {OWN: own}

    return _OurTool(
        name=tool.name,
        description=tool.description or tool.name,
        args_schema=dict(tool.parameters),
        func=call,
        response_format="content_and_artifact",
        metadata={OWN: {"pictures": list(tool.spec.pictures), "boxes": list(tool.spec.boxes), "acts": tool.acts}},
        handle_tool_error=True,
    )
