"""Whose turn it is: callers of one model are let in one at a time, in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque


class Ticket:
    """A place in a `Line`, held from `Line.join` to `leave`."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._go = threading.Event()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it is this ticket's turn, at the latest after so many seconds (None: however long it takes)."""
        return self._go.wait(seconds)

    def call(self) -> None:
        """It is this ticket's turn now."""
        self._go.set()

    def leave(self) -> None:
        """Give the place up, waiting or inside; the next one is called. A second time does nothing."""
        self._line.leave(self)


class Line:
    """First come, first served; a plain lock lets in whoever happens to wake first.

    ``with line:`` waits for its turn however long it takes.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._tickets: deque[Ticket] = deque()  # the first one is inside
        self._inside: Ticket | None = None

    def __len__(self) -> int:
        """How many are inside or wait."""
        return len(self._tickets)

    def join(self) -> Ticket:
        """Take a place at the end."""
        ticket = Ticket(self)
        with self._guard:
            self._tickets.append(ticket)
            self._tickets[0].call()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Take a ticket out, wherever it stands, and call the one that is then first."""
        with self._guard:
            if ticket in self._tickets:
                self._tickets.remove(ticket)
            if self._tickets:
                self._tickets[0].call()

    def __enter__(self) -> None:
        ticket = self.join()
        ticket.wait()
        self._inside = ticket

    def __exit__(self, *_: object) -> None:
        if self._inside is not None:
            inside, self._inside = self._inside, None
            inside.leave()
