"""The tool ``ocr``: the text in a picture or a part of it, with boxes in the original's pixels and honest doubts."""

from __future__ import annotations

from collections.abc import Sequence

from ...memory.parts import Json
from ..box import Box1000, to_pixels
from ..result import ToolResult, cut
from ..tool import Tool, tool
from ..view import View
from .engine import Engine, Line
from .foreign import is_hard, missed
from .rapid import RapidEngine, default_engine
from .reading import Reading, read_page, read_part

__all__ = ["CERTAIN", "ocr", "ocr_with"]

CERTAIN = 0.97
"""Lines that score less are marked uncertain: 74 of 100 between 0.90 and 0.97 are exactly right, 88 just above."""

_TEXT_LIMIT = 6_000
_DOUBTS_SHOWN = 10
_TIMEOUT = 60.0


def ocr_with(engine: Engine | None = None) -> Tool:
    """The tool ``ocr`` on another engine; None is RapidOCR, loaded when it is first needed."""
    scripts = _listed((engine or RapidEngine).scripts)

    description = f"Read the text in a picture, or in a part of it ({scripts} script)."

    @tool(name="ocr", description=description, timeout=_TIMEOUT)
    def read(image: View, box: Box1000 | None = None) -> ToolResult:
        chosen = engine or default_engine()
        part = to_pixels(box, image.size) if box else (0, 0, *image.size)
        whole = part == (0, 0, *image.size)
        reading = read_page(chosen, image.pixels()) if whole else read_part(chosen, image.pixels(), part)
        return _result(image, reading, chosen, whole=whole)

    return read


def _result(image: View, reading: Reading, engine: Engine, *, whole: bool) -> ToolResult:
    text = "\n".join(filter(None, (" ".join(filter(None, (line.text for line in row))) for row in reading.rows)))
    shown, left_out = cut(text, _TEXT_LIMIT)
    said = [f'Text in {image.name}: "{_quotable(shown)}"', *([f"({left_out})"] if left_out else [])]
    said += [*_doubts(reading.lines), *_blind_spots(reading, engine)]
    readings = {image.key: text} if whole else {}
    return ToolResult("\n".join(said), _data(image, reading, engine, bool(left_out)), readings=readings)


def _data(image: View, reading: Reading, engine: Engine, truncated: bool) -> Json:
    return {
        "lines": [
            {
                "text": line.text,
                "box": list(image.to_original(line.box)),
                "score": round(line.score, 3),
                "uncertain": _is_uncertain(line),
                "row": number,
            }
            for number, row in enumerate(reading.rows)
            for line in row
            if line.text
        ],
        "unread": [list(image.to_original(line.box)) for line in reading.lines if not line.text],
        "engine": engine.name,
        "rotated": reading.rotated,
        "truncated": truncated,
    }


def _doubts(lines: Sequence[Line]) -> list[str]:
    doubtful = [line for line in lines if line.text and _is_uncertain(line)]
    said = [f'Uncertain: "{_quotable(line.text)}" ({line.score:.2f})' for line in doubtful[:_DOUBTS_SHOWN]]
    more = len(doubtful) - len(said)
    return [*said, f"Uncertain: {more} lines more"] if more else said


def _blind_spots(reading: Reading, engine: Engine) -> list[str]:
    if not is_hard(reading):
        return []
    places = missed(reading)
    what = "scores are low"
    if places:
        what = "1 place holds other text" if places == 1 else f"{places} places hold other text"
    return [f"Not fully read: {what}; this engine reads {_listed(engine.scripts)} script only"]


def _is_uncertain(line: Line) -> bool:
    return line.score < CERTAIN or line.gaps


def _quotable(text: str) -> str:
    return text.replace('"', "'")


def _listed(scripts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(scripts[:-1]), scripts[-1]]))


ocr = ocr_with()
"""The tool on RapidOCR. It raises nothing when that is missing: the call fails with the command that installs it."""
