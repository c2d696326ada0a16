"""Whether what an answer claims to read was read in the pictures. Pure: texts in, evidence out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from ....memory import fold
from ...answer import Evidence, Verdict

__all__ = ["ReadLine", "Reading", "check"]

_NUMBER = r"\d+(?:[.,:'\u2019\u00a0\u202f]\d+)*"
_CLAIM = re.compile(
    r"\"(?P<straight>[^\"\n]+)\"|\u201c(?P<curly>[^\u201d\n]+)\u201d|\u201e(?P<low>[^\u201c\u201d\n]+)[\u201c\u201d]"
    r"|\u00ab(?P<angle>[^\u00bb\n]+)\u00bb|(?<!\w)['\u2018](?P<single>[^'\u2019\n]+)['\u2019](?!\w)"
    rf"|(?<![\w.,])(?P<number>{_NUMBER})(?=[A-Za-z]{{0,3}}(?!\w|[-/_]\w))"
    r"|(?P<code>[A-Za-z0-9]+(?:[-/_.][A-Za-z0-9]+)*)"
)
_THOUSANDS = re.compile(r"(?<=\d)[.,'\u2019](?=\d{3}(?!\d))")
_SPACED_THOUSANDS = re.compile(r"(?<=\d)[ \u00a0\u202f](?=\d{3}(?!\d))")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_LOOK_ALIKES = str.maketrans("oil|", "0111")
_NEAR = 0.6  # of a line's letters shared: what is that near contradicts, what is further off is something else


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A piece of text that was read; ``box`` in pixels of the original picture."""

    text: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read in a picture. ``gaps``: some text there could not be read. ``problem``: why nothing was tried."""

    image: str
    lines: tuple[ReadLine, ...] = ()
    gaps: bool = False
    problem: str = ""


def check(answer: str, readings: Sequence[Reading]) -> tuple[Evidence, ...]:
    """Each quoted text, code and number of two digits or more in the answer, held against what was read.

    Case, blanks, thousands separators and the look-alikes O/0 and I/l/1 make no difference. "agree": it stands in a
    picture. "conflict": text was read, and this is not in it. "unreadable": it may be where nothing could be read.
    "unchecked": no picture could be read. Names of pictures are no claims, nor is anything where there is no picture.
    """
    names = {fold(reading.image) for reading in readings}
    return tuple(_held(claim, readings) for claim in _claims(answer, names)) if readings else ()


def _claims(answer: str, names: set[str]) -> Iterator[str]:
    told: set[str] = set()
    for match in _CLAIM.finditer(answer):
        claim = match.group().strip("\"'\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019").strip(" .,;:!?")
        if match.lastgroup in ("number", "code") and not _is_telling(claim):
            continue
        if claim and fold(claim.lstrip("@")) not in names and fold(claim) not in told:
            told.add(fold(claim))
            yield claim


def _is_telling(word: str) -> bool:
    """Two digits or more, or a digit among letters: a lone digit counts things oftener than it quotes them."""
    digits = sum(char.isdigit() for char in word)
    return digits >= 2 or (digits == 1 and len(word) >= 3 and not re.fullmatch(r"\d(st|nd|rd|th)", word))


def _held(claim: str, readings: Sequence[Reading]) -> Evidence:
    for reading in readings:
        for line in reading.lines:
            if _stands_in(claim, line.text):
                return Evidence(reading.image, line.box, claim, line.text, "agree")
    for reading in readings:
        if _stands_in(claim, " ".join(line.text for line in reading.lines)):  # across several lines
            return Evidence(reading.image, None, claim, claim, "agree")
    return _missed(claim, readings)


def _missed(claim: str, readings: Sequence[Reading]) -> Evidence:
    lines = [(reading, line) for reading in readings for line in reading.lines]
    problems = [reading for reading in readings if reading.problem]
    if not lines:
        first, verdict = (problems or readings)[0], "unchecked" if problems else "unreadable"
        return Evidence(first.image, None, claim, first.problem, verdict)
    likeness, reading, line = max(
        ((_likeness(claim, line.text), reading, line) for reading, line in lines), key=lambda found: found[0]
    )
    if likeness >= _NEAR:
        return Evidence(reading.image, line.box, claim, line.text, "conflict")
    doubtful = next((reading for reading in readings if reading.gaps or reading.problem), None)
    verdict: Verdict = "conflict" if doubtful is None else "unreadable"
    return Evidence((doubtful or reading).image, None, claim, doubtful.problem if doubtful else "", verdict)


def _likeness(claim: str, line: str) -> float:
    """How like the claim is to the line, or to the word in it that is likest."""
    wanted = _folded(claim)
    return max(SequenceMatcher(None, wanted, _folded(part)).ratio() for part in (line, *line.split()))


def _stands_in(claim: str, text: str) -> bool:
    """With look-alikes and without, with blanks between thousands and without."""
    pattern = _pattern(_folded(claim))
    alike = _pattern(_folded(claim).translate(_LOOK_ALIKES))
    forms = {_folded(text), _folded(_SPACED_THOUSANDS.sub("", text))}
    return any(pattern.search(form) or alike.search(form.translate(_LOOK_ALIKES)) for form in forms)


def _folded(text: str) -> str:
    plain = _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).casefold())
    return _DECIMAL_COMMA.sub(".", " ".join(plain.split()))


def _pattern(claim: str) -> re.Pattern[str]:
    """The claim as whole words or a whole number; blanks between digits stay, they may stand between two numbers."""
    if re.fullmatch(r"[\d.:]+", claim):
        return re.compile(rf"(?<!\d)(?<!\d[.:]){re.escape(claim)}(?![.:]?\d)")
    letters = r"\s*".join(re.escape(char) for char in claim if char != " ")
    return re.compile(rf"(?<!\w){letters}(?!\w)")
