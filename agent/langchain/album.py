"""The pictures that LangChain's messages carry: each kept once by its hash, under a name that a model can say."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from ...errors import StoreError, UnknownName
from ...memory import Conversation, Memory, NamedPicture, Picture, check_name, fold
from .errors import InvalidMessages

__all__ = ["Album", "open_memory", "picture_bytes", "wanted_name"]

_REMEMBERED = 512  # pictures whose base64 is not decoded again


class Album:
    """The pictures of one conversation of a memory, read from and written as standard content blocks."""

    def __init__(self, memory: Memory, conversation: str) -> None:
        self.memory = memory
        self._conversation = memory.conversations.open(conversation).name
        self._names: OrderedDict[str, str] = OrderedDict()
        self._guard = threading.Lock()

    @property
    def conversation(self) -> Conversation:
        """As it stands now; made anew if it was deleted meanwhile."""
        with suppress(UnknownName):
            return self.memory.conversations.get(self._conversation)
        return self.memory.conversations.open(self._conversation)

    def keep(self, block: Mapping[str, Any]) -> NamedPicture:
        """The picture of an image block, kept if it is new. Raises InvalidMessages for what can't be one.

        ``extras["name"]`` is the name it should have; where another picture has that, it gets a number. A ``file_id``
        is the name or the hash of a picture that is kept.
        """
        wanted = wanted_name(block)
        if block.get("file_id"):
            return self.find(str(block["file_id"]))
        encoded = _encoded(block)
        digest = f"{hashlib.sha256(encoded.encode()).hexdigest()} {wanted}"
        with self._guard, suppress(UnknownName):
            known = self.named(self._names.get(digest, ""))
            if not known.forgotten:
                return known
        picture = replace(Picture.load(_decoded(encoded)), name=wanted)
        kept = self.memory.pictures.add(self.conversation, picture)
        with self._guard:
            self._names[digest] = kept.name
            while len(self._names) > _REMEMBERED:
                self._names.popitem(last=False)
        return kept

    def find(self, file_id: str) -> NamedPicture:
        """The picture of that name or hash; one that only another conversation has gets a name here.

        Names are those of this conversation, which whoever may use it may see. A hash can't be guessed: who has one was
        shown the picture.
        """
        pictures = [p for p in self.memory.pictures.all(self.conversation) if not p.forgotten]
        for picture in pictures:
            if picture.key == file_id or fold(picture.name) == fold(file_id):
                return picture
        if file_id.startswith(("sha256:", "recipe:")):
            with suppress(UnknownName, StoreError):
                stored = Picture.load(self.memory.pictures.data(file_id))
                return self.memory.pictures.add(self.conversation, stored)
        raise InvalidMessages(
            f"no picture is kept under the file_id {file_id[:80]!r}; pass its bytes as base64 once, and then its hash"
        )

    def block(self, picture: NamedPicture) -> dict[str, Any]:
        """A standard image block that stands for the picture and carries no bytes."""
        return {"type": "image", "file_id": picture.key, "mime_type": picture.mime, "extras": {"name": picture.name}}

    def named(self, name: str) -> NamedPicture:
        """The picture of that name. Raises UnknownName."""
        return self.memory.pictures.get(self.conversation, name)

    def names(self) -> list[str]:
        """The names of all pictures that are there."""
        return [p.name for p in self.memory.pictures.all(self.conversation) if not p.forgotten]


def open_memory(memory: Memory | str | os.PathLike[str] | None) -> Memory:
    """The memory that is given, that of the file at a path, or one that this process shares and forgets at its end.

    A path is opened once in a process, and again when its file is gone. ":memory:" is a new one each time.
    """
    if isinstance(memory, Memory):
        return memory
    path = None if memory is None else os.fspath(memory)
    if path == ":memory:":
        return Memory(path)
    place = "" if path is None else os.path.abspath(path)
    with _opening:
        known = _open.get(place)
        if known is None or (place and not os.path.exists(place)):
            known = _open[place] = Memory(place or ":memory:")
        return known


_open: dict[str, Memory] = {}
_opening = threading.Lock()


def wanted_name(block: Mapping[str, Any]) -> str | None:
    """The name that a block asks for. Raises InvalidMessages for one that can't be."""
    extras: object = block.get("extras") or {}
    name = cast("Mapping[str, object]", extras).get("name") if isinstance(extras, Mapping) else extras
    if name is None:
        return None
    if not isinstance(name, str) or not isinstance(extras, Mapping):
        shown = repr(cast("object", extras))[:60]
        raise InvalidMessages(f"the extras of an image block are {shown}; give a dict such as {{'name': 'bill'}}")
    return check_name(name)


def picture_bytes(block: Mapping[str, Any]) -> bytes:
    """The encoded picture that a block carries. Raises InvalidMessages for one that carries none."""
    return _decoded(_encoded(block))


def _encoded(block: Mapping[str, Any]) -> str:
    """The base64 text of a block."""
    data = block.get("base64")
    if isinstance(data, str):
        return "".join(data.split()) if "\n" in data else data  # mail and shells break it into lines
    if data is not None:
        raise InvalidMessages(
            f"the base64 of an image block is {type(data).__name__}, not text; decode it to str first"
        )
    url = str(block.get("url") or "")
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        return data
    if url.startswith(("http://", "https://")):
        raise InvalidMessages(
            f"{url[:80]!r} is a URL, and looktwice fetches nothing; download the picture and pass its bytes as base64"
        )
    if url:
        raise InvalidMessages(
            f"{url[:80]!r} is a path, which a message must not open; read the file and pass its bytes as base64"
        )
    raise InvalidMessages(f"an image block needs base64 or file_id, this one has {sorted(block)}")


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidMessages(
            f"the base64 of an image block can't be decoded ({error}); encode the bytes again"
        ) from error
