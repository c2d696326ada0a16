"""From a body to a reply: read under limits, answered in a thread, sent whole or as server-sent events."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, TypeAlias, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from ..backends import Token
from ..follow import afollowed
from .asked import Asked
from .house import House
from .refusal import Refused, refused
from .reply import Reply
from .work import Choice, Work

__all__ = ["Answering", "read_json"]

Heard: TypeAlias = "tuple[int, Token | Mapping[str, Any] | Choice]"
T = TypeVar("T")
_SILENCE = 15.0  # seconds after which a stream says that it lives: proxies close silent connections


class Answering:
    """``POST /v1/chat/completions`` as an application of its own."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever happens, the client is told in OpenAI's shape, and the place is free again."""
        request = Request(scope, receive)
        try:
            owner, chat = scope["owner"], request.headers.get("x-looktwice-chat")
            with self._house.place(owner) as cancel:
                body = await read_json(request, self._house.caps.body, self._house.caps.reading)
                work, asked = await asyncio.to_thread(self._house.work, body, owner=owner, chat=chat)
                del body
                answer = _Answer(self._house, work, asked, cancel)
                del asked  # its pictures are read: nobody needs their base64 any more
                async with _watched(receive, cancel):
                    await answer.sent(scope, receive, send)
        except ClientDisconnect:
            return
        except Exception as error:
            await refused(error).response()(scope, receive, send)


class _Answer:
    """The answer to one request, on its way."""

    def __init__(self, house: House, work: Work, asked: Asked, cancel: threading.Event) -> None:
        self._house = house
        self._work = work
        self._cancel = cancel
        self._reply = Reply(work.model, logprobs=bool(asked.logprobs))
        self._is_streamed = bool(asked.stream)
        self._tells_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        self._began = time.monotonic()

    async def sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, whole or as it comes."""
        if self._is_streamed:
            await self._stream(send)
            return
        async with aclosing(self._heard()) as heard:
            choices = [item async for _, item in heard if isinstance(item, Choice)]
        await JSONResponse(self._reply.whole(choices))(scope, receive, send)

    def _heard(self) -> AsyncGenerator[Heard]:
        """Tokens and events of each choice as they come, and the choice at its end."""

        def run(tell: Any) -> None:
            for number in range(self._work.choices):

                def told(item: Token | Mapping[str, Any], number: int = number) -> None:
                    tell((number, item))

                choice = self._work.run(number, told, self._cancel)
                self._house.metrics.used(choice.usage)
                tell((number, choice))
            self._house.metrics.took("answer_seconds", time.monotonic() - self._began)

        return afollowed(run, self._cancel)

    async def _stream(self, send: Send) -> None:
        """Server-sent events; an error after the first of them is one more event, and the end."""
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
        out = _Patient(send, self._house.caps.sending, self._cancel)
        with suppress(_TooSlow):  # then the server closes the connection
            await out({"type": "http.response.start", "status": 200, "headers": headers})
            try:
                async for chunk in _spaced(self._chunks(), _SILENCE):
                    await out.body(b": waiting\n\n" if chunk is None else _event(chunk))
            except _TooSlow:
                raise
            except Exception as error:
                await out.body(_event(refused(error).to_json()))
            await out.body(b"data: [DONE]\n\n", more=False)

    async def _chunks(self) -> AsyncGenerator[dict[str, Any]]:
        choices, sent, reply = list[Choice](), "", self._reply
        for number in range(self._work.choices):
            yield reply.first(number)
        async with aclosing(self._heard()) as heard:
            async for number, item in heard:
                if isinstance(item, Choice):
                    for chunk in reply.last(number, item, sent):
                        yield chunk
                    choices, sent = [*choices, item], ""
                elif isinstance(item, Token):
                    self._first_word(is_first=not choices and not sent)
                    sent += item.text
                    yield reply.words(number, item)
                else:
                    yield reply.happened(number, item)
        if self._tells_usage:
            yield reply.usage(choices)

    def _first_word(self, *, is_first: bool) -> None:
        if is_first:
            self._house.metrics.took("first_token_seconds", time.monotonic() - self._began)


class _TooSlow(Exception):
    """A client that doesn't take its answer."""


class _Patient:
    """Sends, but waits only so long for a client to take each piece; then the answer is ended."""

    def __init__(self, send: Send, seconds: float, cancel: threading.Event) -> None:
        self._send = send
        self._seconds = seconds
        self._cancel = cancel

    async def __call__(self, message: Any) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._send(message)
        except TimeoutError:
            self._cancel.set()
            raise _TooSlow from None

    async def body(self, data: bytes, *, more: bool = True) -> None:
        """Send a piece of the body."""
        await self({"type": "http.response.body", "body": data, "more_body": more})


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


@asynccontextmanager
async def _watched(receive: Receive, cancel: threading.Event) -> AsyncGenerator[None]:
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


async def _spaced(items: AsyncGenerator[T], seconds: float) -> AsyncGenerator[T | None]:
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


def _event(plain: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(plain, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
