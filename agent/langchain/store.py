"""``PictureStore``: pictures under keys of one's own, for what takes LangChain's byte stores."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from langchain_core.stores import BaseStore, InvalidKeyException

from ...errors import PictureRejected
from ...memory import Memory, Picture
from ...memory.parts import ImagePart, TextPart, Turn
from .album import open_memory
from .errors import InvalidMessages, translated

__all__ = ["PictureStore"]

_MARK = {"store": "key"}  # the meta of a turn that holds one key


@dataclass(frozen=True, slots=True)
class _Entry:
    """The turn that a key has, and the name and the hash of its picture."""

    turn: int
    name: str
    picture: str


class PictureStore(BaseStore[str, bytes]):
    """Encoded pictures by key, in one conversation of a memory; equal bytes are kept once, whatever their keys.

    A key is any text. A value is the encoded bytes of a picture (PNG, JPEG, ...) and comes back byte by byte; anything
    else raises InvalidMessages (also a ValueError). A key has one turn there: its words are the key. Several processes
    may use a store at once; each call is done wholly or not at all.
    """

    def __init__(self, memory: Memory | str | os.PathLike[str] | None = None, *, conversation: str = "store") -> None:
        with translated():
            self.memory = open_memory(memory)
            self.conversation = self.memory.conversations.open(conversation).name

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The bytes under each key, None where there are none."""
        with translated(), self.memory.atomic():  # else another process could take away what was just found
            entries = self._entries()
            return [self.memory.pictures.data(entries[key].picture) if key in entries else None for key in keys]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Keep pictures under keys, in place of what was there; all of them, or none if one can't be kept."""
        with translated():
            wanted = {_checked(key): _picture(key, value) for key, value in key_value_pairs}
            with self.memory.atomic():
                self._write(wanted)

    def mdelete(self, keys: Sequence[str]) -> None:
        """Delete keys, and the bytes that nothing else in the memory needs; keys that aren't there are no error."""
        with translated(), self.memory.atomic():
            entries = self._entries()
            gone = {key: entries[key] for key in keys if key in entries}
            for entry in gone.values():
                self.memory.turns.update(entry.turn, parts=())
            self._forget(entry.name for entry in gone.values())

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """The keys that begin with ``prefix``, as they are at the first step."""
        with translated():
            keys = list(self._entries())
        yield from (key for key in keys if key.startswith(prefix or ""))

    async def amget(self, keys: Sequence[str]) -> list[bytes | None]:
        """``mget``, without blocking the event loop."""
        return await asyncio.to_thread(self.mget, keys)

    async def amset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """``mset``, without blocking the event loop."""
        await asyncio.to_thread(self.mset, key_value_pairs)

    async def amdelete(self, keys: Sequence[str]) -> None:
        """``mdelete``, without blocking the event loop."""
        await asyncio.to_thread(self.mdelete, keys)

    async def ayield_keys(  # pyright: ignore[reportIncompatibleMethodOverride]  # theirs is a generator too
        self, *, prefix: str | None = None
    ) -> AsyncIterator[str]:
        """``yield_keys``, without blocking the event loop."""
        for key in await asyncio.to_thread(lambda: list(self.yield_keys(prefix=prefix))):
            yield key

    def _turns(self) -> list[Turn]:
        """One turn for each key, and those whose keys were deleted, which the next keys take."""
        turns = self.memory.turns.all(self.memory.conversations.open(self.conversation))
        return [turn for turn in turns if dict(turn.meta) == _MARK]

    def _entries(self) -> dict[str, _Entry]:
        """What is kept by key; without what was forgotten outside of the store."""
        turns = [turn for turn in self._turns() if turn.parts]
        pictures = {p.name: p.key for p in self.memory.pictures.all(self.conversation) if not p.forgotten}
        named = ((turn.text, turn.id, turn.images[0]) for turn in turns)
        return {key: _Entry(turn, name, pictures[name]) for key, turn, name in named if name in pictures}

    def _write(self, wanted: dict[str, Picture]) -> None:
        entries = self._entries()
        used = {entry.turn for entry in entries.values()}
        free = [turn.id for turn in self._turns() if turn.id not in used]
        replaced: list[str] = []
        for key, picture in wanted.items():
            old = entries.get(key)
            if old is not None and old.picture == picture.key:
                continue
            parts = (TextPart(key), ImagePart(self.memory.pictures.add(self.conversation, picture).name))
            if old is not None:
                replaced.append(old.name)
                self.memory.turns.update(old.turn, parts=parts)
            elif free:
                self.memory.turns.update(free.pop(), parts=parts)
            else:
                self.memory.turns.append(self.conversation, Turn("user", parts, meta=_MARK))
        self._forget(replaced)

    def _forget(self, names: Iterable[str]) -> None:
        """Forget the pictures that no key has any more."""
        for name in set(names) - {entry.name for entry in self._entries().values()}:
            self.memory.pictures.forget(self.conversation, name)


def _checked(key: str) -> str:
    try:
        key.encode()
    except (AttributeError, UnicodeEncodeError) as error:
        raise InvalidKeyException(f"{key!r} can't be a key; give a string of whole characters") from error
    return key


def _picture(key: str, value: bytes) -> Picture:
    """The value as a picture whose name is made of its hash: one name for all keys that have it."""
    if not isinstance(cast("Any", value), bytes):
        raise InvalidMessages(
            f"the value of {key!r} is {type(value).__name__}, not bytes; give the encoded bytes of a picture"
        )
    try:
        picture = Picture.load(value)
    except PictureRejected as error:
        raise InvalidMessages(f"the value of {key!r} can't be kept: {error}") from error
    return replace(picture, name=f"p{picture.key.removeprefix('sha256:')[:40]}")
