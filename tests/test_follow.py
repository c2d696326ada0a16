"""Following an ask: a normal end leaves the caller's cancel event alone, an early one sets it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator

import pytest

from looktwice.agent.answer import Answer
from looktwice.agent.events import Answered, Emit, Event, Text
from looktwice.agent.follow import afollowed, followed
from looktwice.errors import ModelError

ANSWER = Answer("red", "colours", 2, "scripted")


def slow_to_end(emit: Emit) -> Answer:
    """An ask whose thread lives on for a while after its last event."""
    emit(Text("red"))
    emit(Answered(ANSWER))
    time.sleep(0.05)
    return ANSWER


def failing(emit: Emit) -> Answer:
    emit(Text("red"))
    raise ModelError("no more")


def as_iterator(run: Callable[[Emit], Answer], cancel: threading.Event) -> Generator[Event]:
    yield from followed(run, cancel)


def in_a_loop(run: Callable[[Emit], Answer], cancel: threading.Event) -> Generator[Event]:
    """The same events, followed in an event loop."""

    async def all_of(events: AsyncGenerator[Event]) -> list[Event]:
        return [event async for event in events]

    yield from asyncio.run(all_of(afollowed(run, cancel)))


@pytest.mark.parametrize("follow", [as_iterator, in_a_loop])
def test_a_normal_end_does_not_set_the_callers_event(follow: Callable[..., Generator[Event]]) -> None:
    cancel = threading.Event()
    assert list(follow(slow_to_end, cancel)) == [Text("red"), Answered(ANSWER)]
    with pytest.raises(ModelError, match="no more"):
        list(follow(failing, cancel))
    assert not cancel.is_set()


def test_leaving_after_the_answer_is_a_normal_end_and_leaving_before_it_cancels() -> None:
    for last, cancelled in ((Answered, False), (Text, True)):
        cancel = threading.Event()
        events = followed(slow_to_end, cancel)
        while not isinstance(next(events), last):
            pass
        events.close()
        assert cancel.is_set() is cancelled
