"""Asks the questions of one's own conversations again, in other modes; the stored answers stand where right ones would.

The database is read alone. Questions are asked in their order in a new conversation with the same pictures under the
same names, so that each follows what the mode itself has answered before.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import InvalidInput, StoreError
from ...memory import Conversation, Memory, NamedPicture, Picture, fold, mentions
from ...memory.parts import ImagePart, TextPart, Turn
from ..backends import Backend
from ..chat import Chat, Image
from ..toolbox import ToolLike
from .asking import MODES, Mode, failed
from .evaluation import REPLAY, Evaluation, Opened, Progress, Tally, wanted_of
from .items import Refused
from .results import Scored
from .scoring import exact

__all__ = ["replay"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A question of a conversation with its answer; ``before`` are the instructions that came just before it."""

    conversation: str
    turn: Turn
    answer: str
    before: tuple[Turn, ...]

    @property
    def id(self) -> str:
        """The conversation's name and the turn's number."""
        return f"{self.conversation}/{self.turn.id}"

    @property
    def words(self) -> str:
        """The question's words."""
        return " ".join(part.text for part in self.turn.parts if isinstance(part, TextPart))


def replay(
    db: str | os.PathLike[str],
    model: str | Backend = "pocket",
    *,
    chat: str | None = None,
    tools: Iterable[ToolLike] | None = None,
    looks: int = 3,
    check: bool | None = None,
    modes: Sequence[Mode] = MODES,
    out: str | os.PathLike[str] = ":memory:",
    seed: int = 0,
    max_new_tokens: int = 512,
    retry_failed: bool = False,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Ask every stored question of ``db``, or of one conversation, in every mode; nothing is written there.

    The keywords are those of `evaluate`. Scores say whether an answer has the words of the stored one. Raises
    StoreError if there is no such database, UnknownName if no such conversation, InvalidInput if no question has an
    answer.
    """
    if not Path(db).is_file():
        raise StoreError(f"no database at {os.fspath(db)!r}; name another one")
    wanted = wanted_of(tools, modes, looks=looks, check=check, system=None, max_new_tokens=max_new_tokens)
    with Memory(db) as memory:
        kept, refused = _kept(memory, chat)
        with Opened(model, wanted, out=out, calibrated_in=memory) as place:
            source = {"source": REPLAY, "data": Path(db).name, "chat": chat, "sha256": _sha256_of(memory, kept)}
            run = place.run(source)
            place.results.refuse(run, refused)
            if retry_failed:
                place.results.drop_failed(run)
            tally = Tally(place.results, run, len(kept) * len(modes), progress)
            is_whole = _asked(place, memory, kept, modes, tally, cancel or threading.Event())
            by_id = {stored.id: stored for stored in kept}
            return place.evaluation(
                run,
                [*by_id],
                modes,
                seed=seed,
                is_whole=is_whole,
                pictures=lambda name: _pictures(db, by_id[name]),
            )


def _kept(memory: Memory, chat: str | None) -> tuple[list[Stored], list[Refused]]:
    """The questions that have an answer, conversation by conversation, and those that can't be asked again."""
    conversations = memory.conversations
    found: list[Stored] = []
    refused: list[Refused] = []
    for conversation in [conversations.get(chat)] if chat is not None else conversations.list()[::-1]:
        for stored in _questions(memory, conversation):
            fault = _fault(memory, conversation, stored)
            if fault:
                refused.append(Refused(stored.id, fault))
            else:
                found.append(stored)
    if not found:
        where = f"the conversation {chat!r}" if chat is not None else repr(memory.path)
        raise InvalidInput(f"no question of {where} can be asked again; ask some first, or name another")
    return found, refused


def _questions(memory: Memory, conversation: Conversation) -> Iterator[Stored]:
    """The questions of the current branch, each with the last whole answer that follows it."""
    standing: list[Turn] = []
    open_: Stored | None = None
    for turn in memory.turns.branch(conversation.head):
        match turn.role:
            case "user":
                if open_ is not None:
                    yield open_
                open_, standing = Stored(conversation.name, turn, "", tuple(standing)), []
            case "system":
                standing.append(turn)
            case "assistant" if open_ is not None and turn.status == "complete" and not turn.calls:
                open_ = replace(open_, answer=turn.text)
            case _:
                pass
    if open_ is not None:
        yield open_


def _fault(memory: Memory, conversation: Conversation, stored: Stored) -> str:
    if not stored.answer.strip():
        return "there is no whole answer to compare with"
    pictures = {fold(picture.name): picture for picture in memory.pictures.all(conversation)}
    gone = [name for name in stored.turn.images if pictures[fold(name)].forgotten]
    return f"the picture {gone[0]!r} was removed" if gone else ""


def _asked(
    place: Opened,
    memory: Memory,
    kept: Sequence[Stored],
    modes: Sequence[Mode],
    tally: Tally,
    cancel: threading.Event,
) -> bool:
    """Ask what has not been asked, conversation by conversation; whether that came to its end."""
    cold = set(modes)
    for name in dict.fromkeys(stored.conversation for stored in kept):
        questions = [stored for stored in kept if stored.conversation == name]
        for mode in modes:
            left = {stored.id for stored in questions if not tally.is_done(stored.id, mode)}
            tally.count(len(questions) - len(left))
            for scored in _conversation(place, memory, questions, mode, cancel) if left else ():
                if scored.item in left:
                    tally.keep(replace(scored, is_cold=mode in cold))
                cold.discard(mode)
            if cancel.is_set():
                return False
    return True


def _conversation(
    place: Opened, memory: Memory, questions: Sequence[Stored], mode: Mode, cancel: threading.Event
) -> Iterator[Scored]:
    """The answers to a conversation's questions, one after the other, until it is cancelled."""
    desk, chat = place.desk, place.desk.begin(mode, questions[0].conversation)
    try:
        for stored in questions:
            blank = Scored(stored.id, mode, stored.conversation, "exact", stored.words, (stored.answer,))
            try:
                answer = desk.answer(chat, _rebuilt(memory, chat, stored), mode, cancel)
            except StoreError:
                raise
            except Exception as error:  # the questions after it are asked all the same
                yield failed(blank, error)
                continue
            if answer is None:
                return
            yield replace(desk.told(blank, chat, answer), score=exact(answer.text, (stored.answer,)))
    finally:
        desk.end(chat)


def _rebuilt(memory: Memory, chat: Chat, stored: Stored) -> list[str | Image]:
    """A question as ``Chat.ask`` takes it, with the pictures that the new conversation does not have yet."""
    for turn in stored.before:
        said = tuple(part for part in turn.parts if isinstance(part, TextPart))
        if said:
            chat.memory.turns.append(chat.conversation, Turn("system", said))
    there = {fold(picture.name) for picture in chat.images}
    named = {fold(p.name): p for p in memory.pictures.all(stored.conversation) if not p.forgotten}
    shown = {fold(name) for name in stored.turn.images}
    mentioned = dict.fromkeys(fold(name) for name in mentions(stored.words))
    absent = [name for name in mentioned if name in named and name not in there | shown]  # crops that a look brought
    out = [_image(memory, named[name]) for name in absent]
    for part in stored.turn.parts:
        if isinstance(part, ImagePart):
            out.append(f"@{part.name}" if fold(part.name) in there else _image(memory, named[fold(part.name)]))
        elif isinstance(part, TextPart):
            out.append(_literal(part.text, there | shown | {*absent}))
    return out


def _image(memory: Memory, picture: NamedPicture) -> str | Image:
    return Image(Picture.load(memory.pictures.data(picture.key)), picture.name)


def _literal(text: str, known: set[str]) -> str:
    """Words in which an ``@`` before what is no picture's name stays one."""
    text = unicodedata.normalize("NFC", text)
    for name in mentions(text):
        if fold(name) not in known:
            text = text.replace(f"@{name}", f"\\@{name}")
    return text


def _pictures(db: str | os.PathLike[str], stored: Stored) -> list[Picture]:
    with Memory(db) as memory:
        keys = [memory.pictures.get(stored.conversation, name).key for name in stored.turn.images]
        return [Picture.load(memory.pictures.data(key)) for key in keys]


def _sha256_of(memory: Memory, kept: Sequence[Stored]) -> str:
    """The hash of everything that is asked and compared."""
    told = [
        [
            stored.id,
            stored.words,
            stored.answer,
            [memory.pictures.get(stored.conversation, name).key for name in stored.turn.images],
        ]
        for stored in kept
    ]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()
