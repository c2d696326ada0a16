"""Databases beside the memory, one for each sort of results: opened, told apart, their failures in one line.

`ResultRows` is such a database of one table.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import StoreError
from .database import failure

__all__ = ["ResultRows", "open_results", "told"]


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


class ResultRows:
    """Rows by their ``id`` in the table ``answers``, and in the table ``made_with`` what made them.

    ``columns`` are names with their Python types, among them ``id``; ``made_with`` is plain JSON, kept with a new file.
    For one that is there ``check`` gets what is kept, and raises if it may not go on. ``required`` are columns that
    every row has, ``by`` those to find rows by. Otherwise as `open_results`.
    """

    def __init__(
        self,
        path: str,
        columns: Mapping[str, type],
        made_with: Mapping[str, Any],
        *,
        required: Iterable[str],
        by: Iterable[str],
        check: Callable[[Mapping[str, Any]], None],
        application: int,
        maker: str,
    ) -> None:
        def migrate(db: Any) -> None:
            db.enable_wal()
            with db.atomic():
                db.table("made_with").create({"name": str, "value": str}, pk="name", if_not_exists=True)
                db.table("answers").create(dict(columns), pk="id", not_null={*required}, if_not_exists=True)
                db.table("answers").create_index([*by], if_not_exists=True)
                before = {row["name"]: json.loads(row["value"]) for row in db.table("made_with").rows}
                if before:
                    check(before)
                    return
                rows = [{"name": name, "value": json.dumps(value)} for name, value in made_with.items()]
                db.table("made_with").insert_all(rows)

        self._path = path
        self._db = open_results(path, application=application, maker=maker, migrate=migrate)

    def all(self, *columns: str) -> Generator[tuple[Any, ...]]:
        """These columns of every row, in the order in which the rows came."""
        with told(self._path):
            yield from self._db.execute(f"SELECT {', '.join(columns)} FROM answers ORDER BY rowid")

    def first(self, *columns: str, **equal: object) -> tuple[Any, ...] | None:
        """These columns of a row whose columns ``equal`` those values, None too; None if there is none."""
        where = " AND ".join(f"{name} IS ?" for name in equal)
        with told(self._path):
            found = self._db.execute(f"SELECT {', '.join(columns)} FROM answers WHERE {where}", [*equal.values()])
            row: tuple[Any, ...] | None = found.fetchone()
        return row

    def put(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep rows, all of them or none, in the place of those with the same id."""
        with told(self._path), self._db.atomic():
            self._db.table("answers").insert_all(rows, pk="id", replace=True)

    def close(self) -> None:
        """Close the file."""
        self._db.close()
