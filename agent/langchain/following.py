"""A generator that blocks, followed from an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import TypeVar

__all__ = ["afollowed"]

T = TypeVar("T")


async def afollowed(steps: Callable[[threading.Event], Iterable[T]]) -> AsyncGenerator[T]:
    """What ``steps`` gives in a thread of its own; leaving early sets its event and waits for its end."""
    loop, cancel = asyncio.get_running_loop(), threading.Event()
    heard: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue()

    def tell(item: tuple[T] | BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(heard.put_nowait, item)
        except RuntimeError:  # the loop was closed meanwhile: nobody listens
            cancel.set()

    def work() -> None:
        try:
            for item in steps(cancel):
                tell((item,))
            tell(None)
        except BaseException as error:  # carried over to the loop
            tell(error)

    thread = threading.Thread(target=work, name="looktwice-langchain", daemon=True)
    thread.start()
    try:
        while (item := await heard.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        cancel.set()
        await asyncio.to_thread(thread.join)
