"""Lines that are told while they are made, on standard output, and to whoever else listens."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from ..access.describing.telling import Line, Told, Word
from ..events import Notice, Started
from .follow import LOADING, WORKING, Progress, introduction, tell
from .output import Lines, say

__all__ = ["shown"]

_V = TypeVar("_V")


def shown(
    telling: Generator[Told, None, _V],
    lines: Lines,
    *,
    quiet: bool = False,
    hear: Callable[[str], object] | None = None,
) -> _V:
    """Show what is told as it comes, and return what the generator returns.

    ``quiet``: none of it on standard output. ``hear`` gets all words that go there, of lines with their end, such as
    `Voice.hear`.
    """
    printer = _Printer(lines, quiet=quiet, hear=hear)
    with closing(telling), Progress(lines, LOADING) as progress:
        while True:
            try:
                told = next(telling)
            except StopIteration as end:
                printer.close()
                return end.value
            progress.rest()
            printer.take(told)
            if _is_models(told):
                progress.doing = WORKING
            if not isinstance(told, Word):
                progress.watch()


class _Printer:
    """What was told already, and whether a line is open."""

    def __init__(self, lines: Lines, *, quiet: bool, hear: Callable[[str], object] | None) -> None:
        self._lines = lines
        self._quiet = quiet
        self._hear = hear
        self._known: set[str] = set()
        self._is_first = True
        self._is_open = False

    def take(self, told: Told) -> None:
        """Show one thing."""
        match told:
            case Line("status", text):
                self._lines.tell("status", text)
            case Line(kind, text):
                self.close()
                self._print("\n" if kind in ("picture", "heading") and not self._is_first else "", end="")
                self._print(f"{text}:" if kind == "heading" else text)
            case Word(text):
                self._is_open = self._is_open or bool(text.strip())
                if not self._quiet:
                    self._lines.answer(text)
                self._heard(text)
            case _:
                tell(told, self._lines, self._known)
                self._learn(told)

    def close(self) -> None:
        """End the line that the model's words stand on."""
        self._lines.close()
        if self._is_open:
            self._heard("\n")
        self._is_open = False

    def _print(self, text: str, end: str = "\n") -> None:
        self._is_first = False
        if not self._quiet:
            say(text, end=end)
        self._heard(f"{text}{end}")

    def _heard(self, text: str) -> None:
        if self._hear is not None:
            self._hear(text)

    def _learn(self, told: Told) -> None:
        match told:
            case Started(model):
                self._known.add(introduction(model))
            case Notice(text):
                self._known.add(text)
            case _:
                pass


def _is_models(told: Told) -> bool:
    """Whether the model has done something, so that it isn't being loaded any more."""
    return told.kind == "title" if isinstance(told, Line) else not isinstance(told, Started | Notice)
