"""Whether a picture shows anything at all, before a model is asked: models describe a black picture, too.

Pixels alone tell black, blank, uniform, tiny, dark and blurred ones; text that lies on its side or is cut off at an
edge is found by reading it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from PIL import Image, ImageChops, ImageFilter, ImageStat

from ...memory import Picture
from ..words import Words, later, words

if TYPE_CHECKING:
    from ...tools.ocr.engine import Engine, Line
    from ...tools.ocr.reading import Reading

__all__ = ["Fault", "FaultKind", "check", "check_pixels", "check_text"]

FaultKind: TypeAlias = Literal["tiny", "black", "blank", "uniform", "dark", "blurred", "turned", "cut"]

_TINY = 48  # pixels of the shorter side: a letter or a face needs more
_SIDE = 256  # pixels to which a picture is scaled for its tones
_BLACK, _DARK = 25, 72  # of 255: all but the brightest hundredth of a black, of a dark picture is below
_FLAT = 12  # of 255: from the darkest to the brightest grey of a picture of one colour
_DETAIL = 14  # of 255: what differs less from its surroundings is paper, shadow or noise
_BLUR_SIDE = 512  # pixels to which a picture is scaled for its sharpness
_BLURRED = 0.47  # of 1: sharp pictures stay below 0.41, those that look blurred at this size are above 0.48
_EDGE = 0.004  # of the side: text so near to an edge goes on beyond it
_READ, _LETTERS = 0.8, 3  # the score and the letters of a line that is text, not a drawing that looks like some

_SAID: dict[FaultKind, tuple[str, str]] = {
    "tiny": (later("the picture is very small"), later("get it in a larger size")),
    "black": (
        later("the picture is black"),
        later("see that nothing covers the lens, and take it again with light"),
    ),
    "blank": (
        later("the picture is blank, all of one colour"),
        later("check that it is the right one, and take it again"),
    ),
    "uniform": (
        later("the picture shows hardly anything but one surface"),
        later("step back, or point at the thing itself"),
    ),
    "dark": (
        later("the picture is dark"),
        later("turn on a light, or take it again nearer to a window"),
    ),
    "blurred": (
        later("the picture is blurred"),
        later("hold still, wipe the lens, and take it again a little farther away"),
    ),
    "turned": (
        later("the text is turned by {degrees} degrees"),
        later("turn the picture, or take it again the other way round"),
    ),
}
_CUT = {
    "left": (
        later("text is cut off at the left edge"),
        later("move a little to the left, or step back, and take it again"),
    ),
    "right": (
        later("text is cut off at the right edge"),
        later("move a little to the right, or step back, and take it again"),
    ),
    "top": (
        later("text is cut off at the top edge"),
        later("move a little to the top, or step back, and take it again"),
    ),
    "bottom": (
        later("text is cut off at the bottom edge"),
        later("move a little to the bottom, or step back, and take it again"),
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a picture, ``said`` in words, and the ``advice`` how to get a better one."""

    kind: FaultKind
    said: str
    advice: str

    def __str__(self) -> str:
        return f"{self.said}; {self.advice}"


def check(
    source: str | os.PathLike[str] | bytes | Image.Image | Picture, *, engine: Engine | None = None, lang: str = "en"
) -> tuple[Fault, ...]:
    """Everything that is wrong with a picture, the worst first; nothing if it is good.

    With an ``engine`` that reads text, text that is turned or cut off counts too. Said in ``lang`` ("en", "de", "fr",
    "es"). Raises PictureRejected for what is no picture.
    """
    image = Picture.load(source).pixels()
    faults = check_pixels(image, lang=lang)
    if engine is None or any(fault.kind in ("tiny", "black", "blank", "uniform") for fault in faults):
        return faults
    from ...tools.ocr.reading import read_page

    return (*faults, *check_text(read_page(engine, image), image.size, lang=lang))


def check_pixels(image: Image.Image, *, lang: str = "en") -> tuple[Fault, ...]:
    """What the pixels of an RGB picture tell."""
    found: list[FaultKind] = []
    if min(image.size) < _TINY:
        found.append("tiny")
    grey = image.convert("L")
    tones = _smaller(grey, _SIDE)
    brightness = _percentile(tones, 0.99)
    empty = "black" if brightness < _BLACK else _emptiness(tones, contrast=1.0 if brightness >= _DARK else 0.3)
    if empty is not None:
        return _faults([*found, empty], words(lang))
    if brightness < _DARK:
        found.append("dark")
    if "tiny" not in found and _blur(_smaller(grey, _BLUR_SIDE)) > _BLURRED:
        found.append("blurred")
    return _faults(found, words(lang))


def check_text(reading: Reading, size: tuple[int, int], *, lang: str = "en") -> tuple[Fault, ...]:
    """What the text of a picture of ``size`` (width, height) tells: whether it is upright, and whole."""
    say = words(lang)
    lines = [line for line in reading.lines if line.score >= _READ and sum(map(str.isalnum, line.text)) >= _LETTERS]
    turned = _faults(["turned"] if reading.rotated and lines else [], say, degrees=reading.rotated)
    cut = (_CUT[edge] for edge in _cut_edges(lines, size))
    return (*turned, *(Fault("cut", say(said), say(advice)) for said, advice in cut))


def _faults(kinds: list[FaultKind], say: Words, **values: object) -> tuple[Fault, ...]:
    return tuple(Fault(kind, *(say(sentence, **values) for sentence in _SAID[kind])) for kind in kinds)


def _emptiness(grey: Image.Image, *, contrast: float) -> FaultKind | None:
    """Whether nothing stands out; in the dark (``contrast`` under 1) less is something."""
    calm = grey.filter(ImageFilter.MedianFilter(5 if min(grey.size) > _TINY else 3))  # single pixels are noise
    darkest, brightest = _range(calm)
    if brightest - darkest < contrast * _FLAT:
        return "blank"
    around = calm.filter(ImageFilter.BoxBlur(max(calm.size) / 8))
    return "uniform" if _range(ImageChops.difference(calm, around))[1] < contrast * _DETAIL else None


def _range(grey: Image.Image) -> tuple[int, int]:
    """The darkest and the brightest grey."""
    levels = [level for level, count in enumerate(grey.histogram()) if count]
    return levels[0], levels[-1]


def _blur(grey: Image.Image) -> float:
    """How blurred a picture looks, 0 to 1, whatever it shows.

    Neighbouring pixels of a sharp picture differ less once it is blurred; those of a blurred one hardly change (Crete,
    Dolmiere, Ladret and Nicolas, "The blur effect: perception and estimation with a new no-reference perceptual blur
    metric", 2007).
    """
    return max(_blur_along(grey, across=1, down=0), _blur_along(grey, across=0, down=1))


def _blur_along(grey: Image.Image, *, across: int, down: int) -> float:
    blurred = grey.filter(ImageFilter.BoxBlur((4 * across, 4 * down)))
    before, after = (_steps(each, across, down) for each in (grey, blurred))
    total = ImageStat.Stat(before).sum[0]
    lost = ImageStat.Stat(ImageChops.subtract(before, after)).sum[0]
    return (total - lost) / total if total else 1.0


def _steps(grey: Image.Image, across: int, down: int) -> Image.Image:
    """How much each pixel differs from the one before it."""
    moved = ImageChops.offset(grey, across, down)
    return ImageChops.difference(grey, moved).crop((across, down, *grey.size))


def _smaller(grey: Image.Image, longest: int) -> Image.Image:
    if max(grey.size) <= longest:
        return grey
    smaller = grey.copy()
    smaller.thumbnail((longest, longest), Image.Resampling.BOX)
    return smaller


def _percentile(grey: Image.Image, share: float) -> int:
    """The grey that so much of the picture is not brighter than."""
    left = share * grey.width * grey.height
    for level, count in enumerate(grey.histogram()):
        left -= count
        if left <= 0:
            return level
    return 255


def _cut_edges(lines: list[Line], size: tuple[int, int]) -> list[str]:
    """Where text runs out of the picture: a line's end at a side, or a line's whole length at the top or the bottom."""
    width, height = size
    near_x, near_y = max(1.0, _EDGE * width), max(1.0, _EDGE * height)
    edges = {
        "left": any(line.box[0] <= near_x for line in lines),
        "right": any(line.box[2] >= width - near_x for line in lines),
        "top": any(line.box[1] <= near_y for line in lines),
        "bottom": any(line.box[3] >= height - near_y for line in lines),
    }
    return [edge for edge, is_cut in edges.items() if is_cut]
