"""Reading everything again: which rows of a file are damaged.

Pictures are checked against their hashes, and the other columns against what they must agree with. There is no
checksum over the words, token ids and other columns of turns, over conversations, approvals and notes, over times,
perceptual hashes, or what is forgotten: a change there that is still readable goes unnoticed, unless the search index
differs from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass

import PIL

from ..errors import LookTwiceError, StoreError
from .approvals import Approvals
from .database import Database, Row
from .names import fold
from .picture import Picture, pixel_hash
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
    """Every damage in the file: file, pictures, names, turns, approvals, search. Raises nothing of ours."""
    found: list[Damage] = []
    checks = (
        _file(database),
        _pictures(database, pictures),
        _gone(database),
        _names(database),
        _turns(database, turns),
        _approvals(database),
        _search(database),
    )
    for check in checks:
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
    rows = database.rows(
        f"SELECT key, recipe, pixel_hash, maker, {', '.join(_FACTS)} FROM pictures WHERE NOT gone ORDER BY created, key"
    )
    for key, recipe, pixels, maker, *kept in rows:
        problem = None
        try:
            facts = _bytes_facts(database, key) if recipe is None else _recipe_facts(pictures, key, recipe, pixels)
            for fact, found, known in zip(_FACTS, facts, kept, strict=True):
                if found != known:
                    raise StoreError(f"its {fact} is kept as {known!r} and comes out as {found!r}")
        except LookTwiceError as error:
            problem = str(error)
        if problem is not None and recipe is not None and maker != PIL.__version__:
            problem += f" (made with Pillow {maker}, now {PIL.__version__}, which may round differently)"
        if problem is not None:
            yield Damage("pictures", key, problem)


_FACTS = ("mime", "bytes", "width", "height", "frames", "parent")


def _bytes_facts(database: Database, key: str) -> Row:
    row = database.row("SELECT data FROM pictures WHERE key = ?", (key,))
    if row is None or row[0] is None:
        raise StoreError("its bytes are missing")
    if f"sha256:{hashlib.sha256(row[0]).hexdigest()}" != key:
        raise StoreError("its bytes don't match their hash")
    picture = Picture.load(row[0])
    return picture.mime, len(picture.data), picture.width, picture.height, picture.frames, None


def _recipe_facts(pictures: Pictures, key: str, stored: str, pixels: str) -> Row:
    recipe = Recipe.load(stored)
    if recipe.key != key:
        raise StoreError("its recipe doesn't match its key")
    if pixel_hash(pictures.pixels(key)) != pixels:
        raise StoreError("its pixels come out different from when it was made")
    return "image/png", 0, *recipe.size, 1, recipe.parent


def _gone(database: Database) -> Generator[Damage]:
    left = "coalesce(data, phash, pixel_hash) IS NOT NULL OR key IN (SELECT picture FROM notes)"
    for (key,) in database.rows(f"SELECT key FROM pictures WHERE gone AND ({left}) ORDER BY created, key"):
        yield Damage("pictures", key, "it was forgotten and something of it is still there")


def _names(database: Database) -> Generator[Damage]:
    for row, name, folded in database.rows("SELECT id, name, folded FROM names ORDER BY id"):
        if not isinstance(name, str) or fold(name) != folded:
            yield Damage("names", row, f"its name {name!r} is looked up as {folded!r}")


def _approvals(database: Database) -> Generator[Damage]:
    approvals = Approvals(database)
    for (row,) in database.rows("SELECT id FROM approvals ORDER BY id"):
        try:
            approvals.get(row)
        except LookTwiceError as error:
            yield Damage("approvals", row, str(error))


def _turns(database: Database, turns: Turns) -> Generator[Damage]:
    for table, column in (("turns", "parent"), ("conversations", "head"), ("approvals", "turn"), ("names", "turn")):
        lost = f"{column} IS NOT NULL AND {column} NOT IN (SELECT id FROM turns)"
        for key, turn_id in database.rows(f"SELECT id, {column} FROM {table} WHERE {lost} ORDER BY id"):
            yield Damage(table, key, f"its {column}, turn {turn_id}, is not there")
    for turn_id, parent in database.rows("SELECT id, parent FROM turns WHERE parent >= id ORDER BY id"):
        yield Damage("turns", turn_id, f"its parent, turn {parent}, came after it")
    names: dict[int, set[str]] = {}
    for conversation, folded in database.rows("SELECT conversation, folded FROM names"):
        names.setdefault(conversation, set()).add(folded)
    for turn_id, conversation in database.rows("SELECT id, conversation FROM turns ORDER BY id"):
        try:
            turn = turns.get(turn_id)
            dict(turn.meta)  # decoded only now
            missing = _missing(turn.images, names.get(conversation, set()))
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
