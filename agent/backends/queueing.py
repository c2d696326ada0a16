"""Whose turn it is: those who ask one model come in by the order of their arrival, alone or several together."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from typing import Any


class Ticket:
    """A place in a `Line`, held from `Line.join` to `leave`; ``work`` is what it waits to have done."""

    def __init__(self, line: Line, work: Any = None) -> None:
        self.work = work
        self.is_taken = False
        """Whether another one does this ticket's work together with its own."""
        self._line = line
        self._go = threading.Event()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it is this ticket's turn, at the latest after so many seconds (None: however long it takes)."""
        return self._go.wait(seconds)

    def call(self) -> None:
        """It is this ticket's turn now."""
        self._go.set()

    def leave(self) -> None:
        """Give the place up, waiting or inside; the next one is called. A second time does nothing.

        One that was taken along leaves when the one that took it leaves, and not before.
        """
        self._line.leave(self)


class Line:
    """First come, first served; a plain lock lets in whoever happens to wake first.

    ``with line:`` waits for its turn however long it takes.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._tickets: deque[Ticket] = deque()  # the first one is inside
        self._inside: Ticket | None = None
        self._taken: dict[Ticket, list[Ticket]] = {}

    def __len__(self) -> int:
        """How many are inside or wait."""
        return len(self._tickets)

    def join(self, work: Any = None) -> Ticket:
        """Take a place at the end."""
        ticket = Ticket(self, work)
        with self._guard:
            self._tickets.append(ticket)
            self._tickets[0].call()
        return ticket

    def take_along(self, ticket: Ticket, goes: Callable[[Any], bool], most: int) -> list[Ticket]:
        """With the ticket that is inside: those right behind it whose work ``goes`` with its own, ``most`` of them.

        Their turn has come, and they stay in the line as long as the one that took them.
        """
        with self._guard:
            behind = itertools.islice(self._tickets, 1, 1 + most)
            taken = list(itertools.takewhile(lambda other: other.work is not None and goes(other.work), behind))
            self._taken[ticket] = taken
            for other in taken:
                other.is_taken = True
                other.call()
            return taken

    def leave(self, ticket: Ticket) -> None:
        """Take a ticket out, wherever it stands, with those that it took along, and call the one that is then first."""
        with self._guard:
            if ticket.is_taken or ticket not in self._tickets:
                return
            for gone in (ticket, *self._taken.pop(ticket, ())):
                self._tickets.remove(gone)
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
