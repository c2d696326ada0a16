"""``LookTwiceChatMessageHistory``: LangChain's chat history as a conversation of our memory."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, messages_from_dict

from ...memory import Memory
from ...memory.parts import Turn
from .album import Album, open_memory
from .errors import InvalidMessages, translated
from .messages import OWN, messages_of, turns_in

__all__ = ["LookTwiceChatMessageHistory"]

_KEPT = "langchain"  # the key of a turn's meta that holds what of a message no part of a turn says
_AFTER = "after"  # stands there if the turn belongs to the message of the turn before it


class LookTwiceChatMessageHistory(BaseChatMessageHistory):
    """The messages of a session, kept in the conversation of that name; pictures are kept once, by their hash.

    ``memory`` is a `Memory`, a path, or None for one that lives as long as this process; give the same to
    `ChatLookTwice`, which reads the pictures from there. Messages come back as they were, but for their pictures: these
    are blocks with a ``file_id`` then, without bytes. Several processes may write to a session at once.

    Everything that can't be used raises InvalidMessages (a ModelInvalidRequestError and a ValueError).
    """

    def __init__(self, session_id: str, *, memory: Memory | str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        self.session_id = session_id
        with translated():
            if not isinstance(cast("Any", session_id), str):
                raise InvalidMessages(f"the session id {session_id!r} is no string; give one, such as 'alice'")
            self.memory = open_memory(memory)
            # At once, so that a name that can't be one is refused before a model has worked for it.
            self.memory.conversations.open(session_id)

    @property
    def messages(self) -> list[BaseMessage]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All messages of the session, in order; what our own agent said in this conversation too."""
        with translated(), self.memory.atomic():  # else another process could clear it meanwhile
            return list(self._read())

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Keep messages at the end of the session: all of them, or none if one can't be kept."""
        with translated(), self.memory.atomic():
            # A new one each time: it remembers what it kept, which would be wrong once that is undone or cleared.
            album = Album(self.memory, self.session_id)
            for message in messages:
                for turn in _kept(message, album):
                    self.memory.turns.append(album.conversation, turn)

    def clear(self) -> None:
        """Delete the messages, and the bytes of pictures that nothing else in the memory needs."""
        with translated(), self.memory.atomic():
            self.memory.conversations.delete(self.memory.conversations.open(self.session_id))

    async def aget_messages(self) -> list[BaseMessage]:
        """``messages``, without blocking the event loop."""
        return await asyncio.to_thread(lambda: self.messages)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """``add_messages``, without blocking the event loop."""
        await asyncio.to_thread(self.add_messages, messages)

    async def aclear(self) -> None:
        """``clear``, without blocking the event loop."""
        await asyncio.to_thread(self.clear)

    def _read(self) -> Iterator[BaseMessage]:
        album = Album(self.memory, self.session_id)
        for turn in self.memory.turns.branch(album.conversation.head):
            beyond = turn.meta.get(_KEPT)
            if beyond is None:
                yield from messages_of([turn], album)
            elif beyond != _AFTER:
                yield _rebuilt(turn, beyond, album)


def _kept(message: BaseMessage, album: Album) -> list[Turn]:
    """The turns that say what the message says, and in the first one's meta whatever else it holds."""
    lean = _without_bytes(message, album)
    first, *others = turns_in(lean, album)
    _check_plain(lean)
    said = _said(first, album)
    beyond = {name: value for name, value in lean if name not in said or said[name] != value}
    if OWN in said.get("response_metadata", {}) and "response_metadata" in beyond:
        beyond["response_metadata"] = _without_ids(lean.response_metadata)
    if _rebuilt(first, beyond, album) != lean:
        raise InvalidMessages(f"a {type(message).__name__} can't be kept as it is; make it from its fields again")
    first = first.replace(meta={_KEPT: beyond} if beyond else {})
    return [first, *(turn.replace(meta={_KEPT: _AFTER}) for turn in others)]


def _said(turn: Turn, album: Album) -> dict[str, Any]:
    """The fields of the message that the turn makes by itself; none if it makes none."""
    return dict(next(iter(messages_of([turn], album)), ()))


def _rebuilt(turn: Turn, beyond: Mapping[str, Any], album: Album) -> BaseMessage:
    """The message that was kept as this turn."""
    said = _said(turn, album)
    fields = said | dict(beyond)
    if own := said.get("response_metadata", {}).get(OWN):
        metadata = fields["response_metadata"]
        fields["response_metadata"] = metadata | {OWN: metadata.get(OWN, {}) | own}
    return messages_from_dict([{"type": fields["type"], "data": fields}])[0]


def _without_ids(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a model says of its answer, but for its tokens: a turn has a better place for those."""
    own = {name: value for name, value in metadata[OWN].items() if name not in ("ids", "tokenizer")}
    return {name: value for name, value in metadata.items() if name != OWN} | ({OWN: own} if own else {})


def _without_bytes(message: BaseMessage, album: Album) -> BaseMessage:
    """The message with its pictures kept, and a ``file_id`` where their bytes stood."""
    if isinstance(message.content, str):
        return message
    content = [block for item in message.content for block in _lean(item, message, album)]
    return message.model_copy(update={"content": content})


def _lean(item: str | dict[str, Any], message: BaseMessage, album: Album) -> list[str | dict[str, Any]]:
    """An item of a message's content, of any provider's shape; only one with a picture changes."""
    if isinstance(item, str):
        return [item]
    alone = AIMessage([item], response_metadata=message.response_metadata) if isinstance(message, AIMessage) else None
    try:
        blocks = [dict(block) for block in (alone or HumanMessage([item])).content_blocks]
    except ValueError as error:  # LangChain's own check of a block
        raise InvalidMessages(f"a block of a {message.type} message can't be read: {error}") from error
    if all(block["type"] != "image" for block in blocks):
        return [item]
    return [_lean_image(block, album) if block["type"] == "image" else block for block in blocks]


def _lean_image(block: Mapping[str, Any], album: Album) -> dict[str, Any]:
    lean = album.block(album.keep(block))
    other = {name: value for name, value in block.items() if name not in ("base64", "url")}
    return other | lean | {"extras": {**(block.get("extras") or {}), **lean["extras"]}}


def _check_plain(message: BaseMessage) -> None:
    """Raise InvalidMessages for a field that JSON would change: nothing may come back otherwise than it went in."""
    for name, value in message:
        try:
            is_plain = json.loads(json.dumps(value)) == value
        except (TypeError, ValueError, RecursionError):
            is_plain = False
        if not is_plain:
            raise InvalidMessages(
                f"the {name} of a {type(message).__name__} is not plain JSON: {repr(value)[:80]}; make tuples lists "
                "and objects dicts first"
            )
