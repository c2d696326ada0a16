"""Which part of a picture a zoom shows, and how large, weighed by what it costs a LLaVA-NeXT to look at it.

Such a model pays for a picture's shape more than for its pixels: it lays a grid of 336 px tiles under it. A sliver
of 336x168 costs 1752 tokens and the square of 336 around it 1176, so the square, which also shows the surroundings,
is the better frame.
"""

from __future__ import annotations

from ..memory.recipe import Box
from .box import clamped, to_pixels
from .tiling import PUBLIC

__all__ = ["LONGEST_SIDE", "frame"]

LONGEST_SIDE = 2 * PUBLIC.tile
"""No crop is enlarged beyond this, in pixels of its longer side: the model would see nothing more of it."""

_MARGIN = 0.03  # of the box's side, on each side
_SMALLEST = 28  # pixels: two patches of the vision tower
_SMALLEST_SHARE = 0.05  # of the picture's side


def frame(size: tuple[int, int], box1000: tuple[int, int, int, int]) -> tuple[Box, tuple[int, int]]:
    """The pixels to cut out of a picture of ``size`` (width, height), and the size to scale them to.

    The box is widened by a margin, grown when it is too small, and squared as far as that costs no more tokens; it
    always covers what was asked for and stays inside the picture. A small part is enlarged twice, to at least 336
    and at most 672 px of its longer side; what is larger keeps its pixels.
    """
    asked = to_pixels(box1000, size)
    box = _grown(_padded(asked, size), size)
    for side in _squarer(box, size):
        wider = _spread(box, (max(side, _width(box)), max(side, _height(box))), size)
        if PUBLIC.count(_enlarged(wider)) <= PUBLIC.count(_enlarged(box)):
            return wider, _enlarged(wider)
    return box, _enlarged(box)


def _padded(box: Box, size: tuple[int, int]) -> Box:
    dx, dy = round(_MARGIN * _width(box)), round(_MARGIN * _height(box))
    return clamped((box[0] - dx, box[1] - dy, box[2] + dx, box[3] + dy), size)


def _grown(box: Box, size: tuple[int, int]) -> Box:
    smallest = [max(_SMALLEST, round(_SMALLEST_SHARE * side)) for side in size]
    return _spread(box, (max(_width(box), smallest[0]), max(_height(box), smallest[1])), size)


def _squarer(box: Box, size: tuple[int, int]) -> list[int]:
    """Lengths for the shorter side, the squarest first, as far as the picture reaches."""
    short, long = sorted((_width(box), _height(box)))
    reach = size[0] if _width(box) < _height(box) else size[1]
    return [side for side in (long * eighth // 8 for eighth in range(8, 0, -1)) if short < side <= reach]


def _spread(box: Box, target: tuple[int, int], size: tuple[int, int]) -> Box:
    """The box made ``target`` wide and high about its centre, moved and cut so that it stays inside."""
    x0, x1 = _stretch(box[0], box[2], target[0], size[0])
    y0, y1 = _stretch(box[1], box[3], target[1], size[1])
    return (x0, y0, x1, y1)


def _stretch(start: int, end: int, length: int, limit: int) -> tuple[int, int]:
    length = min(length, limit)
    first = min(max(0, start - (length - (end - start)) // 2), limit - length)
    return first, first + length


def _enlarged(box: Box) -> tuple[int, int]:
    longest = max(_width(box), _height(box))
    scale = max(1.0, min(LONGEST_SIDE / longest, max(2.0, PUBLIC.tile / longest)))
    return max(1, round(_width(box) * scale)), max(1, round(_height(box) * scale))


def _width(box: Box) -> int:
    return box[2] - box[0]


def _height(box: Box) -> int:
    return box[3] - box[1]
