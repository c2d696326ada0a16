"""Reading everything again: which rows of a file are damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass

import PIL

from ..errors import LookTwiceError, StoreError
from .database import Database
from .names import fold
from .picture import pixel_hash
from .pictures import Pictures
from .recipe import Recipe
from .turns import Turns

__all__ = ["Damage", "verify"]


@dataclass(frozen=True, slots=True)
class Damage:
    """A row that is not what was stored; ``row`` is its key, or None where the problem is not in one row."""

    table: str
    row: str | int | None
    problem: str


def verify(database: Database, pictures: Pictures, turns: Turns) -> list[Damage]:
    """Every damage in the file, in the order file, pictures, turns, search. Raises nothing of ours."""
    found: list[Damage] = []
    for check in (_file(database), _pictures(database, pictures), _turns(database, turns), _search(database)):
        try:
            found.extend(check)
        except StoreError as error:
            found.append(Damage("file", None, str(error)))
    return found


def _file(database: Database) -> Generator[Damage]:
    for (problem,) in database.rows("PRAGMA integrity_check"):
        if problem != "ok":
            yield Damage("file", None, " ".join(problem.split()))
    for table, row, other, _ in database.rows("PRAGMA foreign_key_check"):
        yield Damage(table, row, f"refers to a row of {other} that is not there")


def _pictures(database: Database, pictures: Pictures) -> Generator[Damage]:
    rows = database.rows("SELECT key, recipe, pixel_hash, maker FROM pictures WHERE NOT gone ORDER BY created, key")
    for key, recipe, pixels, maker in rows:
        try:
            problem = (
                _bytes_problem(database, key) if recipe is None else _recipe_problem(pictures, key, recipe, pixels)
            )
        except LookTwiceError as error:
            problem = str(error)
        if problem is not None and recipe is not None and maker != PIL.__version__:
            problem += f" (made with Pillow {maker}, now {PIL.__version__}, which may round differently)"
        if problem is not None:
            yield Damage("pictures", key, problem)


def _bytes_problem(database: Database, key: str) -> str | None:
    row = database.row("SELECT data FROM pictures WHERE key = ?", (key,))
    if row is None or row[0] is None:
        return "its bytes are missing"
    return None if f"sha256:{hashlib.sha256(row[0]).hexdigest()}" == key else "its bytes don't match their hash"


def _recipe_problem(pictures: Pictures, key: str, stored: str, pixels: str) -> str | None:
    if Recipe.load(stored).key != key:
        return "its recipe doesn't match its key"
    return None if pixel_hash(pictures.pixels(key)) == pixels else "its pixels come out different from when it was made"


def _turns(database: Database, turns: Turns) -> Generator[Damage]:
    for table, column in (("turns", "parent"), ("conversations", "head")):
        lost = f"{column} IS NOT NULL AND {column} NOT IN (SELECT id FROM turns)"
        for key, turn_id in database.rows(f"SELECT id, {column} FROM {table} WHERE {lost} ORDER BY id"):
            yield Damage(table, key, f"its {column}, turn {turn_id}, is not there")
    names: dict[int, set[str]] = {}
    for conversation, folded in database.rows("SELECT conversation, folded FROM names"):
        names.setdefault(conversation, set()).add(folded)
    for turn_id, conversation in database.rows("SELECT id, conversation FROM turns ORDER BY id"):
        try:
            missing = _missing(turns.get(turn_id).images, names.get(conversation, set()))
        except LookTwiceError as error:
            yield Damage("turns", turn_id, str(error))
            continue
        for name in missing:
            yield Damage("turns", turn_id, f"shows the picture {name!r}, which the conversation doesn't have")


def _missing(images: Iterable[str], known: set[str]) -> list[str]:
    return [name for name in images if fold(name) not in known]


def _search(database: Database) -> Generator[Damage]:
    for table in ("turns", "notes"):
        try:
            database.run(f"INSERT INTO {table}_fts ({table}_fts, rank) VALUES ('integrity-check', 1)")
        except StoreError:
            yield Damage(f"{table}_fts", None, "the search index doesn't match its table")
