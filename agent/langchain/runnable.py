"""An agent as a Runnable: pictures and a question in, an Answer out, in any chain of LangChain's."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import (
    AsyncCallbackManagerForChainRun,
    CallbackManagerForChainRun,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.utils import AddableDict

from ...errors import InvalidInput
from ...memory import Picture
from ..answer import Answer
from ..chat import Chat
from ..events import Answered, Event

if TYPE_CHECKING:
    from ..agent import Agent

__all__ = ["AskRunnable", "as_runnable"]

_KEYS = ("question", "images", "chat", "tools")


def as_runnable(agent: Agent, *, chat: str | None = None) -> AskRunnable:
    """The agent as a Runnable that takes ``{"question": ..., "images": ..., "chat": ..., "tools": [...]}``.

    ``images`` are sources by their names, or a list of sources; a picture that the conversation has already costs
    nothing. Without a ``chat``, in the input or here, each input gets a conversation of its own, which the answer
    names. Raises InvalidInput for other keys, and the errors of `looktwice.errors` as asking does.
    """
    return AskRunnable(agent, chat)


class AskRunnable(Runnable[Any, Any]):
    """Gives an `Answer`; ``stream`` and ``astream`` give the events of `looktwice.agent.events`, ``Answered`` last.

    Inside a chain only the answer goes on to the next step. Callbacks and ``astream_events`` see each event as a
    custom event named "looktwice".
    """

    def __init__(self, agent: Agent, chat: str | None = None) -> None:
        self.agent = agent
        self.chat = chat

    def invoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Answer:
        """Ask, and wait for the answer."""
        return self._call_with_config(self._answer, input, config, run_type="chain")

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Answer:
        """``invoke`` without blocking the event loop; cancelling the task stops the answer."""
        return await self._acall_with_config(self._aanswer, input, config, run_type="chain")

    def stream(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Iterator[Event]:
        """Ask, and follow the answer; leaving the loop stops it."""
        return self._transform_stream_with_config(iter((input,)), self._streamed, config, run_type="chain")

    async def astream(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> AsyncIterator[Event]:
        """``stream`` without blocking the event loop."""
        run = self._atransform_stream_with_config(_alone(input), self._astreamed, config, run_type="chain")
        # Closed here, as one that is left early would go on until it is collected.
        async with aclosing(cast("AsyncGenerator[Event]", run)) as events:
            async for event in events:
                yield event

    def transform(self, input: Iterator[Any], config: RunnableConfig | None = None, **_: Any) -> Iterator[Answer]:
        """The answer alone, as a step of a chain that is streamed."""
        for asked in _whole(list(input)):
            yield self.invoke(asked, config)

    async def atransform(
        self, input: AsyncIterator[Any], config: RunnableConfig | None = None, **_: Any
    ) -> AsyncIterator[Answer]:
        """``transform`` without blocking the event loop."""
        for asked in _whole([chunk async for chunk in input]):
            yield await self.ainvoke(asked, config)

    def _answer(self, asked: Any, run_manager: CallbackManagerForChainRun, config: RunnableConfig) -> Answer:
        return _ended(list(self._events(asked, config)))

    async def _aanswer(
        self, asked: Any, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig
    ) -> Answer:
        return _ended([event async for event in self._aevents(asked, config)])

    def _streamed(
        self, inputs: Iterator[Any], run_manager: CallbackManagerForChainRun, config: RunnableConfig
    ) -> Generator[Event]:
        for asked in inputs:
            yield from self._events(asked, config)

    async def _astreamed(
        self, inputs: AsyncIterator[Any], run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig
    ) -> AsyncGenerator[Event]:
        async for asked in inputs:
            async with aclosing(self._aevents(asked, config)) as events:
                async for event in events:
                    yield event

    def _events(self, asked: Any, config: RunnableConfig) -> Generator[Event]:
        request = _Request.of(asked, self.chat)
        with request.asking(self.agent) as chat, closing(chat.stream(request.question, **request.wanted)) as events:
            for event in events:
                dispatch_custom_event("looktwice", event, config=config)
                yield event

    async def _aevents(self, asked: Any, config: RunnableConfig) -> AsyncGenerator[Event]:
        request = _Request.of(asked, self.chat)
        with request.asking(self.agent) as chat:
            async with aclosing(chat.astream(request.question, **request.wanted)) as events:
                async for event in events:
                    await adispatch_custom_event("looktwice", event, config=config)
                    yield event


@dataclass(frozen=True, slots=True)
class _Request:
    """An input, checked; its pictures are read before anything is kept."""

    question: Any
    images: Sequence[tuple[str | None, Picture]]
    chat: str | None
    wanted: Mapping[str, Any]

    @classmethod
    def of(cls, asked: Any, chat: str | None) -> _Request:
        if not isinstance(asked, Mapping):
            raise InvalidInput(f"{asked!r:.60} can't be asked; give a dict with 'question' and, if you like, 'images'")
        given = cast("Mapping[str, Any]", asked)
        unknown = [key for key in given if key not in _KEYS]
        if unknown or "question" not in given:
            wrong = f"unknown keys {unknown!r}" if unknown else "no 'question'"
            raise InvalidInput(f"the input has {wrong}; its keys are {', '.join(_KEYS)}")
        wanted = {} if given.get("tools") is None else {"tools": given["tools"]}
        return cls(given["question"], _pictures(given.get("images") or ()), given.get("chat") or chat, wanted)

    @contextmanager
    def asking(self, agent: Agent) -> Generator[Chat]:
        """The conversation, with the pictures; one that was made for a question that can't be asked goes again."""
        chat = agent.chat(self.chat)
        try:
            for name, picture in self.images:
                chat.add(picture, name)
            yield chat
        except BaseException:
            if self.chat is None and not chat.turns:
                chat.delete()
            raise


def _pictures(images: Any) -> list[tuple[str | None, Picture]]:
    if isinstance(images, Mapping):
        named = cast("Mapping[str, Any]", images)
        return [(name, Picture.load(source)) for name, source in named.items()]
    if isinstance(images, str | bytes | os.PathLike) or not isinstance(images, Sequence):
        raise InvalidInput(f"images {images!r:.60} can't be used; give a dict of sources by name, or a list of sources")
    return [(None, Picture.load(source)) for source in cast("Sequence[Any]", images)]


def _whole(chunks: list[Any]) -> list[Any]:
    """One input out of the pieces that a step before has streamed: dicts grow by keys and by what they hold."""
    if len(chunks) > 1 and all(isinstance(chunk, Mapping) for chunk in chunks):
        return [reduce(add, (AddableDict(chunk) for chunk in chunks))]
    return chunks[-1:]


async def _alone(asked: Any) -> AsyncGenerator[Any]:
    yield asked


def _ended(events: Sequence[Event]) -> Answer:
    last = events[-1]
    assert isinstance(last, Answered)
    return last.answer
