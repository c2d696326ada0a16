"""Pictures become tiles of numbers: two resizes and one fused normalisation, several pictures in threads.

Equal to transformers' own processor without torchvision, which goes over floating-point copies and every tile by
itself. Any other processor, or other settings of this one, does its own work here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from PIL import Image

from ...tools.tiling import best_grid

Pixels = NDArray[numpy.uint8]
_STEPS = ("do_resize", "do_rescale", "do_normalize", "do_convert_rgb")


class Preprocessing:
    """What a checkpoint's image processor does; ``pinned`` tiles are copied to a GPU while it computes."""

    def __init__(self, processor: Any, *, pinned: bool = False) -> None:
        self._processor = processor
        self._pinned = pinned
        self._side = _fused_side(processor)
        self._pinpoints = tuple((int(h), int(w)) for h, w in getattr(processor, "image_grid_pinpoints", None) or ())
        if self._side:
            scale = numpy.asarray(processor.rescale_factor / numpy.array(processor.image_std), numpy.float32)
            shift = numpy.asarray(numpy.array(processor.image_mean) / processor.image_std, numpy.float32)
            self._scale, self._shift = scale[:, None, None], shift[:, None, None]

    @property
    def is_fused(self) -> bool:
        """Whether pictures go the short way."""
        return self._side > 0

    def tiles(self, images: Sequence[Image.Image]) -> list[torch.Tensor]:
        """Each picture's tiles, (tiles, 3, side, side), float32; the first one is the whole picture."""
        if len(images) < 2:
            return [self._one(image) for image in images]
        with ThreadPoolExecutor(min(len(images), os.cpu_count() or 1)) as pool:  # PIL and numpy let others run
            return list(pool.map(self._one, images))

    def _one(self, image: Image.Image) -> torch.Tensor:
        if self._side:
            return self._fused(image if image.mode == "RGB" else image.convert("RGB"))
        values = self._processor(images=[image], return_tensors="pt")["pixel_values"]
        return values[0] if values.dim() == 5 else values

    def _fused(self, image: Image.Image) -> torch.Tensor:
        side, height, width = self._side, *best_grid(image.size, self._pinpoints)
        views = [_resized(image, (side, side), self._processor.resample), self._padded(image, height, width)]
        count = 1 + (height // side) * (width // side)
        out = torch.empty((count, 3, side, side), dtype=torch.float32, pin_memory=self._pinned)
        numbers: Any = out.numpy()
        self._normalise(views[0], numbers[0])
        places = [(top, left) for top in range(0, height, side) for left in range(0, width, side)]
        for number, (top, left) in zip(numbers[1:], places, strict=True):
            self._normalise(views[1][top : top + side, left : left + side], number)
        return out

    def _padded(self, image: Image.Image, height: int, width: int) -> Pixels:
        """The picture as large as fits into a grid of tiles, black around it."""
        across, down = width / image.width, height / image.height
        if across < down:
            size = width, min(math.ceil(image.height * across), height)
        else:
            size = min(math.ceil(image.width * down), width), height
        grid = numpy.zeros((height, width, 3), numpy.uint8)
        top, left = (height - size[1]) // 2, (width - size[0]) // 2
        grid[top : top + size[1], left : left + size[0]] = _resized(image, size, self._processor.resample)
        return grid

    def _normalise(self, pixels: Pixels, out: NDArray[numpy.float32]) -> None:
        numpy.multiply(pixels.transpose(2, 0, 1), self._scale, out=out)
        numpy.subtract(out, self._shift, out=out)


def _resized(image: Image.Image, size: tuple[int, int], resample: int) -> Pixels:
    return numpy.asarray(image.resize(size, Image.Resampling(resample)))


def _fused_side(processor: Any) -> int:
    """The side of a tile where a processor does what is done here; else 0."""
    if type(processor).__name__ != "LlavaNextImageProcessorPil":
        return 0
    if not all(getattr(processor, step, False) for step in _STEPS):
        return 0
    # A tile is as large as the middle that would be cut out of it, so whether that is done makes no difference.
    size, crop = dict(processor.size or {}), dict(processor.crop_size or {})
    sides = {value for value in (*size.values(), *crop.values()) if value is not None}
    return sides.pop() if len(sides) == 1 and crop.get("height") else 0
