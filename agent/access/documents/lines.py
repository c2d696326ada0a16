"""Where the content of a block of Markdown stands in the source.

The parser says on which lines a block stands and gives its content without the marks of quotations, lists and
headings around it. Each line of the content is a piece of one line of the source, at its end but for what a heading
closes with; so it is found from the right, and in a row of a table cell after cell from the left.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

__all__ = ["Cells", "Fragment", "Lines"]


class Lines:
    """The lines of a source as Markdown counts them."""

    def __init__(self, source: str) -> None:
        self.source = source
        ends = [(found.start(), found.end()) for found in re.finditer("\r\n?|\n", source)]
        self.starts = [0, *(end for _, end in ends)]
        self._ends = [*(start for start, _ in ends), len(source)]

    def line(self, number: int) -> str:
        """A line (from 0) without its end."""
        return self.source[self.starts[number] : self._ends[number]]

    def number(self, place: int) -> int:
        """The line (from 0) of a character."""
        return bisect_right(self.starts, place) - 1

    def without_front_matter(self) -> str:
        """The source with empty lines for the block of metadata that it may begin with."""
        if self.line(0).rstrip() != "---":
            return self.source
        last = next((n for n in range(1, len(self.starts)) if self.line(n).rstrip() in ("---", "...")), None)
        if last is None or last + 1 >= len(self.starts):
            return self.source
        return "\n" * (last + 1) + self.source[self.starts[last + 1] :]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of the content of a block, which begins at its character ``base``.

    ``starts`` are where lines of the whole content begin, ``origins`` where these stand in the source.
    """

    content: str
    starts: tuple[int, ...]
    origins: tuple[int, ...]
    base: int = 0

    @classmethod
    def of_lines(cls, lines: Lines, content: str, first: int, last: int) -> Fragment | None:
        """The content of the block on lines ``first`` to ``last``; None if it isn't found there, line by line."""
        starts: list[int] = []
        origins: list[int] = []
        start = 0
        for number, piece in enumerate(content.rstrip("\n").split("\n"), start=first):
            column = lines.line(number).rfind(piece) if number < last else -1
            if column < 0:  # a tab at its beginning, of which the list around it took some columns
                return None
            starts.append(start)
            origins.append(lines.starts[number] + column)
            start += len(piece) + 1
        return cls(content, tuple(starts), tuple(origins))

    def place(self, at: int) -> int:
        """The character of the source for one of the content."""
        line = bisect_right(self.starts, self.base + at) - 1
        return self.origins[line] + self.base + at - self.starts[line]

    def part(self, start: int, end: int) -> Fragment:
        """A piece of the content as a fragment of its own."""
        return Fragment(self.content[start:end], self.starts, self.origins, self.base + start)


class Cells:
    """Finds the cells of a row from left to right, so that equal ones are told apart."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._line = -1
        self._column = 0

    def fragment(self, content: str, line: int) -> Fragment | None:
        """The content of the next cell on a line, where a bar has a backslash; None if it isn't found there."""
        if line != self._line:
            self._line, self._column = line, 0
        written = content.replace("|", "\\|")
        column = self._lines.line(line).find(written, self._column)
        if column < 0:
            return None
        self._column = column + len(written)
        bars = [place for place, char in enumerate(content) if char == "|"]
        first = self._lines.starts[line] + column
        origins = (first, *(first + bar + number for number, bar in enumerate(bars, start=1)))
        return Fragment(content, (0, *bars), origins)
