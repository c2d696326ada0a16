"""The pictures of one list of messages: there a name means one picture, whatever it means elsewhere in the album."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...errors import UnknownName
from ...memory import NamedPicture, fold
from .album import Album, wanted_name

__all__ = ["Sheet", "remember", "sheet_of"]

_REMEMBERED = 1024  # calls whose pictures a tool may still ask for
_AUTOMATIC = re.compile(r"picture\d*")


class Sheet(Album):
    """An album as one list of messages sees it.

    LangChain's calls are stateless: the next list may come from somebody else who calls another picture "page".
    """

    def __init__(self, album: Album) -> None:
        self.memory = album.memory
        self._album = album
        self._shown: dict[str, NamedPicture] = {}

    @property
    def conversation(self) -> Any:
        """The album's."""
        return self._album.conversation

    def keep(self, block: Mapping[str, Any]) -> NamedPicture:
        """The picture of a block, under its name in this list."""
        file_id, wanted = str(block.get("file_id") or ""), wanted_name(block)
        if file_id and wanted and _AUTOMATIC.fullmatch(wanted):
            wanted = None  # nobody chose it: histories get messages whose extras LangChain has dropped
        return self._shown.get(fold(file_id)) or self.show(self._album.keep(block), wanted)

    def show(self, picture: NamedPicture, wanted: str | None = None) -> NamedPicture:
        """A picture of the album under a name in this list: ``wanted`` or its own, numbered where that is another's."""
        stem = wanted or picture.name
        name, number = stem, 1
        while (other := self._shown.get(fold(name))) is not None and other.key != picture.key:
            number += 1
            name = f"{stem}{number}"
        return self._shown.setdefault(fold(name), replace(picture, name=name))

    def find(self, file_id: str) -> NamedPicture:
        """The picture of that name here, or of that hash."""
        return self._shown.get(fold(file_id)) or self.show(self._album.find(file_id))

    def named(self, name: str) -> NamedPicture:
        """The picture of that name in this list. Raises UnknownName."""
        if fold(name) not in self._shown:
            raise UnknownName("picture", name, self.names())
        return self._shown[fold(name)]

    def names(self) -> list[str]:
        """The names in this list."""
        return [picture.name for picture in self._shown.values()]


_calls: OrderedDict[str, Sheet] = OrderedDict()
_guard = threading.Lock()


def remember(call: str, sheet: Sheet) -> None:
    """Keep in mind which pictures the names in a call mean; its tool runs soon."""
    with _guard:
        _calls[call] = sheet
        while len(_calls) > _REMEMBERED:
            _calls.popitem(last=False)


def sheet_of(call: str | None) -> Sheet | None:
    """The pictures of the messages that a call was made on, if this process made it."""
    with _guard:
        return _calls.get(call or "")
