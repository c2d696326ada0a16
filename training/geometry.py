"""Where the processor puts each part of a picture: the views it cuts, and the image tokens it makes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from looktwice.tools.tiling import ImageTokens, best_grid

__all__ = ["NEWLINE", "View", "token_layout", "views"]

NEWLINE = -1
"""Stands in a layout for the token at the end of each row of patches."""


@dataclass(frozen=True, slots=True)
class View:
    """One tile as the tower sees it: a point x of the picture lies at ``x * scale_x + shift_x`` in it, in pixels."""

    scale_x: float
    scale_y: float
    shift_x: float
    shift_y: float


@cache
def views(size: tuple[int, int], geometry: ImageTokens) -> tuple[View, ...]:
    """The squashed base view and the tiles, row by row, of a picture of ``size`` (width, height).

    The tiles are cut from the picture scaled to fit the best grid and padded about its middle.
    """
    (width, height), tile = size, geometry.tile
    high, wide = best_grid(size, geometry.pinpoints)
    if wide / width < high / height:
        new_width, new_height = wide, min(math.ceil(height * (wide / width)), high)
    else:
        new_width, new_height = min(math.ceil(width * (high / height)), wide), high
    left, top = (wide - new_width) // 2, (high - new_height) // 2
    base = View(tile / width, tile / height, 0, 0)
    return base, *(
        View(new_width / width, new_height / height, left - column, top - row)
        for row in range(0, high, tile)
        for column in range(0, wide, tile)
    )


@cache
def token_layout(size: tuple[int, int], geometry: ImageTokens) -> npt.NDArray[np.int32]:
    """For each image token of a picture, the index of its patch among the patches of all views, or NEWLINE."""
    side = geometry.tile // geometry.patch
    high, wide = best_grid(size, geometry.pinpoints)
    rows, columns = high // geometry.tile, wide // geometry.tile
    tiles = np.arange(rows * columns * side * side).reshape(rows, columns, side, side) + side * side
    grid = tiles.transpose(0, 2, 1, 3).reshape(rows * side, columns * side)
    width, height = size
    if width / height > columns / rows:
        cut = (rows * side - int(round(height * (columns * side / width), 7))) // 2
        grid = grid[cut : rows * side - cut]
    else:
        cut = (columns * side - int(round(width * (rows * side / height), 7))) // 2
        grid = grid[:, cut : columns * side - cut]
    newlines = np.full((len(grid), 1), NEWLINE)
    return np.concatenate([np.arange(side * side), np.hstack([grid, newlines]).ravel()]).astype(np.int32)
