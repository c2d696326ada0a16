"""Where a picture stands in a document, and what stands around it. Pure values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["Context", "Edit", "Kind", "Place", "Slot", "Where", "first_words", "last_words", "write_nothing"]

_MOST = 40  # words of the page before a picture, and after it

Kind: TypeAlias = Literal["image", "button", "area", "drawing", "chart"]
"""A picture; an input that is one; an area of an image map; an inline SVG; a chart or diagram without pixels."""


@dataclass(frozen=True, slots=True)
class Where:
    """A line (from 1) of a document or of a member of an EPUB, or a paragraph (from 1) of a DOCX."""

    line: int
    member: str = ""
    unit: Literal["line", "paragraph"] = "line"

    def __str__(self) -> str:
        place = f"{self.unit} {self.line}"
        return f"{self.member} {place}" if self.member else place


@dataclass(frozen=True, slots=True)
class Context:
    """What the page says around a picture, each empty where there is nothing.

    ``beside`` are the words of the same paragraph, cell or figure, ``before`` and ``after`` some of the page's.
    ``link`` is where a link around it leads, ``link_text`` the words that the same link or button has.
    """

    title: str = ""
    heading: str = ""
    before: str = ""
    after: str = ""
    beside: str = ""
    caption: str = ""
    link: str = ""
    link_text: str = ""
    in_button: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A picture in a document.

    ``source`` is what the document names as the picture. ``alt`` is its alternative text; "" is the mark of a
    decorative picture, None means that there is none. ``is_hidden``: assistive technology is told not to speak of it.
    ``problem`` says why its text can't be changed here, if so.
    """

    kind: Kind
    source: str
    alt: str | None
    where: Where
    context: Context = field(default_factory=Context)
    is_hidden: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes ``start`` to ``end`` of a text in UTF-8 become ``new``."""

    start: int
    end: int
    new: bytes


@dataclass(frozen=True, slots=True)
class Slot:
    """A place, and how an alternative text is written there; an empty one marks the picture as decorative."""

    place: Place
    write: Callable[[str], Sequence[Edit]]


def last_words(texts: Sequence[str]) -> str:
    """The last words of several texts, as many as a context holds."""
    kept: list[str] = []
    for text in reversed(texts):
        kept = [*text.split(), *kept]
        if len(kept) >= _MOST:
            break
    return " ".join(kept[-_MOST:])


def first_words(texts: Iterable[str]) -> str:
    """The first words of several texts, as many as a context holds."""
    kept: list[str] = []
    for text in texts:
        kept += text.split()
        if len(kept) >= _MOST:
            break
    return " ".join(kept[:_MOST])


def write_nothing(_: str) -> Sequence[Edit]:
    """For places that can't be changed."""
    return ()
