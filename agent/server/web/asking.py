"""Questions: read from a form, answered whole and followed by the page, or as they come for a script."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ....errors import InvalidInput
from ....memory import Conversation, Picture
from ...backends import Settings
from ...chat import Chat, Image
from ...checks.hedges import hedged
from ...events import Answered, Called, Event, Notice, Text
from ...follow import afollowed
from ...standing import standing_tools
from ...words import Words
from ..streaming import HEADERS, SILENCE, Patient, TooSlow, event, spaced, watched
from .form import Form
from .frame import Problem
from .visit import Told, Visit

if TYPE_CHECKING:
    from ...agent import Agent

__all__ = ["ask", "retry"]


async def ask(visit: Visit) -> ASGIApp:
    """Ask what a form holds; one without a question adds its pictures."""
    return _Asking(visit, _asked)


async def retry(visit: Visit) -> ASGIApp:
    """Answer the last question again."""
    return _Asking(visit, _retried)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was sent, and where."""

    visit: Visit
    conversation: Conversation
    form: Form
    cancel: threading.Event

    def chat(self, agent: Agent | None = None) -> Chat:
        """The conversation, with the model that was chosen. Raises InvalidInput for one that isn't there."""
        agents, name = self.visit.agents, self.form.words("model")
        if name and name not in agents:
            raise InvalidInput(f"no model {name[:80]!r} answers here; load the page again")
        return Chat(agent or agents.get(name) or next(iter(agents.values())), self.conversation)

    def wanted(self, tools: Collection[str]) -> Mapping[str, Any]:
        """The keywords of the ask. Tools that act stay out: nobody would approve them here."""
        house = self.visit.house
        offered = [tool for name, tool in house.tools.items() if name in tools and not tool.acts]
        room = min(Settings().max_new_tokens, house.caps.max_tokens)
        return {"tools": offered, "cancel": self.cancel, "timeout": house.caps.answer, "max_new_tokens": room}


def _asked(asked: _Asked) -> Generator[Event]:
    """The events of an answer; none where pictures are added alone. Raises PictureRejected and InvalidInput."""
    say: Words = asked.visit.say
    chat, question = asked.chat(), asked.form.words("question")
    names = asked.form.words("names-given").replace(",", " ").replace("@", " ").split()
    pictures = [Picture.load(upload.data, file=upload.file) for upload in asked.form.uploads]
    if len(names) > len(pictures):
        raise InvalidInput(f"there are {len(names)} names for {len(pictures)} pictures; give one for each, or none")
    named = list(zip_longest(pictures, names))
    if question:
        yield from chat.stream(
            [*(Image(picture, name) for picture, name in named), question],
            **asked.wanted(asked.visit.house.tools if asked.form.words("look") else ()),
        )
        return
    if not named:
        raise Told(say("Ask something, or add a picture."))
    with chat.memory.atomic():
        for picture, name in named:
            chat.add(picture, name)


def _retried(asked: _Asked) -> Generator[Event]:
    """The events of another answer to the last question: of the same model, with the tools that it was asked with."""
    turns = asked.chat().turns
    models = [turn.model for turn in turns if turn.model]
    same = [agent for agent in asked.visit.agents.values() if models and agent.backend.model == models[-1]]
    standing = {spec.name for spec in standing_tools(turns)}
    yield from asked.chat(same[0] if same else None).stream_retry(**asked.wanted(standing))


class _Asking:
    """One ask, as an application of its own: it holds a place as long as it lasts."""

    def __init__(self, visit: Visit, start: Callable[[_Asked], Generator[Event]]) -> None:
        self._visit = visit
        self._start = start
        self._began = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = self._visit
        conversation = visit.own()
        with visit.house.place(visit.owner) as cancel:
            form = await visit.form(has_pictures=True)
            run = partial(self._run, _Asked(visit, conversation, form, cancel))
            async with watched(receive, cancel), aclosing(afollowed(run, cancel)) as events:
                if visit.wants_events:
                    await self._stream(events, conversation, cancel, send)
                else:
                    response = await self._whole(events, conversation)
                    await response(scope, receive, send)

    def _run(self, asked: _Asked, tell: Callable[[Event], object]) -> None:
        """In a thread: pictures are decoded and the model is asked."""
        metrics = self._visit.house.metrics
        for happened in self._start(asked):
            tell(happened)
            if isinstance(happened, Answered):
                metrics.used(happened.answer.usage)
                metrics.took("answer_seconds", time.monotonic() - self._began)

    async def _whole(self, events: AsyncGenerator[Event], conversation: Conversation) -> Response:
        turn: int | None = None
        async for happened in events:
            if isinstance(happened, Answered):
                turn = happened.answer.turn
        return self._visit.back_to(self._where(conversation, turn))

    def _where(self, conversation: Conversation, turn: int | None) -> str:
        return self._visit.address("/chat", conversation) + ("#ask" if turn is None else f"#turn-{turn}")

    async def _stream(
        self, events: AsyncGenerator[Event], conversation: Conversation, cancel: threading.Event, send: Send
    ) -> None:
        out = Patient(send, self._visit.house.caps.sending, cancel)
        with suppress(TooSlow):  # then the server closes the connection
            await out({"type": "http.response.start", "status": 200, "headers": HEADERS})
            try:
                async for plain in spaced(self._told(events, conversation), SILENCE):
                    await out.body(b": waiting\n\n" if plain is None else event(plain))
            except TooSlow:
                raise
            except Exception as error:
                found = Problem.of(self._visit, error)
                await out.body(event({"failed": found.told, "lang": found.lang}))
            await out.body(b"", more=False)

    async def _told(self, events: AsyncGenerator[Event], conversation: Conversation) -> AsyncGenerator[dict[str, str]]:
        """What a script is told: words, looks, and where the page with the answer is, with its words once more."""
        say: Words = self._visit.say
        end = {"done": self._where(conversation, None)}
        async for happened in events:
            match happened:
                case Text(text=text):
                    yield {"text": text}
                case Called(call=call):
                    yield {"look": say("Looking again: {tool}", tool=call.tool)}
                case Notice(text=text):
                    yield {"notice": text}
                case Answered(answer=answer):
                    end = {
                        "done": self._where(conversation, answer.turn),
                        "answer": hedged(answer.text, answer.evidence, say.language),
                    }
                case _:
                    pass
        yield end
