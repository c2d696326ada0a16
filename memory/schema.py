"""The tables, their migrations, and how a file is opened so that one which can't be used stays untouched.

A migration is a named function; the list only ever grows. sqlite-utils applies and records them, and
``PRAGMA user_version`` holds their number, so that opening an up-to-date file neither imports sqlite-utils nor
writes. Before the first write a file is checked: that it is SQLite, ours, whole and not newer than this code.
``quick_check`` reads every page (about 0.3 ms per MB), so files over ``CHECKED_BYTES`` get only the checks of the
header; damage further in is reported by whatever reads it, and by ``Memory.verify``.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StoreError
from .database import failure

if TYPE_CHECKING:
    import sqlite_utils

__all__ = ["CHECKED_BYTES", "SCHEMA", "connect", "migrate"]

APPLICATION = 0x4C4B3258  # "LK2X", in the file's header
CHECKED_BYTES = 16_000_000
_DURABILITY = {"full": "FULL", "normal": "NORMAL"}

# AUTOINCREMENT: what still holds the id of a deleted row must not find another one under it.
_TABLES = """
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    head INTEGER,
    created REAL NOT NULL,
    updated REAL NOT NULL
);
CREATE TABLE makers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model TEXT,
    tokenizer TEXT,
    UNIQUE (model, tokenizer)
);
CREATE TABLE turns (
    id INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    parent INTEGER,
    role TEXT NOT NULL,
    status TEXT,  -- NULL: complete
    maker INTEGER REFERENCES makers (id),
    meta TEXT,
    created REAL NOT NULL,
    parts TEXT,  -- JSON, see rows.py; NULL: the text is the only part
    text TEXT,
    tokens BLOB  -- int32, little-endian
);
CREATE INDEX turns_conversation ON turns (conversation);
-- As a rule a turn follows the one written before it; only where it doesn't is an entry worth its page.
CREATE INDEX turns_branching ON turns (parent) WHERE parent IS NOT id - 1;
CREATE TABLE last_deleted (turn INTEGER NOT NULL);  -- one row, or none
CREATE TRIGGER turns_last_deleted AFTER DELETE ON turns
WHEN old.id > coalesce((SELECT turn FROM last_deleted), 0) BEGIN
    DELETE FROM last_deleted;
    INSERT INTO last_deleted VALUES (old.id);
END;
CREATE TABLE pictures (
    key TEXT PRIMARY KEY,
    mime TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    phash INTEGER,
    pixel_hash TEXT,  -- of recipes only: bytes are checked by their key
    parent TEXT REFERENCES pictures (key),
    recipe TEXT,
    maker TEXT,  -- the Pillow that made pixel_hash: another one may round differently
    gone INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    data BLOB  -- last, so that the other columns are read without it
);
CREATE INDEX pictures_parent ON pictures (parent) WHERE parent IS NOT NULL;
CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    picture TEXT NOT NULL REFERENCES pictures (key),
    tool TEXT,
    turn INTEGER,
    forgotten INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    UNIQUE (conversation, folded)
);
CREATE INDEX names_picture ON names (picture);
CREATE TABLE notes (
    id INTEGER PRIMARY KEY,
    picture TEXT NOT NULL REFERENCES pictures (key) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    created REAL NOT NULL,
    UNIQUE (picture, kind)
);
CREATE TABLE approvals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    turn INTEGER NOT NULL,
    call TEXT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    decided INTEGER,
    note TEXT NOT NULL DEFAULT '',
    created REAL NOT NULL
);
"""

# The index reads the text from its table; rows without text stay out of it.
_SEARCH = """
CREATE VIRTUAL TABLE {table}_fts USING fts5 (
    text, content={table}, content_rowid=id, columnsize=0, tokenize='unicode61 remove_diacritics 2'
);
CREATE TRIGGER {table}_added AFTER INSERT ON {table} WHEN new.text IS NOT NULL BEGIN
    INSERT INTO {table}_fts (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER {table}_removed AFTER DELETE ON {table} WHEN old.text IS NOT NULL BEGIN
    INSERT INTO {table}_fts ({table}_fts, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER {table}_changed AFTER UPDATE OF text ON {table} WHEN old.text IS NOT new.text BEGIN
    INSERT INTO {table}_fts ({table}_fts, rowid, text)
        SELECT 'delete', old.id, old.text WHERE old.text IS NOT NULL;
    INSERT INTO {table}_fts (rowid, text) SELECT new.id, new.text WHERE new.text IS NOT NULL;
END;
"""


def tables_and_search(db: sqlite_utils.Database) -> None:
    """The first schema."""
    db.executescript(_TABLES)
    for table in ("turns", "notes"):
        db.executescript(_SEARCH.format(table=table))


def calibrations(db: sqlite_utils.Database) -> None:
    """What was measured of models."""
    db.executescript("CREATE TABLE calibrations (model TEXT PRIMARY KEY, data TEXT NOT NULL, created REAL NOT NULL);")


_STEPS = (tables_and_search, calibrations)
SCHEMA = len(_STEPS)


def connect(path: str, durability: str, timeout: float) -> sqlite3.Connection:
    """A connection ready for use, but for ``migrate``. Raises StoreError and leaves a file it refuses as it is."""
    if path != ":memory:":
        _check_place(Path(path))
        _check_file(Path(path))
        _make_private(path)
    try:
        connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise failure(path, error) from error
    try:
        _check_version(path, connection)
        _use_wal(connection, timeout)
        connection.execute(f"PRAGMA synchronous = {_DURABILITY[durability]}")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise failure(path, error) from error
        raise
    return connection


def migrate(path: str, connection: sqlite3.Connection) -> bool:
    """Bring the file to this schema; True if it was new. Of several processes that try at once, one does it."""
    if _version(connection) == SCHEMA:
        return False
    import sqlite_utils  # slow to import, and an up-to-date file needs none of it

    migrations = sqlite_utils.Migrations("looktwice")
    for step in _STEPS:
        migrations()(step)
    try:
        connection.execute("BEGIN IMMEDIATE")
        found = _version(connection)
        if found < SCHEMA:
            migrations.apply(sqlite_utils.Database(connection))
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise failure(path, error) from error
    return found == 0


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise StoreError(
            f"the database {str(path)!r} is a folder; give a file in it, such as {str(path / 'chat.db')!r}"
        )
    if not path.parent.is_dir():
        raise StoreError(f"the folder {str(path.parent)!r} of the database does not exist; make it first")


def _check_file(path: Path) -> None:
    """Refuse a file that is not SQLite, cut short or damaged, by reading alone."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(
            f"the database {str(path)!r} can't be read: {error.strerror}; check its permissions"
        ) from error
    if not header:
        return
    if not header.startswith(b"SQLite format 3\0") or len(header) < 100:
        raise StoreError(f"{str(path)!r} is not a looktwice database; it is left as it is; give another file")
    has_log = _has_log(path)
    if size <= CHECKED_BYTES:
        # Closing a connection that may write would fold the log into the damaged file.
        _quick_check(path, "ro" if has_log else "rw")
    elif not has_log and size < _size_by_header(header):
        raise _damaged(path, f"it is cut short, {size} bytes of {_size_by_header(header)}")


def _make_private(path: str) -> None:
    """Make a file that isn't there readable by its owner alone; SQLite gives its log the same mode."""
    if os.path.exists(path):
        return  # and is not opened: to close it again would drop the locks of this process's other connections
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(
            f"the database {path!r} can't be made: {error.strerror}; check the permissions of its folder"
        ) from error


def _has_log(path: Path) -> bool:
    log = Path(f"{path}-wal")
    return log.exists() and log.stat().st_size > 0


def _size_by_header(header: bytes) -> int:
    """The bytes that the file should have; 0 if the header doesn't say so reliably."""
    page_size, changes, pages, valid_for = (
        *struct.unpack(">H", header[16:18]),
        *struct.unpack(">II", header[24:32]),
        *struct.unpack(">I", header[92:96]),
    )
    return pages * (65536 if page_size == 1 else page_size) if changes == valid_for else 0


def _quick_check(path: Path, mode: str) -> None:
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)
        try:
            problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        raise failure(str(path), error) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from error
    if problem != "ok":
        raise _damaged(path, " ".join(problem.split()))


def _damaged(path: Path, why: str) -> StoreError:
    return StoreError(
        f"the database {str(path)!r} is damaged ({why}); it is left as it is; restore a backup or an export"
    )


def _check_version(path: str, connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")  # one snapshot: another process may be making the tables right now
    found = _version(connection)
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    has_tables = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
    connection.execute("ROLLBACK")
    if application == APPLICATION and found > SCHEMA:
        raise StoreError(
            f"the database {path!r} has schema {found}, this looktwice knows up to {SCHEMA}; upgrade: "
            "pip install -U looktwice"
        )
    if application != APPLICATION and has_tables:
        raise StoreError(f"the database {path!r} belongs to another program; it is left as it is; give another file")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _use_wal(connection: sqlite3.Connection, timeout: float) -> None:
    """Change to write-ahead logging; SQLite's own waiting does not cover this one statement."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
