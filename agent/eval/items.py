"""Questions with right answers and pictures, as they are read from data of any layout. Pictures stay on disk."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ...errors import InvalidInput
from ...memory import Picture
from .scoring import METRICS, VQA_LEAST

__all__ = ["Cell", "Collected", "Data", "Item", "Refused", "Shown", "sha256_of", "table_rows"]

_CELL_BYTES = 2**31 - 1  # the most that csv takes everywhere; a picture in base64 is far over its default


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture in base64 in a cell of a table: the row begins at ``offset`` bytes."""

    path: Path
    offset: int
    column: int

    def read(self) -> bytes:
        """The picture's encoded bytes. Raises InvalidInput for what is no base64."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            _, row = next(table_rows(file))
        try:
            return base64.b64decode(row[self.column], validate=True)
        except binascii.Error as error:
            raise InvalidInput(f"the picture in {self.path.name!r} is no base64 ({error}); get a whole copy") from error


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of a question, under its name if it has one."""

    source: Path | Cell
    name: str | None = None

    def picture(self) -> Picture:
        """The picture, decoded once. Raises PictureRejected, or InvalidInput."""
        return Picture.load(self.source.read() if isinstance(self.source, Cell) else self.source)


@dataclass(frozen=True, slots=True)
class Item:
    """A question with its right answers. ``place`` is where it stands in the data.

    ``has_mentions``: an ``@`` in the question names a picture; else it is an ``@``.
    """

    id: str
    question: str
    answers: tuple[str, ...]
    images: tuple[Shown, ...]
    kind: str
    metric: str
    place: str
    has_mentions: bool = False

    @property
    def asked(self) -> str:
        """The question as ``Chat.ask`` takes it."""
        return self.question if self.has_mentions else self.question.replace("@", "\\@")


@dataclass(frozen=True, slots=True)
class Refused:
    """A question that can't be asked: where it stands, and why not."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Data:
    """What was read from ``path``, whose bytes have the hash ``sha256``."""

    path: Path
    sha256: str
    items: tuple[Item, ...]
    refused: tuple[Refused, ...]


@dataclass(slots=True)
class Collected:
    """Items as they are read, each held to what every layout has to keep."""

    items: list[Item] = field(default_factory=list[Item])
    refused: list[Refused] = field(default_factory=list[Refused])
    _places: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, item: Item) -> None:
        """Keep an item, or say why it can't be asked."""
        reason = self._fault(item)
        if reason:
            self.refuse(item.place, reason)
        else:
            self._places[item.id] = item.place
            self.items.append(item)

    def refuse(self, place: str, reason: str) -> None:
        """Note that what stands there can't be asked."""
        self.refused.append(Refused(place, " ".join(reason.split())))

    def _fault(self, item: Item) -> str:
        if item.id in self._places:
            return f"the id {item.id!r} stands at {self._places[item.id]} already"
        if not item.question.strip():
            return "the question is empty"
        if not item.answers or not all(answer.strip() for answer in item.answers):
            return "there is no right answer, or an empty one"
        if item.metric == "vqa" and len(item.answers) < VQA_LEAST:
            return f"the metric 'vqa' compares with {VQA_LEAST} answers or more, not {len(item.answers)}"
        assert item.metric in METRICS
        return next((fault for shown in item.images if (fault := _missing(shown))), "")


def _missing(shown: Shown) -> str:
    gone = isinstance(shown.source, Path) and not shown.source.is_file()
    return f"there is no picture {str(shown.source)!r}" if gone else ""


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def table_rows(file: BinaryIO) -> Iterator[tuple[int, Sequence[str]]]:
    """The rows of a table with tabs from where the file stands, each with the offset at which it begins."""
    begins = [file.tell()]

    def lines() -> Generator[str]:
        for line in file:
            yield line.decode("utf-8-sig" if begins[0] == 0 else "utf-8")

    rows, at = csv.reader(lines(), delimiter="\t"), file.tell()
    while True:
        with _large_cells():
            row = next(rows, None)
        if row is None:
            return
        yield at, row
        at = begins[0] = file.tell()


@contextmanager
def _large_cells() -> Generator[None]:
    """The limit is one for the whole process."""
    before = csv.field_size_limit(_CELL_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)
