"""Tesseract as an engine: for the scripts that RapidOCR doesn't know, and as a second opinion on those that it does.

The program is run as it is, one page a process, the picture by standard input and the words by standard output, so
nothing is written to disk. It has to be told the language, and has data for one only where that was installed.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from typing import Any

from PIL import Image

from ...errors import LookTwiceError, ToolError
from ...memory.recipe import Box
from .engine import Line, Word
from .languages import Language, language, languages

__all__ = ["TesseractEngine", "installed", "script_of", "with_data"]

_PROGRAM = "tesseract"
_PAGE, _ONE_LINE, _WHAT_SCRIPT = "3", "7", "0"  # modes of page segmentation
_SECONDS = 300.0  # of the clock; a grainy page on a busy machine takes more than one minute
_ENLARGED = 1_500  # pixels of the longer side: below, letters are too small for it
_WORD_ROW = "5"
_LEAST = 0.15  # words that score less are specks
_SCRIPT_SURE = 2.0
_SCRIPTS = {"Han": "Chinese", "HanS": "Chinese", "HanT": "Chinese", "Hangul": "Korean", "Katakana": "Japanese"}


class TesseractEngine:
    """The program ``tesseract``, reading in ``languages``: codes such as "de", or Tesseract's own such as "deu".

    Raises ToolError, with the command that installs it, where the program or its data for a language is missing.
    """

    name = "tesseract"

    def __init__(self, asked: Sequence[str] = ("en",)) -> None:
        self.languages: tuple[Language, ...] = tuple(dict.fromkeys(map(language, asked)))
        self.scripts = tuple(dict.fromkeys(each.script for each in self.languages))
        _require(self.languages)

    def read(self, image: Image.Image) -> list[Line]:
        """The lines of an RGB picture. Small pictures are read at twice their size, which reads better."""
        factor = 2 if max(image.size) < _ENLARGED else 1
        return self._lines(image, factor, _PAGE)

    def read_line(self, image: Image.Image) -> Line:
        """A picture of one line; without text if nothing is read."""
        found = self._lines(image, 2, _ONE_LINE)
        words = tuple(word for line in found for word in line.words)
        text = " ".join(word.text for word in words)
        return Line(text, (0, 0, *image.size), min((word.score for word in words), default=0.0), words=words)

    def _lines(self, image: Image.Image, factor: int, mode: str) -> list[Line]:
        larger = image.resize((image.width * factor, image.height * factor)) if factor > 1 else image
        written = _run(larger, "-l", "+".join(each.tesseract for each in self.languages), "--psm", mode, "tsv")
        rows = csv.DictReader(io.StringIO(written), delimiter="\t", quoting=csv.QUOTE_NONE)
        words = [row for row in rows if row["level"] == _WORD_ROW and row["text"].strip()]
        lines = (list(of_line) for _, of_line in groupby(words, key=_place))
        return [line for of_line in lines if (line := _line(of_line, factor))]


@cache
def installed() -> frozenset[str]:
    """The languages that Tesseract has data for, as it calls them. Raises ToolError where it isn't installed."""
    if not shutil.which(_PROGRAM):
        raise ToolError("the text reader tesseract is not installed; run: apt-get install tesseract-ocr")
    listed = subprocess.run([_PROGRAM, "--list-langs"], capture_output=True, text=True, check=False, timeout=_SECONDS)
    return frozenset(line.strip() for line in listed.stdout.splitlines()[1:])


def with_data() -> frozenset[Language]:
    """The languages that can be read here: none where Tesseract isn't installed."""
    if not shutil.which(_PROGRAM):
        return frozenset()
    return frozenset(each for each in languages() if each.tesseract in installed())


def script_of(image: Image.Image) -> str | None:
    """The script of the text in a picture, if Tesseract is there, has its data for scripts, and is sure of it."""
    try:
        if "osd" not in installed():
            return None
        written = _run(image, "--psm", _WHAT_SCRIPT)
    except LookTwiceError:
        return None  # too little text to tell
    found = dict(line.split(": ", 1) for line in written.splitlines() if ": " in line)
    if float(found.get("Script confidence", 0)) < _SCRIPT_SURE:
        return None
    script = found["Script"]
    known = {each.script for each in languages()}
    return _SCRIPTS.get(script, script) if _SCRIPTS.get(script, script) in known else None


def _require(asked: Sequence[Language]) -> None:
    for each in asked:
        if each.tesseract not in installed():
            needed = f"no data to read {each.name} ({each.tesseract!r})"
            raise ToolError(f"tesseract has {needed}; run: {each.install}")


def _run(image: Image.Image, *arguments: str) -> str:
    """What the program writes of a picture. Raises ToolError."""
    encoded = io.BytesIO()
    image.convert("RGB").save(encoded, "PNG", compress_level=1)
    try:
        done = subprocess.run(
            [_PROGRAM, "stdin", "stdout", *arguments],
            input=encoded.getvalue(),
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},  # its threads wait for each other more than they compute
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"tesseract took longer than {_SECONDS:.0f} seconds; read a part of the picture") from error
    except OSError as error:
        raise ToolError(f"tesseract can't be run: {error.strerror}; see: tesseract --version") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ToolError(f"tesseract failed: {said[-1] if said else f'status {done.returncode}'}; see: looktwice doctor")
    return done.stdout.decode(errors="replace")


def _place(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["block_num"], row["par_num"], row["line_num"]


def _line(rows: Sequence[dict[str, Any]], factor: int) -> Line | None:
    words = tuple(word for row in rows if (word := _word(row, factor)).score >= _LEAST)
    if not words:
        return None
    lefts, tops, rights, bottoms = zip(*(word.box for word in words), strict=True)
    letters = sum(len(word.text) for word in words)
    score = sum(len(word.text) * word.score for word in words) / letters
    box = (min(lefts), min(tops), max(rights), max(bottoms))
    return Line(" ".join(word.text for word in words), box, score, words=words)


def _word(row: dict[str, Any], factor: int) -> Word:
    left, top, width, height = (int(row[side]) for side in ("left", "top", "width", "height"))
    box: Box = (left // factor, top // factor, -(-(left + width) // factor), -(-(top + height) // factor))
    return Word(row["text"].strip(), box, max(0.0, float(row["conf"])) / 100)
