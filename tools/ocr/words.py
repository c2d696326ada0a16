"""A recognised line as words: how sure each one is, and where it stands.

Recognition scores every letter and knows in which column of the line it was seen; words are what spaces divide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ...memory.recipe import Box
from .engine import Word

__all__ = ["Corners", "Recognised", "box_around", "words_of"]

Corners: TypeAlias = list[list[float]]
"""The four corners (x, y) of a line in pixels: from the upper left one on, clockwise."""

# Recognition loses the space of "Bonn, 7 May" more often than that of any other place.
_WORD = re.compile(r"\S+?(?:(?<=[^\W\d_]{2},)(?=\d)|(?=\s|$))")
_LETTER = 0.5  # of a line's height: how wide a letter is where a word has only one


@dataclass(frozen=True, slots=True)
class Recognised:
    """A line as the recogniser spells it.

    ``scores``: of each letter of ``text``, spaces too. ``middles``: of each letter but spaces, where its middle stands,
    0..1 of the line's width. Both are empty where the recogniser doesn't tell.
    """

    text: str
    score: float
    scores: tuple[float, ...] = ()
    middles: tuple[float, ...] = ()


def words_of(line: Recognised, corners: Corners, size: tuple[int, int]) -> tuple[Word, ...]:
    """The words of a line between four corners, in a picture of ``size`` (width, height)."""
    found = list(_WORD.finditer(line.text))
    letters = sum(len(match.group()) for match in found)
    if len(line.scores) != len(line.text) or len(line.middles) != letters:
        return tuple(Word(match.group(), box_around(corners, size), line.score) for match in found)
    words: list[Word] = []
    before = 0
    for number, match in enumerate(found):
        middles = line.middles[before : before + len(match.group())]
        start, end = _span(middles, corners)
        part = _between(corners, 0.0 if number == 0 else start, 1.0 if number == len(found) - 1 else end)
        words.append(Word(match.group(), box_around(part, size), min(line.scores[slice(*match.span())])))
        before += len(middles)
    return tuple(words)


def box_around(corners: Corners, size: tuple[int, int]) -> Box:
    """The upright box around four corners, inside the picture and never empty."""
    xs, ys = [corner[0] for corner in corners], [corner[1] for corner in corners]
    x0, y0 = min(int(min(xs)), size[0] - 1), min(int(min(ys)), size[1] - 1)
    return (x0, y0, max(x0 + 1, min(size[0], round(max(xs)))), max(y0 + 1, min(size[1], round(max(ys)))))


def _span(middles: Sequence[float], corners: Corners) -> tuple[float, float]:
    """From where to where a word reaches, 0..1 of the line's width."""
    (x0, y0), (x1, _), _, (_, y3) = corners
    pitch = (middles[-1] - middles[0]) / (len(middles) - 1) if len(middles) > 1 else 0.0
    half = (pitch or _LETTER * abs(y3 - y0) / max(1.0, abs(x1 - x0))) / 2
    return max(0.0, middles[0] - half), min(1.0, middles[-1] + half)


def _between(corners: Corners, start: float, end: float) -> Corners:
    """The part of a line from one share of its width to another."""
    upper_left, upper_right, lower_right, lower_left = corners

    def along(one: list[float], other: list[float], share: float) -> list[float]:
        return [a + share * (b - a) for a, b in zip(one, other, strict=True)]

    return [
        along(upper_left, upper_right, start),
        along(upper_left, upper_right, end),
        along(lower_left, lower_right, end),
        along(lower_left, lower_right, start),
    ]
