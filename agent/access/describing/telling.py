"""A description while it is made: lines for people, the words of the model as they come, and its events."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from ....memory import NamedPicture, Picture
from ...agent import Agent
from ...answer import Answer
from ...chat import Chat, Image
from ...events import Answered, Event, Text
from ...standing import standing_tools
from ...words import words
from ..check import Fault, check_pixels, check_text
from ..places import box_of, placed
from ..sentences import shortened, split
from ..warnings import Warner
from .description import Description, Length, Section
from .doubts import doubts_of
from .place import Place, added, mentioning, part_of
from .prompts import Prompts, filled
from .text import TextRead, read_text
from .title import LONGEST, title_of

__all__ = ["Describer", "Line", "LineKind", "Told", "Word"]

LineKind: TypeAlias = Literal["picture", "title", "heading", "text", "uncertain", "advice", "warning", "status"]
_EMPTY = ("black", "blank", "uniform", "blurred")  # a model that is asked about these invents something
_PARAGRAPH = 1000  # characters that social networks take


@dataclass(frozen=True, slots=True)
class Line:
    """A whole line: what it is, and its words."""

    kind: LineKind
    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """Words of the model, as they come; a line, a picture or the end follows the last ones."""

    text: str


Told: TypeAlias = Line | Word | Event


class Describer:
    """Describes pictures one after the other, and tells everything as soon as it is known."""

    def __init__(
        self,
        agent: Agent,
        *,
        length: Length = "alt",
        about: str = "",
        prompt: str | None = None,
        prompts: Prompts | None = None,
        lang: str = "en",
        chat: Chat | None = None,
        part: str = "",
        anyway: bool = False,
        settings: Mapping[str, Any] | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        """As for `describe`. ``anyway``: a model is asked about empty and blurred pictures, too.

        ``settings`` go with every question, and ``cancel`` ends them all. Raises InvalidInput for an unknown ``part``.
        """
        self._agent = agent
        self._length: Length = length
        self._about = about.strip()
        self._prompt = prompt
        self._prompts = prompts
        self._lang = lang
        self._say = words(lang)
        self._chat = chat
        self._box = box_of(part) if part else None
        self._anyway = anyway
        self._settings = dict(settings or {})
        self._cancel = cancel or threading.Event()
        self._reads = importlib.util.find_spec("rapidocr") is not None
        self.finish = "stop"
        """How the last answer ended, as in `Answer`."""

    def tell(self, pictures: Sequence[Image]) -> Generator[Told, None, list[Description]]:
        """Describe the pictures; all are read before the first is described. Raises PictureRejected."""
        loaded = [(image, Picture.load(image.source)) for image in pictures]
        made: list[Description] = []
        warner = Warner(self._lang, self._chat)
        for number, (image, picture) in enumerate(loaded, 1):
            with Place(self._agent, self._chat) as chat:
                there = added(chat, picture, image)
                there = there if self._box is None else part_of(chat, there, self._box)
                if len(loaded) > 1:
                    say = self._say("Image {number} of {all}: {name}", number=number, all=len(loaded), name=there.name)
                    yield Line("picture", say)
                made.append((yield from self._picture(chat, there, warner)))
            if self.finish != "stop":
                break
        return made

    def _picture(self, chat: Chat, picture: NamedPicture, warner: Warner) -> Generator[Told, None, Description]:
        say = self._say
        pixels = chat.memory.pictures.pixels(picture.key)
        faults = check_pixels(pixels, lang=self._lang)
        is_empty = any(fault.kind in _EMPTY for fault in faults) and not self._anyway
        read = None if is_empty else (yield from self._read(chat, picture))
        if read is not None:
            faults = (*faults, *check_text(read.reading, pixels.size, lang=self._lang))
        for fault in faults:
            yield Line("advice", _sentence(fault))
        made = Description(picture.name, faults=faults, lang=self._lang)
        if is_empty:
            yield Line("advice", say("So it was not described; --anyway has it described all the same."))
            return made
        made = yield from self._described(chat, picture, made)
        if read is not None:
            made = yield from self._with_text(made, read)
        doubts = (*made.uncertain, *(read.doubts(say) if read else ()))
        if doubts:
            yield Line("heading", say("Uncertain"))
        for doubt in doubts:
            yield Line("uncertain", doubt)
        warnings = tuple(warner.hear(self._about, made.text, read.text if read else ""))
        for warning in warnings:
            yield Line("warning", warning)
        self._keep(chat, picture, made, read)
        return replace(made, uncertain=doubts, warnings=warnings)

    def _keep(self, chat: Chat, picture: NamedPicture, made: Description, read: TextRead | None) -> None:
        """What is known of the picture from now on, for searches, pages and later questions."""
        for kind, text in (("caption", "" if made.uncertain else made.title), ("text", read.text if read else "")):
            if text:
                chat.memory.pictures.note(picture.key, kind, text)

    def _read(self, chat: Chat, picture: NamedPicture) -> Generator[Told, None, TextRead | None]:
        """The text of a picture, where it is wanted and can be read."""
        if self._length != "long":
            return None
        if not self._reads:
            yield Line("status", self._say("text is not looked at; to get that: pip install 'looktwice[ocr]'"))
            return None
        read = read_text(chat, picture)
        if isinstance(read, str):
            yield Line("status", self._say("the text was not read: {why}", why=read))
            return None
        return read

    def _described(self, chat: Chat, picture: NamedPicture, made: Description) -> Generator[Told, None, Description]:
        """What the model says: an answer, then a title, then what the length asks for."""
        say, prompts = self._say, self._prompts or self._standing()
        if self._about:
            question, told = placed(self._about)
            for each in told:
                yield Line("status", each)
            made = yield from self._section(chat, picture, made, "answer", say("Answer"), question)
        if self._prompt is not None:
            made = yield from self._section(chat, picture, made, "description", "", self._prompt)
            return replace(made, title=shortened(title_of(made.section("description")), LONGEST))
        if self._length != "social":
            made = yield from self._titled(chat, picture, made, prompts)
        parts = {
            "alt": (),
            "social": (("description", "", prompts.social),),
            "long": (
                ("overview", say("Overview"), prompts.overview),
                ("layout", say("Layout, from left to right"), prompts.layout),
            ),
        }[self._length]
        for name, heading, prompt in parts:
            if prompt and self.finish == "stop":
                made = yield from self._section(chat, picture, made, name, heading, self._focused(prompt, prompts))
        return made

    def _standing(self) -> Prompts:
        """The prompts that the checkpoint was trained on, else those in the language."""
        own: Mapping[str, str] = getattr(self._agent.backend, "own_prompts", None) or {}
        return Prompts.spoken(self._lang).changed(own, "of the checkpoint")

    def _focused(self, prompt: str, prompts: Prompts) -> str:
        return f"{prompt} {prompts.focus}" if self._about and prompts.focus else prompt

    def _titled(
        self, chat: Chat, picture: NamedPicture, made: Description, prompts: Prompts
    ) -> Generator[Told, None, Description]:
        """The title: asked for once more if it is too long, then cut."""
        answer, before = (yield from self._asked(chat, picture, self._focused(prompts.title, prompts))), made
        title, made = title_of(answer.text), self._doubted(before, answer)
        if len(title) > LONGEST and prompts.shorter and self.finish == "stop":
            answer = yield from self._asked(chat, picture, prompts.shorter)
            shorter = title_of(answer.text)
            if shorter and len(shorter) < len(title):
                title, made = shorter, self._doubted(before, answer)
        title = shortened(title, LONGEST)
        yield Line("title", title)
        return replace(made, title=title)

    def _section(
        self, chat: Chat, picture: NamedPicture, made: Description, name: str, heading: str, prompt: str
    ) -> Generator[Told, None, Description]:
        """One question whose answer is told as it comes; one that may still change is told when it stands."""
        if heading:
            yield Line("heading", heading)
        is_limited = name == "description" and self._prompt is None
        answer = yield from self._asked(chat, picture, prompt, aloud=not is_limited)
        text = answer.text.strip()
        if is_limited:
            text = _fitting(text, _PARAGRAPH)
        if is_limited or self._may_look(chat):
            yield Line("text", text)
        made = self._doubted(made, answer).with_section(Section(name, heading, text))
        return replace(made, title=shortened(title_of(text), LONGEST)) if is_limited else made

    def _asked(
        self, chat: Chat, picture: NamedPicture, prompt: str, *, aloud: bool = False
    ) -> Generator[Told, None, Answer]:
        question = mentioning(filled(prompt, picture=picture.name, about=self._about), picture, chat)
        alone = {"strategy": "each"} if f"@{picture.name}" in question else {}
        check = self._reads if self._agent.check is None else self._agent.check
        wanted = {"check": check, **alone, **self._settings, "cancel": self._cancel}
        aloud = aloud and not self._may_look(chat)
        with closing(chat.stream(question, **wanted)) as events:
            for event in events:
                match event:
                    case Text(text):
                        if aloud:
                            yield Word(text)
                    case Answered(answer):
                        self.finish = answer.finish if answer.finish != "length" else "stop"
                        return answer
                    case _:
                        yield event
        raise RuntimeError("the agent's events ended without an answer")

    def _may_look(self, chat: Chat) -> bool:
        """Whether an answer may be taken back for a closer look."""
        return bool(standing_tools(chat.turns) if self._agent.tools is None else self._agent.tools)

    def _doubted(self, made: Description, answer: Answer) -> Description:
        doubts = doubts_of(answer, self._agent.calibration(), self._say)
        new = (doubt for doubt in doubts if doubt not in made.uncertain)
        return replace(made, model=answer.model, uncertain=(*made.uncertain, *new))

    def _with_text(self, made: Description, read: TextRead) -> Generator[Told, None, Description]:
        lines = list(read.lines(self._say))
        heading = self._say("Text")
        yield Line("heading", heading)
        for line in lines:
            yield Line("text", line)
        return made.with_section(Section("text", heading, "\n".join(lines)))


def _sentence(fault: Fault) -> str:
    text = str(fault)
    return f"{text[:1].upper()}{text[1:]}."


def _fitting(text: str, limit: int) -> str:
    """As many whole sentences as fit; of a first one that is too long as much as fits."""
    kept = ""
    for sentence in split(text):
        longer = f"{kept} {sentence}".strip()
        if len(longer) > limit:
            break
        kept = longer
    return kept or shortened(text, limit)
