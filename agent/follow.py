"""What runs in a thread of its own, followed as it goes: as an iterator, or without blocking an event loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TypeAlias, TypeVar

from .events import Answered, Event

T = TypeVar("T")
Run: TypeAlias = Callable[[Callable[[T], object]], object]
"""What is followed: it calls what it is given with each thing that happens, and returns at the end."""


def unheard(event: Event) -> None:
    """For those who only want the answer."""


def followed(run: Run[T], cancel: threading.Event) -> Generator[T]:
    """What ``run`` tells, one by one; one that is left early sets ``cancel`` and waits for the end."""
    heard: queue.Queue[tuple[T] | BaseException | None] = queue.Queue()
    thread, ended = _started(run, heard.put), False
    try:
        while (item := heard.get()) is not None:
            ended = _is_end(item)
            if isinstance(item, BaseException):
                raise item
            yield item[0]
        ended = True
    finally:
        if not ended:
            cancel.set()
        thread.join()


async def afollowed(run: Run[T], cancel: threading.Event) -> AsyncGenerator[T]:
    """The same for an event loop; cancelling the task that waits sets ``cancel``."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue()

    def tell(item: tuple[T] | BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(heard.put_nowait, item)
        except RuntimeError:  # the loop was closed meanwhile: nobody listens
            cancel.set()

    thread, ended = _started(run, tell), False
    try:
        while (item := await heard.get()) is not None:
            ended = _is_end(item)
            if isinstance(item, BaseException):
                raise item
            yield item[0]
        ended = True
    finally:
        if not ended:
            cancel.set()
        await asyncio.to_thread(thread.join)


def _is_end(item: tuple[T] | BaseException) -> bool:
    """Whether nothing more will come that could be cancelled."""
    return isinstance(item, BaseException) or isinstance(item[0], Answered)


def _started(run: Run[T], tell: Callable[[tuple[T] | BaseException | None], object]) -> threading.Thread:
    def work() -> None:
        try:
            run(lambda item: tell((item,)))
            tell(None)
        except BaseException as error:  # carried over to the thread that follows
            tell(error)

    thread = threading.Thread(target=work, name="looktwice-ask", daemon=True)
    thread.start()
    return thread
