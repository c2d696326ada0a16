"""What was read in the pictures, row by row, prepared once for all claims of an answer."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ...memory.recipe import Box
from .matching import standing, words
from .readings import Piece, Reading
from .values import Value, find_values

__all__ = ["Found", "Row", "alike", "equal", "in_another_unit", "place_of", "rows_of"]

_SELECTIVE = 3  # rows of a picture; a word that stands on more of them tells no place
_LABEL = 2  # letters


class Row:
    """A line of a picture. ``text`` joins its pieces with tabs, so that no value is made of two of them."""

    def __init__(self, reading: Reading, pieces: tuple[Piece, ...]) -> None:
        self.reading = reading
        self.pieces = pieces
        self._spaced = [_spaced(piece.text) for piece in pieces]
        self.text = "\t".join(self._spaced)
        self.weight_of: dict[str, float] = {}
        """What each word of the row tells of the place: 1 if it stands on this row of the picture alone."""
        self.below: tuple[Row, ...] = ()
        """The rows under it that have no words of their own."""

    @cached_property
    def values(self) -> list[Value]:
        """The values on the row, in their order."""
        return find_values(self.text)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words on the row, folded."""
        return frozenset(words(self.text))

    @property
    def label(self) -> str:
        """The words on the row, as they are written."""
        return " ".join(word for word in self.text.split() if not any(char.isdigit() for char in word))

    def between(self, start: int, end: int) -> tuple[Piece, ...]:
        """The pieces in which that part of the text stands."""
        found: list[Piece] = []
        place = 0
        for piece, text in zip(self.pieces, self._spaced, strict=True):
            if place < end and place + len(text) > start:
                found.append(piece)
            place += len(text) + 1
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Found:
    """What stands somewhere: its place, what had to be overlooked to take it for the claim, its value if it is one."""

    row: Row
    start: int
    end: int
    tolerance: str = ""
    value: Value | None = None

    @property
    def read(self) -> str:
        """The text itself."""
        return self.row.text[self.start : self.end].replace("\t", " ")

    @property
    def box(self) -> Box | None:
        """The box around its pieces."""
        boxes = [piece.box for piece in self.row.between(self.start, self.end)]
        if not boxes:
            return None
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)


def rows_of(readings: Sequence[Reading]) -> list[Row]:
    """The rows of all readings."""
    found: list[Row] = []
    for reading in readings:
        rows = [Row(reading, pieces) for pieces in reading.rows]
        often = Counter(word for row in rows for word in row.words)
        for place, row in enumerate(rows):
            row.weight_of = {word: 1 / often[word] for word in row.words if often[word] <= _SELECTIVE}
            below: list[Row] = []
            for other in rows[place + 1 :]:
                if any(len(word) > _LABEL for word in other.words):
                    break
                below.append(other)
            row.below = tuple(below)
        found += rows
    return found


def place_of(text: str, row: Row) -> Found | None:
    """Where a text stands on a row."""
    place = standing(text, row.text)
    return place and Found(row, place.start, place.end, place.tolerance)


def equal(value: Value, row: Row) -> Iterator[Found]:
    """Where a row says the same as the value, read as values and, for look-alikes, as letters."""
    is_priced = value.kind == "money" and any(other.unit == value.unit for other in row.values)
    found = False
    for other in row.values:
        is_quantity = is_priced and not other.unit and not other.is_price
        if value.equals(other) and not is_quantity:
            found = True
            yield Found(row, other.start, other.end, _notation(value, other), other)
    if not found:
        place = place_of(value.text, row)
        is_joined = place is not None and not place.tolerance and row.text[place.end : place.end + 1].isalpha()
        is_so_written = place is not None and value.is_flawed
        if place is not None and (place.tolerance == "look-alike characters" or is_joined or is_so_written):
            yield replace(place, tolerance=place.tolerance or ("" if value.is_flawed else "spacing"))


def alike(value: Value, row: Row) -> Iterator[Found]:
    """The row's values that the claimed one could have been."""
    likely = [other for other in row.values if value.is_like(other)]
    # A price is meant by a price: quantities and numbers of articles stand beside it.
    for other in [other for other in likely if other.is_price] if value.is_price else likely:
        yield Found(row, other.start, other.end, value=other)


def in_another_unit(value: Value, row: Row) -> Iterator[Found]:
    """The same number in another currency or unit."""
    for other in row.values:
        if value.differs_in_unit(other):
            yield Found(row, other.start, other.end, value=other)


def _notation(value: Value, other: Value) -> str:
    return "" if value.text == other.text or value.text in other.text or other.text in value.text else "notation"


def _spaced(text: str) -> str:
    """With the blanks that readers of text often lose: before a time of day, and around a sign of times."""
    plain = unicodedata.normalize("NFC", text)
    plain = re.sub(r"(?<=\d)(?=(?:[01]\d|2[0-3]):[0-5]\d(?!\d))", " ", plain)
    return re.sub(r"(?<=\d)\s?[x\u00d7](?=\s?\d)", " x ", plain)
