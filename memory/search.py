"""Search by words in turns, notes and names, and by what a picture looks like. User text is never query syntax."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..errors import InvalidInput
from .conversations import TREE, Conversation, conversation_id
from .database import Database
from .names import fold
from .picture import Picture

__all__ = ["Alike", "Hit", "alike", "search"]

# Scripts written without spaces are one long word to the index, so their words are looked for as plain text.
_NO_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
MAX_WORDS = 50
Kind: TypeAlias = Literal["turn", "picture", "note"]
_TURNS = (
    "SELECT c.name, x.id, NULL, x.role, {snippet}, x.created FROM {source} "
    "JOIN conversations AS c ON c.id = x.conversation"
)
# A turn is in its own conversation, and in those that were forked from there after it.
_TURNS_IN = (
    f"{TREE} SELECT c.name, x.id, NULL, x.role, {{snippet}}, x.created FROM {{source}} "
    "JOIN conversations AS c ON (x.conversation = ?1 OR x.id IN (SELECT turn FROM tree))"
)
_NOTES = (
    "SELECT c.name, NULL, n.name, NULL, {snippet}, x.created FROM {source} "
    "CROSS JOIN names AS n ON n.picture = x.picture AND NOT n.forgotten "
    "JOIN conversations AS c ON c.id = n.conversation"
)
_NAMES = (
    "SELECT c.name, NULL, x.name, NULL, x.name, x.created FROM names AS x "
    "JOIN conversations AS c ON c.id = x.conversation WHERE NOT x.forgotten"
)


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found: a turn's words, a picture's name, or a note on a picture (alt, caption, text read in it)."""

    kind: Kind
    conversation: str
    turn: int | None
    picture: str | None
    role: str | None
    snippet: str
    created: float


@dataclass(frozen=True, slots=True)
class Alike:
    """A picture that looks like the one asked for; ``distance`` is bits of difference, 0 to 64."""

    conversation: str
    name: str
    distance: int


def search(
    database: Database, text: str, *, conversation: Conversation | str | None = None, limit: int = 20
) -> list[Hit]:
    """What holds all the words of ``text``, newest first. Raises InvalidInput if there is no word in it."""
    words = [word for word in text.split() if any(char.isalnum() for char in word)]
    if not words:
        raise InvalidInput(f"there is no word in {text!r} to search for; give one or more words")
    if len(words) > MAX_WORDS:
        raise InvalidInput(f"a search with {len(words)} words is too long; give {MAX_WORDS} at most")
    where = None if conversation is None else conversation_id(database, conversation)
    queries: dict[Kind, tuple[str, list[str | int]]] = {
        "turn": _turn_query(words, where, limit),
        "note": _query("notes", _NOTES, words, where, limit),
        "picture": _name_query(words, where, limit),
    }
    hits = [
        Hit(kind, row[0], row[1], row[2], row[3], _excerpt(row[4], words[0]), row[5])
        for kind, query in queries.items()
        for row in database.rows(*query)
    ]
    return sorted(hits, key=lambda hit: hit.created, reverse=True)[:limit]


def alike(database: Database, picture: Picture, *, distance: int = 8) -> list[Alike]:
    """The pictures whose perceptual hash differs in at most ``distance`` bits, nearest first."""
    rows = database.rows(
        "SELECT c.name, n.name, p.phash FROM names AS n JOIN pictures AS p ON p.key = n.picture "
        "JOIN conversations AS c ON c.id = n.conversation WHERE NOT n.forgotten AND p.phash IS NOT NULL ORDER BY n.id"
    )
    found = [Alike(where, name, _distance(phash, picture.likeness)) for where, name, phash in rows]
    return sorted((one for one in found if one.distance <= distance), key=lambda one: one.distance)


def _distance(one: int, other: int) -> int:
    return ((one ^ other) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()


def _query(table: str, select: str, words: list[str], where: int | None, limit: int) -> tuple[str, list[str | int]]:
    """The statement, and its values, for rows of a table with a full-text index."""
    if any(_NO_SPACES.search(word) for word in words):
        sql = select.format(snippet="x.text", source=f"{table} AS x")
        match = " AND ".join("x.text LIKE ? ESCAPE '\\'" for _ in words)
        values: list[str | int] = [f"%{_literal(word)}%" for word in words]
    else:
        snippet = f"snippet({table}_fts, 0, '', '', '…', 16)"
        sql = select.format(snippet=snippet, source=f"{table}_fts AS f CROSS JOIN {table} AS x ON x.id = f.rowid")
        match = f"{table}_fts MATCH ?"
        values = [" ".join(_quoted(word) for word in words)]
    return _limited(f"{sql} WHERE {match}", "x.id" if "LIKE" in match else "f.rowid", values, where, limit)


def _turn_query(words: list[str], where: int | None, limit: int) -> tuple[str, list[str | int]]:
    if where is None:
        return _query("turns", _TURNS, words, where, limit)
    sql, values = _query("turns", _TURNS_IN, words, where, limit)
    return sql, [where, *values]


def _name_query(words: list[str], where: int | None, limit: int) -> tuple[str, list[str | int]]:
    """The statement for names, which are few and short: parts of words count too, ``zoom`` finds ``bill.zoom1``."""
    match = "".join(" AND instr(x.folded, ?)" for _ in words)
    return _limited(_NAMES + match, "x.id", [fold(word) for word in words], where, limit)


def _limited(
    sql: str, newest: str, values: Sequence[str | int], where: int | None, limit: int
) -> tuple[str, list[str | int]]:
    if where is not None:
        return f"{sql} AND c.id = ? ORDER BY {newest} DESC LIMIT ?", [*values, where, limit]
    return f"{sql} ORDER BY {newest} DESC LIMIT ?", [*values, limit]


def _quoted(word: str) -> str:
    """A word as a phrase of FTS5, in which no character means anything."""
    return '"' + word.replace('"', '""').replace("\0", " ") + '"'


def _literal(word: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", word)


def _excerpt(text: str, word: str) -> str:
    """One line around the word; what the index cut already is short enough to stay as it is."""
    line = " ".join(text.split())
    if len(line) <= 400:
        return line
    start = max(line.lower().find(word.lower()) - 60, 0)
    return ("…" if start else "") + line[start : start + 120] + "…"
