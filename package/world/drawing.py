"""Drawing a scene: twice as large as wanted, then halved, so that edges are smooth."""

from __future__ import annotations

import random
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw, ImageFont

from .things import Rgb, Scene, Shape, Sign

__all__ = ["draw", "font"]

_SCALE = 2


@lru_cache(4096)
def font(file: str | None, size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font of some size in pixels; None is the one that comes with Pillow."""
    if file is None:
        return ImageFont.load_default(size)
    return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)


def draw(scene: Scene) -> Image.Image:
    """The scene as an RGB picture of its size."""
    width, height = (_SCALE * side for side in scene.size)
    image = _paper(scene, (width, height))
    pen = ImageDraw.Draw(image)
    for thing in scene.things:
        if isinstance(thing, Shape):
            _draw_shape(pen, thing)
        else:
            _draw_sign(pen, thing)
    image = image.reduce(_SCALE)
    return _with_grain(image, scene.grain, scene.seed) if scene.grain else image


def _paper(scene: Scene, size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, scene.background)
    if not any(scene.slope):
        return image
    ramp = Image.linear_gradient("L")  # 256 x 256, dark at the top
    for slope, turned in zip(scene.slope, (ramp.rotate(90), ramp), strict=True):
        darker = turned.point([round(abs(slope) * (255 - level) / 255) for level in range(256)]).resize(size)
        shade = Image.merge("RGB", [darker] * 3)
        image = ImageChops.subtract(image, shade) if slope > 0 else ImageChops.add(image, shade)
    return image


def _draw_shape(pen: ImageDraw.ImageDraw, shape: Shape) -> None:
    outline = [(_SCALE * x, _SCALE * y) for x, y in shape.outline]
    pen.polygon(outline, fill=shape.fill)
    if shape.edge is not None:
        pen.line([*outline, *outline[:2]], fill=shape.edge, width=max(1, round(_SCALE * shape.rim)), joint="curve")


def _draw_sign(pen: ImageDraw.ImageDraw, sign: Sign) -> None:
    left, top, right, bottom = (_SCALE * edge for edge in sign.box)
    rim = max(_SCALE, round(0.04 * min(right - left, bottom - top)))
    pen.rectangle((left, top, right, bottom), fill=sign.board, outline=sign.edge, width=rim if sign.edge else 0)
    where = (_SCALE * sign.origin[0], _SCALE * sign.origin[1])
    pen.text(where, sign.text, fill=sign.ink, font=font(sign.font, _SCALE * sign.font_size), anchor="ls")


def _with_grain(image: Image.Image, grain: int, seed: int) -> Image.Image:
    noise = Image.frombytes("L", image.size, random.Random(seed).randbytes(image.width * image.height))
    up = noise.point([max(0, round(grain * (level - 128) / 128)) for level in range(256)])
    down = noise.point([max(0, round(grain * (127 - level) / 128)) for level in range(256)])
    lighter = ImageChops.add(image, Image.merge("RGB", [up] * 3))
    return ImageChops.subtract(lighter, Image.merge("RGB", [down] * 3))


def luminance(colour: Rgb) -> float:
    """How light a colour is, 0..255 (ITU-R BT.601)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
