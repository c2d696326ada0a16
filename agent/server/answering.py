"""From a body to a reply: read under limits, answered in a thread, sent whole or as server-sent events."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from ..backends import Token
from ..follow import afollowed
from .asked import Asked
from .house import House
from .refusal import refused
from .reply import Reply
from .streaming import HEADERS, SILENCE, Patient, TooSlow, event, read_json, spaced, watched
from .work import Choice, Work

__all__ = ["Answering"]

Heard: TypeAlias = "tuple[int, Token | Mapping[str, Any] | Choice]"


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
                async with watched(receive, cancel):
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
        out = Patient(send, self._house.caps.sending, self._cancel)
        with suppress(TooSlow):  # then the server closes the connection
            await out({"type": "http.response.start", "status": 200, "headers": HEADERS})
            try:
                async for chunk in spaced(self._chunks(), SILENCE):
                    await out.body(b": waiting\n\n" if chunk is None else event(chunk))
            except TooSlow:
                raise
            except Exception as error:
                await out.body(event(refused(error).to_json()))
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
