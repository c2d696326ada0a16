"""Tools of other people's MCP servers, for our agent."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import re
import shlex
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, cast, overload

from ...errors import InvalidInput, LookTwiceError, MissingExtra, ToolError
from ...memory import Picture
from ...tools import Tool, ToolResult
from ..functions import with_whole_schema
from ..loop import Loop

__all__ = ["McpTools", "mcp_tools"]

_CONNECT = 60.0  # seconds
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")


class McpTools(Sequence[Tool]):
    """The tools of one server, as long as it is held; `close` ends the connection and a server that was started for it.

    Those that don't declare that they only read need an approval for each call.
    """

    def __init__(self, server: str | Sequence[str], *, timeout: float = 60.0) -> None:
        """``server`` is a command line, its words, or the URL of a server; ``timeout`` is each call's, in seconds.

        Raises MissingExtra without the package, InvalidInput where there is no such server.
        """
        self.server = server if isinstance(server, str) else shlex.join(server)
        self._loop = Loop()
        self._timeout = timeout
        self._client: Any = None
        self._over: asyncio.Event | None = None
        listed: Future[Sequence[Any]] = Future()
        self._life = self._loop.start(_live(self, _transport(server), listed))
        try:
            self._tools = [self._adapted(tool) for tool in listed.result(timeout=_CONNECT)]
        except LookTwiceError:
            self.close()
            raise
        except Exception as error:
            self.close()
            told = f"no MCP server answers at {self.server!r} ({_reason(error)}); check the command or the URL"
            raise InvalidInput(told) from error

    @overload
    def __getitem__(self, place: int) -> Tool: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Tool]: ...
    def __getitem__(self, place: int | slice) -> Tool | Sequence[Tool]:
        return self._tools[place]

    def __len__(self) -> int:
        return len(self._tools)

    def close(self) -> None:
        """End the connection. A second time does nothing."""
        if self._over is not None:
            over, self._over = self._over, None
            with contextlib.suppress(Exception):
                self._loop.start(_set(over)).result(timeout=5)
                self._life.result(timeout=10)
        self._loop.close()

    def __enter__(self) -> McpTools:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def entered(self, client: Any, over: asyncio.Event) -> None:
        """The connection stands."""
        self._client, self._over = client, over

    def _adapted(self, tool: Any) -> Tool:
        """One of theirs as ours. They check the arguments; what they bring is data, bounded like any result."""

        def call(**arguments: Any) -> ToolResult:
            running = self._loop.start(self._client.call_tool(tool.name, arguments))
            try:
                return _result(running.result(timeout=self._timeout))
            except TimeoutError as error:
                running.cancel()
                raise ToolError(f"the server gave no result in {self._timeout:g} s") from error

        plain = {"type": "function", "function": {"name": tool.name, "parameters": dict(tool.input_schema)}}
        only_reads = tool.annotations is not None and bool(tool.annotations.read_only_hint)
        return Tool(
            call,
            name=_name(tool.name),
            description=" ".join((tool.description or tool.title or "").split())[:1000],
            acts=not only_reads,
            timeout=self._timeout + 1,
            schema=with_whole_schema(plain)["function"]["parameters"],
        )


def mcp_tools(server: str | Sequence[str], *, timeout: float = 60.0) -> McpTools:
    """What an MCP server offers, to be given to an agent beside its other tools.

    ``server`` is a command line (run without a shell, with PATH and HOME but none of your other variables), its words,
    or the URL of a streamable HTTP server. Raises MissingExtra, and InvalidInput where no server answers.
    """
    return McpTools(server, timeout=timeout)


async def _live(owner: McpTools, transport: Any, listed: Future[Sequence[Any]]) -> None:
    """The connection, from its beginning to its end in one task, as the client wants it."""
    from mcp import Client

    try:
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(Client(transport))
            over, tools, cursor = asyncio.Event(), list[Any](), None
            while True:
                page = await client.list_tools(cursor=cursor)
                tools += page.tools
                cursor = page.next_cursor
                if not cursor:
                    break
            owner.entered(client, over)
            listed.set_result(tools)
            await over.wait()
    except BaseException as error:
        if not listed.done():
            listed.set_exception(error if isinstance(error, Exception) else InvalidInput("the connection was ended"))
        if not isinstance(error, Exception):
            raise


async def _set(event: asyncio.Event) -> None:
    event.set()


def _transport(server: str | Sequence[str]) -> Any:
    try:
        from mcp import StdioServerParameters
    except ImportError as error:
        raise MissingExtra("the client for MCP servers (mcp)", "mcp") from error
    if isinstance(server, str) and re.match(r"https?://", server):
        return server
    words = _words(server)
    parameters = StdioServerParameters(command=words[0], args=words[1:])
    return _piped(parameters)


@contextlib.asynccontextmanager
async def _piped(parameters: Any) -> AsyncGenerator[Any]:
    """A server that is started. Its own messages go nowhere, unless somebody looks for a fault."""
    from mcp import stdio_client

    logging.getLogger("mcp").addHandler(logging.NullHandler())  # else what a server prints by mistake is told at length
    where = os.dup(2) if os.environ.get("LOOKTWICE_DEBUG") else os.open(os.devnull, os.O_WRONLY)
    with open(where, "w", encoding="utf-8") as errors:
        async with stdio_client(parameters, errlog=errors) as streams:
            yield streams


def _words(server: str | Sequence[str]) -> list[str]:
    try:
        words = shlex.split(server) if isinstance(server, str) else [str(word) for word in server]
    except ValueError as error:
        raise InvalidInput(f"the command {server!r} can't be read ({error}); check its quotes") from error
    if not words:
        raise InvalidInput("the command of an MCP server is empty; give one, or a URL")
    return words


def _name(given: str) -> str:
    """A name that a model may be given."""
    clean = _NOT_IN_NAMES.sub("_", given)[:64]
    return clean if clean[:1].isalpha() else f"t{clean}"[:64]


def _result(result: Any) -> ToolResult:
    words: list[str] = []
    pictures: list[Any] = []
    for block in result.content:
        if block.type == "text":
            words.append(block.text)
        elif block.type == "image":
            pictures.append(Picture.load(base64.b64decode(block.data)).pixels())
        elif block.type == "resource" and getattr(block.resource, "text", None) is not None:
            words.append(block.resource.text)
        else:
            words.append(f"(a block of type {block.type!r} was left out)")
    return ToolResult("\n".join(words), pictures=tuple(pictures), error=bool(result.is_error)).bounded()


def _reason(error: BaseException) -> str:
    for cause in _causes(error):
        text = " ".join(str(cause).split())
        if text and not isinstance(cause, BaseExceptionGroup):
            return text[:200]
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    if isinstance(error, BaseExceptionGroup):
        for cause in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _causes(cause)
