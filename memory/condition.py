"""What state a database file and this SQLite are in, found by reading alone, for those who look before they open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from .schema import APPLICATION, SCHEMA

__all__ = ["file_problem", "has_search", "sqlite_version"]


def sqlite_version() -> str:
    """The version of the SQLite library that Python brings."""
    return sqlite3.sqlite_version


def has_search() -> bool:
    """Whether this SQLite can search full text (FTS5), which the schema needs."""
    with closing(sqlite3.connect(":memory:")) as connection:
        return bool(connection.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')").fetchone()[0])


def file_problem(path: Path) -> str:
    """What is wrong with the database at ``path`` and what to do, in one line; empty if it can be used."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return _content_problem(connection)
    except sqlite3.OperationalError as error:
        return f"it can't be read ({error}); check its permissions, and those of its folder"
    except sqlite3.DatabaseError as error:
        return f"it is damaged ({error}); restore a backup or an export"


def _content_problem(connection: sqlite3.Connection) -> str:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if found != "ok":
        return f"it is damaged ({' '.join(found.split())}); restore a backup or an export"
    if application == APPLICATION and version > SCHEMA:
        return f"it has schema {version}, this looktwice knows up to {SCHEMA}; run: pip install -U looktwice"
    if application != APPLICATION and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        return "it belongs to another program; give another file"
    return ""
