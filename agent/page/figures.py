"""Pictures of a page: re-encoded without metadata, with the boxes that were looked at drawn on them."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from ...errors import LookTwiceError
from ...memory import Box, Conversation, Memory, NamedPicture, fold
from ..answer import Evidence
from ..words import Words, later, words
from .markup import Safe, element, escape, join

_LONGEST = 1000
_LARGEST_SHOWN = 560
_SMALLEST_SHOWN = 320
_MOST_ENLARGED = 4
_ENGLISH = words("en")
VERDICTS = {
    "agree": later("agree"),
    "conflict": later("conflict"),
    "unreadable": later("unreadable"),
    "unchecked": later("unchecked"),
}
"""How the verdicts of a check are called."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A box on a picture, in its pixels, and in words what it is. ``target`` is the picture that it became."""

    box: Box
    words: str
    target: str | None = None
    verdict: str | None = None


class Figures:
    """The pictures of one conversation, each shown once and referred to afterwards."""

    def __init__(
        self,
        memory: Memory,
        conversation: Conversation,
        *,
        say: Words = _ENGLISH,
        address: Callable[[NamedPicture], str] | None = None,
    ) -> None:
        """Pictures are read from ``memory`` when they are shown, and embedded, unless they have an ``address``."""
        self._memory = memory
        self._say: Words = say
        self._address = address
        self._named = {fold(picture.name): picture for picture in memory.pictures.all(conversation)}
        self._marks: dict[str, list[Mark]] = defaultdict(list)
        self._shown: set[str] = set()

    @property
    def waiting(self) -> list[str]:
        """The names of pictures that were not shown so far and are still there."""
        return [p.name for key, p in self._named.items() if key not in self._shown and not p.forgotten and not p.recipe]

    def mark_crops(self, names: Iterable[str]) -> None:
        """Draw where each of these crops lies on the picture that it comes from."""
        for name in names:
            crop = self._named.get(fold(name))
            if crop is not None and crop.recipe is not None and not crop.forgotten:
                root, box = self._memory.pictures.to_original(crop.key, (0, 0, crop.width, crop.height))
                self._add(root, Mark(box, self._part(crop.name, box), target=crop.name))

    def mark_evidence(self, evidence: Iterable[Evidence]) -> None:
        """Draw where each piece of evidence was read."""
        for item in evidence:
            picture = self._named.get(fold(item.image))
            if item.box is not None and picture is not None and not picture.forgotten:
                root, _ = self._memory.pictures.to_original(picture.key, (0, 0, picture.width, picture.height))
                self._add(root, Mark(item.box, self._verdict(item), verdict=item.verdict))

    def show(self, name: str) -> Safe:
        """The picture as a figure; a reference if it stands above already; a note if it was removed."""
        picture = self._named.get(fold(name))
        if picture is None or picture.forgotten:
            return element("p", self._say("Picture {name} was removed.", name=name), class_="note")
        if fold(name) in self._shown:
            return element("p", _link(picture.name), " ", self._say("stands above."), class_="note")
        self._shown.add(fold(name))
        try:
            source = self._address(picture) if self._address else data_url(self._memory.pictures.pixels(picture.key))
        except LookTwiceError as error:
            return element("p", self._say("Picture {name} can't be shown: {why}", name=name, why=error), class_="note")
        return self._figure(picture, source)

    def _part(self, name: str, box: Box) -> str:
        return self._say("{name}, the part from {place}", name=name, place=place(box, self._say))

    def _verdict(self, item: Evidence) -> str:
        told = [f"{item.claim}: {self._say(VERDICTS[item.verdict])}"]
        if item.read:
            told.append(self._say("read {text}", text=repr(item.read)))
        if item.looked:
            told.append(self._say("seen closely {text}", text=repr(item.looked)))
        return ", ".join(told)

    def _add(self, key: str, mark: Mark) -> None:
        if mark not in self._marks[key]:
            self._marks[key].append(mark)

    def _figure(self, picture: NamedPicture, source: str) -> Safe:
        marks, size = self._marks[picture.key], (picture.width, picture.height)
        width, height = _shown_size(size)
        img = element("img", src=source, alt=alternative(picture, self._say), width=width, height=height)
        frame = element("div", img, *([overlay(size, marks)] if marks else []), class_="frame")
        return element(
            "figure",
            frame,
            _caption(picture, marks, self._say),
            id=anchor(picture.name),
            class_="crop" if picture.recipe else None,
        )


def alternative(picture: NamedPicture, say: Words = _ENGLISH) -> str:
    """The words that stand for a picture: its alt text, else its name with its caption or size."""
    if picture.alt:
        return picture.alt
    if picture.caption:
        return say("Picture {name}: {caption}", name=picture.name, caption=picture.caption)
    size = {"width": picture.width, "height": picture.height}
    return say("Picture {name}, {width} by {height}", name=picture.name, **size)


def anchor(name: str) -> str:
    """The fragment under which a picture stands in the page."""
    return f"picture-{fold(name)}"


def place(box: Box, say: Words = _ENGLISH) -> str:
    """A box in words."""
    x0, y0, x1, y1 = box
    return say("{x0}, {y0} to {x1}, {y1}", x0=x0, y0=y0, x1=x1, y1=y1)


def _link(name: str) -> Safe:
    return element("a", element("bdi", name), href=f"#{anchor(name)}")


def _caption(picture: NamedPicture, marks: list[Mark], say: Words) -> Safe:
    size = say("{width} by {height} pixels", width=picture.width, height=picture.height)
    made = f", {say('made by {tool}', tool=picture.tool)}" if picture.tool else ""
    title = element("p", element("strong", element("bdi", picture.name)), f", {size}{made}")
    caption = [] if not picture.caption else [element("p", picture.caption, dir="auto")]
    label = say("Boxes drawn on the picture")
    boxes = [element("ol", *(_item(mark) for mark in marks), aria_label=label)] if marks else []
    return element("figcaption", title, *caption, *boxes)


def _item(mark: Mark) -> Safe:
    if mark.target is None:
        return element("li", mark.words, dir="auto")
    return element("li", _link(mark.target), mark.words.removeprefix(mark.target))


def overlay(size: tuple[int, int], marks: Sequence[Mark]) -> Safe:
    """Numbered boxes to lie over a picture of ``size`` (width, height) in a ``frame``; their words stand elsewhere."""
    width, height = size
    letter = max(6, round(max(size) / 26))
    drawn = join(_drawn(mark, number, letter) for number, mark in enumerate(marks, start=1))
    return element("svg", drawn, view_box=f"0 0 {width} {height}", aria_hidden="true", focusable="false")


def _drawn(mark: Mark, number: int, letter: int) -> Safe:
    x0, y0, x1, y1 = mark.box
    area = {"x": x0, "y": y0, "width": max(1, x1 - x0), "height": max(1, y1 - y0)}
    outline = [element("rect", class_=kind, **area) for kind in ("halo", "line")]
    above = y0 - letter / 3 if y0 > letter * 1.3 else y0 + letter
    label = element("text", str(number), x=x0, y=round(above), font_size=letter, stroke_width=max(2, letter // 6))
    return element("g", element("title", mark.words), *outline, label, class_=mark.verdict)


def _shown_size(size: tuple[int, int]) -> tuple[int, int]:
    longest = max(size)
    if longest >= _SMALLEST_SHOWN:
        scale = min(1.0, _LARGEST_SHOWN / longest)
    else:
        scale = min(_MOST_ENLARGED, _SMALLEST_SHOWN / longest)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def encoded(pixels: Image.Image, *, longest: int = _LONGEST) -> tuple[str, bytes]:
    """The media type and fresh bytes of the pixels alone, so that nothing that a camera wrote beside them is passed on.

    A picture with a longer side than ``longest`` is scaled down to it.
    """
    small = pixels.copy()
    small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    png, jpeg = _encoded(small, "PNG", optimize=True), _encoded(small, "JPEG", quality=85)
    return ("image/png", png) if len(png) <= 1.5 * len(jpeg) else ("image/jpeg", jpeg)


def data_url(pixels: Image.Image, *, longest: int = _LONGEST) -> Safe:
    """The same as a data URL."""
    mime, data = encoded(pixels, longest=longest)
    return escape(f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}")


def _encoded(pixels: Image.Image, kind: str, *, quality: int = 85, optimize: bool = False) -> bytes:
    bare = Image.frombytes("RGB", pixels.size, pixels.convert("RGB").tobytes())
    out = io.BytesIO()
    bare.save(out, kind, quality=quality, optimize=optimize)
    return out.getvalue()
