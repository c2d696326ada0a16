"""Several pictures on one, each above its name: for models that were trained on one picture at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

__all__ = ["contact_sheet"]

_CELL = 336  # pixels: a tile of the vision tower for each picture
_LABEL = 36
_GAP = 8


def contact_sheet(pictures: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """The pictures with their names, in rows from left to right, as square as that gets; RGB.

    Each is scaled into a cell of 336 x 336 pixels, with its sides in proportion. At least one picture is needed.
    """
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    size = (columns * (_CELL + _GAP) + _GAP, rows * (_CELL + _LABEL + _GAP) + _GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for number, (name, picture) in enumerate(pictures):
        left = _GAP + number % columns * (_CELL + _GAP)
        top = _GAP + number // columns * (_CELL + _LABEL + _GAP)
        scaled = _scaled(picture)
        sheet.paste(scaled, (left + (_CELL - scaled.width) // 2, top + (_CELL - scaled.height) // 2))
        draw.rectangle((left - 1, top - 1, left + _CELL, top + _CELL), outline="black")
        draw.text((left + _CELL // 2, top + _CELL + _LABEL // 2), name, "black", _fitting(draw, name), anchor="mm")
    return sheet


def _scaled(picture: Image.Image) -> Image.Image:
    share = _CELL / max(picture.size)
    width, height = (max(1, round(side * share)) for side in picture.size)
    return picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


def _fitting(draw: ImageDraw.ImageDraw, name: str) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """The largest of a few sizes at which a name is no wider than its cell."""
    fonts = [ImageFont.load_default(size) for size in (26, 20, 14, 10)]
    return next((font for font in fonts if draw.textlength(name, font=font) <= _CELL), fonts[-1])
