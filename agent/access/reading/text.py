"""A line of a transcript: words that say where they stand and whether they are sure; cells, if it is of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ....memory.recipe import Box
from ...words import Words

__all__ = ["Cell", "TextLine", "TextWord"]

_LINE = 3  # words; fewer are marked one by one


@dataclass(frozen=True, slots=True)
class TextWord:
    """A word, its ``box`` in pixels of the picture and its ``score`` 0..1; ``uncertain`` if it may well be wrong."""

    text: str
    box: Box
    score: float
    uncertain: bool = False

    def said(self, say: Words) -> str:
        """The word, and whether it is doubtful."""
        return f"{self.text} {say('(uncertain)')}" if self.uncertain else self.text


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table under its header."""

    header: str
    words: tuple[TextWord, ...]


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text. ``cells`` if it is a row of a table; ``gaps`` if parts of it could not be read."""

    words: tuple[TextWord, ...]
    cells: tuple[Cell, ...] = ()
    gaps: bool = False

    @property
    def text(self) -> str:
        """The words alone; of a table's row with the headers before them."""
        if self.cells:
            return "; ".join(_under(cell.header, " ".join(word.text for word in cell.words)) for cell in self.cells)
        return " ".join(word.text for word in self.words)

    @property
    def box(self) -> Box:
        """The box around all words."""
        lefts, tops, rights, bottoms = zip(*(word.box for word in self.words), strict=True)
        return (min(lefts), min(tops), max(rights), max(bottoms))

    def said(self, say: Words) -> str:
        """The line with its doubts in words: a colour or a sign would not be heard."""
        if self.cells:
            text = "; ".join(_under(cell.header, _marked(cell.words, say)) for cell in self.cells)
        else:
            text = _marked(self.words, say)
        return f"{text} {say('(a part of this line could not be read)')}" if self.gaps else text

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        cells = {"cells": {cell.header: " ".join(word.text for word in cell.words) for cell in self.cells}}
        return {
            "text": self.text,
            "box": list(self.box),
            **(cells if self.cells else {}),
            "words": [
                {"text": w.text, "box": list(w.box), "score": round(w.score, 3), "uncertain": w.uncertain}
                for w in self.words
            ],
        }


def _under(header: str, text: str) -> str:
    return f"{header}: {text}" if header else text


def _marked(words: Sequence[TextWord], say: Words) -> str:
    if len(words) >= _LINE and all(word.uncertain for word in words):
        return f"{' '.join(word.text for word in words)} {say('(all of this is uncertain)')}"
    return " ".join(word.said(say) for word in words)
