"""Conversations: named trees of turns, of which one branch is current."""

from __future__ import annotations

import re
import time
from enum import Enum
from operator import attrgetter
from typing import Final, NamedTuple

from ..errors import InvalidInput, StoreError, UnknownName
from .database import Database
from .names import fold
from .sweep import secure_delete, sweep

__all__ = ["CURRENT", "Conversation", "Conversations", "Current", "conversation_id"]

_COLUMNS = "id, name, head, created, updated"
MAX_NAME = 200


class Current(Enum):
    """The type of ``CURRENT``."""

    CURRENT = "current"


CURRENT: Final = Current.CURRENT
"""Stands for the conversation's head at the moment of the write."""


class Conversation(NamedTuple):
    """A conversation as it was when read: ``head`` is the id of the last turn of its current branch.

    ``created`` and ``updated`` are seconds since 1970.
    """

    id: int
    name: str
    head: int | None
    created: float
    updated: float


class Conversations:
    """All conversations of a file. A ``conversation`` parameter takes a Conversation or its name."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(self, name: str) -> Conversation:
        """A new, empty conversation. Raises InvalidInput if the name is taken or can't be one."""
        _check_name(name)
        now = time.time()
        with self._db.atomic():
            if self._id(name) is not None:
                raise InvalidInput(f"there is a conversation named {name!r} already; open it, or take another name")
            self._db.run("INSERT INTO conversations (name, created, updated) VALUES (?, ?, ?)", (name, now, now))
            return self.get(name)

    def get(self, name: str | Conversation) -> Conversation:
        """The conversation as it stands now. Raises UnknownName and offers the nearest."""
        (row,) = self._db.rows(f"SELECT {_COLUMNS} FROM conversations WHERE id = ?", (conversation_id(self._db, name),))
        return Conversation(*row)

    def open(self, name: str) -> Conversation:
        """The conversation of that name, made if there is none."""
        with self._db.atomic():
            return self.create(name) if self._id(name) is None else self.get(name)

    def list(self, limit: int | None = None) -> list[Conversation]:
        """The conversations, last changed first."""
        rows = self._db.rows(f"SELECT {_COLUMNS} FROM conversations")
        found = [
            *map(Conversation._make, rows)
        ]  # and sorted here, which is quicker than SQLite's sorting of whole rows
        return sorted(found, key=attrgetter("updated", "id"), reverse=True)[:limit]

    def rename(self, conversation: Conversation | str, name: str) -> Conversation:
        """Give another name. Raises InvalidInput if it is taken."""
        _check_name(name)
        with self._db.atomic():
            key = conversation_id(self._db, conversation)
            if self._id(name) not in (None, key):
                raise InvalidInput(f"there is a conversation named {name!r} already; take another name")
            self._db.run("UPDATE conversations SET name = ?, updated = ? WHERE id = ?", (name, time.time(), key))
            return self.get(name)

    def set_head(self, conversation: Conversation | str, turn_id: int | None) -> Conversation:
        """Make another turn of the tree the last one (undo, or another branch); None starts anew. Nothing is lost."""
        with self._db.atomic():
            key = conversation_id(self._db, conversation)
            check_belongs(self._db, key, turn_id)
            self._db.run("UPDATE conversations SET head = ?, updated = ? WHERE id = ?", (turn_id, time.time(), key))
            return self._by_id(key)

    def fork(
        self, conversation: Conversation | str, *, at: int | Current | None = CURRENT, name: str | None = None
    ) -> Conversation:
        """A new conversation that goes on from the turn ``at`` (the head if not given); earlier turns are shared.

        The names that stand on that branch come along: pictures in turns up to ``at``, crops made there, and the
        pictures these were cut from; at the head also pictures that no turn there shows. ``name`` is by default the
        conversation's with the next free number: ``receipts.2``.
        """
        if name is not None:
            _check_name(name)
        with self._db.atomic():
            origin = self.get(conversation)
            turn_id = origin.head if at is CURRENT else at
            check_belongs(self._db, origin.id, turn_id)
            fork = self.create(name or self._numbered(origin.name))
            self._db.run("UPDATE conversations SET head = ? WHERE id = ?", (turn_id, fork.id))
            self._copy_names(origin.id, fork.id, turn_id, with_unused=turn_id == origin.head)
            return self._by_id(fork.id)

    def delete(self, conversation: Conversation | str) -> None:
        """Delete a conversation with its turns and names, and the bytes of pictures that nothing else refers to.

        Turns that a fork needs survive and belong to that fork from then on.
        """
        with secure_delete(self._db, "notes_fts", "turns_fts"), self._db.atomic():
            key = conversation_id(self._db, conversation)
            self._db.run("UPDATE conversations SET head = NULL WHERE id = ?", (key,))
            self._db.run("DELETE FROM approvals WHERE conversation = ?", (key,))
            self._hand_over(key)
            self._db.run("DELETE FROM turns WHERE conversation = ?", (key,))
            self._db.run("UPDATE names SET turn = NULL WHERE turn NOT IN (SELECT id FROM turns)")
            self._db.run("DELETE FROM makers WHERE id NOT IN (SELECT maker FROM turns WHERE maker IS NOT NULL)")
            self._db.run("DELETE FROM conversations WHERE id = ?", (key,))
            sweep(self._db)

    def _by_id(self, key: int) -> Conversation:
        row = self._db.row(f"SELECT {_COLUMNS} FROM conversations WHERE id = ?", (key,))
        if row is None:
            raise StoreError(f"conversations row {key!r} is missing; run verify on the database")
        return Conversation(*row)

    def _id(self, name: str) -> int | None:
        row = self._db.row("SELECT id FROM conversations WHERE name = ?", (name,))
        return None if row is None else int(row[0])

    def _numbered(self, name: str) -> str:
        stem = re.sub(r"\.\d+$", "", name)[: MAX_NAME - 8]
        number = 2
        while self._id(f"{stem}.{number}") is not None:
            number += 1
        return f"{stem}.{number}"

    def _copy_names(self, origin: int, fork: int, turn_id: int | None, *, with_unused: bool) -> None:
        rows = self._db.rows("SELECT name, turn FROM names WHERE conversation = ? ORDER BY id", (origin,))
        branch = {row[0] for row in self._db.rows(f"{ANCESTORS} SELECT id FROM line", (turn_id,))}
        shown = self._folded(f"{ANCESTORS} {_IMAGES} (SELECT id FROM line)", turn_id)
        keep = {fold(name) for name, turn in rows if turn in branch or fold(name) in shown}
        if with_unused:
            keep |= {fold(name) for name, turn in rows if turn is None}
        keep |= self._parents(origin, keep)
        self._db.run_many(
            "INSERT INTO names (conversation, name, folded, picture, tool, turn, forgotten, created) "
            "SELECT ?, name, folded, picture, tool, ?, forgotten, created FROM names "
            "WHERE conversation = ? AND folded = ?",
            [(fork, turn if turn in branch else None, origin, fold(name)) for name, turn in rows if fold(name) in keep],
        )

    def _folded(self, query: str, value: int | None) -> set[str]:
        return {fold(name) for (name,) in self._db.rows(query, (value,))}

    def _parents(self, conversation: int, folded: set[str]) -> set[str]:
        """The names, in a conversation, of the pictures from which the named ones were cut, through any chain."""
        rows = self._db.rows(
            "WITH RECURSIVE up (folded, key) AS ("
            " SELECT folded, picture FROM names WHERE conversation = ?1"
            " UNION SELECT up.folded, pictures.parent FROM up JOIN pictures USING (key) WHERE parent IS NOT NULL"
            ") SELECT up.folded, names.folded FROM up JOIN names ON names.picture = up.key AND names.conversation = ?1",
            (conversation,),
        )
        return {parent for child, parent in rows if child in folded}

    def _hand_over(self, key: int) -> None:
        """Give each turn that another conversation builds on to that conversation."""
        rows = self._db.rows(
            "WITH RECURSIVE need (turn, owner) AS ("
            " SELECT head, id FROM conversations WHERE id != ?1 AND head IS NOT NULL"
            " UNION SELECT parent, conversation FROM turns WHERE conversation != ?1 AND parent IS NOT NULL"
            " UNION SELECT turns.parent, need.owner FROM need JOIN turns ON turns.id = need.turn"
            "  WHERE turns.conversation = ?1 AND turns.parent IS NOT NULL"
            ") SELECT min(need.owner), turns.id FROM need JOIN turns ON turns.id = need.turn"
            " WHERE turns.conversation = ?1 GROUP BY turns.id",
            (key,),
        )
        self._db.run_many("UPDATE turns SET conversation = ? WHERE id = ?", rows)


ANCESTORS = (
    "WITH RECURSIVE line (id, parent) AS (SELECT id, parent FROM turns WHERE id = ?1"
    " UNION SELECT turns.id, turns.parent FROM line JOIN turns ON turns.id = line.parent)"
)
"""The turn ?1 and those before it, as the table ``line``."""
TREE = (
    "WITH RECURSIVE tree (turn) AS (SELECT head FROM conversations WHERE id = ?1"
    " UNION SELECT id FROM turns WHERE conversation = ?1"
    " UNION SELECT turns.parent FROM tree JOIN turns ON turns.id = tree.turn)"
)
"""Every turn of the conversation ?1, on all its branches, and the earlier ones that it shares: the table ``tree``."""
_IMAGES = "SELECT value FROM turns, json_each(turns.parts) WHERE json_each.type = 'text' AND turns.id IN"


def conversation_id(database: Database, conversation: Conversation | str) -> int:
    """The row of a conversation that exists. Raises UnknownName."""
    if isinstance(conversation, Conversation):
        row = database.row("SELECT id FROM conversations WHERE id = ?", (conversation.id,))
        name = conversation.name
    else:
        row = database.row("SELECT id FROM conversations WHERE name = ?", (conversation,))
        name = conversation
    if row is None:
        known = [found for (found,) in database.rows("SELECT name FROM conversations")]
        raise UnknownName("conversation", name, known)
    return int(row[0])


def check_belongs(database: Database, conversation: int, turn_id: int | None) -> None:
    """Raise UnknownName unless the turn is one of the conversation's, or one that it shares with what it forked."""
    if turn_id is None:
        return
    found = database.row("SELECT conversation FROM turns WHERE id = ?", (turn_id,))
    if found is None or (found[0] != conversation and not _shares(database, conversation, turn_id)):
        raise UnknownName("turn", turn_id, hint="take an id from this conversation's own turns")


def _shares(database: Database, conversation: int, turn_id: int) -> bool:
    row = database.row(
        "WITH RECURSIVE up (id) AS (SELECT head FROM conversations WHERE id = ?1"
        " UNION SELECT parent FROM turns WHERE conversation = ?1"
        " UNION SELECT turns.parent FROM up JOIN turns ON turns.id = up.id)"
        " SELECT 1 FROM up WHERE id = ?2",
        (conversation, turn_id),
    )
    return row is not None


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidInput(
            f"{name[:40]!r} can't name a conversation; give 1 to {MAX_NAME} printable characters, such as 'receipts'"
        )
