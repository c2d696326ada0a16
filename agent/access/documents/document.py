"""A document: its pictures in order, what they show, and its bytes with other alternative texts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ....errors import InvalidInput
from ....memory import Picture
from .place import Edit, Place, Slot
from .text import Text

__all__ = ["Document", "Part"]


@dataclass(frozen=True)
class Part:
    """One text of a document: the file itself, a chapter of an EPUB, a part of a DOCX.

    ``read`` finds the pictures in a text; it is used again on what was written, to see that it says what it should.
    """

    name: str
    text: Text
    read: Callable[[Text], tuple[Slot, ...]] = field(repr=False)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Its pictures, in order."""
        return self.read(self.text)

    def written(self, texts: Mapping[int, str]) -> bytes:
        """The bytes with alternative texts for some of ``slots``, by their index; "" is decorative.

        Raises InvalidInput where one can't be written, or where the result doesn't say what it should.
        """
        edits: list[Edit] = []
        for index, text in texts.items():
            place = self.slots[index].place
            if place.problem:
                raise InvalidInput(f"the picture in {place.where} can't be changed: {place.problem}")
            edits += self.slots[index].write(text)
        changed = self.text.edited(edits)
        self._require_right(changed, texts)
        return changed.encoded()

    def _require_right(self, changed: Text, texts: Mapping[int, str]) -> None:
        again = self.read(changed)
        wanted = [(slot.place.source, texts.get(index, slot.place.alt)) for index, slot in enumerate(self.slots)]
        found = [(slot.place.source, slot.place.alt) for slot in again]
        if [(source, _plain(alt)) for source, alt in wanted] != [(source, _plain(alt)) for source, alt in found]:
            name = f" in {self.name!r}" if self.name else ""
            raise InvalidInput(f"the texts can't be written{name} without changing something else; write them by hand")


@dataclass(frozen=True)
class Document:
    """A document as it was read.

    ``pack`` makes the file's bytes from parts that changed, by name; ``find`` brings the picture of a place.
    """

    path: Path
    raw: bytes = field(repr=False)
    parts: tuple[Part, ...]
    pack: Callable[[Mapping[str, bytes]], bytes] = field(repr=False)
    find: Callable[[Place], Picture] = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        """The hash of the file's bytes."""
        return hashlib.sha256(self.raw).hexdigest()

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Its pictures, in order."""
        return tuple(slot.place for part in self.parts for slot in part.slots)

    def picture(self, place: Place) -> Picture:
        """What a place shows. Raises PictureRejected, and says why, if it can't be seen."""
        return self.find(place)

    def written(self, texts: Mapping[int, str]) -> bytes:
        """The file's bytes with alternative texts for some of ``places``, by their index; "" is decorative.

        Nothing else changes. Raises InvalidInput where that can't be done.
        """
        changed: dict[str, bytes] = {}
        texts = {index: _clean(text) for index, text in texts.items()}
        first = 0
        for part in self.parts:
            mine = {index - first: text for index, text in texts.items() if first <= index < first + len(part.slots)}
            if mine:
                changed[part.name] = part.written(mine)
            first += len(part.slots)
        return self.pack(changed) if changed else self.raw


def _plain(alt: str | None) -> str | None:
    return None if alt is None else " ".join(alt.split())


def _clean(text: str) -> str:
    """One line, without characters that no document may hold."""
    return " ".join("".join(char if char.isprintable() or char.isspace() else "" for char in text).split())
