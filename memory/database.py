"""One connection to one SQLite file, guarded by a lock: transactions, one kind of error, and forks of the process."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from ..errors import InvalidInput, StoreError

__all__ = ["Database", "Row"]

Row: TypeAlias = tuple[Any, ...]

_log = logging.getLogger(__name__)

# What the sqlite3 module raises for a statement, values that it can't hand to SQLite included.
_FAILURES = (sqlite3.Error, OverflowError, UnicodeEncodeError)

_ADVICE = {
    "SQLITE_BUSY": "is locked by another program; try again, or open it with a longer timeout",
    "SQLITE_LOCKED": "is locked by another program; try again, or open it with a longer timeout",
    "SQLITE_READONLY": "is read-only; change its permissions, those of its folder too, or use another file",
    "SQLITE_FULL": "can't grow: the disk is full; nothing was written; free some space and try again",
    # What SQLite says when there is no room for the index of the write-ahead log.
    "SQLITE_IOERR_SHMSIZE": "can't grow: the disk is full; nothing was written; free some space and try again",
    "SQLITE_IOERR": "can't be read or written; check the disk, free some space, and run verify on the database",
    "SQLITE_CANTOPEN": "can't be opened; check that it and its folder may be read and written",
    "SQLITE_PERM": "can't be opened; check its permissions",
    "SQLITE_CORRUPT": "is damaged; keep a copy, then restore a backup or an export",
    "SQLITE_NOTADB": "is not an SQLite database; give the file that looktwice wrote",
    "SQLITE_TOOBIG": "can't take a value of this size; make the text shorter",
}


class Database:
    """The connection that a Memory and its parts share.

    ``connect`` makes a ready connection; it is called again in a child after ``os.fork``, because SQLite's
    connections don't survive one. Every failure of SQLite is raised as one line of StoreError.
    """

    def __init__(self, path: str, connect: Callable[[], sqlite3.Connection]) -> None:
        self.path = path
        self._connect = connect
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._depth = 0  # of ``atomic`` in ``atomic``; the connection's own word for it outlives an interrupt
        self._is_reading = False
        self._has_old_log = False
        self._inherited: list[sqlite3.Connection | None] = []
        self._connection: sqlite3.Connection | None = connect()

    @property
    def connection(self) -> sqlite3.Connection:
        """The live connection. Raises StoreError after ``close``."""
        if self._connection is None:
            raise StoreError(f"the database {self.path!r} is closed; open it again with Memory({self.path!r})")
        return self._connection

    @contextmanager
    def atomic(self) -> Generator[None]:
        """All or nothing: BEGIN IMMEDIATE outside, a savepoint inside another ``atomic``.

        Raises StoreError inside ``snapshot``, and in a process that was forked inside and leaves it.
        """
        with self._guard():
            pid, depth, has_begun = self._pid, self._depth, False
            self._check_writing()
            try:
                self._depth = depth + 1
                self._begin(depth)
                has_begun = True
                yield
                self._check_process(pid)
                self._run(f"RELEASE inner{depth}" if depth else "COMMIT")
            except BaseException:
                if os.getpid() == pid and (has_begun or not depth):
                    self._undo(depth)
                raise
            finally:
                if os.getpid() == pid:
                    self._depth = depth
            if self._has_old_log and not depth:
                self.empty_log()

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Several reads that see the file as it is at the first of them; others may write meanwhile."""
        with self._guard():
            if self._depth or self._is_reading:
                yield
                return
            pid = self._pid
            try:
                self._is_reading = True
                self._undo(0)
                self._run("BEGIN")
                yield
            finally:
                if os.getpid() == pid:
                    self._is_reading = False
                    self._undo(0)

    @contextmanager
    def alone(self) -> Generator[None]:
        """Keep other threads off the connection for several statements."""
        with self._guard():
            yield

    def run(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement that writes; the cursor's ``lastrowid`` and ``rowcount`` say what it did."""
        with self._guard():
            return self._run(sql, values)

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of values."""
        with self._guard():
            try:
                self.connection.executemany(sql, rows)
            except _FAILURES as error:
                raise self._failure(error) from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        with self._guard():
            try:
                return self.connection.execute(sql, values).fetchall()
            except _FAILURES as error:
                raise self._failure(error) from error

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        with self._guard():
            try:
                return self.connection.execute(sql, values).fetchone()
            except _FAILURES as error:
                raise self._failure(error) from error

    def empty_log(self) -> None:
        """Fold the write-ahead log into the file and empty it, now or once the transaction around it is kept."""
        with self._guard():
            self._has_old_log = self._depth > 0
            if not self._has_old_log and self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]:
                _log.warning("the log of %r is in use elsewhere; what was deleted leaves it later", self.path)

    def close(self) -> None:
        """Close the connection; the last one to a file also folds its write-ahead log into it."""
        with self._guard():
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _begin(self, depth: int) -> None:
        if depth == 0:
            self._undo(0)
            self._run("BEGIN IMMEDIATE")
        elif self.connection.in_transaction:
            self._run(f"SAVEPOINT inner{depth}")
        else:
            raise StoreError(
                f"the database {self.path!r} has undone the transaction as a whole; leave it and try again"
            )

    def _undo(self, depth: int) -> None:
        """Roll back to where the block at ``depth`` began; at 0 also what an interrupt left open."""
        # A full disk may have rolled back already; then there is nothing left to undo.
        if self.connection.in_transaction:
            for statement in (f"ROLLBACK TO inner{depth}", f"RELEASE inner{depth}") if depth else ("ROLLBACK",):
                self._run(statement)

    def _check_writing(self) -> None:
        if self._is_reading:
            raise StoreError(f"the database {self.path!r} is being read; write to it once the reading has ended")

    def _check_process(self, pid: int) -> None:
        if os.getpid() != pid:
            raise StoreError(
                "the process was forked inside a transaction; that is its parent's to keep or undo; fork outside of it"
            )

    def _run(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self.connection.execute(sql, values)
        except _FAILURES as error:
            raise self._failure(error) from error

    def _failure(self, error: sqlite3.Error | OverflowError | UnicodeEncodeError) -> StoreError | InvalidInput:
        if isinstance(error, sqlite3.Error):
            return failure(self.path, error)
        if isinstance(error, UnicodeEncodeError):
            return InvalidInput(f"{error.object[:40]!r} holds half a character ({error.reason}); decode the text again")
        return InvalidInput(f"a number is too large for the database ({error}); give one below 2**63")

    def _guard(self) -> threading.RLock:
        if os.getpid() != self._pid:
            self._after_fork()
        return self._lock

    def _after_fork(self) -> None:
        # The parent's connection is kept, unused: closing it here would drop the parent's locks on the file.
        self._inherited.append(self._connection)
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._depth, self._is_reading, self._has_old_log = 0, False, False
        self._connection = None if self._connection is None else self._connect()


def failure(path: str, error: sqlite3.Error) -> StoreError:
    """The StoreError that says what SQLite's ``error`` means for the file at ``path``."""
    name = str(getattr(error, "sqlite_errorname", ""))
    for prefix, advice in _ADVICE.items():
        if name.startswith(prefix):
            return StoreError(f"the database {path!r} {advice}")
    return StoreError(f"the database {path!r} failed: {error}; run verify on it")
