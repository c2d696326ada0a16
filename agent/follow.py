"""An ask that runs in a thread of its own, followed as it goes: as an iterator, or without blocking an event loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TypeAlias

from .answer import Answer
from .events import Answered, Emit, Event

Heard: TypeAlias = "Event | BaseException | None"


def unheard(event: Event) -> None:
    """For those who only want the answer."""


def followed(run: Callable[[Emit], Answer], cancel: threading.Event) -> Generator[Event]:
    """What ``run`` emits, event by event; one that is left early sets ``cancel`` and waits for the end."""
    heard: queue.Queue[Heard] = queue.Queue()
    thread, ended = _started(run, heard.put), False
    try:
        while (event := heard.get()) is not None:
            ended = isinstance(event, Answered | BaseException)
            if isinstance(event, BaseException):
                raise event
            yield event
        ended = True
    finally:
        if not ended:
            cancel.set()
        thread.join()


async def afollowed(run: Callable[[Emit], Answer], cancel: threading.Event) -> AsyncGenerator[Event]:
    """The same for an event loop; cancelling the task that waits sets ``cancel``."""
    loop, heard = asyncio.get_running_loop(), asyncio.Queue[Heard]()
    thread, ended = _started(run, lambda event: loop.call_soon_threadsafe(heard.put_nowait, event)), False
    try:
        while (event := await heard.get()) is not None:
            ended = isinstance(event, Answered | BaseException)
            if isinstance(event, BaseException):
                raise event
            yield event
        ended = True
    finally:
        if not ended:
            cancel.set()
        await asyncio.to_thread(thread.join)


def _started(run: Callable[[Emit], Answer], tell: Callable[[Heard], object]) -> threading.Thread:
    def work() -> None:
        try:
            run(tell)
            tell(None)
        except BaseException as error:  # carried over to the thread that follows
            tell(error)

    thread = threading.Thread(target=work, name="looktwice-ask", daemon=True)
    thread.start()
    return thread
