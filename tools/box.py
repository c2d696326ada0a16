"""Boxes as a model writes them: four integers 0..1000 of the width and height of the picture that it saw."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, cast

from pydantic import BeforeValidator, WithJsonSchema

from ..memory.recipe import Box

__all__ = ["BOX_RULE", "Box1000", "clamped", "from_pixels", "to_pixels"]

BOX_RULE = "four integers 0..1000: left, top, right, bottom"


def _check(value: object) -> tuple[int, int, int, int]:
    """The box with its edges in order, or ValueError. Whole floats pass: many models write 10.0.

    A grammar can bound the four numbers but not their order, so exchanged edges mean the same box, and a box without
    width or height is the spot that `to_pixels` makes at least a pixel of.
    """
    items = cast("list[Any] | tuple[Any, ...]", value) if isinstance(value, list | tuple) else []
    if len(items) == 4 and all(_is_whole(item) and 0 <= item <= 1000 for item in items):
        x0, y0, x1, y1 = (int(item) for item in items)
        return (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    raise ValueError(f"needs {BOX_RULE}")


def _is_whole(item: object) -> bool:
    return (isinstance(item, int) and not isinstance(item, bool)) or (isinstance(item, float) and item.is_integer())


_SCHEMA = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": 1000},
    "minItems": 4,
    "maxItems": 4,
}

Box1000: TypeAlias = Annotated[tuple[int, int, int, int], BeforeValidator(_check), WithJsonSchema(_SCHEMA), BOX_RULE]
"""The annotation of a tool's parameter that takes a box: x0, y0, x1, y1 as integers 0..1000."""


def to_pixels(box: tuple[int, int, int, int], size: tuple[int, int]) -> Box:
    """The pixels that a box 0..1000 touches in a picture of ``size`` (width, height); never empty, never outside."""
    x0, x1 = _span(box[0], box[2], size[0])
    y0, y1 = _span(box[1], box[3], size[1])
    return (x0, y0, x1, y1)


def from_pixels(box: Box, size: tuple[int, int]) -> Box:
    """The smallest box 0..1000 that holds a pixel box of a picture of ``size``; what lies outside is left out."""
    x0, y0, x1, y1 = clamped(box, size)
    low = [1000 * edge // side for edge, side in ((x0, size[0]), (y0, size[1]))]
    high = [-(-1000 * edge // side) for edge, side in ((x1, size[0]), (y1, size[1]))]
    return (low[0], low[1], max(low[0] + 1, high[0]), max(low[1] + 1, high[1]))


def _span(start: int, end: int, length: int) -> tuple[int, int]:
    first = min(start * length // 1000, length - 1)
    return first, max(first + 1, min(length, -(-end * length // 1000)))


def clamped(box: Box, size: tuple[int, int]) -> Box:
    """The part of a pixel box that lies inside a picture of ``size``."""
    return (max(0, box[0]), max(0, box[1]), min(size[0], box[2]), min(size[1], box[3]))
