"""From a request to a handler, and from what goes wrong to a page that says it."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from ..refusal import Refused
from .conversation import conversation_page
from .frame import Problem
from .listing import listing_page
from .seal import Seal
from .visit import Handler, Visit

__all__ = ["Door"]


class Door:
    """A handler as an application of its own."""

    def __init__(self, handler: Handler, seal: Seal) -> None:
        self._handler = handler
        self._seal = seal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what goes wrong before the answer has begun is told on a page."""
        visit, begun = Visit(Request(scope, receive), self._seal), False

        async def begin(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            response = await self._handler(visit)
            await response(scope, receive, begin)
        except ClientDisconnect:
            return
        except Exception as error:
            if begun:
                raise
            response = await asyncio.to_thread(_failed, visit, error)
            if isinstance(error, Refused):
                response.headers.update(error.headers or {})
            await response(scope, receive, send)


def _failed(visit: Visit, error: Exception) -> Response:
    """The page on which a problem is told: the conversation that it is about, else the list of them."""
    is_form = visit.request.method == "POST"
    conversation = visit.find(visit.request.query_params.get("name", ""))
    if visit.wants_events:
        found = Problem.of(visit, error)
        return JSONResponse({"failed": found.told, "lang": found.lang}, found.status)
    if conversation is not None and is_form:
        return conversation_page(visit, conversation, Problem.of(visit, error, "question"))
    return listing_page(visit, Problem.of(visit, error, "new" if is_form else None))
