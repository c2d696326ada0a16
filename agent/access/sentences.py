"""Where sentences end, in the languages and scripts that models write."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["shortened", "split"]

# A full stop ends a sentence where a blank follows; those of Chinese, Japanese and Hindi need none.
_END = re.compile("[.!?\u2026\u061f\u06d4]+[\"'\u201d\u2019\u00bb)\\]]*(?=\\s)|[\u3002\uff01\uff1f\u0964]|\n+")
_ABBREVIATED = re.compile(
    r"(?:^|[\s(\"'\u201c\u201e\u00ab])(?:\w|\d+|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|approx|[ap]\.m|e\.g|i\.e|No|z\.\s?B|bzw|usw|ca|Nr|Hr|Fr|Mme|Sr|Sra)\.$"
)
_DANGLING = frozenset(  # what a shortened phrase must not end with
    [
        *("a", "an", "the", "of", "in", "on", "at", "to", "and", "or", "with", "for", "by", "from", "is", "are"),
        *("der", "die", "das", "dem", "den", "ein", "eine", "einer", "einem", "einen", "und", "oder", "mit", "von"),
        *("vor", "auf", "im", "am", "zu", "ist", "sind", "le", "la", "les", "un", "une", "des", "du", "de", "et", "ou"),
        *("avec", "sur", "dans", "est", "sont", "el", "los", "las", "una", "y", "o", "con", "en", "es", "del", "al"),
    ]
)


def split(text: str) -> list[str]:
    """The sentences of a text, each on one line; none is cut inside "z. B." or at "No. 5"."""
    found: list[str] = []
    start = 0
    for end in _END.finditer(text):
        if not _ABBREVIATED.search(text[start : end.end()]):
            found.append(text[start : end.end()])
            start = end.end()
    found.append(text[start:])
    return [line for each in found if (line := " ".join(each.split()))]


def shortened(text: str, limit: int) -> str:
    """A text of at most ``limit`` characters: cut after a word that can be the last one, with an ellipsis."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 1]
    words = kept.split(" ")
    if not text[limit - 1].isspace() and len(words) > 1:  # the last one is only a part of a word
        words.pop()
    while len(words) > 1 and words[-1].strip(",;:()").casefold() in _DANGLING:
        words.pop()
    kept = " ".join(words)
    while kept and unicodedata.combining(text[len(kept)]):  # a letter stays with its accents
        kept = kept[:-1]
    return kept.rstrip(" ,;:-\u2013(") + "\u2026"
