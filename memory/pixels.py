"""Pixels of any mode -> upright RGB, and the two hashes of pixels: exact, and of what they look like."""

from __future__ import annotations

import hashlib
from typing import Any

from PIL import Image, ImageStat

__all__ = ["perceptual_hash", "pixel_hash", "to_rgb", "upright"]

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says; call it after ``load()``, which is when PNG knows its EXIF."""
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image) -> Image.Image:
    """The image as RGB. Transparency goes on white or black, whichever stands out more from what is drawn."""
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        return _on_background(image.convert("RGBA"))
    if image.mode.startswith("I;16"):
        return _scaled(image.convert("I"), 0, 65535)
    if image.mode in ("I", "F"):
        return _scaled(image, *_extent(image))
    if image.mode == "LAB":
        return _from_lab(image)
    return image.convert("RGB")


def perceptual_hash(image: Image.Image) -> int:
    """64 bits of what a picture looks like (is each cell of a grid darker than its right neighbour), as a signed
    integer that fits a column of SQLite. Pictures that look alike differ in few bits."""
    grid = image.resize((9, 8), Image.Resampling.LANCZOS, reducing_gap=3.0).convert("L").tobytes()
    bits = 0
    for row in range(0, 72, 9):
        for cell in range(row, row + 8):
            bits = bits << 1 | (grid[cell] < grid[cell + 1])
    return bits - (1 << 64) if bits >> 63 else bits


def pixel_hash(image: Image.Image) -> str:
    """A hash over size, mode and pixels: the bytes alone are the same for 2x3 and 3x2."""
    digest = hashlib.sha256(f"{image.width}x{image.height} {image.mode}\n".encode())
    digest.update(image.tobytes())
    return f"pixels:{digest.hexdigest()}"


def _on_background(image: Image.Image) -> Image.Image:
    opaque = image.getchannel("A")
    is_light = opaque.getbbox() is not None and ImageStat.Stat(image.convert("L"), mask=opaque).mean[0] > 127
    background = Image.new("RGB", image.size, "black" if is_light else "white")
    background.paste(image, mask=opaque)
    return background


def _extent(image: Image.Image) -> tuple[float, float]:
    extent = image.getextrema()
    low, high = (float(value) for value in extent if not isinstance(value, tuple))
    if not low <= high or high - low == float("inf"):
        raise ValueError("its pixel values are not finite numbers")
    return low, high


def _scaled(image: Image.Image, low: float, high: float) -> Image.Image:
    scale = 255 / (high - low) if high > low else 0.0
    return image.convert("F").point(lambda value: value * scale + (0.5 - low * scale)).convert("L").convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # a colour engine that hardly any picture needs

    engine: Any = ImageCms  # Pillow leaves the types of its profiles open
    profiles = engine.createProfile("LAB"), engine.createProfile("sRGB")
    return engine.applyTransform(image, engine.buildTransform(*profiles, "LAB", "RGB"))
