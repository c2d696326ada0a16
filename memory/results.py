"""Databases beside the memory, one for each sort of results: opened, told apart, their failures in one line."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from ..errors import StoreError
from .database import failure

__all__ = ["open_results", "told"]


def open_results(path: str, *, application: int, maker: str, migrate: Callable[[Any], None]) -> Any:
    """The ``sqlite_utils.Database`` at ``path``, made if there is none; ``migrate`` makes what is missing in it.

    ``application`` is the number in the file's header. A database that holds something else is left as it is: raises
    StoreError, that it holds no results of ``maker``, and for whatever SQLite can't do.
    """
    import sqlite_utils

    with told(path):
        connection = sqlite3.connect(path, timeout=30)
        try:
            _require_ours(connection, path, application, maker)
            database: Any = sqlite_utils.Database(connection)  # typed only in part
            migrate(database)
        except BaseException:
            connection.close()
            raise
        return database


@contextmanager
def told(path: str) -> Generator[None]:
    """SQLite's failures with the database at ``path`` as StoreError."""
    try:
        yield
    except sqlite3.Error as error:
        raise failure(path, error) from error


def _require_ours(connection: sqlite3.Connection, path: str, application: int, maker: str) -> None:
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and found != application:
        raise StoreError(f"the database {path!r} holds no results of {maker}; name another with --out")
    if not tables:
        connection.execute(f"PRAGMA application_id = {application}")
