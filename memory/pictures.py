"""Pictures of conversations: encoded bytes kept once by their hash, crops as recipes, and the names of both."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image

from ..errors import InvalidInput, UnknownName
from .conversations import Conversation, conversation_id
from .database import Database, Row
from .names import MAX_NAME, check_name, fold
from .picture import Picture
from .recipe import Box, Recipe
from .sweep import secure_delete, sweep
from .vault import find_recipe, is_gone, keep, keep_recipe, origin, pixels

__all__ = ["NamedPicture", "Pictures"]

_NOTES = ("alt", "caption", "text")
_NAMED = """
SELECT n.name, n.picture, p.width, p.height, p.mime, p.bytes, p.parent, p.recipe, n.tool, n.turn, a.text, c.text,
    n.forgotten, n.created, p.frames
FROM names AS n JOIN pictures AS p ON p.key = n.picture
LEFT JOIN notes AS a ON a.picture = p.key AND a.kind = 'alt'
LEFT JOIN notes AS c ON c.picture = p.key AND c.kind = 'caption'
WHERE n.conversation = ?
"""


@dataclass(frozen=True, slots=True)
class NamedPicture:
    """A picture under its name in one conversation.

    ``width`` and ``height`` are upright pixels; ``size`` is bytes, 0 for a crop. A crop has its ``recipe``, the key
    of its ``parent``, and the ``tool`` and ``turn`` that made it. Of a ``forgotten`` one nothing else is left.
    """

    name: str
    key: str
    width: int
    height: int
    mime: str
    size: int
    parent: str | None
    recipe: Recipe | None
    tool: str | None
    turn: int | None
    alt: str | None
    caption: str | None
    forgotten: bool
    created: float
    frames: int = 1


class Pictures:
    """All pictures of a file. A ``conversation`` parameter takes a Conversation or its name."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self, conversation: Conversation | str, picture: Picture, *, name: str | None = None, alt: str | None = None
    ) -> NamedPicture:
        """Keep a picture under a name; by default the one of its file, numbered if that is taken (``photo2``).

        The same bytes under the same name are that picture, kept once. Raises InvalidInput for a name that belongs
        to other bytes or to a forgotten picture.
        """
        wanted = None if name is None else check_name(name)
        with self._db.atomic():
            where = conversation_id(self._db, conversation)
            keep(self._db, picture)
            if wanted is None:
                stem = picture.name or "picture"
                wanted = _free_name(stem, self._taken(where, stem), picture.key)
            self._bind(where, wanted, picture.key)
            if alt is not None:
                self.note(picture.key, "alt", alt)
            return self._get(where, wanted)

    def add_recipe(
        self,
        conversation: Conversation | str,
        recipe: Recipe,
        *,
        stem: str,
        tool: str | None = None,
        turn: int | None = None,
    ) -> NamedPicture:
        """Keep a picture that is made of another, under the next number of ``stem``: ``bill.zoom`` -> ``bill.zoom1``.

        An equal recipe that has a name here already is returned under it. ``turn`` is the turn whose call made it.
        Raises InvalidInput for a box beyond the parent, UnknownName or StoreError if the parent is not there.
        """
        with self._db.atomic():
            where = conversation_id(self._db, conversation)
            known = self._db.row(
                "SELECT name FROM names WHERE picture = ? AND conversation = ? AND NOT forgotten ORDER BY id",
                (recipe.key, where),
            )
            if known is not None:
                return self._get(where, known[0])
            keep_recipe(self._db, recipe)
            name = check_name(_numbered(stem, self._taken(where, stem.partition(".")[0])))
            self._bind(where, name, recipe.key, tool=tool, turn=turn)
            return self._get(where, name)

    def get(self, conversation: Conversation | str, name: str) -> NamedPicture:
        """The picture of that name, forgotten or not. Raises UnknownName and offers the nearest."""
        return self._get(conversation_id(self._db, conversation), name)

    def all(self, conversation: Conversation | str) -> list[NamedPicture]:
        """Every picture of the conversation, forgotten ones too, in the order in which they came."""
        where = conversation_id(self._db, conversation)
        return [_named(row) for row in self._db.rows(f"{_NAMED} ORDER BY n.id", (where,))]

    def pixels(self, key: str) -> Image.Image:
        """Upright RGB pixels: decoded, or made again through any chain of recipes. Raises StoreError if gone."""
        return pixels(self._db, key)

    def data(self, key: str) -> bytes:
        """The encoded original as it was given; a crop as PNG."""
        recipes, data = origin(self._db, key)
        if not recipes:
            return data
        buffer = BytesIO()
        self.pixels(key).save(buffer, "PNG")
        return buffer.getvalue()

    def to_original(self, key: str, box: Box) -> tuple[str, Box]:
        """A box in pixels of a crop -> the key of the picture it was cut from in the end, and the box there."""
        while (recipe := find_recipe(self._db, key)) is not None:
            key, box = recipe.parent, recipe.to_parent(box)
        return key, box

    def note(self, key: str, kind: str, text: str) -> None:
        """Keep what is known of a picture: its "alt", its "caption", or the "text" that was read in it.

        Raises InvalidInput for a picture that was forgotten meanwhile.
        """
        if kind not in _NOTES:
            raise InvalidInput(f"{kind!r} is not a kind of note; use one of {', '.join(_NOTES)}")
        with self._db.atomic():
            if is_gone(self._db, key):
                raise InvalidInput(f"the picture {key!r} was forgotten and takes no notes; add the file again")
            self._db.run(
                "INSERT INTO notes (picture, kind, text, created) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (picture, kind) DO UPDATE SET text = excluded.text, created = excluded.created",
                (key, kind, text, time.time()),
            )

    def notes(self, key: str) -> dict[str, str]:
        """The notes of a picture by kind."""
        return dict(self._db.rows("SELECT kind, text FROM notes WHERE picture = ? ORDER BY kind", (key,)))

    def all_notes(self, conversation: Conversation | str) -> dict[str, dict[str, str]]:
        """The notes of every picture of a conversation that has any, by its key and their kind."""
        found: dict[str, dict[str, str]] = {}
        rows = self._db.rows(
            "SELECT picture, kind, text FROM notes WHERE picture IN"
            " (SELECT picture FROM names WHERE conversation = ? AND NOT forgotten) ORDER BY picture, kind",
            (conversation_id(self._db, conversation),),
        )
        for key, kind, text in rows:
            found.setdefault(key, {})[kind] = text
        return found

    def forget(self, conversation: Conversation | str, name: str) -> list[str]:
        """Forget a picture and the crops made of it in this conversation; returns their names.

        Names stay taken and turns stay. The bytes, and notes with them, go as soon as no unforgotten name of any
        conversation needs them, and are overwritten in the file.
        """
        with secure_delete(self._db, "notes_fts"), self._db.atomic():
            where = conversation_id(self._db, conversation)
            picture = self.get(conversation, name)
            rows = self._db.rows(
                "WITH RECURSIVE down (key) AS (SELECT ?"
                " UNION SELECT pictures.key FROM down JOIN pictures ON pictures.parent = down.key)"
                " SELECT id, name, picture FROM names WHERE conversation = ? AND NOT forgotten"
                " AND picture IN (SELECT key FROM down) ORDER BY id",
                (picture.key, where),
            )
            # The same bytes under another name here are the same picture to whoever wants it forgotten.
            self._db.run_many("UPDATE names SET forgotten = 1 WHERE id = ?", [(row[0],) for row in rows])
            sweep(self._db)
        return [row[1] for row in rows]

    def family(self, conversation: Conversation | str, name: str) -> set[str]:
        """The keys of a picture and of the crops made of it in this conversation, forgotten or not."""
        where = conversation_id(self._db, conversation)
        rows = self._db.rows(
            "WITH RECURSIVE down (key) AS (SELECT ?"
            " UNION SELECT pictures.key FROM down JOIN pictures ON pictures.parent = down.key)"
            " SELECT DISTINCT picture FROM names WHERE conversation = ? AND picture IN (SELECT key FROM down)",
            (self.get(conversation, name).key, where),
        )
        return {key for (key,) in rows}

    def _get(self, conversation: int, name: str) -> NamedPicture:
        row = self._db.row(f"{_NAMED} AND n.folded = ?", (conversation, fold(name)))
        if row is None:
            known = self._db.rows("SELECT name FROM names WHERE conversation = ? AND NOT forgotten", (conversation,))
            raise UnknownName("picture", name, [found for (found,) in known])
        return _named(row)

    def _taken(self, conversation: int, stem: str) -> dict[str, str]:
        """The names that begin with ``stem``, folded, with their keys; "" for a forgotten one, which no bytes have."""
        rows = self._db.rows(
            "SELECT folded, CASE WHEN forgotten THEN '' ELSE picture END FROM names"
            " WHERE conversation = ? AND folded >= ? AND folded < ?",
            (conversation, fold(stem), fold(stem) + "\U0010ffff"),
        )
        return dict(rows)

    def _bind(
        self, conversation: int, name: str, key: str, *, tool: str | None = None, turn: int | None = None
    ) -> None:
        """Give a name to a picture, unless it has that name already."""
        known = self._db.row(
            "SELECT name, picture, forgotten FROM names WHERE conversation = ? AND folded = ?",
            (conversation, fold(name)),
        )
        if known is None:
            self._db.run(
                "INSERT INTO names (conversation, name, folded, picture, tool, turn, created) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (conversation, name, fold(name), key, tool, turn, time.time()),
            )
        elif known[2]:
            raise InvalidInput(
                f"the picture {known[0]!r} was forgotten and its name is not used again; take another name"
            )
        elif known[1] != key:
            free = _numbered(name, self._taken(conversation, name), first=2)
            raise InvalidInput(f"{known[0]!r} is another picture here already; take another name, such as {free!r}")


def _named(row: Row) -> NamedPicture:
    fields: list[Any] = list(row)
    fields[7] = None if row[7] is None else Recipe.load(row[7])
    fields[12] = bool(row[12])
    return NamedPicture(*fields)


def _free_name(stem: str, taken: Mapping[str, str], key: str) -> str:
    """The stem, or the stem numbered from 2: the first that is free or has these bytes already."""
    name, number = stem, 1
    while taken.get(fold(name), key) != key:
        number += 1
        name = f"{stem}{number}"
    return name


def _numbered(stem: str, taken: Collection[str], first: int = 1) -> str:
    """The stem with the first number that is free; a chain of crops too long for a name goes back to its root's."""
    number = first
    while fold(f"{stem}{number}") in taken:
        number += 1
    name = f"{stem}{number}"
    if len(name) <= MAX_NAME:
        return name
    root, _, rest = stem.rpartition(".")
    shorter = f"{root.partition('.')[0]}.{rest}" if "." in root else f"{root[: MAX_NAME // 2].rstrip('-_')}.{rest}"
    return _numbered(shorter, taken, number)
