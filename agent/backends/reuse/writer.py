"""Writing in the background, so that no answer waits for a disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .prefixes import common

_log = logging.getLogger(__name__)
_WAITING = 4  # prefixes; each holds its tensors until it is written


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    keys: list[Hashable]  # none: a job of its own
    write: Callable[[], None]


class Writer:
    """Does one job after the other in a thread of its own; Python waits for it at its end.

    Of the states of one conversation that wait, only the newest is written.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._guard = threading.Lock()
        self._waiting: list[_Job] = []

    def submit(self, write: Callable[[], None], keys: Sequence[Hashable] = ()) -> None:
        """Have something written. What would be the fifth prefix to wait takes the place of the first."""
        job = _Job(list(keys), write)
        with self._guard:
            self._waiting = [old for old in self._waiting if not old.keys or common(old.keys, job.keys) < len(old.keys)]
            prefixes = [old for old in self._waiting if old.keys]
            if job.keys and len(prefixes) >= _WAITING:
                self._waiting.remove(prefixes[0])
            self._waiting.append(job)
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="looktwice-cache")
            self._pool.submit(self._next)

    def finish(self) -> None:
        """Wait until all is written."""
        with self._guard:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def _next(self) -> None:
        with self._guard:
            job = self._waiting.pop(0) if self._waiting else None
        if job is None:
            return
        try:
            job.write()
        except Exception as error:  # nobody waits for this thread, so it has to say so itself
            _log.warning("what was computed is not kept in the cache folder (%s: %s)", type(error).__name__, error)
