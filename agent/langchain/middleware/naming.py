"""Models of other vendors are told the pictures' names, and shown those that stand in messages by ``file_id``."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain_core.messages import BaseMessage

from ....memory import Memory, NamedPicture
from ..album import Album, open_memory
from ..model import ChatLookTwice
from .standing import standing_in

__all__ = ["NamedPictures"]


class NamedPictures(AgentMiddleware[AgentState[Any], Any, Any]):
    """Lets another vendor's model use the tools of `as_langchain_tools` on the same ``memory`` and ``conversation``.

    Each picture is kept there and introduced as "Image NAME:", so that the model can name it in a call, and one that
    a tool brought as a ``file_id`` is shown with its bytes. Only the request changes, never the stored messages; a
    `ChatLookTwice` needs none of this, and its requests pass as they are.
    """

    def __init__(
        self, *, memory: Memory | str | os.PathLike[str] | None = None, conversation: str = "langchain"
    ) -> None:
        super().__init__()
        self._album = Album(open_memory(memory), conversation)

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Call the model with names and bytes."""
        return handler(self._introduced(request))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """The same, decoding off the event loop."""
        return await handler(await asyncio.to_thread(self._introduced, request))

    def _introduced(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        if isinstance(request.model, ChatLookTwice):
            return request
        pictures: dict[int, dict[int, NamedPicture]] = {}
        for standing in standing_in(request.messages, self._album):
            if standing.picture is not None:
                pictures.setdefault(standing.message, {})[standing.block] = standing.picture
        messages = [
            message.model_copy(update={"content": self._content(message, pictures[number])})
            if number in pictures
            else message
            for number, message in enumerate(request.messages)
        ]
        return request.override(messages=messages)

    def _content(self, message: BaseMessage, pictures: Mapping[int, NamedPicture]) -> list[Any]:
        content: list[Any] = []
        for place, block in enumerate(cast("list[Any]", message.content)):
            picture = pictures.get(place)
            if picture is None:
                content.append(block)
            else:
                shown = self._with_bytes(picture) if block.get("file_id") else block
                content += [{"type": "text", "text": f"Image {picture.name}:"}, shown]
        return content

    def _with_bytes(self, picture: NamedPicture) -> dict[str, Any]:
        data = self._album.memory.pictures.data(picture.key)
        return {"type": "image", "base64": base64.b64encode(data).decode(), "mime_type": picture.mime}
