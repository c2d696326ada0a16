"""What differs between two pictures of the same thing: found by code first, and told with what was compared.

from looktwice.agent.access import compare

found = compare("before.png", "after.png")
for difference in found.differences:
print(difference.place, difference.first, difference.texts)
print(found)  # the same in sentences, also where nothing differs

Needs the extra ``compare``; texts are compared where a reader is given.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

from ....errors import MissingExtra
from ....memory import Box, Picture
from .said import sentences

if TYPE_CHECKING:
    from ....tools.ocr.engine import Engine
    from .align import Array, Overlay

__all__ = ["Comparison", "Difference", "Source", "compare"]

Source: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | Picture

_SMALLEST = 8  # pixels at which pictures are compared: benchmarks/compare.py finds those
_MARGIN = 6


@dataclass(frozen=True, slots=True)
class Difference:
    """A region that differs: its box in the pixels of each picture, and its ``place`` in the first, as "top right".

    ``texts`` is what was read there in the first and in the second, where text was read and differs. ``said`` are a
    model's words about it, where one was asked.
    """

    first: Box
    second: Box
    place: str
    texts: tuple[str, str] | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, the largest first, and what was compared.

    ``aligned``: whether one picture could be laid over the other; where not, only their ``texts`` were compared: the
    lines that only the first has, and those that only the second has. ``shared`` is the share of the first picture
    that the second shows as well, ``smallest`` the size in pixels of the first from which on a change is seen;
    ``turned`` (degrees) and ``scaled`` tell how the second was laid over the first, ``moved`` by how many pixels.
    ``read``: whether texts were compared, too.
    """

    differences: tuple[Difference, ...]
    aligned: bool
    shared: float
    smallest: int
    moved: tuple[int, int] = (0, 0)
    turned: float = 0.0
    scaled: float = 1.0
    read: bool = False
    texts: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    language: str = "en"

    def __str__(self) -> str:
        return "\n".join(sentences(self))

    @property
    def same(self) -> bool:
        """Whether the pictures could be compared, and no difference was found."""
        return self.aligned and not self.differences


def compare(first: Source, second: Source, *, engine: Engine | None = None, lang: str = "en") -> Comparison:
    """The differences between two pictures of the same thing, but for size, a small shift or turn, and brightness.

    ``engine`` reads the text of both, and what was read differently is told; ``lang`` is the language of the
    sentences. Raises PictureRejected for what is no picture, MissingExtra without OpenCV.
    """
    if find_spec("cv2") is None:
        raise MissingExtra("OpenCV, which lays pictures over each other,", "compare")
    pictures = [Picture.load(source).pixels() for source in (first, second)]
    import numpy as np

    from .align import lay_over
    from .regions import excess

    overlay = lay_over(*(np.asarray(picture) for picture in pictures))
    ratio = excess(overlay)
    found = replace(_by_pixels(overlay, ratio, pictures), language=lang)
    if engine is None:
        return found
    from .text import read_both

    return read_both(found, overlay, ratio, pictures, engine)


def _by_pixels(overlay: Overlay, ratio: Array, pictures: Sequence[Image.Image]) -> Comparison:
    from .align import placed
    from .regions import differing, is_another

    regions = differing(ratio)
    if is_another(overlay, regions):
        return Comparison((), aligned=False, shared=0.0, smallest=0)
    sizes = [picture.size for picture in pictures]
    differences = [
        Difference(box, placed(region.box, overlay.to_second, sizes[1]), place_of(box, sizes[0]))
        for region in regions
        for box in [placed(region.box, overlay.to_first, sizes[0])]
    ]
    return _told(overlay, differences, sizes[0])


def _told(overlay: Overlay, differences: Sequence[Difference], size: tuple[int, int]) -> Comparison:
    moved, turned, scaled = overlay.movement(size)
    return Comparison(
        tuple(differences),
        aligned=True,
        shared=overlay.shared(size),
        smallest=max(_SMALLEST, round(_SMALLEST * overlay.scale)),
        moved=moved,
        turned=turned,
        scaled=scaled,
    )


def place_of(box: Box, size: tuple[int, int]) -> str:
    """Where the middle of a box is in a picture of ``size``, in thirds: "top left", "centre"."""
    column, row = (
        min(2, 3 * (low + high) // (2 * side)) for low, high, side in zip(box[:2], box[2:], size, strict=True)
    )
    words = (("top", "", "bottom")[row], ("left", "", "right")[column])
    return " ".join(filter(None, words)) or "centre"


def crops(difference: Difference, pictures: Sequence[Image.Image]) -> tuple[Image.Image, Image.Image]:
    """What each picture shows of a difference, with some of its surroundings."""
    return _crop(difference.first, pictures[0]), _crop(difference.second, pictures[1])


def _crop(box: Box, picture: Image.Image) -> Image.Image:
    margin = max(_MARGIN, (box[2] - box[0]) // 2, (box[3] - box[1]) // 2)
    left, top = max(0, box[0] - margin), max(0, box[1] - margin)
    return picture.crop((left, top, min(picture.width, box[2] + margin), min(picture.height, box[3] + margin)))
