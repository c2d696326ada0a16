"""How many tokens a picture costs a LLaVA, from its size alone: exact, without weights or pixels.

The closed form follows how LLaVA-NeXT packs its features (a squashed base view, the unpadded tiles of
the best-fitting grid, one newline per row; Liu et al., "LLaVA-NeXT", 2024) as ``transformers`` computes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

__all__ = ["ImageTokens", "PUBLIC", "best_grid"]

Pinpoints: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class ImageTokens:
    """The picture geometry of a checkpoint: ``tile`` and ``patch`` in pixels.

    ``pinpoints`` are the (height, width) grids of a LLaVA-NeXT; empty for LLaVA-1.5 and Interleave, where
    each picture costs ``fixed`` tokens whatever its size.
    """

    tile: int
    patch: int
    pinpoints: Pinpoints = ()
    fixed: int = 0

    def count(self, size: tuple[int, int]) -> int:
        """Tokens of a picture of ``size`` (width, height) in pixels, at full detail."""
        return _anyres(size, self.tile // self.patch, self.tile, self.pinpoints) if self.pinpoints else self.fixed

    def thumbnail(self) -> int:
        """Tokens of the base view alone: its patches and one newline."""
        return (self.tile // self.patch) ** 2 + 1 if self.pinpoints else self.fixed


@cache
def _anyres(size: tuple[int, int], side: int, tile: int, pinpoints: Pinpoints) -> int:
    width, height = size
    best_height, best_width = best_grid(size, pinpoints)
    rows, columns = side * (best_height // tile), side * (best_width // tile)
    if width / height > columns / rows:
        kept = int(round(height * (columns / width), 7))
        rows -= 2 * ((rows - kept) // 2)
    else:
        kept = int(round(width * (rows / height), 7))
        columns -= 2 * ((columns - kept) // 2)
    return side * side + rows * columns + rows


def best_grid(size: tuple[int, int], pinpoints: Pinpoints) -> tuple[int, int]:
    """The (height, width) among ``pinpoints`` that keeps most pixels of a picture and wastes fewest."""
    width, height = size

    def merit(grid: tuple[int, int]) -> tuple[int, int]:
        scale = min(grid[1] / width, grid[0] / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        return kept, kept - grid[0] * grid[1]

    return max(pinpoints, key=merit)


PUBLIC = ImageTokens(336, 14, pinpoints=((336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)))
"""The geometry of the public LLaVA-NeXT checkpoints."""
