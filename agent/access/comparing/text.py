"""What was read differently in two pictures: in the regions that differ, and in lines that differ too finely for them.

A reader makes mistakes, and others on the same line scaled or encoded anew; so what it alone tells must be seen in the
pixels as well, if faintly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from PIL import Image

from ....memory import Box
from ....tools.ocr.engine import Engine, Line
from ....tools.ocr.reading import Reading, read_page
from .align import Array, Overlay, placed
from .comparison import Comparison, Difference, place_of
from .regions import faintly_differs

__all__ = ["read_both"]

_READ = 0.85  # the score of a line that can be believed to differ


def read_both(
    found: Comparison, overlay: Overlay, ratio: Array, pictures: Sequence[Image.Image], engine: Engine
) -> Comparison:
    """The comparison with the texts of both pictures; ``ratio`` is what `excess` says of the overlay."""
    first, second = (read_page(engine, picture) for picture in pictures)
    if not found.aligned:
        return replace(found, read=True, texts=(_only(first, second), _only(second, first)))
    told = tuple(_with_texts(difference, first, second) for difference in found.differences)
    more = [
        difference
        for difference in _read_differently(overlay, ratio, first, second, pictures)
        if not any(_touch(difference.first, other.first) for other in told)
    ]
    return replace(found, read=True, differences=(*told, *more))


def _only(one: Reading, other: Reading) -> tuple[str, ...]:
    """The lines that the other reading doesn't have."""
    there = Counter(_plain(line.text) for line in other.lines)
    left: list[str] = []
    for line in one.lines:
        if not line.text:
            continue
        if there[_plain(line.text)] > 0:
            there[_plain(line.text)] -= 1
        else:
            left.append(line.text)
    return tuple(left)


def _with_texts(difference: Difference, first: Reading, second: Reading) -> Difference:
    texts = _apart(_inside(first, difference.first), _inside(second, difference.second))
    return difference if texts is None else replace(difference, texts=texts)


def _inside(reading: Reading, box: Box) -> str:
    return " ".join(line.text for line in reading.lines if line.text and _touch(line.box, box))


def _read_differently(
    overlay: Overlay, ratio: Array, first: Reading, second: Reading, pictures: Sequence[Image.Image]
) -> Iterable[Difference]:
    for line in _sure(first):
        there = placed(overlay.in_frame(line.box), overlay.to_second, pictures[1].size)
        others = [other for other in _sure(second) if _same_line(there, other.box)]
        texts = _apart(line.text, others[0].text) if len(others) == 1 else None
        if texts is not None and faintly_differs(ratio, overlay.in_frame(line.box)):
            yield Difference(line.box, others[0].box, place_of(line.box, pictures[0].size), texts)


def _sure(reading: Reading) -> list[Line]:
    return [line for line in reading.lines if line.text and line.score >= _READ]


def _apart(first: str, second: str) -> tuple[str, str] | None:
    """The words that differ; None where none do."""
    if _plain(first) == _plain(second):
        return None
    one, other = first.split(), second.split()
    changes = [
        change
        for change in SequenceMatcher(None, [*map(_plain, one)], [*map(_plain, other)], autojunk=False).get_opcodes()
        if change[0] != "equal"
    ]
    left = " ".join(" ".join(one[start:end]) for _, start, end, _, _ in changes)
    right = " ".join(" ".join(other[start:end]) for _, _, _, start, end in changes)
    return None if _plain(left) == _plain(right) else (left.strip(), right.strip())


def _plain(text: str) -> str:
    """Without spaces, which readers set as they like."""
    return "".join(text.split()).casefold()


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _same_line(one: Box, other: Box) -> bool:
    """Whether two boxes share most of the smaller one's height and width."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return (
        width > 0.7 * max(one[2] - one[0], other[2] - other[0])
        and height > 0.5 * min(one[3] - one[1], other[3] - other[1])
    )  # fmt: skip
