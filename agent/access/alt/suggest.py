"""Alternative texts that are suggested, each with its reason and its doubts, for a person to review."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ....errors import InvalidInput, PictureRejected
from ....memory import Picture
from ....tools import find_tools
from ...words import words
from ..documents import Document, Place
from .branch import Decided, decided
from .doubts import doubts_of
from .entry import Entry
from .faults import faults_of, same_words, shown_source, without_opening
from .places import mark_of
from .prompts import KINDS, Prompts
from .reviewfile import ReviewFile, written_entry
from .seen import Seen, looked_at

if TYPE_CHECKING:
    from ...agent import Agent
    from ...answer import Answer
    from ...chat import Chat

__all__ = ["Progress", "Suggester", "suggest", "write_suggestions"]

Progress: TypeAlias = Callable[[int, int, str], None]
"""Told before each picture: its number, how many there are, its name."""

_COMPLEX = ("chart", "diagram", "map", "table")
_CALLED = "picture"
_TOKENS = {"kind": 8, "simple": 96, "link": 48, "short": 96, "long": 512}


def suggest(
    document: Document,
    agent: Agent,
    *,
    lang: str = "en",
    prompts: Prompts | None = None,
    read_text: bool = True,
    everything: bool = False,
    on_progress: Progress | None = None,
) -> list[Entry]:
    """Suggestions for the pictures of a document whose texts are missing or faulty, or for ``everything``.

    A model of ``agent`` is asked about those that the words of the page and the text in the picture don't settle, each
    in a conversation of its own that is deleted again. ``read_text``: with the tool "ocr", against which its answers
    are checked. Pictures that can't be looked at become questions to the author.
    """
    suggester = Suggester(document, agent, lang, prompts or Prompts(), read_text=read_text)
    say = words(lang)
    wanted = [
        index
        for index, place in enumerate(document.places)
        if not place.problem and not place.is_hidden and (everything or any(faults_of(place, say)))
    ]
    entries: list[Entry] = []
    for number, index in enumerate(wanted, start=1):
        if on_progress is not None:
            on_progress(number, len(wanted), _name(document.places[index]))
        entries.append(suggester.entry(number, index))
    return entries


def write_suggestions(
    path: str | os.PathLike[str],
    document: Document,
    entries: Sequence[Entry],
    *,
    model: str,
    note: str = "",
    lang: str = "en",
) -> ReviewFile:
    """Write suggestions to a file for review. Raises InvalidInput where one is already."""
    target = Path(path).expanduser()
    if target.exists():
        told = (
            f"{str(path)!r} exists already; go on with: looktwice alt review {str(path)!r}, or choose another with -o"
        )
        raise InvalidInput(told)
    folder = target.resolve().parent
    text = "\n".join(_page(document, os.path.relpath(document.path.resolve(), folder), entries, model, note, lang))
    file = ReviewFile.parse(target, text)
    file.save()
    return file


def _page(document: Document, name: str, entries: Sequence[Entry], model: str, note: str, lang: str) -> Iterator[str]:
    say = words(lang)
    yield f"# {say('Suggested alternative texts. Nothing is written into the document before you accept it.')}"
    yield f"# {say('Change any text, and set each decision to accept, decorative or skip; open is undecided.')}"
    yield f"# {say('A line that begins with # is a comment; a value goes on in the next line if that is indented.')}"
    if note:
        yield f"# {note}"
    yield ""
    yield f"document: {name}"
    yield f"sha256: {document.sha256}"
    yield f"model: {model}"
    yield f"lang: {lang}"
    yield ""
    for entry in entries:
        yield from written_entry(entry)


@dataclass
class Suggester:
    """Looks at the pictures of one document."""

    document: Document
    agent: Agent
    lang: str
    prompts: Prompts
    read_text: bool = True

    def __post_init__(self) -> None:
        self._say = words(self.lang)
        self._reader = find_tools(["ocr"])[0] if self.read_text else None
        self._known: dict[tuple[object, ...], Entry] = {}
        self._seen: dict[str, Seen] = {}

    def entry(self, number: int, index: int) -> Entry:
        """The suggestion for a place."""
        place = self.document.places[index]
        try:
            picture = self.document.picture(place)
        except PictureRejected as error:
            return self._unseen(number, index, place, str(error))
        key = (picture.key, place.kind, replace(place.context, before="", after=""))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._looked(place, picture)
        return self._placed(found, number, index, picture.key)

    def _placed(self, entry: Entry, number: int, index: int, key: str | None) -> Entry:
        place = self.document.places[index]
        return replace(
            entry,
            number=number,
            source=_name(place),
            where=str(place.where),
            mark=mark_of(self.document, index, key),
            context=_context(place),
            now=place.alt,
        )

    def _unseen(self, number: int, index: int, place: Place, why: str) -> Entry:
        question = self._say("What does the picture show, and what is it there for?")
        entry = Entry(0, "", "", "unseen", "", "", why=why, question=question)
        return self._placed(entry, number, index, None)

    def _looked(self, place: Place, picture: Picture) -> Entry:
        chat = self.agent.chat()
        try:
            added = chat.add(picture, _CALLED)
            if picture.key not in self._seen:
                self._seen[picture.key] = looked_at(chat, added, self._reader, self.lang)
            seen = self._seen[picture.key]
            found = decided(place, seen, self._say)
            if found.text is None:
                return self._asked(chat, place, seen, found)
            doubts = tuple(doubts_of(seen, self._say, says_text=bool(found.text)))
            return _entry(found, found.text, doubts)
        finally:
            chat.delete()

    def _asked(self, chat: Chat, place: Place, seen: Seen, found: Decided) -> Entry:
        """What the model says where the page and the text in the picture leave it open."""
        if found.branch == "simple":
            found = self._kind(chat, place, found)
        if found.text is not None:
            question = self._say("Is it only decoration? If not, what does it say here?")
            return _entry(replace(found, question=question), "", tuple(doubts_of(seen, self._say, says_text=False)))
        answer = self._ask(chat, {"link": "link", "complex": "short"}.get(found.branch, "simple"), place)
        text = _phrase(answer.text)
        if found.branch == "complex":
            found = replace(found, long=_clean(self._ask(chat, "long", place).text))
        doubts = tuple(doubts_of(seen, self._say, answer=answer, text=text, calibration=self.agent.calibration()))
        if found.branch == "link":
            doubts = (self._function(place), *doubts)
        return self._settled(_entry(found, text, doubts), answer, place)

    def _function(self, place: Place) -> str:
        if place.context.link:
            return self._say("See that it says where the link leads: {link}", link=place.context.link)
        return self._say("See that it says what the button does.")

    def _settled(self, entry: Entry, answer: Answer, place: Place) -> Entry:
        """The suggestion, or what becomes of one that the model couldn't make or that says nothing new."""
        if not entry.text or (answer.signals is not None and answer.signals.declined):
            question = self._say("What does the picture show, and what is it there for?")
            why = self._say("The model couldn't tell what it shows.")
            return replace(entry, branch="unclear", text="", why=why, question=question)
        if same_words(entry.text, place.context.caption):
            why = self._say("The caption says the same: {caption}", caption=place.context.caption)
            return replace(entry, branch="redundant", text="", why=why)
        if any(item.verdict == "conflict" for item in answer.evidence):
            return replace(entry, branch="unclear", question=self._say("Which of the two readings is right?"))
        return entry

    def _kind(self, chat: Chat, place: Place, found: Decided) -> Decided:
        said = self._ask(chat, "kind", place).text.casefold().strip(" .").split()
        kind = said[-1] if said and said[-1] in KINDS else ""
        if kind in _COMPLEX:
            why = self._say(
                "The model takes it for a chart or the like: a short text here, a long one in the document."
            )
            return replace(found, branch="complex", why=why)
        if kind == "decoration":
            return Decided("decorative", self._say("The model takes it for decoration."), "")
        return found

    def _ask(self, chat: Chat, name: str, place: Place) -> Answer:
        question = self.prompts.filled(name, place.context, self.lang)
        checks = self._reader is not None and name != "kind"
        return chat.ask(question, tools=(), check=checks, look_again=False, max_new_tokens=_TOKENS[name])


def _entry(found: Decided, text: str, doubts: tuple[str, ...]) -> Entry:
    return Entry(
        0, "", "", found.branch, text, "", long=found.long, why=found.why, doubts=doubts, question=found.question
    )


def _name(place: Place) -> str:
    return shown_source(place) or place.kind


def _context(place: Place) -> str:
    around = place.context
    told = {"heading": around.heading, "caption": around.caption, "link": around.link}
    told |= {"before": around.before[-120:], "after": around.after[:120]}
    return "\n".join(f"{name}: {' '.join(words.split())}" for name, words in told.items() if words)


def _phrase(answer: str) -> str:
    """The first sentence of an answer, without the words that go without saying."""
    text = _clean(answer).partition("\n")[0].strip().strip('"')
    first, stop, rest = text.partition(". ")
    text = first if stop and rest else text
    text = without_opening(text)
    return f"{text[:1].upper()}{text[1:]}".removesuffix(".").strip()


def _clean(answer: str) -> str:
    """Lines of an answer without characters that no document holds."""
    lines = (" ".join(line.split()) for line in answer.splitlines())
    return "\n".join("".join(char for char in line if char.isprintable()) for line in lines if line)
