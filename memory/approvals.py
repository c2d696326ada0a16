"""Calls that wait until a person has approved them, with what is needed to go on afterwards in another process."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidInput, StoreError, UnknownName
from .conversations import Conversation, conversation_id
from .database import Database, Row
from .parts import Json, ToolCallPart, dump

__all__ = ["Approval", "Approvals"]

_SELECT = (
    "SELECT a.id, c.name, a.turn, a.call, a.reason, a.state, a.decided, a.note, a.created "
    "FROM approvals AS a JOIN conversations AS c ON c.id = a.conversation"
)


@dataclass(frozen=True, slots=True)
class Approval:
    """A call that waits, or on which was decided (``decided`` is None while it waits).

    ``conversation`` is a name, ``turn`` the id of the turn that holds the call, ``state`` whatever the agent wants
    back when it goes on.
    """

    id: int
    conversation: str
    turn: int
    call: ToolCallPart
    reason: str
    state: Json
    decided: bool | None
    note: str
    created: float


class Approvals:
    """All approvals of a file, asked for and decided."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def ask(
        self, conversation: Conversation | str, turn: int, call: ToolCallPart, *, reason: str, state: Json
    ) -> Approval:
        """Keep a call that waits; ``reason`` is shown to the person who decides."""
        written, kept = _json(dump(call)), _json(state)
        with self._db.atomic():
            where = conversation_id(self._db, conversation)
            if self._db.row("SELECT 1 FROM turns WHERE id = ?", (turn,)) is None:
                raise UnknownName("turn", turn)
            added = self._db.run(
                "INSERT INTO approvals (conversation, turn, call, reason, state, created) VALUES (?, ?, ?, ?, ?, ?)",
                (where, turn, written, reason, kept, time.time()),
            )
            return self.get(added.lastrowid or 0)

    def pending(self, conversation: Conversation | str | None = None) -> list[Approval]:
        """The calls that wait, in one conversation or in all, oldest first."""
        where, values = "", ()
        if conversation is not None:
            where, values = "AND a.conversation = ?", (conversation_id(self._db, conversation),)
        rows = self._db.rows(f"{_SELECT} WHERE a.decided IS NULL {where} ORDER BY a.id", values)
        return [_approval(row) for row in rows]

    def all(self, conversation: Conversation | str) -> list[Approval]:
        """Every approval of a conversation, decided or not, oldest first."""
        values = (conversation_id(self._db, conversation),)
        return [_approval(row) for row in self._db.rows(f"{_SELECT} WHERE a.conversation = ? ORDER BY a.id", values)]

    def get(self, id: int) -> Approval:
        """The approval. Raises UnknownName."""
        row = self._db.row(f"{_SELECT} WHERE a.id = ?", (id,))
        if row is None:
            raise UnknownName("approval", id, [str(found) for (found,) in self._db.rows("SELECT id FROM approvals")])
        return _approval(row)

    def decide(self, id: int, approved: bool, *, note: str = "") -> Approval:
        """Approve or deny, once: of two who decide at the same time one gets InvalidInput."""
        with self._db.atomic():
            before = self.get(id)
            if before.decided is not None:
                word = "approved" if before.decided else "denied"
                raise InvalidInput(f"approval {id!r} was {word} already; ask the question again for a new one")
            self._db.run("UPDATE approvals SET decided = ?, note = ? WHERE id = ?", (int(approved), note, id))
            return self.get(id)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"an approval can only hold plain JSON: {error}") from error


def _approval(row: Row) -> Approval:
    try:
        call = json.loads(row[3])
        part = ToolCallPart(call["id"], call["tool"], call["arguments"])
        for value, kind in ((part.id, str), (part.tool, str), (part.arguments, dict)):
            if not isinstance(value, kind):
                raise TypeError(f"its call has {value!r} where {kind.__name__} belongs")
        state = json.loads(row[5])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"approvals row {row[0]} can't be read: {error!s}; run verify on the database") from error
    decided = None if row[6] is None else bool(row[6])
    return Approval(row[0], row[1], row[2], part, row[4], state, decided, row[7], row[8])
