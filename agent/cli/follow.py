"""Following an answer while it is made: words to standard output, looks and progress to standard error."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from ...errors import InvalidInput, UnknownName
from ...memory.parts import ToolCallPart
from ..answer import Answer, Evidence
from ..events import Answered, Called, Checked, Event, Notice, Paused, Returned, Started, Text
from ..words import later, words
from .output import Lines, answers

if TYPE_CHECKING:
    from ...memory import Approval
    from ..access.voice import Voice
    from ..chat import Chat

LOADING = later("loading the model")
WORKING = later("working")
_PATIENCE = 1.0
REMINDER = 30.0
"""Seconds after which somebody who can't see that work goes on is told."""
_THINGS = ("count", "side", "name")  # kinds of claims that need not be about text


@contextmanager
def stopped_by_interrupt() -> Generator[threading.Event]:
    """An event that the first Ctrl-C sets, so that the answer so far is kept; the second one interrupts."""
    cancel = threading.Event()

    def stop(signum: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)


class Progress:
    """Says that work goes on when nothing was to be seen for a second, and again every 30 seconds.

    Used with ``with``; ``rest`` and ``watch`` stop and start it in between.
    """

    def __init__(self, lines: Lines, doing: str = WORKING) -> None:
        """Lines are written from a thread of its own; ``doing`` is what goes on."""
        self.doing = doing
        self._lines = lines
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._waited = 0.0

    def __enter__(self) -> Progress:
        self.watch()
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()

    def rest(self) -> None:
        """Something is to be seen: say nothing until ``watch``."""
        with self._lock:
            if self._timer:
                self._timer.cancel()
            self._timer = None

    def watch(self, patience: float = _PATIENCE) -> None:
        """Begin to wait; the first line comes after so many seconds."""
        self.rest()
        with self._lock:
            self._waited = 0.0
            self._wait(patience)

    def _wait(self, seconds: float) -> None:
        """Remind after so many seconds; the lock is held."""
        self._timer = threading.Timer(seconds, self._remind, (seconds,))
        self._timer.daemon = True
        self._timer.start()

    def _remind(self, seconds: float) -> None:
        with self._lock:
            if self._timer is not threading.current_thread():
                return
            self._waited += seconds
            first = seconds == _PATIENCE
            say = words(self._lines.lang)
            told = say("{doing}; Ctrl-C stops", doing=say(self.doing))
            if not first:
                told = say("still {doing}, {seconds} s", doing=say(self.doing), seconds=round(self._waited))
            self._lines.tell("status", told)
            self._wait(REMINDER)


def follow(
    events: Iterator[Event],
    lines: Lines,
    *,
    quiet: bool = False,
    label: str = "",
    known: Collection[str] = (),
    loading: bool = True,
    voice: Voice | None = None,
) -> Answer:
    """Show the events as they come, and return the answer.

    ``quiet``: none of its words on standard output. ``label`` stands before its first word. ``known`` are lines
    that were told before and aren't told again. ``loading``: until the model does something it is being loaded.
    ``voice`` hears the words as well; whoever gave it ends it.
    """
    words = _Words(lines, label, quiet=quiet, voice=voice)
    try:
        with Progress(lines, LOADING if loading else WORKING) as progress:
            for event in events:
                progress.rest()
                if not isinstance(event, Started | Notice):
                    progress.doing = WORKING
                words.hear(event)
                if isinstance(event, Answered):
                    return event.answer
                if not isinstance(event, Text):
                    tell(event, lines, known)
                    progress.watch()
    finally:
        if isinstance(events, Generator):  # left early: the answer so far is kept before the database is closed
            events.close()
        lines.close()
    raise RuntimeError("the agent's events ended without an answer")


class _Words:
    """The words of an answer on standard output.

    A terminal shows them as they come, and once more if others stand in the end. Whatever else reads standard output
    gets only those that stand, and so does a ``voice``: what was heard can't be taken back.
    """

    def __init__(self, lines: Lines, label: str, *, quiet: bool, voice: Voice | None) -> None:
        self._lines = lines
        self._label = label
        self._quiet = quiet
        self._voice = voice
        self._may_change = False
        self._held = False
        self._said = ""

    def hear(self, event: Event) -> None:
        """Show what an event says of the words."""
        match event:
            case Started():
                self._may_change = event.may_change
                self._held = event.may_change and not answers().isatty()
            case Called() | Checked(again=True):
                self._said = ""
            case Text(text):
                self._said += text
                if not self._quiet and not self._held:
                    self._lines.answer(text, self._label)
                if self._voice is not None and not self._may_change:
                    self._voice.hear(text)
            case Answered(answer):
                self._end(str(answer))
                self._speak_end(str(answer))
            case _:
                pass

    def _end(self, standing: str) -> None:
        heard = self._said.strip()
        if standing.strip().endswith(heard):  # or all of it, but for what was said before it broke off
            standing = heard if self._held else ""
        if standing and not self._quiet:
            self._lines.close()
            self._lines.answer(standing, self._label)

    def _speak_end(self, standing: str) -> None:
        """Say what was not said yet: all of an answer that could change, or the one that stands instead."""
        heard = self._said.strip()
        if self._voice is not None and (self._may_change or not standing.strip().endswith(heard)):
            self._voice.hear(f"\n{standing}")


@contextmanager
def tool_advised() -> Generator[None]:
    """Where the tool of an approved call is missing, says how to offer it."""
    try:
        yield
    except UnknownName as error:
        if error.kind != "tool":
            raise
        raise InvalidInput(
            f"the tool {error.name!r} is not on offer; give --tools with MODULE:NAME of that tool, as when it was asked"
        ) from error


def waiting(chat: Chat) -> Approval | None:
    """The call at the end of the conversation that waits for a decision."""
    last = chat.unfinished
    return next((approval for approval in chat.approvals() if last and approval.turn == last.id), None)


def introduction(model: str) -> str:
    """The line that says which model answers."""
    return f"{model} answers"


def ended(answer: Answer, lines: Lines) -> int:
    """The exit status that an answer deserves, after a line on why it is not whole, if it isn't."""
    match answer.finish:
        case "stop" | "length":
            return 0
        case "cancelled":
            lines.tell("status", "stopped; what was said is kept, and can be finished (go on) or asked again (retry)")
            return 130
        case "timeout":
            lines.tell("error", "the time was over; what was said is kept; give a longer --timeout and go on or retry")
            return 1
        case "paused":
            return 1


def tell(event: Event, lines: Lines, known: Collection[str]) -> None:
    """What an event says beside the words of the answer, as a labelled line; not what is ``known``."""
    match event:
        case Started(model):
            if introduction(model) not in known:
                lines.tell("status", words(lines.lang)("{model} answers", model=model))
        case Called(call):
            lines.tell("tool", described(call))
        case Returned(call, text, images, error):
            told = ", ".join(filter(None, [text, *(f"picture {name}" for name in images)])) or "nothing"
            lines.tell("tool", f"{call.tool} {'failed' if error else 'brought'}: {told}")
        case Checked(evidence, again):
            for line in checks(evidence):
                lines.tell("check", line)
            if again:
                lines.tell("check", "looking again")
        case Notice(text):
            if text not in known:
                lines.tell("status", text)
        case Text() | Paused() | Answered():
            pass


def checks(evidence: Iterable[Evidence]) -> Iterator[str]:
    """What checks found, a line for each claim that could be checked."""
    for item in evidence:
        if item.verdict == "unchecked" and item.kind in _THINGS:
            continue
        place = f"{item.image} {item.box}" if item.box else item.image
        read = f", {item.read!r} was read" if item.read and (item.read != item.claim or item.verdict != "agree") else ""
        shown = item.looked and (item.looked != item.claim or item.verdict != "agree")
        closely = f", {item.looked!r} seen closely" if shown else ""
        yield f"{item.claim!r} in {place}{read}{closely}: {item.verdict}{f' ({item.note})' if item.note else ''}"


def described(call: ToolCallPart) -> str:
    """A call as one reads it: ``zoom(image="bill", box=[0, 0, 500, 500])``."""
    return described_call(call.tool, call.arguments)


def described_call(tool: str, arguments: Mapping[str, Any]) -> str:
    """``described`` for a call whose parts are apart."""
    values = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())
    return f"{tool}({', '.join(values)})"
