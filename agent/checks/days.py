"""Days that no calendar has: a month misspelt by a letter, a day that the month lacks. They are claims all the same."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rapidfuzz.distance import OSA

from .values import MONTHS, Value

__all__ = ["flawed_dates"]

_WORD = r"(?P<month>[^\W\d_]{3,10})(?![^\W\d_])"
_DAY_FIRST = re.compile(
    rf"(?<![\w.,:/-])(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|\.)?\s*(?:(?:of|de)\s+)?{_WORD}"
    r"(?:\.?,?\s*(?:de\s+)?(?P<year>(?:19|20)\d\d)(?!\d))?",
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(
    rf"(?<!\w){_WORD}\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?![\w:]|[.,]\d)(?:,?\s+(?P<year>(?:19|20)\d\d)(?!\d))?",
    re.IGNORECASE,
)
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LONG = 6  # letters; a shorter word beside a number is nearly a month by chance, unless a year follows


def flawed_dates(text: str) -> Iterator[Value]:
    """The dates of a text that can be none as they are written. They equal nothing; ``text`` says how they stand."""
    for pattern in (_DAY_FIRST, _MONTH_FIRST):
        for match in pattern.finditer(text):
            if _is_flawed(match["month"], int(match["day"]), has_year=match["year"] is not None):
                yield Value("date", match.group(), *match.span(), frozenset(), is_flawed=True)


def _is_flawed(word: str, day: int, *, has_year: bool) -> bool:
    month = MONTHS.get(word.casefold())
    if month is not None:
        return has_year and not 1 <= day <= _LENGTHS[month - 1]
    is_meant = (has_year and word[0].isupper()) or len(word) >= _LONG
    return is_meant and 1 <= day <= max(_LENGTHS) and _is_nearly_a_month(word.casefold(), has_year=has_year)


def _is_nearly_a_month(word: str, *, has_year: bool) -> bool:
    names = (name for name in MONTHS if has_year or len(name) >= _LONG)
    return any(OSA.distance(word, name, score_cutoff=1) == 1 for name in names)
