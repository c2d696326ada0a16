"""The parts of an answer that can be held against a picture: found by rules, in the model's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...memory import fold
from ..backends.backend import Token
from .days import flawed_dates
from .values import Kind, Value, find_values

__all__ = ["Claim", "NUMBERS", "find_claims"]

_QUOTE = re.compile(
    r"(?<!\d)\"(?P<straight>[^\"\n]{1,300})\"(?!\s*:)|\u201c(?P<curly>[^\u201d\n]{1,300})\u201d|\u201e(?P<low>[^\u201c\u201d\n]{1,300})[\u201c\u201d]"
    r"|\u00ab\s?(?P<angle>[^\u00bb\n]{1,300}?)\s?\u00bb|(?<!\w)['\u2018](?P<single>[^'\u2019\n]{1,300})['\u2019](?!\w)"
    r"|`(?P<tick>[^`\n]{1,300})`"
)
_CODE = re.compile(
    r"(?<![\w@/.-])(?:"
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?:https?://|www\.)[^\s<>\"']+[\w/]"  # addresses
    r"|\+\d[\d ()/-]{6,}\d|\(?0\d{1,5}\)?[ /-]\d[\d /-]{3,}\d"  # telephone numbers
    r"|(?=[\w/_.:-]*\d)(?=[\w/_.:-]*[^\W\d_])[^\W_]+(?:[-/_.:][^\W_]+)*"  # letters and digits
    r"|\d+(?:\.\d+){2,}|\d{3,}(?:[-:]\d+)+|\d+(?:[-:]\d{3,})+|\d+(?:[-:]\d+){2,}|\d\d:\d\d"  # digits in groups
    r")(?!\w)"
)
_CAPITALS = re.compile(
    r"(?<![\w@.-])[^\W\d_a-z]{2,}(?:['&-][^\W\d_a-z]+)*(?:[ ](?:&|[^\W\d_a-z]{2,})(?:['-][^\W\d_]+)*)*(?!\w)"
)
# Words with a digit: ordinals, decades, multiples, "3-day", "A3-sized".
_COMPOUND = re.compile(
    r"\d+(?:st|nd|rd|th|er|e|ème|º|ª|s|x)(?:-\d+(?:st|nd|rd|th)|-[a-z]+)?|\d+[\u00bc-\u00be]?(?:-[a-z]{2,})+|[A-Za-z]\d(?:-[a-z]{3,})+",
    re.IGNORECASE,
)
_NUMBER_WORDS = (
    "two three four five six seven eight nine ten",
    "zwei drei vier fünf sechs sieben acht neun zehn",
    "deux trois quatre cinq six sept huit neuf dix",
    "dos tres cuatro cinco seis siete ocho nueve diez",
)
NUMBERS = {
    **dict.fromkeys(("no", "zero", "null", "keine", "aucun", "cero"), 0),
    **{"one": 1},  # in other languages it is an article as well
    **{word: number for words in _NUMBER_WORDS for number, word in enumerate(words.split(), 2)},
}
"""The numbers that things are counted in, by their words in English, German, French and Spanish."""
_COUNT = re.compile(
    rf"(?<![\w.,])(?:\d|{'|'.join(NUMBERS)})(?=\s+(?:[^\W\d_]+\s+){{0,2}}[^\W\d_]+[sn]\b)", re.IGNORECASE
)
_SIDE = re.compile(
    r"(?<!\w)(?:(?:to the )?(?:left|right) of|above|below|underneath|links von|rechts von|oberhalb|unterhalb"
    r"|à (?:gauche|droite) de|au-dessus de|en dessous de|a la (?:izquierda|derecha) de|encima de|debajo de)(?!\w)",
    re.IGNORECASE,
)
_LEAST_LOGPROB = -100.0  # a token that was forced may have none
_MOST = 200  # claims of an answer; one with more lists things
_TELLING_CODE = 4  # characters
_TELLING_DIGITS = 3  # a bare number of fewer counts things oftener than it is read off them
_FILLERS = 3  # words beside what is claimed that an answer may have and still be nothing but that


@dataclass(frozen=True, slots=True)
class Claim:
    """A part of an answer. ``start`` and ``end`` are its place there; ``text`` leaves quotation marks out.

    ``is_reading``: it tells what stands in the picture, so that it is wrong if it stands nowhere; other claims
    may rest on something else. ``logprob`` is the mean natural logarithm of its tokens' probabilities, if known.
    """

    kind: Kind
    text: str
    start: int
    end: int
    is_reading: bool = True
    value: Value | None = None
    logprob: float | None = None

    @property
    def is_text(self) -> bool:
        """Whether it can be compared with text; counts and sides are about things."""
        return self.kind not in ("count", "side")


def find_claims(answer: str, *, names: Sequence[str] = (), tokens: Sequence[Token] = ()) -> tuple[Claim, ...]:
    """The claims of an answer in their order, none within another; the first 200.

    Quoted texts, codes and addresses, amounts with currency or unit, dates, times, numbers, words in capitals, counts
    ("two cups") and sides ("left of"). ``names`` are those of pictures, which claim nothing. ``tokens`` are the
    answer's, if they are known: their texts joined are the answer, but for blanks around it.
    """
    taken, is_taken = list[Claim](), bytearray(len(answer))
    known = {fold(name) for name in names}
    for claim in _found(answer):
        is_free = not any(is_taken[claim.start : claim.end])
        if is_free and claim.text and fold(claim.text.lstrip("@")) not in known:
            taken.append(claim)
            is_taken[claim.start : claim.end] = bytes([1]) * (claim.end - claim.start)
    beside = "".join(" " if mark else char for char, mark in zip(answer, is_taken, strict=True))
    rest = len(re.findall(r"[^\W\d_]+", beside))
    ordered = sorted(taken, key=lambda claim: claim.start)[:_MOST]
    return tuple(_settled(claim, rest, answer, tokens) for claim in ordered)


def _found(answer: str) -> Iterator[Claim]:
    """Candidates, the surer kinds first."""
    for match in _QUOTE.finditer(answer):
        text = next(group for group in match.groups() if group).strip(" .,;:!?")
        yield Claim("quote", text, *match.span())
    values = find_values(answer)
    for value in (*flawed_dates(answer), *values):
        if value.kind != "number":
            yield _of_value(value)
    for match in _CODE.finditer(answer):
        if not _COMPOUND.fullmatch(match.group()):
            yield Claim("code", match.group(), *match.span(), is_reading=len(match.group()) >= _TELLING_CODE)
    for match in _COUNT.finditer(answer):
        yield Claim("count", match.group(), *match.span(), is_reading=False)
    for value in values:
        if value.kind == "number":
            yield _of_value(value)
    for match in _CAPITALS.finditer(answer):
        if match.group().isupper():
            yield Claim("name", match.group(), *match.span(), is_reading=False)
    for match in _SIDE.finditer(answer):
        yield Claim("side", match.group(), *match.span(), is_reading=False)


def _of_value(value: Value) -> Claim:
    is_reading = value.kind != "number" or len(value.digits) >= _TELLING_DIGITS
    return Claim(value.kind, value.text, value.start, value.end, is_reading, value)


def _settled(claim: Claim, rest: int, answer: str, tokens: Sequence[Token]) -> Claim:
    """With what the whole answer tells of it: one that is little else than its claims is read off the picture."""
    is_reading = claim.is_reading or (rest <= _FILLERS and claim.kind in ("name", "number"))
    return replace(claim, is_reading=is_reading, logprob=_logprob(claim, answer, tokens))


def _logprob(claim: Claim, answer: str, tokens: Sequence[Token]) -> float | None:
    leading = "".join(token.text for token in tokens).find(answer) if answer else -1
    if leading < 0:
        return None
    place, found = -leading, list[float]()
    for token in tokens:
        if place < claim.end and place + len(token.text) > claim.start:
            found.append(max(token.logprob, _LEAST_LOGPROB))
        place += len(token.text)
    return sum(found) / len(found) if found else None
