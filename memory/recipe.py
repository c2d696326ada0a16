"""How a picture is made from another one: parent, operation, box and size, instead of a copy of the pixels.

A recipe is applied to its parent's pixels on demand, and maps boxes of the result back to the parent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from PIL import Image

from ..errors import InvalidInput, StoreError
from .picture import MAX_PIXELS

__all__ = ["Box", "Recipe"]

Box: TypeAlias = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 are exclusive."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A picture made of another: the ``box`` of the picture with the key ``parent``, scaled to ``size``.

    ``box`` is in pixels of the parent; ``size`` is the result's width and height. Raises StoreError for an
    operation that this version doesn't know, InvalidInput for a box or size that can't be.
    """

    parent: str
    operation: str
    box: Box
    size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.operation not in _OPERATIONS:
            known = ", ".join(sorted(_OPERATIONS))
            raise StoreError(f"unknown operation {self.operation!r} in a recipe; this looktwice knows {known}: upgrade")
        _check_box(self.box)
        if len(self.size) != 2 or min(self.size) < 1 or self.size[0] * self.size[1] > MAX_PIXELS:
            raise InvalidInput(f"a picture can't have the size {self.size!r}; give width and height in pixels")

    @property
    def key(self) -> str:
        """What addresses the result: equal recipes have equal keys."""
        return f"recipe:{hashlib.sha256(self.dump().encode()).hexdigest()}"

    def dump(self) -> str:
        """The recipe as canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def load(cls, stored: str) -> Recipe:
        """The recipe that ``dump`` wrote. Raises StoreError for anything else."""
        try:
            fields: dict[str, Any] = json.loads(stored)
            return cls(fields["parent"], fields["operation"], tuple(fields["box"]), tuple(fields["size"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{stored!r} is not a recipe ({error}); the row is damaged") from error

    def apply(self, parent_pixels: Image.Image) -> Image.Image:
        """The result's pixels, RGB. Raises InvalidInput for a box that reaches beyond the parent."""
        if self.box[2] > parent_pixels.width or self.box[3] > parent_pixels.height:
            raise InvalidInput(f"the box {self.box!r} reaches beyond a picture of {parent_pixels.size!r}")
        return _OPERATIONS[self.operation](parent_pixels.convert("RGB"), self.box, self.size)

    def to_parent(self, box: Box) -> Box:
        """A box in pixels of the result -> the smallest box of the parent that covers it, never empty."""
        _check_box(box)
        x0, x1 = _mapped(box[0], box[2], self.size[0], self.box[0], self.box[2])
        y0, y1 = _mapped(box[1], box[3], self.size[1], self.box[1], self.box[3])
        return (x0, y0, x1, y1)


def _crop(parent: Image.Image, box: Box, size: tuple[int, int]) -> Image.Image:
    part = parent.crop(box)
    return part if part.size == size else part.resize(size, Image.Resampling.LANCZOS)


_OPERATIONS: dict[str, Callable[[Image.Image, Box, tuple[int, int]], Image.Image]] = {"crop": _crop}


def _check_box(box: Box) -> None:
    if len(box) != 4 or not all(type(edge) is int for edge in box):
        raise InvalidInput(f"{box!r} is not a box; give four whole numbers x0, y0, x1, y1")
    if not (0 <= box[0] < box[2] and 0 <= box[1] < box[3]):
        raise InvalidInput(f"the box {box!r} is empty or negative; it needs 0 <= x0 < x1 and 0 <= y0 < y1")


def _mapped(start: int, end: int, length: int, low: int, high: int) -> tuple[int, int]:
    """An interval of a side of ``length`` pixels, spread over the parent's pixels low..high; whole pixels outwards."""
    span = high - low
    first = min(low + start * span // length, high - 1)
    last = min(low - (-end * span // length), high)
    return first, max(last, first + 1)
