"""What the commands print: answers to standard output, everything else in labelled lines to standard error."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

import click

# C0 and C1 controls without tab and newline, and the marks that turn the direction of writing: on a terminal the
# first can move the cursor or set its title, the second can make "12.04" of "40.21".
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

NOT_TEXT = "convert it first, as in: iconv -f LATIN1 -t UTF-8"
_answers: list[TextIO] = []  # for every thread, as sys.stdout is


@contextmanager
def answers_apart() -> Generator[None]:
    """Standard output for what is said here alone; what tools and libraries print goes to standard error."""
    _answers.append(answers())
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _answers.pop()


def answers() -> TextIO:
    """The stream that answers go to."""
    return _answers[-1] if _answers else sys.stdout


def printable(text: str) -> str:
    r"""Text whose control and direction characters are written out, as ``\u202e``."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def as_json(value: Any) -> str:
    """Indented JSON on which a terminal can't choke; reading it gives ``value`` again."""
    return printable(json.dumps(value, ensure_ascii=False, indent=2))


def is_plain(asked: bool) -> bool:
    """Whether output is labelled lines without colour: asked for, or the terminal can't or shouldn't do more."""
    wanted = any(os.environ.get(name) for name in ("NO_COLOR", "ACCESSIBLE"))
    return asked or wanted or os.environ.get("TERM") == "dumb" or not answers().isatty()


def say(text: str = "", *, end: str = "\n") -> None:
    """Write to standard output: exactly as it is into a pipe or file, escaped on a terminal."""
    click.echo((printable(text) if answers().isatty() else text) + end, nl=False, file=answers())


def say_json(value: Any) -> None:
    """Write one JSON value to standard output."""
    click.echo(as_json(value), file=answers())


def say_table(rows: Iterable[Sequence[object]], *, heads: Sequence[str]) -> None:
    """Write rows under their heads, in columns that are wide enough; line breaks become spaces."""
    cells = [[" ".join(printable(str(cell)).split()) for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def when(seconds: float) -> str:
    """A moment as the computer's own clock shows it."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M}"


@dataclass(slots=True)
class Lines:
    """Labelled lines on standard error that never stand in the middle of a line of the answer, in a language."""

    plain: bool = True
    lang: str = "en"
    _open: bool = field(default=False, init=False)

    def tell(self, label: str, text: str) -> None:
        """One line, such as ``status: working``."""
        self.close()
        line = f"{label}: {printable(' '.join(text.split()))}"
        click.echo(line if self.plain or label == "error" else click.style(line, dim=True), err=True)

    def answer(self, text: str, label: str = "") -> None:
        """Words of the answer, as they come, to standard output; ``label`` stands before the first."""
        if not self._open:
            text = label + text.lstrip()
            if not text.strip():
                return
        say(text, end="")
        self._open = True

    def close(self) -> None:
        """End the line of the answer, if one is open."""
        if self._open:
            say()
            self._open = False
