"""What reads text: one small protocol, so that another engine can take the place of RapidOCR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from PIL import Image

from ...memory.recipe import Box

__all__ = ["Engine", "Line", "Word"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line: ``box`` in pixels of the picture that was given, ``score`` 0..1, that of its worst letter."""

    text: str
    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of text on one line: ``box`` in pixels of the picture that was given, ``score`` 0..1.

    ``text`` is empty where the engine saw text and could not read it. ``gaps`` says that it left out characters
    inside the line; ``slope`` by how many pixels the line falls for each pixel to the right. ``words`` are those of
    ``text``, from left to right; an engine that knows none leaves them out.
    """

    text: str
    box: Box
    score: float
    gaps: bool = False
    slope: float = 0.0
    words: tuple[Word, ...] = ()

    def placed(self, place: Callable[[Box], Box]) -> Line:
        """The line where ``place`` puts boxes: its own and those of its words."""
        words = tuple(replace(word, box=place(word.box)) for word in self.words)
        return replace(self, box=place(self.box), words=words)


@runtime_checkable
class Engine(Protocol):
    """Reads text in pixels. ``read`` and ``read_line`` may be called from several threads."""

    @property
    def name(self) -> str:
        """What it is called in results, as "rapidocr"."""
        ...

    @property
    def scripts(self) -> tuple[str, ...]:
        """The scripts that it can read, as people call them; it is not to be believed on others."""
        ...

    def read(self, image: Image.Image) -> list[Line]:
        """Finds and reads the lines of an RGB picture, in any order."""
        ...

    def read_line(self, image: Image.Image) -> Line:
        """Reads an RGB picture that shows nothing but one line."""
        ...
