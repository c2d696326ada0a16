"""The client: one request after the other goes through here, tried again where that makes sense."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import openai

from ...prompt import Prompt
from .address import Address
from .failures import is_too_long, message_of
from .request import Request
from .wire import Wire

__all__ = ["Connection"]

_CONNECT = 10.0  # seconds


class Connection:
    """OpenAI's client for one address. It follows no redirects: they would carry pictures and the key elsewhere."""

    def __init__(self, address: Address, *, retries: int, silence: float) -> None:
        self._address = address
        self._retries = retries
        self._timeout = openai.Timeout(silence, connect=_CONNECT)
        self._made: openai.AsyncOpenAI | None = None

    async def models(self) -> list[dict[str, Any]]:
        """What the server lists of its models; nothing where it has no list."""
        try:
            client = self._client().with_options(timeout=_CONNECT, max_retries=min(self._retries, 1))
            page = await client.models.list()
        except openai.APIStatusError as error:
            if error.status_code in (401, 403, 429):
                raise
            return []
        listed = getattr(page, "data", None) or ()  # what is no list comes as it is
        return [{"id": item.id, "owned_by": item.owned_by, **(item.model_extra or {})} for item in listed]

    async def ask(self, request: Request, wire: Callable[[bool], Wire], prompt: Prompt, out: queue.Queue[Any]) -> None:
        """Put the chunks of the answer into ``out``, and None at the end, also of a failure, which is raised."""
        try:
            stream, sent = await self._opened(request, wire, prompt)
            async with stream:
                async for chunk in stream:
                    sent.uploads.took(sent.uploaded)
                    out.put(chunk)
        finally:
            out.put(None)

    async def close(self) -> None:
        """Close what is open; a later request opens anew."""
        made, self._made = self._made, None
        if made is not None:
            await made.close()

    async def _opened(self, request: Request, wire: Callable[[bool], Wire], prompt: Prompt) -> tuple[Any, Wire]:
        """The stream of the answer.

        Pictures that the server turns out not to have are sent once; fields that it doesn't take are left out, those
        that its error names first.
        """
        spare, is_bare = True, False
        while True:
            sent = wire(spare)
            fields = request.fields(sent.messages(prompt))
            try:
                create: Any = self._client().chat.completions.create
                return await create(**fields), sent
            except openai.APIStatusError as error:
                if error.status_code not in (400, 404, 422, 500, 501) or is_too_long(error):
                    raise
                if sent.spared:
                    sent.uploads.lost(sent.spared)
                    spare = False
                elif request.refused(message_of(error)):
                    pass
                elif error.status_code != 404 and not is_bare and request.bare():
                    is_bare = True
                else:
                    raise

    def _client(self) -> openai.AsyncOpenAI:
        if self._made is None:
            self._made = openai.AsyncOpenAI(
                base_url=self._address.url,
                api_key=self._address.key,
                max_retries=self._retries,
                timeout=self._timeout,
                http_client=openai.DefaultAsyncHttpxClient(
                    follow_redirects=False, trust_env=not self._address.is_here, timeout=self._timeout
                ),
            )
        return self._made
