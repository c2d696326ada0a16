"""A request that is answered in a conversation: one that is kept by its name, or one that is gone with the answer.

Here the agent works as everywhere: it may look again, checks its answer, and brings evidence.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...memory import Memory
from ...tools import Tool
from ..answer import Answer
from ..backends import Token
from ..chat import Chat, Image
from ..events import Answered, Called, Checked, Notice, Returned, Started, Text
from .asked import Asked, ImageBlock, Message
from .caps import Caps
from .completion import settings_of
from .messages import turns_of
from .owners import stored_name
from .pictures import Album, Seen, decoded
from .refusal import Refused
from .said import Said
from .work import Choice, Tell

if TYPE_CHECKING:
    from ..agent import Agent

__all__ = ["Kept", "fleeting", "kept"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A question to a conversation, which is opened when it is asked.

    ``name`` is the client's name for it; one without is deleted with its answer.
    """

    model: str
    open: Callable[[], Chat]
    question: Sequence[str | Image]
    wanted: Mapping[str, Any]
    name: str | None = None
    choices: int = 1

    def run(self, number: int, tell: Tell, cancel: threading.Event) -> Choice:
        """Ask. Words are told as they come where they are sure to stand in the answer, else at its end."""
        chat = self.open()
        try:
            answer = self._asked(chat, tell, cancel)
        finally:
            if self.name is None:
                chat.delete()
        return Choice(str(answer), "stop" if answer.finish == "stop" else "length", answer.usage, own=self._own(answer))

    def _asked(self, chat: Chat, tell: Tell, cancel: threading.Event) -> Answer:
        answer, is_sure = None, not self.wanted["tools"]
        for event in chat.stream(list(self.question), cancel=cancel, **self.wanted):
            if isinstance(event, Started):
                is_sure = is_sure and not event.may_change
            elif isinstance(event, Text) and is_sure:
                tell(Token(event.text, event.logprob))
            elif isinstance(event, Called | Returned | Checked | Notice):
                tell({"event": type(event).__name__.lower(), **asdict(event)})
            elif isinstance(event, Answered):
                answer = event.answer
        assert answer is not None
        return answer

    def _own(self, answer: Answer) -> dict[str, Any]:
        plain = answer.to_json()
        hidden = ("answer", "conversation", "model", "usage", "lang", *(() if self.name else ("turn",)))
        chat = {"chat": self.name} if self.name else {}
        return {**chat, **{name: value for name, value in plain.items() if name not in hidden}}


def kept(asked: Asked, agent: Agent, name: str, *, owner: str, allowed: Mapping[str, Tool], caps: Caps) -> Kept:
    """The last words of the user, asked in the conversation of that name, which has what was said before.

    Raises Refused for what can't be asked there.
    """
    wanted = _wanted(asked, allowed, caps)
    system, stored = _instructions(asked.messages), stored_name(name, owner)

    def opened() -> Chat:
        chat = agent.chat(stored)
        chat.system = system or chat.system
        return chat

    return Kept(asked.model, opened, _question(asked.messages), wanted, name)


def fleeting(
    asked: Asked, agent: Agent, memory: Memory, *, allowed: Mapping[str, Tool], caps: Caps, seen: Seen, said: Said
) -> Kept:
    """The last words of the user, asked after all that stands before them, in a conversation of its own.

    Raises Refused for what can't be said there.
    """
    wanted, question, album = _wanted(asked, allowed, caps), _question(asked.messages), Album(seen)
    before = asked.messages[: -len(_last(asked.messages))]
    turns = turns_of([*before, asked.messages[-1]], album, said)[:-1]

    def opened() -> Chat:
        chat = agent.with_memory(memory).chat(f"request {uuid.uuid4().hex}")
        with memory.atomic():
            for name in {name for turn in turns for name in turn.images}:
                memory.pictures.add(chat.conversation, album.picture(name), name=name)
            for turn in turns:
                memory.turns.append(chat.conversation, turn)
        return chat

    return Kept(asked.model, opened, question, wanted)


def _instructions(messages: Sequence[Message]) -> str:
    """The system's words; they stand from here on."""
    said = [message for message in messages if message.role in ("system", "developer")]
    return "\n".join(block.text for message in said for block in message.blocks if not isinstance(block, ImageBlock))


def _wanted(asked: Asked, allowed: Mapping[str, Tool], caps: Caps) -> dict[str, Any]:
    """The keywords of the ask. Raises Refused for what only a stateless request can have."""
    for field in ("tools", "tool_choice", "response_format", "logprobs"):
        if getattr(asked, field):
            told = f"{field} can't be used in a conversation or with looktwice; send a plain request for it"
            raise Refused(told, param=field, code="unsupported_parameter")
    if (asked.n or 1) > 1:
        raise Refused("a conversation gives one answer; leave n out", param="n")
    wishes = asked.looktwice.model_dump(exclude_none=True) if asked.looktwice else {}
    tools = [_allowed(name, allowed) for name in wishes.pop("tools", ())]
    settings = settings_of(asked, caps)
    names = ("max_new_tokens", "temperature", "top_p", "seed", "stop", "timeout")
    return {**wishes, "tools": tools, **{name: getattr(settings, name) for name in names}}


def _allowed(name: str, allowed: Mapping[str, Tool]) -> Tool:
    if name not in allowed:
        known = ", ".join(allowed) or "none"
        raise Refused(f"no tool {name[:40]!r} is offered here; offered: {known}", param="looktwice.tools")
    return allowed[name]


def _last(messages: Sequence[Message]) -> Sequence[Message]:
    """The user's messages at the end. Raises Refused if there are none."""
    number = len(messages)
    while number and messages[number - 1].role == "user":
        number -= 1
    if number == len(messages):
        raise Refused("the last message must be the user's", param="messages")
    return messages[number:]


def _question(messages: Sequence[Message]) -> list[str | Image]:
    last = _last(messages)
    start = len(messages) - len(last)
    return [
        Image(decoded(block.image_url.url, f"messages.{start + number}"), block.name)
        if isinstance(block, ImageBlock)
        else block.text
        for number, message in enumerate(last)
        for block in message.blocks
    ]
