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
    """A piece of text. ``box`` is in pixels of the original picture; ``row`` numbers the line that it stands on.

    ``is_uncertain``: the reader itself doubts it.
    """

    text: str
    box: Box
    row: int = 0
    is_uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read in a picture. ``has_gaps``: some text could not be read. ``problem``: why nothing was tried."""

    image: str
    pieces: tuple[Piece, ...] = ()
    has_gaps: bool = False
    problem: str = ""

    @classmethod
    def of(cls, image: str, data: Mapping[str, Any]) -> Reading:
        """From what the tool ``ocr`` brings as data."""
        lines = cast("Sequence[Mapping[str, Any]]", data["lines"])
        pieces = (
            Piece(
                line["text"],
                tuple(line["box"]),  # pyright: ignore[reportArgumentType]
                line.get("row", number),
                bool(line.get("uncertain")),
            )
            for number, line in enumerate(lines)
        )
        return cls(image, tuple(pieces), bool(data.get("unread")) or bool(data.get("truncated")))

    @property
    def rows(self) -> Iterator[tuple[Piece, ...]]:
        """The pieces of each line of the picture, in reading order."""
        for _, row in groupby(self.pieces, key=lambda piece: piece.row):
            yield tuple(row)
