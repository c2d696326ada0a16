"""A walk through suggestions, line by line: for a keyboard and a screen reader, without moving the cursor.

Each decision is in the file before the next picture is shown, so that nothing decided is lost, however it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from ....errors import InvalidInput
from ...words import Words, words
from .entry import Decision, Entry
from .faults import LONGEST
from .reviewfile import ReviewFile

__all__ = ["Review"]

Tell: TypeAlias = Callable[[str, str], None]
"""Says a labelled line: its label, its words."""
Ask: TypeAlias = Callable[[str], str | None]
"""Asks for a line; None at the end of the input."""

_WORDS = {
    "accept": "accept",
    "decorative": "decorative",
    "edit": "edit",
    "go": "go",
    "help": "help",
    "?": "help",
    "next": "next",
    "quit": "quit",
    "skip": "skip",
    "undo": "undo",
    "why": "why",
}


@dataclass
class Review:
    """One sitting over a file of suggestions. ``ask`` reads a line, ``tell`` says one."""

    file: ReviewFile
    ask: Ask
    tell: Tell
    lang: str = "en"
    _past: list[Entry] = field(default_factory=list[Entry], init=False)

    def __post_init__(self) -> None:
        self._say: Words = words(self.lang)

    def run(self) -> None:
        """Go on from the first open suggestion, until told to quit or the input ends."""
        self._status(f"{self._counts()}; {self._say('? explains the commands')}")
        current = self._after(0) or next((entry.number for entry in self.file.entries), None)
        if current is None:
            return
        self._show(current)
        if self._after(0) is None:
            self._status(self._decided())
        while (line := self.ask(self._say("decision: "))) is not None:
            try:
                following = self._take(line.strip(), current)
            except InvalidInput as error:
                self.tell("error", str(error))
                continue
            if following is None:
                break
            if following != current:
                self._show(following)
            current = following
        self._status(self._counts())

    def _take(self, line: str, current: int) -> int | None:
        """Do what a line says; the picture that comes next, None to end."""
        word, _, rest = line.partition(" ")
        match _command(word, self._say):
            case "accept":
                return self._accept(current)
            case "decorative":
                return self._decide(current, "decorative")
            case "skip":
                return self._decide(current, "skip")
            case "edit":
                return self._edit(current, rest.strip())
            case "undo":
                return self._undo()
            case "next":
                return self._next(current)
            case "go":
                return self._go(rest.strip())
            case "why":
                self._explain(self.file.entry(current))
            case "help":
                self._help()
            case _:
                return None
        return current

    # --- what a line may do

    def _accept(self, number: int) -> int:
        entry = self.file.entry(number)
        if entry.text:
            return self._decide(number, "accept")
        if entry.is_empty:
            return self._decide(number, "decorative")
        raise InvalidInput(self._say("There is no text to accept; edit writes one, decorative leaves it empty."))

    def _decide(self, number: int, decision: Decision, text: str | None = None) -> int:
        self._refresh()
        before = self.file.entry(number)
        self._keep(self.file.decided(number, decision, text))
        self._past.append(before)
        self._status(self._say("{number} is decided: {decision}", number=number, decision=decision))
        return self._next(number)

    def _keep(self, changed: ReviewFile) -> None:
        changed.save()
        self.file = changed

    def _next(self, number: int) -> int:
        following = self._after(number)
        if following is None and self.file.entry(number).decision != "open":
            self._status(self._decided())
        return number if following is None else following

    def _edit(self, number: int, text: str) -> int:
        if not text:
            self._status(self._say("Write the new text on one line; an empty line leaves it as it is."))
            text = (self.ask(self._say("text: ")) or "").strip()
        if not text:
            self._status(self._say("Nothing was changed."))
            return number
        text = " ".join("".join(char for char in text if char.isprintable()).split())
        if len(text) > LONGEST:
            long = {"n": len(text), "most": LONGEST}
            self._status(self._say("{n} characters are more than {most}; it is kept as you wrote it.", **long))
        return self._decide(number, "accept", text)

    def _undo(self) -> int:
        if not self._past:
            raise InvalidInput(
                self._say("There is nothing to undo in this sitting; go NUMBER leads to an earlier one.")
            )
        before = self._past[-1]
        self._refresh()
        self._keep(self.file.decided(before.number, before.decision, before.text))
        self._past.pop()
        self._status(self._say("{number} is as it was: {decision}", number=before.number, decision=before.decision))
        return before.number

    def _go(self, number: str) -> int:
        if not number.isdecimal():
            raise InvalidInput(self._say("Say which picture, as in: go 2"))
        return self.file.entry(int(number)).number

    def _refresh(self) -> None:
        """Take over what was changed in the file meanwhile, in an editor."""
        on_disk = ReviewFile.read(self.file.path)
        if on_disk.lines != self.file.lines:
            self._status(self._say("The file was changed meanwhile, and is read again."))
            self.file = on_disk

    # --- what is said

    def _after(self, number: int) -> int | None:
        """The next open picture after one; the first of all where none follows; None where none is open."""
        opened = [entry.number for entry in self.file.entries if entry.decision == "open" and entry.number != number]
        return next((each for each in opened if each > number), opened[0] if opened else None)

    def _show(self, number: int) -> None:
        entry = self.file.entry(number)
        values = {"n": number, "all": len(self.file.entries), "source": entry.source, "where": entry.where}
        self.tell("picture", self._say("{n} of {all}: {source}, {where}", **values))
        if entry.now is not None:
            self.tell("now", entry.now or self._say("marked as decorative"))
        self.tell("suggestion", entry.text or self._nothing(entry))
        for doubt in entry.doubts:
            self.tell("doubt", doubt)
        if entry.question:
            self.tell("question", entry.question)
        if entry.decision != "open":
            self.tell("decided", entry.decision)

    def _nothing(self, entry: Entry) -> str:
        return self._say("decorative, no text") if entry.is_empty else self._say("none")

    def _explain(self, entry: Entry) -> None:
        self.tell("kind", entry.branch)
        self.tell("why", entry.why)
        for line in entry.context.split("\n"):
            name, colon, said = line.partition(": ")
            if colon:
                self.tell(name, said)
        for line in filter(None, entry.long.split("\n")):
            self.tell("long", line)

    def _help(self) -> None:
        for line in (
            self._say("a or accept: the suggestion is right"),
            self._say("e or edit, with or without the new text behind it: another text"),
            self._say("d or decorative: no text, for a picture that says nothing here"),
            self._say("s or skip: leave the document as it is there"),
            self._say("n or next: decide later"),
            self._say("u or undo: take the last decision back"),
            self._say("w or why: the reason, and what stands around the picture"),
            self._say("go NUMBER: to another picture"),
            self._say("q or quit: end; everything decided is kept"),
        ):
            self.tell("help", line)

    def _decided(self) -> str:
        return self._say("Everything is decided; undo or go NUMBER changes one, quit ends.")

    def _status(self, said: str) -> None:
        self.tell("status", said)

    def _counts(self) -> str:
        counts = {decision: 0 for decision in ("accept", "decorative", "skip", "open")}
        for entry in self.file.entries:
            counts[entry.decision] += 1
        return self._say("{accept} accepted, {decorative} decorative, {skip} skipped, {open} open", **counts)


def _command(word: str, say: Words) -> str:
    """The command that a word or its first letters stand for. Raises InvalidInput."""
    lowered = word.lower()
    found = {command for name, command in _WORDS.items() if lowered and name.startswith(lowered)}
    if len(found) != 1:
        raise InvalidInput(say("{word} is no command here; ? explains them", word=repr(word)))
    return found.pop()
