"""The lines of ``looktwice chat``: questions, and commands that begin with a slash."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from ...errors import InvalidInput, LookTwiceError, UnknownName
from ...memory import NamedPicture, Picture
from ..chat import Chat, Image
from ..events import Event
from ..record import Record
from .cautions import Cautions
from .follow import (
    checks,
    described,
    described_call,
    ended,
    follow,
    introduction,
    stopped_by_interrupt,
    tool_advised,
    waiting,
)
from .output import NOT_TEXT, Lines, answers, printable, say

if TYPE_CHECKING:
    from ..access.voice import Voice

_COMMANDS = {
    "/add": "/add FILE [as NAME]: put a picture into the conversation",
    "/approve": "/approve ID: let a call that waits run, and go on",
    "/deny": "/deny ID [WHY]: refuse a call that waits, and go on",
    "/fork": "/fork [NAME]: go on in a copy; this conversation stays as it is",
    "/go-on": "/go-on: finish an answer that broke off",
    "/help": "/help: this list",
    "/images": "/images: the pictures, by name",
    "/quit": "/quit: end; everything is kept",
    "/retry": "/retry: answer the last question again",
    "/undo": "/undo: take the last question and its answer back",
    "/why": "/why: what the last answer rests on and what it cost",
}


class Repl:
    """Reads lines until the end. ``echo``: the lines come from a pipe, so each is shown before it is answered."""

    def __init__(
        self, chat: Chat, lines: Lines, settings: dict[str, Any], *, echo: bool, voice: Voice | None = None
    ) -> None:
        """``settings`` go with every question; ``voice`` says every answer."""
        self._chat = chat
        self._lines = lines
        self._settings = settings
        self._echo = echo
        self._voice = voice
        self._over = False
        self._known: tuple[str, ...] = ()
        self._cautions = Cautions(chat, chat.agent.lang, lines)
        self._commands: dict[str, Callable[[str], None]] = {
            name: getattr(self, f"_{name[1:].replace('-', '_')}") for name in _COMMANDS
        }

    def begin(self, pictures: Sequence[Image]) -> None:
        """Say where we are, and add the first pictures."""
        chat = self._chat
        with chat.memory.atomic():
            self._cautions.see(pictures)
            for image in pictures:
                chat.add(image.source, image.name)
        known = ", ".join(picture.name for picture in chat.images if not picture.forgotten) or "none"
        self._lines.tell(
            "status", f"conversation {chat.name!r} in {chat.memory.path}; pictures: {known}; /help for help"
        )
        if call := self._waiting():
            self._lines.tell("status", call)
        elif chat.unfinished is not None:
            self._lines.tell(
                "status", "the last question has no whole answer; /go-on finishes it, /retry asks it again"
            )

    def run(self) -> bool:
        """Answer lines until the end of input or /quit. Whether any of them failed."""
        failed = False
        while not self._over:
            line = self._read()
            if line is None:
                break
            if not line.strip():
                continue
            try:
                self._take(line.strip())
            except LookTwiceError as error:
                failed = True
                self._lines.tell("error", str(error))
        return failed

    def _read(self) -> str | None:
        """The next line; None at the end. Ctrl-C while nothing is being answered takes the line back."""
        prompt = "you: " if self._lines.plain else "you> "
        while True:
            try:
                with redirect_stdout(answers()):  # where input() looks for the terminal
                    line = input("" if self._echo else prompt)
            except EOFError:
                return None
            except UnicodeDecodeError as error:
                raise InvalidInput(f"the input is not {sys.stdin.encoding.upper()}; {NOT_TEXT}") from error
            except KeyboardInterrupt:
                click.echo(err=True)
                self._lines.tell("status", "/quit or Ctrl-D ends")
                continue
            if self._echo and line.strip():
                say(f"you: {line}")
            return line

    def _take(self, line: str) -> None:
        if not line.startswith("/"):
            self._require_decided()
            question = self._cautions.ask(line)
            self._ask(lambda wanted: self._chat.stream(question, **wanted), question)
            return
        word, _, rest = line.partition(" ")
        if word not in self._commands:
            raise UnknownName("command", word, _COMMANDS, hint="/help explains them")
        self._commands[word](rest.strip())

    def _ask(self, begin: Callable[[dict[str, Any]], Iterator[Event]], question: str = "") -> None:
        label = "assistant: " if self._lines.plain else ""
        with stopped_by_interrupt() as cancel, tool_advised():
            if self._voice is not None:
                self._voice.begin(cancel)
            events = begin({**self._settings, "cancel": cancel})
            answer = follow(
                events, self._lines, label=label, known=self._known, loading=not self._known, voice=self._voice
            )
            if self._voice is not None:
                self._voice.end()
        self._known = (introduction(answer.model), self._chat.agent.backend.note)
        ended(answer, self._lines)
        self._cautions.hear(question, answer.text)
        if answer.finish == "paused":
            self._lines.tell("status", self._waiting())

    def _waiting(self) -> str:
        """A line on the call that waits, if the conversation ends with one."""
        call = waiting(self._chat)
        return (
            f"{described(call.call)} waits; /approve {call.id} lets it run, /deny {call.id} refuses it" if call else ""
        )

    def _require_decided(self) -> None:
        if call := self._waiting():
            raise InvalidInput(call)

    # --- the commands

    def _add(self, rest: str) -> None:
        words = _split(rest)
        match words:
            case [file]:
                added = self._added(file, None)
            case [file, "as", name]:
                added = self._added(file, name.removeprefix("@"))
            case _:
                quote = f"; quote a file name with blanks: /add {shlex.quote(rest)}" if words else ""
                raise InvalidInput(f"can't read {rest!r}; write: /add FILE, or /add FILE as NAME{quote}")
        self._lines.tell("status", f"@{added.name} is {added.width} by {added.height} pixels")

    def _added(self, file: str, name: str | None) -> NamedPicture:
        picture = Picture.load(os.path.expanduser(file))
        added = self._chat.add(picture, name)
        self._cautions.see([Image(picture, added.name)])
        return added

    def _images(self, rest: str) -> None:
        names = {picture.key: picture.name for picture in self._chat.images}
        for picture in self._chat.images:
            origin = f", part of {names.get(picture.parent, 'a removed picture')}" if picture.parent else ""
            gone = ", forgotten" if picture.forgotten else ""
            words = f": {picture.alt}" if picture.alt else ""
            say(printable(f"@{picture.name}, {picture.width} by {picture.height}{origin}{gone}{words}"))
        if not names:
            self._lines.tell("status", "no pictures yet; /add FILE")

    def _why(self, rest: str) -> None:
        last = next((turn for turn in reversed(self._chat.turns) if turn.role == "assistant" and turn.meta), None)
        if last is None:
            raise InvalidInput("nothing was answered yet; ask something first")
        for line in reasons(Record.of(last)):
            say(line)

    def _fork(self, rest: str) -> None:
        self._chat = self._chat.fork(name=rest or None)
        self._lines.tell("status", f"this is now conversation {self._chat.name!r}")

    def _undo(self, rest: str) -> None:
        taken = self._chat.undo()
        if taken is None:
            raise InvalidInput("there is nothing to take back; ask something first")
        self._lines.tell("status", f"taken back: {taken.text}")

    def _retry(self, rest: str) -> None:
        self._ask(lambda wanted: self._chat.stream_retry(**wanted))

    def _go_on(self, rest: str) -> None:
        self._require_decided()
        self._ask(lambda wanted: self._chat.stream_go_on(**wanted))

    def _approve(self, rest: str) -> None:
        number, _ = _number(rest)
        self._ask(lambda wanted: self._chat.stream_decide(number, True, **wanted))

    def _deny(self, rest: str) -> None:
        number, why = _number(rest)
        self._ask(lambda wanted: self._chat.stream_decide(number, False, note=why, **wanted))

    def _help(self, rest: str) -> None:
        for line in _COMMANDS.values():
            say(line)

    def _quit(self, rest: str) -> None:
        self._over = True


def reasons(record: Record) -> Iterator[str]:
    """What an answer rests on and what it cost, a line each."""
    for look in record.looks:
        brought = ", ".join(filter(None, [look.text, *(f"picture {name}" for name in look.images)])) or "nothing"
        yield f"look: {described_call(look.tool, look.arguments)} {'failed' if look.error else 'brought'}: {brought}"
    for line in checks(record.evidence):
        yield f"evidence: {line}"
    if not record.looks and not record.evidence:
        yield "no looks and no evidence: the answer rests on the pictures as the model saw them"
    for image in record.images:
        yield f"picture: {image.name}, {image.tokens} tokens, {image.tier}"
    for picture in record.budget:
        if picture.tier != "thumbnail":
            yield f"picture: {picture.name}, by {picture.tier} only, {picture.why}"
    if record.left_out is not None:
        yield f"left out: the {record.left_out.questions} oldest questions and their answers"
    usage = record.usage
    if usage is not None:
        yield f"tokens: {usage.prompt} prompt ({usage.reused} reused, {usage.new} new), {usage.output} answer"
    if record.timing is not None:
        yield f"seconds: {record.timing.total:.1f}"
    if record.confidence is not None:
        yield f"confidence: {record.confidence:.0%}"


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidInput(f"can't read {text!r} ({error}); close the quotes") from error


def _number(text: str) -> tuple[int, str]:
    number, _, rest = text.partition(" ")
    if not number.isdecimal():
        raise InvalidInput(f"{text!r} doesn't begin with a call's number; looktwice approve lists them")
    return int(number), rest.strip()
