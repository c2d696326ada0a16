"""What one server has: its models, its memory, its tools, and the requests that are being answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ...errors import UnknownName
from ...memory import Memory
from ...tools import Tool
from .asked import Asked
from .caps import Caps
from .completion import Completion
from .kept import fleeting, kept
from .metrics import Metrics
from .pictures import Seen
from .refusal import Refused
from .said import Said
from .work import Work

if TYPE_CHECKING:
    from ..agent import Agent

__all__ = ["House"]


class House:
    """Agents by the names of their models; what a request needs beside its own words.

    ``tools`` are those that a request may ask for by name. Conversations that nobody named live in a memory of
    their own, which is gone with the process.
    """

    def __init__(self, agents: Mapping[str, Agent], *, tools: Sequence[Tool] = (), caps: Caps | None = None) -> None:
        self.agents = dict(agents)
        self.tools = {tool.name: tool for tool in tools}
        self.caps = caps or Caps()
        self.metrics = Metrics()
        self._seen = Seen()
        self._said = {name: Said() for name in agents}
        self._fleeting = Memory(":memory:")
        self._running: dict[threading.Event, str] = {}  # with their owners
        self._guard = threading.Lock()
        self._is_closing = False

    @property
    def running(self) -> int:
        """How many requests are answered or wait."""
        return len(self._running)

    def work(self, body: bytes, *, owner: str, chat: str | None) -> tuple[Work, Asked]:
        """A request, read and checked. Raises Refused, pydantic's ValidationError and `InvalidInput`."""
        asked = Asked.model_validate_json(body)
        asked.require_caps(self.caps)
        agent = self.agents.get(asked.model)
        if agent is None:
            raise UnknownName("model", asked.model[:80], self.agents)
        name = chat or (asked.metadata or {}).get("looktwice_chat")
        if name:
            return kept(asked, agent, name, owner=owner, allowed=self.tools, caps=self.caps), asked
        said = self._said[asked.model]
        if asked.looktwice:
            memory, allowed = self._fleeting, self.tools
            work = fleeting(asked, agent, memory, allowed=allowed, caps=self.caps, seen=self._seen, said=said)
            return work, asked
        return Completion.of(asked, agent.backend, seen=self._seen, said=said, caps=self.caps), asked

    @contextmanager
    def place(self, owner: str) -> Generator[threading.Event]:
        """A place for one request, with the event that ends its answer. Raises Refused where there is none left.

        An owner with a name gets half of the places at most, so that nobody can keep all others out.
        """
        cancel = threading.Event()
        with self._guard:
            own = sum(other == owner for other in self._running.values()) if owner else 0
            is_full = len(self._running) >= self.caps.waiting or own >= max(1, self.caps.waiting // 2)
            if self._is_closing or is_full:
                self.metrics.count("turned_away")
                told = "the server is stopping" if self._is_closing else "too many requests wait already; try again"
                raise Refused(told, status=503, code="overloaded", headers={"Retry-After": "2"})
            self._running[cancel] = owner
        try:
            yield cancel
        finally:
            with self._guard:
                del self._running[cancel]

    def end_answers(self) -> None:
        """End every answer that runs, so that what there is of it is kept and sent; take no request any more."""
        with self._guard:
            self._is_closing = True
            for cancel in self._running:
                cancel.set()

    async def close(self) -> None:
        """End every answer, wait until all are kept, and give models and memories back."""
        self.end_answers()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.caps.ending):
                while self._running:
                    await asyncio.sleep(0.02)
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for agent in self.agents.values():
            agent.close()
        self._fleeting.close()
