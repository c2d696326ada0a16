"""What a scene is made of. Lengths are pixels of the scene, boxes (left, top, right, bottom)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from PIL import Image

__all__ = ["COLOURS", "PLACES", "Rgb", "SHAPES", "Scene", "Shape", "Sign", "Thing"]

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black")
SHAPES = ("circle", "square", "triangle", "star", "diamond", "cross")
PLACES = ("top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right")

Rgb: TypeAlias = tuple[int, int, int]
Box: TypeAlias = tuple[float, float, float, float]
Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Shape:
    """A filled outline; ``edge`` is the colour of its rim, ``rim`` the rim's width."""

    kind: str
    colour: str
    outline: tuple[Point, ...]
    fill: Rgb
    edge: Rgb | None = None
    rim: float = 0.0

    @property
    def box(self) -> Box:
        """The smallest box around the outline."""
        across, down = zip(*self.outline, strict=True)
        return min(across), min(down), max(across), max(down)


@dataclass(frozen=True, slots=True)
class Sign:
    """A board with a word in capitals.

    ``origin`` is the left end of the baseline; ``letters`` are the left and right edges of each character, ``line``
    the top and bottom of the capitals. ``font`` is a file, or None for Pillow's own. A ``small`` one is meant to be
    legible in an enlarged part of the picture alone.
    """

    text: str
    box: Box
    origin: Point
    letters: tuple[tuple[float, float], ...]
    line: tuple[float, float]
    board: Rgb
    ink: Rgb
    edge: Rgb | None
    font: str | None
    font_size: float
    small: bool = False


Thing: TypeAlias = Shape | Sign


@dataclass(frozen=True)
class Scene:
    """A picture with known truth. ``things`` stand in reading order; none overlaps another."""

    size: tuple[int, int]
    background: Rgb
    things: tuple[Thing, ...]
    slope: tuple[float, float] = (0.0, 0.0)
    """How much lighter the background grows to the right and downwards, in steps of 0..255."""
    grain: int = 0
    """The largest noise on a pixel, in steps of 0..255, and its seed."""
    seed: int = 0

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes alone."""
        return tuple(thing for thing in self.things if isinstance(thing, Shape))

    @cached_property
    def signs(self) -> tuple[Sign, ...]:
        """The signs alone."""
        return tuple(thing for thing in self.things if isinstance(thing, Sign))

    def centre(self, thing: Thing) -> Point:
        """The middle of a thing's box, as shares of width and height."""
        left, top, right, bottom = thing.box
        return (left + right) / 2 / self.size[0], (top + bottom) / 2 / self.size[1]

    def place(self, thing: Thing) -> str:
        """The cell of a grid of three by three in which the thing's middle lies."""
        across, down = self.centre(thing)
        return PLACES[min(2, int(3 * down)) * 3 + min(2, int(3 * across))]

    def image(self) -> Image.Image:
        """The picture, RGB."""
        from .drawing import draw

        return draw(self)


def reading_order(size: tuple[int, int], things: Sequence[Thing]) -> tuple[Thing, ...]:
    """Sorted by row of the grid of places, then from left to right."""
    blank = Scene(size, (255, 255, 255), ())

    def position(thing: Thing) -> tuple[int, float]:
        across, down = blank.centre(thing)
        return min(2, int(3 * down)), across

    return tuple(sorted(things, key=position))
