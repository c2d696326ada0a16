"""One connection to one SQLite file, guarded by a lock: transactions, one kind of error, and forks of the process."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from ..errors import StoreError

__all__ = ["Database", "Row"]

Row: TypeAlias = tuple[Any, ...]

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
        """All or nothing: BEGIN IMMEDIATE outside, a savepoint inside another ``atomic``."""
        with self._guard():
            begin, commit, undo = _OUTER if not self.connection.in_transaction else _INNER
            self._run(begin)
            try:
                yield
                self._run(commit)
            except BaseException:
                # A full disk may have rolled back already; then there is nothing left to undo.
                if self.connection.in_transaction:
                    for statement in undo:
                        self._run(statement)
                raise

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Several reads that see the file as it is at the first of them; others may write meanwhile."""
        with self._guard():
            if self.connection.in_transaction:
                yield
                return
            self._run("BEGIN")
            try:
                yield
            finally:
                self._run("ROLLBACK")

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
            except sqlite3.Error as error:
                raise self.failure(error) from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        with self._guard():
            try:
                return self.connection.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise self.failure(error) from error

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        with self._guard():
            try:
                return self.connection.execute(sql, values).fetchone()
            except sqlite3.Error as error:
                raise self.failure(error) from error

    def close(self) -> None:
        """Close the connection; the last one to a file also folds its write-ahead log into it."""
        with self._guard():
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def failure(self, error: sqlite3.Error) -> StoreError:
        """What SQLite raised as one line: which file, what is the matter, what to do."""
        return failure(self.path, error)

    def _run(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self.connection.execute(sql, values)
        except sqlite3.Error as error:
            raise self.failure(error) from error

    def _guard(self) -> threading.RLock:
        if os.getpid() != self._pid:
            self._after_fork()
        return self._lock

    def _after_fork(self) -> None:
        # The parent's connection is kept, unused: closing it here would drop the parent's locks on the file.
        self._inherited.append(self._connection)
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._connection = None if self._connection is None else self._connect()


def failure(path: str, error: sqlite3.Error) -> StoreError:
    """The StoreError that says what SQLite's ``error`` means for the file at ``path``."""
    name = str(getattr(error, "sqlite_errorname", ""))
    for prefix, advice in _ADVICE.items():
        if name.startswith(prefix):
            return StoreError(f"the database {path!r} {advice}")
    return StoreError(f"the database {path!r} failed: {error}; run verify on it")


_OUTER = ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
_INNER = ("SAVEPOINT inner", "RELEASE inner", ("ROLLBACK TO inner", "RELEASE inner"))
