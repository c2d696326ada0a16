"""Reading order: pieces of text on a page become rows, read across (a receipt) or column by column (a page).

Detectors give pieces in no useful order. A receipt's price belongs to the article on its left; a newspaper's second
column comes after all of the first. What tells them apart is how much text stands beyond the gap between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Literal, TypeAlias

from .engine import Line

__all__ = ["Layout", "Row", "reading_order", "tilt_of"]

Layout: TypeAlias = Literal["auto", "rows", "columns", "table"]
"""How a page is read: across, column by column, as a table (across, too), or as it looks."""

Row = tuple[Line, ...]
"""What stands side by side on one line of text, from left to right."""

# Characters of a column's usual piece; cells (prices, labels, dates) are shorter, unless columns were asked for.
_COLUMN_TEXT = {"auto": 15, "columns": 1}
_COLUMN_ROWS = 3
_STEEPEST = 0.3  # beyond, it is no tilted page but a line that runs its own way
_WORD = 4  # times as wide as high: shorter pieces tell little of a page's tilt
_HEAD_AND_FOOT = ((0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1))  # rows that may bridge the columns between them
_SPANNING = 0.6  # of the text's width: wider than that belongs to no column of several


def reading_order(lines: Sequence[Line], layout: Layout = "auto") -> list[Row]:
    """The pieces as rows in the order in which one reads them. Boxes are of a page that is upright, but for a tilt."""
    tilt = tilt_of(lines)
    given = {_levelled(line, tilt): line for line in lines}
    rows = _rows(list(given)) if layout in ("rows", "table") else _ordered(list(given), _COLUMN_TEXT[layout])
    return [tuple(given[line] for line in row) for row in rows]


def tilt_of(lines: Sequence[Line]) -> float:
    """By how many pixels the text of a page falls for each pixel to the right."""
    slopes = [line.slope for line in lines if _width(line) >= _WORD * _height(line) and abs(line.slope) < _STEEPEST]
    return median(slopes) if slopes else 0.0


def _levelled(line: Line, tilt: float) -> Line:
    """The piece where it would stand, and as high as it would be, were the page not tilted."""
    x0, y0, x1, y1 = line.box
    sunk, excess = tilt * (x0 + x1) / 2, abs(tilt) * (x1 - x0) / 2
    top = round(y0 - sunk + excess)
    return replace(line, box=(x0, top, x1, max(top + 1, round(y1 - sunk - excess))))


def _ordered(lines: Sequence[Line], text: int) -> list[Row]:
    if not lines:
        return []
    left, right = min(line.box[0] for line in lines), max(line.box[2] for line in lines)
    ordered: list[Row] = []
    band: list[Line] = []
    for line in sorted(lines, key=_middle):
        if _width(line) > _SPANNING * (right - left):
            ordered += [*_band(band, text), (line,)]
            band = []
        else:
            band.append(line)
    return _rejoined([*ordered, *_band(band, text)])


def _band(lines: Sequence[Line], text: int) -> list[Row]:
    """What stands between two lines across the whole page: its columns one after the other, or its rows."""
    rows = _rows(lines)
    parts = [
        (rows[:above], rows[above : len(rows) - below], rows[len(rows) - below :]) for above, below in _HEAD_AND_FOOT
    ]
    found = [(head, _columns([line for row in inner for line in row], text), foot) for head, inner, foot in parts]
    head, columns, foot = max(found, key=lambda part: len(part[1]))
    if len(columns) < 2:
        return rows
    return [*head, *(row for column in columns for row in _rows(column)), *foot]


def _columns(lines: Sequence[Line], text: int) -> list[list[Line]]:
    """The strips between clear vertical gaps, cells joined to the strip that they belong to."""
    columns: list[list[Line]] = []
    labels: list[Line] = []
    for strip in _strips(lines):
        if _is_column(strip, text):
            columns.append([*labels, *strip])
            labels = []
        elif columns:
            columns[-1] += strip
        else:
            labels += strip
    return columns


def _strips(lines: Sequence[Line]) -> list[list[Line]]:
    strips: list[list[Line]] = []
    reach = 0
    for line in sorted(lines, key=lambda line: line.box[0]):
        if strips and line.box[0] < reach:
            strips[-1].append(line)
        else:
            strips.append([line])
        reach = max(reach, line.box[2])
    return strips


def _is_column(strip: Sequence[Line], text: int) -> bool:
    return len(_rows(strip)) >= _COLUMN_ROWS and median(len(line.text) for line in strip) >= text


def _rows(lines: Sequence[Line]) -> list[Row]:
    """Pieces whose middles lie within half a letter's height of each other."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=_middle):
        if rows and _on_one_line(_nearest(rows[-1], line), line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [tuple(sorted(row, key=lambda line: line.box[0])) for row in rows]


def _rejoined(rows: Sequence[Row]) -> list[Row]:
    """A wide piece and the price beside it are one row, though the wide one was taken to span the page."""
    joined: list[Row] = []
    for row in rows:
        last = joined[-1] if joined else ()
        if len(last) == 1 and len(row) == 1 and _on_one_line(last[0], row[0]) and not _overlap(last[0], row[0]):
            joined[-1] = tuple(sorted((*last, *row), key=lambda line: line.box[0]))
        else:
            joined.append(row)
    return joined


def _nearest(row: Sequence[Line], line: Line) -> Line:
    """The piece of a row that is nearest across the page: paper bends, and neighbours differ least."""
    return min(row, key=lambda other: max(other.box[0] - line.box[2], line.box[0] - other.box[2]))


def _on_one_line(one: Line, other: Line) -> bool:
    return abs(_middle(one) - _middle(other)) < min(_height(one), _height(other)) / 2


def _overlap(one: Line, other: Line) -> bool:
    return one.box[0] < other.box[2] and other.box[0] < one.box[2]


def _middle(line: Line) -> float:
    return (line.box[1] + line.box[3]) / 2


def _width(line: Line) -> int:
    return line.box[2] - line.box[0]


def _height(line: Line) -> int:
    return line.box[3] - line.box[1]
