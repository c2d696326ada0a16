"""What is known of a picture before a model is asked: faults, its text, and whether it shows anything besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from PIL import Image, ImageChops, ImageDraw, ImageStat

from ....memory.recipe import Box
from ...toolbox import view_of
from ..check import Fault, check_pixels

if TYPE_CHECKING:
    from ....memory import NamedPicture
    from ....tools import Tool
    from ...chat import Chat

__all__ = ["Seen", "looked_at"]

_FAINT = 48  # of 255: how far a pixel is from the paper where something stands
_EMPTY = 0.01  # of a picture: what may stand outside its text where it is nothing but text
_LETTERS = 2  # letters and digits of a text; a shape may be read as one
_SIDE = 512  # pixels to which a picture is scaled to look at that


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen. ``lines`` are what was read, ``uncertain`` pieces of it that may be wrong.

    ``has_gaps``: some text couldn't be read. ``unread`` says why nothing could be read at all. ``is_text``: there is
    text, and nothing besides.
    """

    faults: tuple[Fault, ...] = ()
    lines: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    has_gaps: bool = False
    unread: str = ""
    is_text: bool = False

    @property
    def text(self) -> str:
        """What was read, on one line."""
        return " ".join(self.lines)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see."""
        return any(fault.kind in ("black", "blank", "uniform") for fault in self.faults)


def looked_at(chat: Chat, picture: NamedPicture, reader: Tool | None, lang: str) -> Seen:
    """Look at a picture of a conversation; ``reader`` is the tool that reads, None not to read.

    What was read is kept for the checks of answers, so that nothing is read twice.
    """
    view = view_of(chat.memory, picture)
    faults = check_pixels(view.pixels(), lang=lang)
    if reader is None or any(fault.kind in ("black", "blank", "uniform") for fault in faults):
        return Seen(faults)
    result = reader.run({"image": picture.name}, lambda _: view)
    if result.error or not isinstance(result.data, Mapping):
        return Seen(faults, unread=" ".join(result.text.split()))
    chat.agent.reader.learn(view, result.data, reader)
    return _read(faults, cast("Mapping[str, Any]", result.data), view.pixels())


def _read(faults: tuple[Fault, ...], data: Mapping[str, Any], pixels: Image.Image) -> Seen:
    pieces: Sequence[Mapping[str, Any]] = data["lines"]
    if sum(char.isalnum() for piece in pieces for char in piece["text"]) < _LETTERS:
        pieces = ()
    rows: dict[int, list[str]] = {}
    for piece in pieces:
        rows.setdefault(piece["row"], []).append(piece["text"])
    lines = tuple(" ".join(row) for row in rows.values())
    uncertain = tuple(str(piece["text"]) for piece in pieces if piece["uncertain"])
    boxes = [cast("Box", tuple(piece["box"])) for piece in pieces]
    is_text = bool(lines) and _is_empty_outside(pixels, boxes)
    return Seen(faults, lines, uncertain, bool(data.get("unread") or data.get("truncated")), "", is_text)


def _is_empty_outside(pixels: Image.Image, boxes: Sequence[Box]) -> bool:
    """Whether nothing stands on the paper but what is in the boxes, with some room around them."""
    grey = pixels.convert("L")
    pen = ImageDraw.Draw(grey)
    paper = _paper(grey)
    for x0, y0, x1, y1 in boxes:
        room = max(4, (y1 - y0) // 3)
        pen.rectangle((x0 - room, y0 - room, x1 + room, y1 + room), fill=paper)
    grey.thumbnail((_SIDE, _SIDE))
    stands = ImageChops.difference(grey, Image.new("L", grey.size, paper)).point([0] * _FAINT + [255] * (256 - _FAINT))
    return ImageStat.Stat(stands).mean[0] / 255 < _EMPTY


def _paper(grey: Image.Image) -> int:
    """The commonest grey of a picture."""
    counts = grey.histogram()
    return counts.index(max(counts))
