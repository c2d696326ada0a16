"""Whether a text stands in another, and how exactly; and what stands there that is nearest to it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import OSA

__all__ = ["Nearest", "Place", "nearest", "same", "standing", "words"]

_WORD = re.compile(r"[^\W_]+")
# What tells one code from another: marks between digits, and signs within a word.
_TELLING = re.compile(r"(?<=\d)[.,:](?=\d)|(?<=[^\W_])[#!$%*+=?@](?=[^\W_])")
_LOOK_ALIKES = str.maketrans("oil|", "0111")
_SHORT = 3  # letters and digits; of fewer, a different one makes another word
_NEAR = 0.6  # the share of letters in common from which a text is meant to be another


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands in another, and what had to be overlooked for that: "" if nothing."""

    start: int
    end: int
    tolerance: str = ""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The place of the nearest text; ``likeness`` 0..1."""

    start: int
    end: int
    likeness: float


def same(one: str, other: str) -> str | None:
    """What has to be overlooked for two texts to be the same: "" for nothing; None if they are not."""
    if _marks(one) != _marks(other):
        return None
    if _plain(one) == _plain(other):
        return _tolerance(one, other)
    if _bare(one) == _bare(other):
        return "accents"
    return "look-alike characters" if _alike(one) == _alike(other) else None


def standing(text: str, within: str) -> Place | None:
    """Where a text stands within another as whole words, exactly if it does so anywhere."""
    best: Place | None = None
    for start, end in _windows(text, within, slack=6):
        tolerance = same(text, within[start:end])
        if tolerance == "":
            return Place(start, end)
        if tolerance is not None and (best is None or len(tolerance) < len(best.tolerance)):
            best = Place(start, end, tolerance)
    return best


def nearest(text: str, within: str) -> Nearest | None:
    """What is most like a text within another, by whole words; None if nothing is like it.

    Likeness is 1 - d / n, with the optimal string alignment distance d and the longer text's n letters and digits.
    """
    wanted, best = _bare(text), None
    for start, end in _windows(text, within, slack=2):
        likeness = OSA.normalized_similarity(wanted, _bare(within[start:end]))
        is_near = likeness >= (_NEAR if len(wanted) > _SHORT else 2 / 3)
        if is_near and len(wanted) >= _SHORT and (best is None or likeness > best.likeness):
            best = Nearest(start, end, likeness)
    return best


def words(text: str) -> Sequence[str]:
    """The words of a text, folded, without numbers and accents."""
    return [word for word in _WORD.findall(_unaccented(text)) if not word[0].isdigit()]


def _windows(text: str, within: str, *, slack: int) -> Iterator[tuple[int, int]]:
    """Runs of words in ``within`` that are about as long as the text."""
    length = len(_plain(text))
    places = _places(within)
    for first, (start, _) in enumerate(places):
        size = 0
        for left, right in places[first:]:
            size += right - left
            if size > length + slack:
                break
            if size >= length - slack:
                yield start, right


@lru_cache(4096)
def _places(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _WORD.finditer(text)]


@lru_cache(4096)
def _plain(text: str) -> str:
    """Letters and digits alone, in one case; ligatures and full-width forms as their plain letters."""
    return "".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


@lru_cache(4096)
def _bare(text: str) -> str:
    return "".join(_WORD.findall(_unaccented(text)))


@lru_cache(4096)
def _unaccented(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text).casefold()
    return "".join(char for char in apart if not unicodedata.combining(char))


@lru_cache(4096)
def _alike(text: str) -> str:
    return _bare(text.replace("|", "l")).translate(_LOOK_ALIKES)


@lru_cache(4096)
def _marks(text: str) -> tuple[str, ...]:
    """The marks that tell codes apart, each with how many letters and digits stand before it."""
    plain = unicodedata.normalize("NFKC", text)
    return tuple(f"{len(_plain(plain[: match.start()]))}{match.group()}" for match in _TELLING.finditer(plain))


def _tolerance(one: str, other: str) -> str:
    spaced, other_spaced = (" ".join(unicodedata.normalize("NFKC", text).split()) for text in (one, other))
    if spaced == other_spaced:
        return ""
    return "case" if spaced.casefold() == other_spaced.casefold() else "spacing"
