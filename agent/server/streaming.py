"""Bodies read under limits, and answers sent as they come: to clients that may be slow, or leave."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import Receive, Send

from .refusal import Refused

__all__ = ["HEADERS", "Patient", "SILENCE", "TooSlow", "event", "read_json", "spaced", "watched"]

T = TypeVar("T")
HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
"""Those of server-sent events."""
SILENCE = 15.0
"""Seconds after which a stream says that it lives: proxies close silent connections."""


async def read_json(request: Request, most: int, seconds: float) -> bytes:
    """The body of a request that says it is JSON, of at most so many bytes, read in so many seconds.

    Raises Refused, and ClientDisconnect where the client has left.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused("the body must be JSON; send the header 'Content-Type: application/json'", status=415)
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > most:
        raise _too_large(most)
    pieces, size = list[bytes](), 0
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.stream():
                size += len(piece)
                if size > most:
                    raise _too_large(most)
                pieces.append(piece)
    except TimeoutError:
        told = f"the body did not come within {seconds:g} s"
        raise Refused(told, status=408, headers={"Connection": "close"}) from None
    return b"".join(pieces)


def _too_large(most: int) -> Refused:
    told = f"the body has more than {most} bytes; send smaller or fewer pictures"
    return Refused(told, status=413, headers={"Connection": "close"})


class TooSlow(Exception):
    """A client that doesn't take its answer."""


class Patient:
    """Sends, but waits only so long for a client to take each piece; then the answer is ended."""

    def __init__(self, send: Send, seconds: float, cancel: threading.Event) -> None:
        self._send = send
        self._seconds = seconds
        self._cancel = cancel

    async def __call__(self, message: Any) -> None:
        """Send a message of ASGI. Raises TooSlow where the client does not take it."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._send(message)
        except TimeoutError:
            self._cancel.set()
            raise TooSlow from None

    async def body(self, data: bytes, *, more: bool = True) -> None:
        """Send a piece of the body."""
        await self({"type": "http.response.body", "body": data, "more_body": more})


@asynccontextmanager
async def watched(receive: Receive, cancel: threading.Event) -> AsyncGenerator[None]:
    """While it lasts, a client that leaves ends its answer."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        cancel.set()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()


async def spaced(items: AsyncGenerator[T], seconds: float) -> AsyncGenerator[T | None]:
    """The items as they come, and None whenever there was none for so many seconds."""
    following: asyncio.Task[T] | None = None
    try:
        while True:
            following = following or asyncio.ensure_future(anext(items))
            done, _ = await asyncio.wait({following}, timeout=seconds)
            if not done:
                yield None
                continue
            try:
                item = following.result()
            except StopAsyncIteration:
                return
            following = None
            yield item
    finally:
        if following is not None:
            following.cancel()
            await asyncio.wait({following})
        await items.aclose()


def event(plain: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(plain, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
