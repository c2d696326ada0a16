"""What reads text: one small protocol, so that another engine can take the place of RapidOCR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from ...memory.recipe import Box

__all__ = ["Engine", "Line"]


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of text on one line: ``box`` in pixels of the picture that was given, ``score`` 0..1.

    ``text`` is empty where the engine saw text and could not read it. ``gaps`` says that it left out characters
    inside the line; ``slope`` by how many pixels the line falls for each pixel to the right.
    """

    text: str
    box: Box
    score: float
    gaps: bool = False
    slope: float = 0.0


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
