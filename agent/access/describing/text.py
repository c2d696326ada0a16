"""The text of a picture in a description: its lines, and in words what of them is not sure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

from ....memory import NamedPicture
from ....memory.recipe import Box
from ....tools import find_tools
from ....tools.ocr import Line, Reading
from ....tools.ocr.tool import CERTAIN
from ...chat import Chat
from ...toolbox import view_of
from ...words import Words

__all__ = ["TextRead", "read_text"]

_MOST_LINES = 40
_MOST_DOUBTS = 5
_LINE_SHAPE = 1.5  # times as wide as high


@dataclass(frozen=True, slots=True)
class TextRead:
    """What was read in a picture."""

    reading: Reading

    @property
    def text(self) -> str:
        """All of it, a row a line."""
        return "\n".join(self._rows())

    def lines(self, say: Words) -> Iterator[str]:
        """A line for each row, and one for what is left out."""
        rows = list(self._rows())
        yield from rows[:_MOST_LINES]
        if not rows:
            yield say("No text was read.")
        if len(rows) > _MOST_LINES:
            yield say.count(
                "{n} more line is left out; looktwice read has all of them.",
                "{n} more lines are left out; looktwice read has all of them.",
                len(rows) - _MOST_LINES,
            )

    def doubts(self, say: Words) -> Iterator[str]:
        """What was read badly, or not at all."""
        doubtful = [line for line in self.reading.lines if line.text and line.score < CERTAIN]
        for line in doubtful[:_MOST_DOUBTS]:
            yield say('"{text}" is hard to read and may be wrong.', text=line.text)
        if more := len(doubtful[_MOST_DOUBTS:]):
            yield say.count("{n} more line is hard to read.", "{n} more lines are hard to read.", more)
        if unread := sum(not line.text and _is_long(line) for line in self.reading.lines):
            yield say.count(
                "In {n} place there is text that could not be read.",
                "In {n} places there is text that could not be read.",
                unread,
            )

    def _rows(self) -> Iterator[str]:
        for row in self.reading.rows:
            if text := " ".join(line.text for line in row if line.text):
                yield text


def read_text(chat: Chat, picture: NamedPicture) -> TextRead | str:
    """Read a picture of a conversation with the tool ``ocr``; why it could not be read, if it couldn't.

    The agent's checks of what is said of it need not read it again.
    """
    view = view_of(chat.memory, picture)
    own = next((tool for tool in chat.agent.tools or () if tool.name == "ocr"), None)
    tool = own or find_tools(["ocr"])[0]
    result = tool.run({"image": view.name}, lambda _: view)
    if result.error:
        return result.text
    chat.agent.reader.learn(view, result.data, own)
    return TextRead(_reading(result.data))


def _reading(data: object) -> Reading:
    """The rows that the tool brings as data; what it found and could not read comes last."""
    found = cast("dict[str, Any]", data)
    pieces: Sequence[dict[str, Any]] = found["lines"]
    rows = tuple(
        tuple(_line(piece["text"], piece["box"], piece["score"]) for piece in row)
        for _, row in groupby(pieces, key=lambda piece: piece["row"])
    )
    unread = tuple((_line("", box, 0.0),) for box in found.get("unread", ()))
    return Reading((*rows, *unread), found.get("rotated", 0))


def _line(text: str, box: Sequence[int], score: float) -> Line:
    return Line(text, cast("Box", tuple(box)), score)


def _is_long(line: Line) -> bool:
    """Whether a place is shaped like text; engines take dots and squares for letters that they can't read."""
    width, height = line.box[2] - line.box[0], line.box[3] - line.box[1]
    return width >= _LINE_SHAPE * height
