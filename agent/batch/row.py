"""A question about a picture, as a batch asks it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Protocol

from ...memory import name_from

__all__ = ["Row", "Stored", "name_of", "readable"]


class Stored(Protocol):
    """A picture inside a file of rows."""

    def read(self) -> bytes | Path:
        """The encoded bytes, or where they are. Raises PictureRejected where there is neither."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """A question about a picture. ``image`` says where the picture is from; ``problem``: why it can't be asked.

    ``name`` is what the model is told that the picture is called.
    """

    id: str
    image: str
    question: str
    source: Path | Stored | None = None
    problem: str | None = None
    name: str = "picture"


def name_of(path: str | Path) -> str:
    """The picture's name, as a conversation would give it to that file."""
    return name_from(readable(PurePath(path).stem))


def readable(name: str) -> str:
    """A name that every kind of results can hold: bytes that are no UTF-8 are written out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
