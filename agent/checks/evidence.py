"""Claims held against what was read: each with its picture, place and verdict. Pure: texts in, evidence out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ...memory import fold
from ..answer import Evidence, Verdict
from .claims import Claim, find_claims
from .matching import nearest, same, standing, words
from .readings import Piece, Reading
from .values import Value, find_values

__all__ = ["Reread", "check"]

Reread: TypeAlias = Callable[[str, tuple[int, int, int, int]], Sequence[Piece]]
"""Reads a box (pixels of the original) of the picture of that name again, closer."""

_CLAUSE = re.compile(
    r"[;!?\n]|[.,:](?!\d)|(?<!\w)(?:and|und|et|y|but|aber|mais|pero|while|whereas)(?!\w)", re.IGNORECASE
)
_SELECTIVE = 3  # rows; a word that stands on more of them tells no place
_LABEL = 2  # letters
_DERIVED = re.compile(
    r"(?<!\w)(?:difference|differs?|sum|average|plus|minus|together|altogether|more|less|cheaper|dearer|change|saved?"
    r"|each|twice|half|double|Differenz|Unterschied|Summe|zusammen|mehr|weniger|différence|somme|ensemble|plus|moins"
    r"|diferencia|suma|juntos|más|menos)(?!\w)",
    re.IGNORECASE,
)
# Words that stand in every sentence, and those of questions about what is written: they tell no place on a page.
_EMPTY_WORDS = """
a an and any are at be been but by can could did do does for from had has have how i in is it its me much many my no
not of on or please say says shown show shows so tell that the their there these they this to was were what when where
which who will with would you your image picture photo read reads written text sign cost costs amount amounts number
value der die das den dem ein eine ist sind war wie viel was im in auf zu von und oder mit für es kostet steht bild le
la les un une des du de est sont combien quel quelle dans sur et ou avec pour il elle coûte el los las es son cuánto
qué en y o con para cuesta
"""
_EMPTY = frozenset(_EMPTY_WORDS.split())


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a picture: its pieces joined by blanks."""

    reading: Reading
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return " ".join(_spaced(piece.text) for piece in self.pieces)

    def between(self, start: int, end: int) -> tuple[Piece, ...]:
        """The pieces in which that part of the text stands."""
        found: list[Piece] = []
        place = 0
        for piece in self.pieces:
            length = len(_spaced(piece.text))
            if place < end and place + length > start:
                found.append(piece)
            place += length + 1
        return tuple(found)


@dataclass(frozen=True, slots=True)
class _Found:
    """What stands somewhere: the text, its place, and what had to be overlooked to take it for the claim."""

    row: _Row
    start: int
    end: int
    tolerance: str = ""

    @property
    def read(self) -> str:
        return self.row.text[self.start : self.end]

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return self.row.between(self.start, self.end)

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        boxes = [piece.box for piece in self.pieces]
        if not boxes:
            return None
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)


def check(
    answer: str,
    readings: Sequence[Reading],
    *,
    question: str = "",
    claims: Sequence[Claim] | None = None,
    elsewhere: Sequence[Reading] = (),
    reread: Reread | None = None,
) -> tuple[Evidence, ...]:
    """Evidence for each claim of an answer, in their order.

    ``readings`` are of the pictures that the answer is about; ``elsewhere`` of others, in which a claim may stand by
    mistake. ``claims`` are those of `find_claims`, if they are known. ``reread`` settles what the two do not agree on.

    "agree": it stands there, ``note`` says what had to be overlooked. An amount beside a label must stand beside that
    label: "Bread 1.20" is wrong where 1.20 is the price of milk. "conflict": something else was read there.
    "unreadable": it may stand where nothing could be read. "unchecked": no picture could be read, or the claim is not
    about text. Without a picture, or without a claim about text, there is no evidence.
    """
    names = [reading.image for reading in (*readings, *elsewhere)]
    found = find_claims(answer, names=names) if claims is None else claims
    if not readings or not any(claim.is_text for claim in found):
        return ()
    page = _Page(answer, question, found, readings, elsewhere)
    evidence = [page.evidence(claim) for claim in found]
    if reread is not None and any(_may_be_misread(item) for item in evidence):
        closer = page.closer(evidence, reread)
        evidence = [
            _settled(item, closer.evidence(claim)) if _may_be_misread(item) else item
            for claim, item in zip(found, evidence, strict=True)
        ]
    return tuple(evidence)


class _Page:
    """All that was read, and how an answer's claims are placed in it."""

    def __init__(
        self,
        answer: str,
        question: str,
        claims: Sequence[Claim],
        readings: Sequence[Reading],
        elsewhere: Sequence[Reading],
    ) -> None:
        self._answer = answer
        self._question = question
        self._claims = claims
        self._readings = readings
        self._elsewhere = elsewhere
        self._rows = list(_rows(readings))
        self._words = [frozenset(words(row.text)) for row in self._rows]
        self._often = Counter(word for row in self._words for word in row)

    def evidence(self, claim: Claim) -> Evidence:
        """Where the claim stands, or what stands there instead."""
        if not claim.is_text:
            return self._of_things(claim)
        if claim.value is not None:
            return self._of_value(claim, claim.value)
        found = [place for row in self._rows if (place := _standing(claim.text, row)) is not None]
        found = found or list(self._across(claim))
        return _agreeing(claim, min(found, key=_strain)) if found else self._missed(claim)

    def closer(self, evidence: Sequence[Evidence], reread: Reread) -> _Page:
        """The same page with the doubtful places read again."""
        pieces: dict[tuple[str, tuple[int, int, int, int]], Sequence[Piece]] = {}
        for item in evidence:
            if _may_be_misread(item) and item.box is not None:
                pieces[item.image, item.box] = reread(item.image, item.box)
        readings = [_replaced(reading, pieces) for reading in self._readings]
        return _Page(self._answer, self._question, self._claims, readings, self._elsewhere)

    def _of_things(self, claim: Claim) -> Evidence:
        """Of what is counted or compared, sides between two texts can be told by where these stand."""
        if claim.kind == "side":
            told = self._side(claim)
            if told is not None:
                return told
        return _evidence(claim, self._readings[0].image, None, "", "unchecked", "not about text")

    def _side(self, claim: Claim) -> Evidence | None:
        before = [c for c in self._claims if c.end <= claim.start and c.is_text]
        after = [c for c in self._claims if c.start >= claim.end and c.is_text]
        if not before or not after or _CLAUSE.search(self._answer[before[-1].end : after[0].start]):
            return None
        one, other = self.evidence(before[-1]), self.evidence(after[0])
        if (
            one.box is None
            or other.box is None
            or {one.verdict, other.verdict} != {"agree"}
            or one.image != other.image
        ):
            return None
        is_right = _lies(one.box, other.box, claim.text)
        read = f"{one.box} and {other.box}"
        return _evidence(claim, one.image, one.box, read, is_right) if is_right else None

    def _of_value(self, claim: Claim, value: Value) -> Evidence:
        """An amount, a day or a time: by its label, if there is one, else anywhere."""
        anywhere = [place for row in self._rows for place in _equal(value, row)]
        labelled = self._labelled(claim)
        here = [place for row in labelled for place in _equal(value, row)]
        if here:
            return _agreeing(claim, min(here, key=_strain))
        rivals = [place for row in labelled for place in _alike(value, row) if not self._is_claimed(place, claim)]
        if rivals and (not anywhere or all(self._is_anothers(place.row, claim) for place in anywhere)):
            if self._is_derived(claim) and not anywhere:
                return self._not_found(claim)
            note = f"stands beside {_label(anywhere[0].row)!r}" if anywhere else ""
            return _conflicting(claim, rivals[-1], note)
        return _agreeing(claim, min(anywhere, key=_strain)) if anywhere else self._missed(claim)

    def _labelled(self, claim: Claim) -> list[_Row]:
        """The rows on which the words around a claim stand, and those under them that have no words of their own."""
        for near in (self._clause(claim), self._question):
            wanted = {word for word in words(near) if word not in _EMPTY and len(word) >= _LABEL}
            weights = [
                sum(1 / self._often[word] for word in wanted & row if self._often[word] <= _SELECTIVE)
                for row in self._words
            ]
            best = max(weights, default=0)
            if best > 0:
                chosen = [place for place, weight in enumerate(weights) if weight == best]
                return [self._rows[place] for first in chosen for place in self._with_rows_below(first)]
        return []

    def _with_rows_below(self, first: int) -> Iterator[int]:
        yield first
        for place in range(first + 1, len(self._rows)):
            is_same = self._rows[place].reading is self._rows[first].reading
            if not is_same or any(len(word) > _LABEL for word in self._words[place]):
                return
            yield place

    def _clause(self, claim: Claim) -> str:
        """The words around a claim, to the ends of its clause; of claims only those that are words."""
        start, end = self._bounds(claim)
        plain, quoted = self._answer, list[str]()
        for other in self._claims:
            plain = plain[: other.start] + " " * (other.end - other.start) + plain[other.end :]
            if other.kind in ("quote", "name") and start <= other.start < end:
                quoted.append(other.text)
        return " ".join([plain[start:end], *quoted])

    def _bounds(self, claim: Claim) -> tuple[int, int]:
        """Where the clause of a claim begins and ends in the answer."""
        starts = [match.end() for match in _CLAUSE.finditer(self._answer, 0, claim.start)]
        end = _CLAUSE.search(self._answer, claim.end)
        return max(starts, default=0), end.start() if end else len(self._answer)

    def _is_claimed(self, place: _Found, claim: Claim) -> bool:
        """Whether another claim of the clause tells what stands there: then it is no other reading of this one."""
        start, end = self._bounds(claim)
        beside = [c.value for c in self._claims if c is not claim and c.value and start <= c.start < end]
        return any(value.equals(other) for value in find_values(place.read) for other in beside)

    def _is_anothers(self, row: _Row, claim: Claim) -> bool:
        """Whether a row has a label, and none of its words stand in the claim's clause or the question."""
        labels = {word for word in words(row.text) if len(word) > _LABEL and word not in _EMPTY}
        return bool(labels) and not labels & {*words(self._clause(claim)), *words(self._question)}

    def _is_derived(self, claim: Claim) -> bool:
        """Whether the answer computed it: then it need not stand anywhere."""
        return bool(_DERIVED.search(self._clause(claim)) or _DERIVED.search(self._question))

    def _across(self, claim: Claim) -> Iterator[_Found]:
        """A text that runs over several rows."""
        for reading in self._readings:
            pieces = tuple(piece for row in reading.rows for piece in row)
            place = _standing(claim.text, _Row(reading, pieces))
            if place is not None:
                yield place

    def _missed(self, claim: Claim) -> Evidence:
        """What is likest to it; else whether it can stand somewhere unread."""
        likest: tuple[float, _Found] | None = None
        for row in self._rows:
            near = nearest(claim.text, row.text)
            if near is not None and (likest is None or near.likeness > likest[0]):
                likest = near.likeness, _Found(row, near.start, near.end)
        other = next((r for r in self._elsewhere if any(_holds(claim, row) for row in _rows([r]))), None)
        note = f"stands in {other.image}" if other else ""
        if likest is not None and not self._is_derived(claim):
            return _conflicting(claim, likest[1], note)
        return self._not_found(claim, note)

    def _not_found(self, claim: Claim, note: str = "") -> Evidence:
        problem = next((reading for reading in self._readings if reading.problem), None)
        gap = next((reading for reading in self._readings if reading.has_gaps), None)
        image = (problem or gap or self._readings[0]).image
        if problem is not None:
            return _evidence(claim, image, None, "", "unchecked", problem.problem)
        if not claim.is_reading or self._is_derived(claim):
            return _evidence(claim, image, None, "", "unchecked", note or "not among the text read")
        if gap is not None:
            return _evidence(claim, image, None, "", "unreadable", "some text there could not be read")
        if not self._rows:
            return _evidence(claim, image, None, "", "unreadable", "no text was read there")
        return _evidence(claim, image, None, "", "conflict", note or "not among the text read")


def _rows(readings: Sequence[Reading]) -> Iterator[_Row]:
    for reading in readings:
        for row in reading.rows:
            yield _Row(reading, row)


def _spaced(text: str) -> str:
    """With the blank before a time of day, which readers of text often lose: "2026-11-2117:45"."""
    return re.sub(r"(?<=\d)(?=(?:[01]\d|2[0-3]):[0-5]\d(?!\d))", " ", text)


def _standing(text: str, row: _Row) -> _Found | None:
    place = standing(text, row.text)
    return place and _Found(row, place.start, place.end, place.tolerance)


def _holds(claim: Claim, row: _Row) -> bool:
    return any(True for _ in _equal(claim.value, row)) if claim.value else standing(claim.text, row.text) is not None


def _equal(value: Value, row: _Row) -> Iterator[_Found]:
    """Where a row says the same as the value, read as values and, for look-alikes, as letters."""
    found = False
    for other in find_values(row.text):
        if value.equals(other):
            found = True
            yield _Found(row, other.start, other.end, _notation(value, other))
    if not found:
        place = standing(value.text, row.text)
        if place is not None and place.tolerance == "look-alike characters":
            yield _Found(row, place.start, place.end, place.tolerance)


def _notation(value: Value, other: Value) -> str:
    return "" if value.text == other.text or value.text in other.text or other.text in value.text else "notation"


def _alike(value: Value, row: _Row) -> Iterator[_Found]:
    """The row's values that the claimed one could have been."""
    likely = [other for other in find_values(row.text) if value.is_like(other)]
    decimals = [other for other in likely if re.search(r"[.,]\d\d\b", other.text)]
    # A price is meant by a price: quantities and numbers of articles stand beside it.
    for other in decimals if re.search(r"[.,]\d\d\b", value.text) else likely:
        yield _Found(row, other.start, other.end)


def _label(row: _Row) -> str:
    return " ".join(word for word in row.text.split() if not any(char.isdigit() for char in word))


def _lies(one: tuple[int, int, int, int], other: tuple[int, int, int, int], side: str) -> Verdict | None:
    """Whether a box lies on that side of another; None where they overlap in that direction."""
    said = side.casefold()
    if re.search(r"left|links|gauche|izquierda", said):
        before, after = one[2] <= other[0], one[0] >= other[2]
    elif re.search(r"right|rechts|droite|derecha", said):
        before, after = one[0] >= other[2], one[2] <= other[0]
    elif re.search(r"above|over|über|dessus|encima", said):
        before, after = one[3] <= other[1], one[1] >= other[3]
    else:
        before, after = one[1] >= other[3], one[3] <= other[1]
    return "agree" if before else "conflict" if after else None


def _strain(found: _Found) -> int:
    return len(found.tolerance)


def _agreeing(claim: Claim, found: _Found) -> Evidence:
    return _evidence(claim, found.row.reading.image, found.box, found.read, "agree", found.tolerance)


def _conflicting(claim: Claim, found: _Found, note: str = "") -> Evidence:
    return _evidence(claim, found.row.reading.image, found.box, found.read, "conflict", note)


def _evidence(
    claim: Claim, image: str, box: tuple[int, int, int, int] | None, read: str, verdict: Verdict, note: str = ""
) -> Evidence:
    return Evidence(image, box, claim.text, read, verdict, claim.kind, (claim.start, claim.end), claim.logprob, note)


def _may_be_misread(item: Evidence) -> bool:
    return item.verdict == "conflict" and item.box is not None


def _replaced(reading: Reading, again: dict[tuple[str, tuple[int, int, int, int]], Sequence[Piece]]) -> Reading:
    """A reading in which the pieces inside the boxes are those that were read again."""
    pieces = list(reading.pieces)
    for (image, box), closer in again.items():
        if fold(image) != fold(reading.image) or not closer:
            continue
        inside = [piece for piece in pieces if _is_inside(piece.box, box)]
        if inside:
            place, row = pieces.index(inside[0]), inside[0].row
            pieces = [piece for piece in pieces if piece not in inside]
            pieces[place:place] = [replace(piece, row=row) for piece in closer]
    return replace(reading, pieces=tuple(pieces))


def _is_inside(box: tuple[int, int, int, int], outer: tuple[int, int, int, int]) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _settled(first: Evidence, second: Evidence) -> Evidence:
    """What a closer reading changes: it may bear the claim out, or read a third thing; both are told."""
    if second.verdict == "agree":
        return replace(second, note=f"read as {first.read!r} at first")
    if second.verdict == "conflict" and second.read and same(second.read, first.read) is None:
        return replace(second, verdict="unreadable", note=f"read as {first.read!r} at first")
    return first
