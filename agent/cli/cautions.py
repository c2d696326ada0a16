"""What a person should know before and after an answer: bad pictures, hours that are places, matters of some weight."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from ..events import Event, Started
from .output import Lines

if TYPE_CHECKING:
    from ..chat import Chat, Image

__all__ = ["Cautions"]


class Cautions:
    """Tells of one conversation, each warning once."""

    def __init__(self, chat: Chat, lang: str, lines: Lines) -> None:
        """``chat`` is the conversation before what is asked now."""
        from ..access.warnings import Warner

        self._warner = Warner(lang, chat)
        self._lang = lang
        self._lines = lines

    def see(self, images: Iterable[Image]) -> None:
        """Tell what is wrong with pictures that are new here, before a model is asked about them."""
        from ...memory import Picture
        from ..access.check import check_pixels

        for image in images:
            picture = Picture.load(image.source)
            for fault in check_pixels(picture.pixels(), lang=self._lang):
                self._lines.tell("status", f"{image.name or picture.name}: {fault}")

    def seen(self, events: Generator[Event], images: Sequence[Image]) -> Generator[Event]:
        """The events of an answer; what is wrong with its pictures is told once it is sure to be asked."""
        with closing(events):
            for event in events:
                if isinstance(event, Started):
                    self.see(images)
                yield event

    def ask(self, question: str) -> str:
        """The question with hours of a clock as places, which is told."""
        from ..access.places import placed

        question, told = placed(question)
        for each in told:
            self._lines.tell("status", each)
        return question

    def hear(self, question: str, answer: str) -> None:
        """Warn once where a wrong answer could do harm."""
        for warning in self._warner.hear(question, answer):
            self._lines.tell("warning", warning)
