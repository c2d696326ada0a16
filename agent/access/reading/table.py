"""Tables: rows of cells under headers, said as "header: value", since nobody hears in which column a number stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from ....memory.recipe import Box
from .text import Cell, TextLine, TextWord

__all__ = ["Placed", "PlacedRow", "with_tables"]

_GAP = 0.7  # of a letter's height: what divides cells is wider than a space
_LEAST_ROWS = 2  # under the header
_LEAST_COLUMNS = 3  # in a page that nobody called a table: a label and a price are two, and no table


@dataclass(frozen=True, slots=True)
class Placed:
    """A word, and the box that it would have were the page upright and level."""

    word: TextWord
    box: Box


PlacedRow: TypeAlias = tuple[Placed, ...]
_Span: TypeAlias = tuple[float, float]


def with_tables(lines: Sequence[TextLine], rows: Sequence[PlacedRow], *, asked: bool = False) -> list[TextLine]:
    """The lines, those of tables with their cells; a header's own line is left out, for it is said with each row.

    ``rows`` are the same lines with places. ``asked``: somebody said that it is a table, so two columns are one, too.
    """
    found: list[TextLine] = []
    at = 0
    while at < len(lines):
        table = _table_at(rows[at:], 2 if asked else _LEAST_COLUMNS)
        if not table:
            found.append(lines[at])
            at += 1
            continue
        header = [_text(cell) for cell in table[0]]
        for line, cells in zip(lines[at + 1 :], table[1:], strict=False):
            filled = [Cell(name, tuple(p.word for p in cell)) for name, cell in zip(header, cells, strict=True) if cell]
            found.append(TextLine(line.words, tuple(filled), line.gaps))
        at += len(table)
    return found


def _table_at(rows: Sequence[PlacedRow], columns: int) -> list[list[PlacedRow]]:
    """The cells of the table that begins with the first row; empty if none does."""
    gap = _gap(rows)
    length = next((n for n, row in enumerate(rows) if len(_groups(row, gap)) < 2), len(rows))
    if length <= _LEAST_ROWS or any(_has_digit(_text(group)) for group in _groups(rows[0], gap)):
        return []
    spans = _columns(rows[:length], gap)
    cells = [[tuple(placed for placed in row if _in(placed, span)) for span in spans] for row in rows[:length]]
    is_headed = len(spans) >= columns and all(cells[0]) and _has_numbers(cells[1:])
    return cells if is_headed else []


def _gap(rows: Sequence[PlacedRow]) -> float:
    heights = [placed.box[3] - placed.box[1] for row in rows for placed in row]
    return _GAP * median(heights) if heights else 0.0


def _groups(row: PlacedRow, gap: float) -> list[PlacedRow]:
    """The words of a row that stand together."""
    groups: list[list[Placed]] = []
    for placed in sorted(row, key=lambda placed: placed.box[0]):
        if groups and placed.box[0] - groups[-1][-1].box[2] < gap:
            groups[-1].append(placed)
        else:
            groups.append([placed])
    return [tuple(group) for group in groups]


def _columns(rows: Sequence[PlacedRow], gap: float) -> list[_Span]:
    """From where to where columns reach: between them is a strip that no word of any row stands in."""
    spans: list[_Span] = []
    edges = sorted((float(p.box[0]), float(p.box[2])) for row in rows for p in row)
    for left, right in edges:
        if spans and left - spans[-1][1] < gap:
            spans[-1] = (spans[-1][0], max(spans[-1][1], right))
        else:
            spans.append((left, right))
    return spans


def _in(placed: Placed, span: _Span) -> bool:
    return span[0] <= (placed.box[0] + placed.box[2]) / 2 <= span[1]


def _has_numbers(rows: Sequence[Sequence[PlacedRow]]) -> bool:
    """Whether some column holds a number in most rows: columns of prose are no table."""
    counts = [sum(_has_digit(_text(cell)) for cell in column) for column in zip(*rows, strict=True)]
    return 2 * max(counts, default=0) > len(rows)


def _has_digit(text: str) -> bool:
    return any(char.isdigit() for char in text)


def _text(row: Sequence[Placed]) -> str:
    return " ".join(placed.word.text for placed in row)
