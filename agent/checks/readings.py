"""What was read in a picture, as a text reader gives it: pieces with their places, in rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

from ...memory.recipe import Box

__all__ = ["Piece", "Reading"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text. ``box`` is in pixels of the original picture; ``row`` numbers the line that it stands on."""

    text: str
    box: Box
    row: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read in a picture. ``has_gaps``: some text could not be read. ``problem``: why nothing was read."""

    image: str
    pieces: tuple[Piece, ...] = ()
    has_gaps: bool = False
    problem: str = ""

    @classmethod
    def of(cls, image: str, data: object) -> Reading:
        """From what the tool ``ocr`` brings as data; other data is a problem."""
        if not isinstance(data, Mapping) or "lines" not in data:
            return cls(image, problem="the text reader brought no lines of text")
        found = cast("Mapping[str, Any]", data)
        lines = cast("Sequence[Mapping[str, Any]]", found["lines"])
        pieces = (
            Piece(line["text"], cast("Box", tuple(line["box"])), line.get("row", number))
            for number, line in enumerate(lines)
        )
        return cls(image, tuple(pieces), bool(found.get("unread")) or bool(found.get("truncated")))

    @property
    def rows(self) -> Iterator[tuple[Piece, ...]]:
        """The pieces of each line of the picture, in reading order."""
        for _, row in groupby(self.pieces, key=lambda piece: piece.row):
            yield tuple(row)
