"""``read``: all the text of a picture in reading order, without a language model."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from PIL import Image

from ....memory import Picture
from ....memory.recipe import Box
from ....tools.ocr.choice import EngineName, open_engine
from ....tools.ocr.engine import Engine, Line, Word
from ....tools.ocr.foreign import is_greek, is_hard, missed
from ....tools.ocr.languages import language_in
from ....tools.ocr.order import Layout, Row, reading_order, tilt_of
from ....tools.ocr.reading import Reading, read_page, read_part, upright_box
from ....tools.ocr.tesseract import script_of
from .foreign import Foreign
from .receipt import Sum, add_up
from .table import Placed, PlacedRow, with_tables
from .text import TextLine, TextWord
from .transcript import Transcript

__all__ = ["CERTAIN", "read"]

CERTAIN = 0.85
"""Words that score less are marked uncertain; benchmarks/read.py says how often marked and unmarked ones are wrong."""


def read(
    source: str | os.PathLike[str] | bytes | Image.Image | Picture,
    *,
    engine: Engine | EngineName | None = None,
    ocr_lang: str | None = None,
    layout: Layout = "auto",
) -> Transcript:
    """All the text of a picture in reading order; a page that lies on its side is read upright.

    ``engine`` reads it: "rapidocr", "tesseract", "both", or one of yours; None takes what reads ``ocr_lang``, the
    language of the text ("de", "ru"). Raises PictureRejected for what is no picture, MissingExtra and ToolError where
    what reads is missing, with the command that installs it.
    """
    chosen = engine if isinstance(engine, Engine) else open_engine(engine, lang=ocr_lang)
    image = Picture.load(source).pixels()
    reading = read_page(chosen, image, layout)
    rows = [[line for line in row if line.text] for row in reading.rows]
    lines = [TextLine(_words(row), gaps=any(line.gaps for line in row)) for row in rows if row]
    unread = tuple(line.box for line in reading.lines if not line.text)
    placed = _placed(lines, reading, image.size)
    tabled = with_tables(lines, placed, asked=layout == "table") if layout in ("auto", "table") else lines
    return Transcript(
        tuple(tabled),
        _layout(layout, reading, is_table=any(line.cells for line in tabled), size=image.size),
        chosen.name,
        reading.rotated,
        unread,
        _sum(chosen, image, lines, len(unread)),
        _foreign(chosen, reading, image),
    )


def _words(row: Sequence[Line]) -> tuple[TextWord, ...]:
    return tuple(
        TextWord(word.text, word.box, word.score, word.score < CERTAIN)
        for line in row
        for word in line.words or (Word(text, line.box, line.score) for text in line.text.split())
    )


def _placed(lines: Sequence[TextLine], reading: Reading, size: tuple[int, int]) -> list[PlacedRow]:
    """The words where they would stand on an upright, level page."""
    tilt = tilt_of(reading.lines)

    def level(box: Box) -> Box:
        x0, y0, x1, y1 = upright_box(box, reading.rotated, size)
        across, down = round(tilt * (y0 + y1) / 2), round(tilt * (x0 + x1) / 2)
        return (x0 + across, y0 - down, x1 + across, y1 - down)

    return [tuple(Placed(word, level(word.box)) for word in line.words) for line in lines]


def _layout(asked: Layout, reading: Reading, *, is_table: bool, size: tuple[int, int]) -> Layout:
    if asked != "auto":
        return asked
    if is_table:
        return "table"
    across = reading_order([_upright(line, reading, size) for line in reading.lines], "rows")
    return "rows" if _texts(across) == _texts(reading.rows) else "columns"


def _upright(line: Line, reading: Reading, size: tuple[int, int]) -> Line:
    return line.placed(lambda box: upright_box(box, reading.rotated, size))


def _texts(rows: Sequence[Row]) -> list[str]:
    return [line.text for row in rows for line in row]


def _sum(engine: Engine, image: Image.Image, lines: Sequence[TextLine], unread: int) -> Sum | None:
    """What a receipt adds up to. Before it is accused, each amount is read again, closely."""
    found = add_up(lines, unread=unread)
    if found is None or found.verdict != "differs":
        return found
    words = [word for amount in (*found.amounts, found.total) for word in amount.words]
    return found if all(_reads_again(engine, image, word) for word in words) else found.doubted("closer")


def _reads_again(engine: Engine, image: Image.Image, word: TextWord) -> bool:
    again = " ".join(line.text for line in read_part(engine, image, word.box).lines)
    return _digits(word.text) in _digits(again)


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _foreign(engine: Engine, reading: Reading, image: Image.Image) -> Foreign | None:
    if not is_hard(reading) or engine.name == "tesseract":
        return None
    script = "Greek" if any(is_greek(line.text) for line in reading.lines) else script_of(image)
    if script is None or script in engine.scripts:
        return Foreign(engine.name, engine.scripts) if missed(reading) else None
    return Foreign(engine.name, engine.scripts, language_in(script))
