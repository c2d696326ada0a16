"""What ends an answer from outside: its caller, and its time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator

from ..answer import Finish
from .queueing import Ticket

_GLANCE = 0.02  # seconds between two looks at the limits while waiting


class Limits:
    """The ``timeout`` in seconds, from now on, and the events that cancel."""

    def __init__(self, timeout: float | None, *cancels: threading.Event | None) -> None:
        self._end = None if timeout is None else time.monotonic() + timeout
        self._cancels = [event for event in cancels if event is not None]

    def reached(self) -> Finish | None:
        """Why the answer must end now; None while it may go on."""
        if any(event.is_set() for event in self._cancels):
            return "cancelled"
        return "timeout" if self._end is not None and time.monotonic() > self._end else None

    @contextlib.contextmanager
    def queued(self, ticket: Ticket) -> Generator[Finish | None]:
        """With a place in the line: None once it is its turn, or why the wait ended before.

        For a ticket that was taken along it is its turn, too; who took it heeds these limits from then on.
        """
        try:
            while not (reason := self.reached()):
                if ticket.wait(_GLANCE):
                    break
            if reason:
                ticket.leave()  # nobody takes it along any more
            yield None if ticket.is_taken else reason
        finally:
            ticket.leave()
