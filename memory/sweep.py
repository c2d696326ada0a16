"""Bytes that nobody refers to any more, and how they leave the file for good."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from .database import Database

__all__ = ["secure_delete", "sweep"]

# A picture is referred to by its names, and by the recipes that need it as their parent.
_REFERRED = (
    "WITH RECURSIVE referred (key) AS (SELECT picture FROM names {where}"
    " UNION SELECT pictures.parent FROM referred JOIN pictures USING (key) WHERE pictures.parent IS NOT NULL)"
)


def sweep(database: Database) -> None:
    """Empty each picture without an unforgotten name, its notes too; drop the row once no name at all is left."""
    wanted = _REFERRED.format(where="WHERE NOT forgotten")
    database.run(f"{wanted} DELETE FROM notes WHERE picture NOT IN (SELECT key FROM referred)")
    database.run(
        f"{wanted} UPDATE pictures SET data = NULL, phash = NULL, pixel_hash = NULL, gone = 1 "
        "WHERE NOT gone AND key NOT IN (SELECT key FROM referred)"
    )
    named = _REFERRED.format(where="")
    database.run(f"{named} DELETE FROM pictures WHERE key NOT IN (SELECT key FROM referred)")


@contextmanager
def secure_delete(database: Database, *indexes: str) -> Generator[None]:
    """What is deleted inside is overwritten in the file, in the search ``indexes`` and in the write-ahead log.

    Inside an outer ``atomic`` the log keeps its pages until that has ended.
    """
    with database.alone():
        database.run("PRAGMA secure_delete = ON")
        try:
            yield
            for index in indexes:  # FTS5 only marks words as deleted; merging its segments drops them
                database.run(f"INSERT INTO {index} ({index}) VALUES ('optimize')")
        finally:
            database.run("PRAGMA secure_delete = OFF")
        database.empty_log()
