"""What was read in a picture, as values: lines of words with their places and how sure they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ....memory.recipe import Box
from ....tools.ocr.order import Layout
from ...words import words
from .foreign import Foreign
from .receipt import Sum
from .spelling import codes_in, spelled
from .text import TextLine

__all__ = ["Transcript"]

_HARDLY = 0.5  # of the words


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text of a picture in reading order.

    ``layout`` is how the page was read, ``rotated`` by how many degrees its text is turned clockwise; boxes are in
    pixels of the picture as one looks at it. ``unread``: places with text that could not be read. ``sum``: what a
    receipt adds up to, if it is one.
    """

    lines: tuple[TextLine, ...]
    layout: Layout
    engine: str
    rotated: int = 0
    unread: tuple[Box, ...] = ()
    sum: Sum | None = None
    foreign: Foreign | None = None

    @property
    def text(self) -> str:
        """The lines as they stand in the picture, without marks."""
        return "\n".join(line.text for line in self.lines)

    @property
    def codes(self) -> tuple[str, ...]:
        """What one may want to have spelled."""
        return tuple(dict.fromkeys(code for line in self.lines for code in codes_in(line.text)))

    @property
    def num_uncertain(self) -> int:
        """How many words are marked."""
        return sum(word.uncertain for line in self.lines for word in line.words)

    def __str__(self) -> str:
        return self.text

    def said(self, lang: str = "en", *, spell: bool = False) -> Iterator[str]:
        """Everything there is to say, a line at a time: the text with its doubts in words, then the notes."""
        say = words(lang)
        if not self.lines:
            yield say("No text was read.")
        yield from (line.said(say) for line in self.lines)
        if spell:
            yield from self._spelled(lang)
        yield from (say("Note: {note}", note=note) for note in self.notes(lang))

    def notes(self, lang: str = "en") -> Iterator[str]:
        """What a reader should know of the text, a sentence each."""
        say = words(lang)
        num_words = sum(len(line.words) for line in self.lines)
        if self.rotated:
            yield say("The text is turned by {degrees} degrees; it was read upright.", degrees=self.rotated)
        if self.sum:
            yield self.sum.said(say)
        if self.num_uncertain > _HARDLY * num_words and not self.foreign:
            yield say("Most of the text is uncertain; a sharper or larger picture may help.")
        elif self.num_uncertain:
            yield say.count("{n} word is uncertain.", "{n} words are uncertain.", self.num_uncertain)
        if self.unread:
            places = len(self.unread)
            yield say.count(
                "In {n} place there is text that could not be read.",
                "In {n} places there is text that could not be read.",
                places,
            )
        if self.foreign:
            yield self.foreign.said(say)

    def to_json(self, lang: str = "en", *, spell: bool = False) -> dict[str, Any]:
        """Plain values for JSON: the text, its lines and words with boxes and scores, and the notes."""
        spelling = {"codes": [{"code": code, "spelled": spelled(code, lang)} for code in self.codes]} if spell else {}
        return {
            "text": self.text,
            "layout": self.layout,
            "engine": self.engine,
            "rotated": self.rotated,
            "lines": [line.to_json() for line in self.lines],
            "unread": [list(box) for box in self.unread],
            "sum": self.sum.to_json() if self.sum else None,
            "notes": list(self.notes(lang)),
            **spelling,
        }

    def _spelled(self, lang: str) -> Iterator[str]:
        say = words(lang)
        if not self.codes:
            yield say("There is no code to spell.")
        for code in self.codes:
            yield say("{code} is spelled: {spelled}", code=code, spelled=spelled(code, lang))
