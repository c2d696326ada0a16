"""Two engines on one page: words on which both agree are surer, words on which they don't are doubtful.

The first engine finds the lines and its words stand; the second one only says what it thinks of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from .engine import Engine, Line, Word

__all__ = ["BothEngines"]

_AGREED = 0.5  # of what is missing to 1 an agreement takes away so much
_DIFFERED = 0.75  # what a word's score is worth when the other engine reads something else there
_BLIND = 0.5  # an engine that agrees on fewer of the words can't read this page, and isn't asked


class BothEngines:
    """``first``, whose words are held against those of ``second``."""

    def __init__(self, first: Engine, second: Engine) -> None:
        self.first = first
        self.second = second
        self.name = f"{first.name} and {second.name}"
        self.scripts: tuple[str, ...] = first.scripts

    def read(self, image: Image.Image) -> list[Line]:
        """The lines of the first engine, their words scored by both."""
        lines = self.first.read(image)
        if not any(line.words for line in lines):
            return lines
        others = [word for line in self.second.read(image) for word in line.words]
        opinions = {word: _opinion(word, others) for line in lines for word in line.words}
        agreed = sum(opinion is True for opinion in opinions.values())
        if agreed < _BLIND * len(opinions):
            return lines
        return [replace(line, words=tuple(_weighed(word, opinions[word]) for word in line.words)) for line in lines]

    def read_line(self, image: Image.Image) -> Line:
        """A picture of one line, by the first engine."""
        return self.first.read_line(image)


def _opinion(word: Word, others: Sequence[Word]) -> bool | None:
    """Whether the same stands there; None if nothing does."""
    there = [other for other in others if _share(word, other) > 0.5]
    if not there:
        return None
    joined = "".join(other.text for other in sorted(there, key=lambda other: other.box[0]))
    return any(_plain(word.text) == _plain(text) for text in (joined, *(other.text for other in there)))


def _weighed(word: Word, opinion: bool | None) -> Word:
    match opinion:
        case True:
            return replace(word, score=word.score + _AGREED * (1 - word.score))
        case False:
            return replace(word, score=word.score * _DIFFERED)
        case None:
            return word


def _share(one: Word, other: Word) -> float:
    """How much of the smaller box lies in the larger one."""
    across = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
    down = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    return max(0, across) * max(0, down) / min(_area(one), _area(other))


def _area(word: Word) -> int:
    return (word.box[2] - word.box[0]) * (word.box[3] - word.box[1])


def _plain(text: str) -> str:
    """Without what engines write differently: kinds of dashes and quotation marks."""
    straight = re.sub("[\u2010-\u2015\u2212]", "-", re.sub("[\u2018\u2019\u201a]", "'", text))
    return unicodedata.normalize("NFC", re.sub("[\u201c-\u201e\u00ab\u00bb]", '"', straight))
