"""Claims held against what was read: each with its picture, place and verdict. Pure: texts in, evidence out.

A conflict is told only where something speaks against the claim: another value beside its label, or a text that is
nearly the same. What merely stands nowhere may have been computed, rounded, translated or known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ...memory import fold
from ...memory.recipe import Box
from ..answer import Evidence, Verdict
from .claims import Claim, find_claims
from .matching import nearest, same, words
from .readings import Piece, Reading
from .rows import Found, Row, alike, equal, in_another_unit, place_of, rows_of
from .sentence import EMPTY, Sentence
from .values import Value, find_values

__all__ = ["Line", "Reread", "check", "related"]

Reread: TypeAlias = Callable[[str, Box], Sequence[Piece]]
"""Reads a box (pixels of the original) of the picture of that name again, closer."""

_LABEL = 2  # letters
_LONG = 5  # words
_REREAD = 4  # places of one answer at most
_PHONE = 8  # digits that tell one telephone from another
_ROUNDED = 0.05


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
    "unreadable": it may stand where nothing could be read. "unchecked": no picture could be read, the claim is not
    about text, or it need not stand there. Without a picture, or without a claim about text, there is no evidence.
    """
    names = [reading.image for reading in (*readings, *elsewhere)]
    found = find_claims(answer, names=names) if claims is None else claims
    if not readings or not any(claim.is_text for claim in found):
        return ()
    page = _Page(Sentence(answer, question, found), readings, elsewhere)
    evidence = [page.evidence(claim) for claim in found]
    doubtful = [item for item in evidence if _may_be_misread(item)]
    if reread is not None and doubtful:
        closer = page.closer(doubtful, reread)
        evidence = [
            _settled(item, closer.evidence(claim)) if _may_be_misread(item) else item
            for claim, item in zip(found, evidence, strict=True)
        ]
    return tuple(evidence)


class _Page:
    """All that was read, and how an answer's claims are placed in it."""

    def __init__(self, sentence: Sentence, readings: Sequence[Reading], elsewhere: Sequence[Reading]) -> None:
        self._sentence = sentence
        self._readings = readings
        self._elsewhere = elsewhere
        self._rows = rows_of(readings)
        self._printed = frozenset(word for row in self._rows for word in row.words)
        self._known: dict[Claim, Evidence] = {}

    def evidence(self, claim: Claim) -> Evidence:
        """Where the claim stands, or what stands there instead."""
        if claim not in self._known:
            self._known[claim] = self._evidence(claim)
        return self._known[claim]

    def closer(self, doubtful: Sequence[Evidence], reread: Reread) -> _Page:
        """The same page with the doubtful places read again."""
        pieces: dict[tuple[str, Box], Sequence[Piece]] = {}
        for item in doubtful:
            if item.box is not None and (item.image, item.box) not in pieces and len(pieces) < _REREAD:
                pieces[item.image, item.box] = reread(item.image, item.box)
        readings = [_replaced(reading, pieces) for reading in self._readings]
        return _Page(self._sentence, readings, self._elsewhere)

    def _evidence(self, claim: Claim) -> Evidence:
        if not claim.is_text:
            return self._of_things(claim)
        if claim.value is not None:
            return self._of_value(claim, claim.value)
        found = [place for row in self._rows if (place := place_of(claim.text, row))]
        found = found or list(self._across(claim)) or list(self._as_digits(claim))
        return _agreeing(claim, min(found, key=_strain)) if found else self._missed_text(claim)

    def _of_things(self, claim: Claim) -> Evidence:
        """Of what is counted or compared, sides between two texts can be told by where these stand."""
        told = self._side(claim) if claim.kind == "side" else None
        return told or _evidence(claim, self._readings[0].image, None, "", "unchecked", "not about text")

    def _side(self, claim: Claim) -> Evidence | None:
        neighbours = self._sentence.neighbours(claim)
        if neighbours is None:
            return None
        one, other = map(self.evidence, neighbours)
        if one.box is None or other.box is None or {one.verdict, other.verdict} != {"agree"}:
            return None
        is_right = _lies(one.box, other.box, claim.text) if one.image == other.image else None
        note = f"{one.claim!r} stands at {one.box}, {other.claim!r} at {other.box}"
        return _evidence(claim, one.image, one.box, "", is_right, note) if is_right else None

    def _of_value(self, claim: Claim, value: Value) -> Evidence:
        """An amount, a day or a time: by its label, if there is one, else anywhere."""
        labelled, is_bound = self._labelled(claim)
        here = [place for row in labelled for place in equal(value, row)]
        if here:
            return _agreeing(claim, min(here, key=_strain))
        anywhere = [place for row in self._rows for place in equal(value, row)]
        rival = self._rival(claim, value, labelled, anywhere) if is_bound else None
        if rival is not None:
            note = f"stands beside {anywhere[0].row.label!r}" if anywhere else ""
            return _conflicting(claim, rival, note)
        return _agreeing(claim, min(anywhere, key=_strain)) if anywhere else self._missed_value(claim, value)

    def _labelled(self, claim: Claim) -> tuple[list[Row], bool]:
        """The rows on which the words around a claim stand, and whether the claim has to stand there.

        Those of the clause, else of the sentence, else of the question: the farther, the less they bind.
        """
        rows = self._best_rows(self._sentence.clause(claim))
        if rows:
            return rows, True
        rows = self._best_rows(self._sentence.sentence(claim))
        if rows:
            return rows, False
        is_alone = sum(other.value is not None for other in self._sentence.claims) == 1
        return self._best_rows(self._sentence.question), is_alone

    def _best_rows(self, near: str) -> list[Row]:
        return [each for row in _rows_about(near, self._rows) for each in (row, *row.below)]

    def _rival(self, claim: Claim, value: Value, labelled: Sequence[Row], anywhere: Sequence[Found]) -> Found | None:
        """What stands beside the claim's label in its place; None if nothing speaks against it."""
        if value.is_year or self._is_excused(claim, value):
            return None
        rivals = [place for row in labelled for place in alike(value, row)]
        beside = [other.value for other in self._sentence.beside(claim) if other.value and other.value.is_like(value)]
        if any(_is_one_of(place, beside) for place in rivals):
            return None  # another claim of the clause is what stands beside the label
        if not rivals or not all(self._is_anothers(place.row, claim) for place in anywhere):
            return None
        is_price = value.is_price or value.kind == "money"
        if anywhere:
            return rivals[-1] if is_price or value.kind in ("date", "time") else None
        near = [place for place in rivals if place.value and value.is_misread(place.value)]
        is_only = len(rivals) == 1 and (is_price or value.kind in ("date", "time"))
        return near[-1] if near else rivals[0] if is_only else None

    def _is_anothers(self, row: Row, claim: Claim) -> bool:
        """Whether a row has a label, and none of its words stand in the claim's clause or the question."""
        labels = {word for word in row.words if len(word) >= _LABEL and word not in EMPTY}
        near = {*words(self._sentence.clause(claim)), *words(self._sentence.question)}
        return bool(labels) and not labels & near and not self._sentence.is_named_before(claim, labels)

    def _is_excused(self, claim: Claim, value: Value) -> bool:
        """Whether the answer computed or repeated it: then it need not stand anywhere."""
        echoed = any(value.equals(other) for other in find_values(self._sentence.question))
        meant = self._sentence.is_rounded(claim) or self._sentence.is_bound(claim)
        return echoed or meant or self._sentence.is_derived(claim, self._printed)

    def _across(self, claim: Claim) -> Iterator[Found]:
        """A text that runs over several rows."""
        for reading in self._readings:
            row = Row(reading, tuple(piece for pieces in reading.rows for piece in pieces))
            place = place_of(claim.text, row)
            if place is not None:
                yield place

    def _as_digits(self, claim: Claim) -> Iterator[Found]:
        """A telephone number in another notation: with its country, or without."""
        digits = re.sub(r"\D", "", claim.text)
        if claim.kind != "code" or len(digits) < _PHONE or re.search(r"[^\W\d_]|\d\.\d", claim.text):
            return
        for row in self._rows:
            for match in re.finditer(r"[+(]?\d[\d\s()/.-]{6,}\d", row.text):
                if re.sub(r"\D", "", match.group())[-_PHONE:] == digits[-_PHONE:]:
                    yield Found(row, *match.span(), "notation")

    def _missed_text(self, claim: Claim) -> Evidence:
        """A text that stands nowhere: what is likest to it; else whether it can stand somewhere unread."""
        note = self._elsewhere_note(claim)
        if self._sentence.is_no_reading(claim) or fold(claim.text) in fold(self._sentence.question):
            return self._unchecked(claim, note)
        likest: tuple[float, Found] | None = None
        for row in self._rows:
            near = nearest(claim.text, row.text)
            if near is not None and (likest is None or near.likeness > likest[0]):
                likest = near.likeness, Found(row, near.start, near.end)
        if likest is None and self._is_paraphrase(claim):
            return self._unchecked(claim, "not word for word")
        return _conflicting(claim, likest[1], note) if likest else self._not_found(claim, note)

    def _is_paraphrase(self, claim: Claim) -> bool:
        """Whether most words of a longer text stand there, in another order or shortened."""
        said = words(claim.text)
        known = [word for word in said if any(word.startswith(other) for other in self._printed if len(other) > _LABEL)]
        return len(said) >= _LONG and len(known) >= len(said) / 2

    def _missed_value(self, claim: Claim, value: Value) -> Evidence:
        """A value that stands nowhere: one that differs by a digit; else it may have been computed."""
        note = self._elsewhere_note(claim)
        likely = [place for row in self._rows for place in alike(value, row)]
        if self._sentence.is_rounded(claim):
            close = [place for place in likely if place.value and value.is_about(place.value, _ROUNDED)]
            if close:
                return replace(_agreeing(claim, close[0]), note="rounded")
        if self._is_excused(claim, value) or value.is_year:
            return self._unchecked(claim, note)
        others = [other.value for other in self._sentence.claims if other.value is not None]
        free = [place for place in likely if not _is_one_of(place, others)]
        near = [place for place in free if place.value and value.is_misread(place.value)]
        near = near or [place for row in self._rows for place in in_another_unit(value, row)]
        if not near and value.kind in ("date", "time"):  # seldom computed: another one that stands there is meant
            near = free
        if near:
            return _conflicting(claim, near[0], note)
        if self._sentence.is_count(claim):
            return self._unchecked(claim, "may be a count")
        is_read_off = self._sentence.is_bare or not self._rows
        return self._not_found(claim, note) if is_read_off else self._unchecked(claim, note)

    def _elsewhere_note(self, claim: Claim) -> str:
        other = next((r for r in self._elsewhere if any(_holds(claim, row) for row in rows_of([r]))), None)
        return f"stands in {other.image}" if other else ""

    def _unchecked(self, claim: Claim, note: str = "") -> Evidence:
        problem = next((reading for reading in self._readings if reading.problem), self._readings[0])
        told = note or problem.problem or "not among the text read"
        return _evidence(claim, problem.image, None, "", "unchecked", told)

    def _not_found(self, claim: Claim, note: str = "") -> Evidence:
        gap = next((reading for reading in self._readings if reading.has_gaps), None)
        if not claim.is_reading or any(reading.problem for reading in self._readings):
            return self._unchecked(claim, note)
        if gap is not None:
            return _evidence(claim, gap.image, None, "", "unreadable", "some text there could not be read")
        image = self._readings[0].image
        if not self._rows:
            return _evidence(claim, image, None, "", "unreadable", "no text was read there")
        return _evidence(claim, image, None, "", "conflict", note or "not among the text read")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: its picture, the box around it and what stands under it, and how high its letters are.

    All in pixels of the original.
    """

    image: str
    box: Box
    height: int


def related(question: str, readings: Sequence[Reading], *, lone: bool = False) -> Line | None:
    """The line that a question is most about, by its words; with ``lone`` also the only one that there is.

    None if it is about none, or about several of one picture or more alike.
    """
    there = rows_of(readings)
    rows = _rows_about(question, there)
    if not rows and lone:
        rows = there
    if len(rows) != 1:
        return None
    pieces = [piece.box for row in (rows[0], *rows[0].below[:1]) for piece in row.pieces]
    lefts, tops, rights, bottoms = zip(*pieces, strict=True)
    height = min(piece.box[3] - piece.box[1] for piece in rows[0].pieces)
    return Line(rows[0].reading.image, (min(lefts), min(tops), max(rights), max(bottoms)), height)


def _rows_about(near: str, rows: Sequence[Row]) -> list[Row]:
    """The rows on which the words stand, rare ones counting more; several if they are equal."""
    wanted = {word for word in words(near) if word not in EMPTY and len(word) >= _LABEL}
    weights = [sum(row.weight_of.get(word, 0) for word in wanted & row.words) for row in rows]
    best = max(weights, default=0)
    return [row for row, weight in zip(rows, weights, strict=True) if weight == best > 0]


def _lies(one: Box, other: Box, side: str) -> Verdict | None:
    """Whether a box lies on that side of another; None where they overlap in that direction."""
    said = side.casefold()
    if re.search(r"left|links|gauche|izquierda", said):
        before, after = one[2] <= other[0], one[0] >= other[2]
    elif re.search(r"right|rechts|droite|derecha", said):
        before, after = one[0] >= other[2], one[2] <= other[0]
    elif re.search(r"above|over|über|oberhalb|dessus|encima", said):
        before, after = one[3] <= other[1], one[1] >= other[3]
    else:
        before, after = one[1] >= other[3], one[3] <= other[1]
    return "agree" if before else "conflict" if after else None


def _holds(claim: Claim, row: Row) -> bool:
    return any(equal(claim.value, row)) if claim.value else place_of(claim.text, row) is not None


def _is_one_of(place: Found, values: Sequence[Value]) -> bool:
    return place.value is not None and any(place.value.equals(value) for value in values)


def _strain(found: Found) -> int:
    return len(found.tolerance)


def _agreeing(claim: Claim, found: Found) -> Evidence:
    return _evidence(claim, found.row.reading.image, found.box, found.read, "agree", found.tolerance)


def _conflicting(claim: Claim, found: Found, note: str = "") -> Evidence:
    return _evidence(claim, found.row.reading.image, found.box, found.read, "conflict", note)


def _evidence(claim: Claim, image: str, box: Box | None, read: str, verdict: Verdict, note: str = "") -> Evidence:
    return Evidence(image, box, claim.text, read, verdict, claim.kind, (claim.start, claim.end), claim.logprob, note)


def _may_be_misread(item: Evidence) -> bool:
    return item.verdict == "conflict" and bool(item.read)


def _replaced(reading: Reading, again: dict[tuple[str, Box], Sequence[Piece]]) -> Reading:
    """A reading in which the pieces inside the boxes are those that were read again."""
    pieces = list(reading.pieces)
    for (image, box), found in again.items():
        closer = [piece for piece in found if _is_inside(piece.box, box)]
        inside = [piece for piece in pieces if _is_inside(piece.box, box)]
        if fold(image) == fold(reading.image) and closer and inside:
            place, row = pieces.index(inside[0]), inside[0].row
            pieces = [piece for piece in pieces if piece not in inside]
            pieces[place:place] = [replace(piece, row=row) for piece in closer]
    return replace(reading, pieces=tuple(pieces))


def _is_inside(box: Box, outer: Box) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _settled(first: Evidence, second: Evidence) -> Evidence:
    """What a closer reading changes: it may bear the claim out, or read a third thing; both are told."""
    if second.verdict == "agree":
        return replace(second, note=f"read as {first.read!r} at first")
    if second.verdict == "conflict" and second.read and same(second.read, first.read) is None:
        return replace(second, verdict="unreadable", note=f"read as {first.read!r} at first")
    return first
