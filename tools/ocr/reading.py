"""From pixels to rows of text: pages that lie on their side, parts of pictures, single lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from PIL import Image, ImageChops, ImageOps, ImageStat

from ...memory.recipe import Box
from ..box import clamped
from .engine import Engine, Line
from .order import Layout, Row, reading_order

__all__ = ["Reading", "read_page", "read_part", "upright_box"]

_SURE = 0.9  # a page read with less than this may lie on its side or head
_TURNED = 0.8  # what a turned page must read at least
_BY_FAR, _NEARLY = 0.1, 0.05
_LINE_SHAPE = 1.5  # times as wide as high
_FAINT = 40  # of 255: how far a pixel's grey is from the paper's where a letter stands
_INK = 3  # of 255: how far a column's mean grey is from the paper's where a letter stands
_LINE_HEIGHT = 96  # pixels; nobody frames a single line much larger
_LONG = 40  # times as long as wide: without a margin the detector sees nothing in it
_SMALL = 100  # pixels of the shorter side: a picture like a crop, with the text at its very edge


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows in reading order. ``rotated``: by how many degrees the text is turned clockwise in the picture."""

    rows: tuple[Row, ...] = ()
    rotated: int = 0

    @property
    def lines(self) -> tuple[Line, ...]:
        """All pieces in reading order, also those that could not be read."""
        return tuple(line for row in self.rows for line in row)

    @property
    def score(self) -> float:
        """The mean score, long pieces counting more; what could not be read counts as 0."""
        weights = [_length(line) for line in self.lines]
        scores = [line.score if line.text else 0.0 for line in self.lines]
        return sum(w * s for w, s in zip(weights, scores, strict=True)) / sum(weights) if weights else 0.0


def read_page(engine: Engine, image: Image.Image, layout: Layout = "auto") -> Reading:
    """Reads a whole RGB picture; one that reads badly is turned and read again, and the best reading kept."""
    if min(image.size) < max(_SMALL, max(image.size) // _LONG):
        return read_part(engine, image, (0, 0, *image.size))
    return _upright(engine, image, layout)


def read_part(engine: Engine, image: Image.Image, box: Box) -> Reading:
    """Reads the text inside ``box`` (pixels of ``image``); boxes of the result are in pixels of ``image``.

    A part that may be one line is read by recognition alone, which tight crops need; else the surroundings of a
    line's height are read with it, and what is not centred in the box is left out.
    """
    line = _single_line(engine, image, box)
    if line and line.score >= _SURE:
        return Reading(((line,),))
    margin = _margin(box)
    found = _upright(engine, _with_margin(image, box, margin))
    moved = _moved(found, box[0] - margin, box[1] - margin, image.size)
    inside = replace(moved, rows=tuple(filter(None, (_centred(row, box) for row in moved.rows))))
    return Reading(((line,),)) if line and line.score > inside.score else inside


def _single_line(engine: Engine, image: Image.Image, box: Box) -> Line | None:
    box = _inked(image, box)
    width, height = box[2] - box[0], box[3] - box[1]
    if height > _LINE_HEIGHT or not _LINE_SHAPE * height <= width <= _LONG * height:
        return None
    part = image.crop(box)
    if _has_wide_gap(part):
        return None
    line = engine.read_line(part)
    return line.placed(lambda each: _shifted(each, box[0], box[1])) if line.text else None


def _inked(image: Image.Image, box: Box) -> Box:
    """The box without its empty margin: recognition scales a line to a fixed height, and paper would take that up."""
    part = image.crop(box).convert("L")
    paper = Image.new("L", part.size, ImageStat.Stat(part).median[0])
    found = ImageChops.difference(part, paper).point([0] * _FAINT + [255] * (256 - _FAINT)).getbbox()
    if not found:
        return box
    rim = max(2, (found[3] - found[1]) // 6)
    x0, y0, x1, y1 = clamped((found[0] - rim, found[1] - rim, found[2] + rim, found[3] + rim), part.size)
    return (box[0] + x0, box[1] + y0, box[0] + x1, box[1] + y1)


def _has_wide_gap(part: Image.Image) -> bool:
    """Whether an empty stretch as wide as the part is high divides it: recognition would join what stands beside it."""
    columns = part.convert("L").resize((part.width, 1), Image.Resampling.BOX).tobytes()
    paper = median(columns)
    inked = [x for x, grey in enumerate(columns) if abs(grey - paper) > _INK]
    return any(after - before > part.height for before, after in pairwise(inked))


def _upright(engine: Engine, image: Image.Image, layout: Layout = "auto") -> Reading:
    """The picture read as it is, or turned if that reads better by far: foreign scripts read badly all around."""
    as_is = Reading(tuple(reading_order(engine.read(image), layout)))
    tall = _is_mostly_tall(as_is.lines)
    if not as_is.lines or (as_is.score >= _SURE and not tall):
        return as_is
    turned = max((_turned(engine, image, degrees, layout) for degrees in ((90, 270) if tall else (180,))), key=_score)
    # Engines read tall pieces as well as turned ones, but their order is only known on the upright page.
    needed = as_is.score - _NEARLY if tall and as_is.score >= _SURE else max(_TURNED, as_is.score + _BY_FAR)
    return turned if turned.score > needed else as_is


def _turned(engine: Engine, image: Image.Image, degrees: int, layout: Layout) -> Reading:
    """The reading of the picture turned counter-clockwise, with boxes of the picture as it is."""
    turn = {
        90: Image.Transpose.ROTATE_90,
        180: Image.Transpose.ROTATE_180,
        270: Image.Transpose.ROTATE_270,
    }[degrees]
    rows = reading_order(engine.read(image.transpose(turn)), layout)

    def back(box: Box) -> Box:
        return _turned_back(box, degrees, image.size)

    return Reading(tuple(tuple(line.placed(back) for line in row) for row in rows), degrees)


def upright_box(box: Box, rotated: int, size: tuple[int, int]) -> Box:
    """A box of a picture of ``size`` -> the box where it stands once the text, turned by ``rotated``, is upright."""
    if not rotated:
        return box
    upright = size if rotated == 180 else (size[1], size[0])
    return _turned_back(box, 360 - rotated, upright)


def _turned_back(box: Box, degrees: int, size: tuple[int, int]) -> Box:
    """A box of the picture turned counter-clockwise -> a box of the picture, which has ``size``."""
    (x0, y0, x1, y1), (width, height) = box, size
    match degrees:
        case 90:
            return (width - y1, x0, width - y0, x1)
        case 180:
            return (width - x1, height - y1, width - x0, height - y0)
        case _:
            return (y0, height - x1, y1, height - x0)


def _margin(box: Box) -> int:
    """A line's height, as far as it can be guessed from a box: all of a low one, a part of a high one."""
    sides = (box[2] - box[0], box[3] - box[1])
    return max(12, min(*sides, 48), max(sides) // _LONG)


def _with_margin(image: Image.Image, box: Box, margin: int) -> Image.Image:
    """The box and what is around it; beyond the picture's edge, the colour that the part's own edge has most."""
    outer = (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
    seen = clamped(outer, image.size)
    beyond = (seen[0] - outer[0], seen[1] - outer[1], outer[2] - seen[2], outer[3] - seen[3])
    part = image.crop(seen)
    return ImageOps.expand(part, beyond, fill=_edge_colour(part)) if any(beyond) else part


def _edge_colour(part: Image.Image) -> tuple[int, ...]:
    """The median of the outermost pixels: text that touches the edge is fewer pixels than what it stands on."""
    inside = Image.new("L", part.size, 255)
    if min(part.size) > 2:
        inside.paste(0, (1, 1, part.width - 1, part.height - 1))
    return tuple(ImageStat.Stat(part, inside).median)


def _moved(reading: Reading, dx: int, dy: int, size: tuple[int, int]) -> Reading:
    def moved(box: Box) -> Box:
        return clamped(_shifted(box, dx, dy), size)

    return replace(reading, rows=tuple(tuple(line.placed(moved) for line in row) for row in reading.rows))


def _shifted(box: Box, dx: int, dy: int) -> Box:
    return (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)


def _centred(row: Iterable[Line], box: Box) -> Row:
    return tuple(line for line in row if _holds(box, (line.box[0] + line.box[2]) / 2, (line.box[1] + line.box[3]) / 2))


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _score(reading: Reading) -> float:
    return reading.score


def _is_mostly_tall(lines: Sequence[Line]) -> bool:
    tall = [line for line in lines if line.box[3] - line.box[1] > _LINE_SHAPE * (line.box[2] - line.box[0])]
    return 2 * sum(map(_length, tall)) > sum(map(_length, lines))


def _length(line: Line) -> float:
    """How many letters fit into the piece, roughly: its longer side in its shorter ones."""
    sides = sorted((line.box[2] - line.box[0], line.box[3] - line.box[1]))
    return sides[1] / sides[0]
