"""Whether a text stands in another, and how exactly; and what stands there that is nearest to it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import OSA

__all__ = ["Nearest", "Place", "nearest", "same", "standing", "words"]

_WORD = re.compile(r"[^\W_]+")
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
    return _tolerance(one, other) if _plain(one) == _plain(other) else _with_look_alikes(one, other)


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
    wanted, best = _plain(text), None
    for start, end in _windows(text, within, slack=2):
        likeness = OSA.normalized_similarity(wanted, _plain(within[start:end]))
        is_near = likeness >= (_NEAR if len(wanted) > _SHORT else 2 / 3)
        if is_near and len(wanted) >= _SHORT and (best is None or likeness > best.likeness):
            best = Nearest(start, end, likeness)
    return best


def _windows(text: str, within: str, *, slack: int) -> Iterator[tuple[int, int]]:
    """Runs of words in ``within`` that are about as long as the text."""
    length = len(_plain(text))
    words = [match.span() for match in _WORD.finditer(within)]
    for first, (start, _) in enumerate(words):
        size = 0
        for left, right in words[first:]:
            size += right - left
            if size > length + slack:
                break
            if size >= length - slack:
                yield start, right


def _plain(text: str) -> str:
    """Letters and digits alone, in one case; ligatures and full-width forms as their plain letters."""
    return "".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def _tolerance(one: str, other: str) -> str:
    spaced, other_spaced = (" ".join(unicodedata.normalize("NFKC", text).split()) for text in (one, other))
    if spaced == other_spaced:
        return ""
    if spaced.casefold() == other_spaced.casefold():
        return "case"
    return "spacing"


def _with_look_alikes(one: str, other: str) -> str | None:
    alike = [_plain(text.replace("|", "l")).translate(_LOOK_ALIKES) for text in (one, other)]
    return "look-alike characters" if alike[0] == alike[1] else None


def words(text: str) -> Sequence[str]:
    """The words of a text, folded, without numbers."""
    return [word for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()) if not word[0].isdigit()]
