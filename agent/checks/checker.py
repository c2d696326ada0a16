"""Checks a conversation's answers: which pictures one is about, what is read in them, where to look again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from ...memory import Memory, NamedPicture, fold, mentions
from ...memory.parts import ToolCallPart, ToolResultPart, Turn
from ...memory.recipe import Box
from ...tools import Tool
from ...tools.box import from_pixels
from ..answer import Evidence
from ..backends.backend import Token
from ..journal import since_question
from ..toolbox import view_of
from .addressed import is_addressed
from .claims import find_claims
from .counting import Count, counts_of
from .evidence import Line, check, related
from .reader import Reader
from .readings import Piece, Reading

__all__ = ["Checker", "Place"]

Place: TypeAlias = tuple[str, list[int]]
"""A picture by name, and a box in it (0..1000)."""

_MOST = 8  # pictures that are read for one answer where it names none; the newest
_AROUND = 0.4  # heights of the text that a second look shows around it; with more, small models see it too small


class Checker:
    """Holds answers of one conversation against the text in its pictures."""

    def __init__(
        self,
        memory: Memory,
        reader: Reader,
        images: Callable[[], Mapping[str, NamedPicture]],
        tools: Sequence[Tool],
        seconds_left: Callable[[], float | None],
    ) -> None:
        """``images`` are the conversation's pictures by folded name; a tool ``ocr`` on offer reads them."""
        self._memory = memory
        self._reader = reader
        self._images = images
        self._tool = next((tool for tool in tools if tool.name == "ocr"), None)
        self._seconds_left = seconds_left
        self.addressed: set[str] = set()
        """The pictures in which text was read that speaks to an assistant."""

    def evidence(self, answer: str, tokens: Sequence[Token], turns: Sequence[Turn]) -> tuple[Evidence, ...]:
        """Evidence for each claim of an answer to the branch ``turns``; none without a claim or a picture."""
        images = self._images()
        claims = find_claims(answer, names=[picture.name for picture in images.values()], tokens=tokens)
        question = _question(turns)
        about = self._about(question, answer, turns)
        if not about or not any(claim.is_text for claim in claims):  # nothing is read for nothing
            return ()
        keys = {picture.key for picture in about}
        others = [view_of(self._memory, p) for p in images.values() if not p.forgotten and p.key not in keys]
        known = [reading for view in others if (reading := self._reader.known(view, self._tool)) is not None]
        readings = self._read(about, turns)
        texts = {reading.image: "\n".join(piece.text for piece in reading.pieces) for reading in readings}
        self.addressed |= {name for name, text in texts.items() if is_addressed(text)}
        return check(answer, readings, question=question, claims=claims, elsewhere=known, reread=self._closer)

    def counts(
        self, answer: str, tokens: Sequence[Token], turns: Sequence[Turn], lang: str
    ) -> tuple[list[Count], NamedPicture] | None:
        """The counts that an answer claims, and the picture that it is about; None if there are none, or several."""
        question = _question(turns)
        about = [picture for picture in self._about(question, answer, turns) if picture.recipe is None]
        names = [picture.name for picture in self._images().values()]
        counts = counts_of(answer, question, find_claims(answer, names=names, tokens=tokens), lang)
        return (counts, about[0]) if counts and len(about) == 1 else None

    def where(self, evidence: Sequence[Evidence]) -> Place | None:
        """What a second look should show: the first conflict's place."""
        places = [(item.image, item.box) for item in evidence if item.verdict == "conflict" and item.box is not None]
        return next(filter(None, (self._around(*place) for place in places)), None)

    def about(self, turns: Sequence[Turn]) -> list[NamedPicture]:
        """The pictures that the question is about."""
        return self._about(_question(turns), "", turns)

    def line(self, turns: Sequence[Turn], *, lone: bool = False) -> Line | None:
        """The line of text that the question is about, or with ``lone`` the only one; None if there is none such."""
        return related(_question(turns), self._read(self.about(turns), turns), lone=lone)

    def around(self, line: Line) -> Place | None:
        """Where to zoom to see a line with what is around it."""
        return self._around(line.image, line.box)

    def closely(self, evidence: Sequence[Evidence], turns: Sequence[Turn]) -> tuple[Evidence, ...]:
        """The evidence, with what the model gave for each place that it had seen closely when it answered."""
        crops = [self._original(name) for turn in since_question(turns) for name in turn.images]
        seen = [crop for crop in crops if crop is not None]

        def looked(item: Evidence) -> bool:
            root = self._original(item.image)
            return item.box is not None and root is not None and any(_holds(crop, (root[0], item.box)) for crop in seen)

        return tuple(replace(item, looked=item.claim) if looked(item) else item for item in evidence)

    def _read(self, pictures: Sequence[NamedPicture], turns: Sequence[Turn]) -> list[Reading]:
        self._learn(turns)
        views = [view_of(self._memory, picture) for picture in pictures]
        return [self._reader.read(view, self._tool, seconds=self._seconds_left()) for view in views]

    def _about(self, question: str, answer: str, turns: Sequence[Turn]) -> list[NamedPicture]:
        """The pictures that are named, else all that were shown; and the crops that this question's looks brought."""
        images = self._images()

        def there(names: Sequence[str]) -> list[NamedPicture]:
            found = [images[fold(name)] for name in dict.fromkeys(names) if fold(name) in images]
            return [picture for picture in found if not picture.forgotten]

        mentioned = [*mentions(question), *mentions(answer)]
        named = there(mentioned)
        if mentioned and not named:  # what is meant is gone; another picture must not stand in for it
            return []
        shown = there([name for turn in turns for name in turn.images]) or list(images.values())
        shown = [picture for picture in shown if picture.recipe is None and not picture.forgotten]
        looked = there([name for turn in since_question(turns) for name in turn.images])
        about = {picture.key: picture for picture in (*looked, *(named or shown[-_MOST:]))}
        return list(about.values())

    def _learn(self, turns: Sequence[Turn]) -> None:
        """What the model's own calls of ``ocr`` read in whole pictures need not be read again."""
        calls: dict[str, ToolCallPart] = {}
        for turn in turns:
            calls |= {call.id: call for call in turn.calls if call.tool == "ocr"}
            for part in turn.parts:
                if isinstance(part, ToolResultPart) and part.id in calls and not part.error:
                    self._learn_from(calls[part.id], part)

    def _learn_from(self, call: ToolCallPart, result: ToolResultPart) -> None:
        picture = self._images().get(fold(str(call.arguments.get("image", "")).removeprefix("@")))
        if picture is not None and not picture.forgotten and call.arguments.get("box") is None:
            self._reader.learn(view_of(self._memory, picture), result.data, self._tool)

    def _closer(self, name: str, box: Box) -> Sequence[Piece]:
        root = self._root(name)
        if root is None:
            return ()
        return self._reader.closer(view_of(self._memory, root), box, self._tool, seconds=self._seconds_left())

    def _around(self, name: str, box: Box) -> Place | None:
        """The picture and the box to zoom into, to see a box (pixels of the original) with what is around it."""
        root = self._root(name)
        if root is None:
            return None
        (x0, y0, x1, y1), more = box, round(_AROUND * (box[3] - box[1]))
        outer = (x0 - more, y0 - more, x1 + more, y1 + more)
        return root.name, list(from_pixels(outer, (root.width, root.height)))

    def _original(self, name: str) -> tuple[str, Box] | None:
        """The key of the original that a picture is cut from, and the box of it that it shows."""
        picture = self._images().get(fold(name))
        if picture is None:
            return None
        return self._memory.pictures.to_original(picture.key, (0, 0, picture.width, picture.height))

    def _root(self, name: str) -> NamedPicture | None:
        """The picture that a crop stems from, under the name that it has here."""
        picture = self._images()[fold(name)]
        key, _ = self._memory.pictures.to_original(picture.key, (0, 0, picture.width, picture.height))
        return next((p for p in self._images().values() if p.key == key and not p.forgotten), None)


def _question(turns: Sequence[Turn]) -> str:
    return next((turn.text for turn in reversed(turns) if turn.role == "user"), "")


def _holds(crop: tuple[str, Box], place: tuple[str, Box]) -> bool:
    """Whether a crop of a picture shows the middle of a place in the same one."""
    (key, box), (other, (x0, y0, x1, y1)) = crop, place
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return key == other and box[0] <= x <= box[2] and box[1] <= y <= box[3]
