"""Turns: who said what, kept as a tree."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import StoreError, UnknownName
from .conversations import CURRENT, TREE, Conversation, Current, check_belongs, conversation_id
from .database import Database, Row
from .names import fold
from .parts import Part, Role, Status, Turn
from .rows import COLUMNS, Reader, insert, replace

__all__ = ["Turns"]

_WALK = """
WITH RECURSIVE line (id, before) AS (
    SELECT id, parent FROM turns WHERE id = ?
    UNION SELECT turns.id, turns.parent FROM line CROSS JOIN turns ON turns.id = line.before AND turns.id < line.id
    LIMIT ?
) SELECT {columns} FROM line CROSS JOIN turns USING (id)
"""
_RUN = """
SELECT {columns} FROM turns WHERE id <= ?1 AND id >= coalesce(
    (SELECT id FROM turns WHERE id BETWEEN ?1 - ?2 + 1 AND ?1 AND parent IS NOT id - 1 ORDER BY id DESC LIMIT 1),
    ?1 - ?2 + 1
) ORDER BY id DESC
"""
_SHORT = 16  # a run of fewer turns isn't worth a query of its own
_STEPS = 64  # of a walk, before looking for a run again
_SELECT = f"SELECT {COLUMNS} FROM turns WHERE"
_MANY = 500  # ids in one query; SQLite may be built for 999 parameters


class Turns:
    """All turns of a file. A ``conversation`` parameter takes a Conversation or its name."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._read = Reader(database).turns

    def append(self, conversation: Conversation | str, turn: Turn, *, parent: int | Current | None = CURRENT) -> Turn:
        """Keep a turn after ``parent`` (the head as it is at that moment, if not given), in one transaction.

        The head moves to the new turn if it was its parent. Returns the turn with ``id``, ``parent`` and
        ``created``. Raises UnknownName for a picture or parent that isn't in the conversation, InvalidInput for
        values that can't be kept.
        """
        now = time.time()
        with self._db.atomic():
            key, head = self._place(conversation)
            if parent is CURRENT:
                parent = head
            elif parent != head:
                check_belongs(self._db, key, parent)
            if turn.images:
                self._check_images(key, turn.images)
            turn_id = insert(self._db, key, turn, parent=parent, created=now)
            self._db.run(
                "UPDATE conversations SET head = ?, updated = ? WHERE id = ?",
                (turn_id if parent == head else head, now, key),
            )
        kept = (turn.role, turn.parts, turn.status, turn.model, turn.tokens, turn.tokenizer, turn.meta)
        return Turn(*kept, turn_id, parent, now)

    def update(
        self,
        turn_id: int,
        *,
        parts: Sequence[Part] | None = None,
        status: Status | None = None,
        tokens: Sequence[int] | None = None,
        tokenizer: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Turn:
        """Replace what is given and leave the rest, as when a partial answer becomes complete. Returns the turn."""
        with self._db.atomic():
            old = self.get(turn_id)
            new = Turn(
                old.role,
                old.parts if parts is None else tuple(parts),
                status or old.status,
                old.model,
                old.tokens if tokens is None else tuple(tokens),
                tokenizer or old.tokenizer,
                old.meta if meta is None else dict(meta),
            )
            if new.images != old.images:
                (where,) = self._db.rows("SELECT conversation FROM turns WHERE id = ?", (turn_id,))
                self._check_images(where[0], new.images)
            replace(self._db, turn_id, new)
        return new.replace(id=turn_id, parent=old.parent, created=old.created)

    def get(self, turn_id: int) -> Turn:
        """The turn. Raises UnknownName."""
        row = self._db.row(f"{_SELECT} id = ?", (turn_id,))
        if row is None:
            raise UnknownName("turn", turn_id)
        return self._read([row])[0]

    def branch(self, head: int | None, *, last: int | None = None, role: Role | None = None) -> list[Turn]:
        """The turns that lead to ``head``, oldest first; with ``last``, only so many of the latest.

        With ``role``, those among them that have it; nothing is read of the others, which may carry much.
        """
        if head is None:
            return []
        columns = COLUMNS if role is None else "id, parent, role"
        rows = self._line(head, head if last is None else min(last, head), columns)
        if not rows and last != 0:
            raise UnknownName("turn", head)
        if role is None:
            return self._read(reversed(rows))
        return self._some([row[0] for row in reversed(rows) if row[2] == role])

    def children(self, turn_id: int) -> list[Turn]:
        """The turns that follow directly, in the order in which they came; those of forks too."""
        rows = self._db.rows(
            f"{_SELECT} id = ?1 + 1 AND parent = ?1 "
            f"UNION ALL {_SELECT} parent = ?1 AND parent IS NOT id - 1 ORDER BY id",
            (turn_id,),
        )
        return self._read(rows)

    def all(self, conversation: Conversation | str) -> list[Turn]:
        """Every turn of the conversation, on all its branches, and the earlier ones that it shares, oldest first."""
        rows = self._db.rows(
            f"{TREE} {_SELECT} id IN (SELECT turn FROM tree) ORDER BY id",
            (conversation_id(self._db, conversation),),
        )
        return self._read(rows)

    def _some(self, ids: Sequence[int]) -> list[Turn]:
        """These turns, which are in the order of their ids."""
        parts = (ids[at : at + _MANY] for at in range(0, len(ids), _MANY))
        return [
            turn
            for part in parts
            for turn in self._read(self._db.rows(f"{_SELECT} id IN ({', '.join('?' * len(part))}) ORDER BY id", part))
        ]

    def _line(self, head: int | None, count: int, columns: str) -> list[Row]:
        """``columns`` of the rows of ``head`` and of those before it, ``count`` at most, newest first.

        As a rule a turn's parent is the row before it, and a whole run of such is read at once; where conversations
        took turns, each step follows the parent.
        """
        found: list[Row] = []
        with self._db.snapshot():
            while head is not None and len(found) < count:
                left = count - len(found)
                rows = self._db.rows(_RUN.format(columns=columns), (head, left))
                # A gap in the ids, which only damage makes, would let a row of another branch in.
                if len(rows) < min(_SHORT, left) or rows[-1][0] != head - len(rows) + 1:
                    rows = self._db.rows(_WALK.format(columns=columns), (head, min(_STEPS, left)))
                if not rows:
                    break
                found += rows
                turn_id, head = rows[-1][:2]
                if head is not None and head >= turn_id:
                    raise StoreError(
                        f"turns row {turn_id} has the parent {head}, which came after it; run verify on the database"
                    )
        return found

    def _place(self, conversation: Conversation | str) -> tuple[int, int | None]:
        """The row of the conversation and its head now."""
        by, value = ("id", conversation.id) if isinstance(conversation, Conversation) else ("name", conversation)
        row = self._db.row(f"SELECT id, head FROM conversations WHERE {by} = ?", (value,))
        if row is None:
            conversation_id(self._db, conversation)
            raise StoreError(f"the conversation {conversation!r} went away while it was written to; try again")
        return row[0], row[1]

    def _check_images(self, conversation: int, images: Iterable[str]) -> None:
        for name in images:
            where = (conversation, fold(name))
            if self._db.row("SELECT 1 FROM names WHERE conversation = ? AND folded = ?", where) is None:
                rows = self._db.rows("SELECT name FROM names WHERE conversation = ? AND NOT forgotten", where[:1])
                known = [found for (found,) in rows]
                raise UnknownName("picture", name, known, hint="add the picture before the turn that shows it")
