"""Turns: who said what, kept as a tree. Words are stored once, in the column that search reads."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from ..errors import InvalidInput, StoreError, UnknownName
from .conversations import CURRENT, TREE, Conversation, Current, check_belongs, conversation_id
from .database import Database, Row
from .names import fold
from .parts import Part, Role, Status, TextPart, Turn, dump, load
from .tokens import TokenIds

__all__ = ["Turns", "insert"]

_ROLES = get_args(Role)
_STATUSES = get_args(Status)
_COLUMNS = "id, parent, role, status, model, tokenizer, meta, created, parts, text, tokens"
_WALK = f"""
WITH RECURSIVE line (id, parent) AS (
    SELECT id, parent FROM turns WHERE id = ?
    UNION SELECT turns.id, turns.parent FROM line CROSS JOIN turns ON turns.id = line.parent AND turns.id < line.id
    LIMIT ?
) SELECT {", ".join(f"t.{column}" for column in _COLUMNS.split(", "))} FROM line CROSS JOIN turns AS t ON t.id = line.id
"""
_RUN = f"""
SELECT {_COLUMNS} FROM turns WHERE id <= ?1 AND id >= coalesce(
    (SELECT id FROM turns WHERE id BETWEEN ?1 - ?2 + 1 AND ?1 AND parent IS NOT id - 1 ORDER BY id DESC LIMIT 1),
    ?1 - ?2 + 1
) ORDER BY id DESC
"""
_SHORT = 16  # a run of fewer turns isn't worth a query of its own
_STEPS = 64  # of a walk, before looking for a run again
_SELECT = f"SELECT {_COLUMNS} FROM turns WHERE"


class Turns:
    """All turns of a file. A ``conversation`` parameter takes a Conversation or its name."""

    def __init__(self, database: Database) -> None:
        self._db = database

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
            self._db.run(
                "UPDATE turns SET role = ?, status = ?, model = ?, tokenizer = ?, meta = ?, parts = ?, text = ?, "
                "tokens = ? WHERE id = ?",
                (*_turn_row(new), turn_id),
            )
        return new.replace(id=turn_id, parent=old.parent, created=old.created)

    def get(self, turn_id: int) -> Turn:
        """The turn. Raises UnknownName."""
        row = self._db.row(f"{_SELECT} id = ?", (turn_id,))
        if row is None:
            raise UnknownName("turn", turn_id)
        return _turns([row])[0]

    def branch(self, head: int | None, *, last: int | None = None) -> list[Turn]:
        """The turns that lead to ``head``, oldest first; with ``last``, only so many of the latest."""
        if head is None:
            return []
        rows = self._line(head, head if last is None else min(last, head))
        if not rows and last != 0:
            raise UnknownName("turn", head)
        return _turns(reversed(rows))

    def children(self, turn_id: int) -> list[Turn]:
        """The turns that follow directly, in the order in which they came; those of forks too."""
        rows = self._db.rows(
            f"{_SELECT} id = ?1 + 1 AND parent = ?1 "
            f"UNION ALL {_SELECT} parent = ?1 AND parent IS NOT id - 1 ORDER BY id",
            (turn_id,),
        )
        return _turns(rows)

    def all(self, conversation: Conversation | str) -> list[Turn]:
        """Every turn of the conversation, on all its branches, and the earlier ones that it shares, oldest first."""
        rows = self._db.rows(
            f"{TREE} {_SELECT} id IN (SELECT turn FROM tree) ORDER BY id",
            (conversation_id(self._db, conversation),),
        )
        return _turns(rows)

    def _line(self, head: int | None, count: int) -> list[Row]:
        """The rows of ``head`` and of those before it, ``count`` at most, newest first.

        As a rule a turn's parent is the row before it, and a whole run of such is read at once; where conversations
        took turns, each step follows the parent.
        """
        found: list[Row] = []
        with self._db.snapshot():
            while head is not None and len(found) < count:
                left = count - len(found)
                rows = self._db.rows(_RUN, (head, left))
                # A gap in the ids, which only damage makes, would let a row of another branch in.
                if len(rows) < min(_SHORT, left) or rows[-1][0] != head - len(rows) + 1:
                    rows = self._db.rows(_WALK, (head, min(_STEPS, left)))
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


def insert(database: Database, conversation: int, turn: Turn, *, parent: int | None, created: float) -> int:
    """Keep a turn inside a transaction, where ``parent`` and the pictures are known to exist; returns its id."""
    added = database.run(
        "INSERT INTO turns (conversation, parent, created, role, status, model, tokenizer, meta, parts, text, tokens)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (conversation, parent, created, *_turn_row(turn)),
    )
    return added.lastrowid or 0


def _turn_row(turn: Turn) -> Row:
    """role, status, model, tokenizer, meta, parts, text, tokens."""
    if turn.role not in _ROLES:
        raise InvalidInput(f"{turn.role!r} is not a role; use one of {', '.join(_ROLES)}")
    if turn.status not in _STATUSES:
        raise InvalidInput(f"{turn.status!r} is not a status; use one of {', '.join(_STATUSES)}")
    status = None if turn.status == "complete" else turn.status
    meta = _json(dict(turn.meta)) if turn.meta else None
    tokens = None if turn.tokens is None else TokenIds.of(turn.tokens).packed
    return turn.role, status, turn.model, turn.tokenizer, meta, *_packed_parts(turn.parts), tokens


def _packed_parts(parts: Sequence[Part]) -> tuple[str | None, str | None]:
    """The columns ``parts`` and ``text``: all words go into the second, once; the first holds their lengths."""
    if len(parts) == 1 and type(parts[0]) is TextPart:
        return None, _storable(parts[0].text)
    texts: list[str] = []
    stored = [dump(part) for part in parts]
    for fields in stored:
        if "text" in fields:
            texts.append(fields.pop("text"))
            fields["length"] = len(texts[-1])
    return _json(stored), _storable("\n".join(texts)) if texts else None


def _unpacked_parts(stored: str, text: str | None) -> tuple[Part, ...]:
    parts: list[Part] = []
    start = 0
    for fields in json.loads(stored):
        length = fields.pop("length", None)
        if length is not None:
            fields["text"] = (text or "")[start : start + length]
            start += length + 1
        parts.append(load(fields))
    if start not in (0, len(text or "") + 1):
        raise StoreError(f"its text has {len(text or '')} characters, its parts need {start - 1}")
    return tuple(parts)


def _json(value: object) -> str:
    try:
        return _storable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"a turn can only hold plain JSON: {error}") from error


def _storable(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(
                f"{text[:40]!r} holds half a character ({error.reason}); decode the text again"
            ) from error
    return text


def _turns(rows: Iterable[Row]) -> list[Turn]:
    """Rows of ``_COLUMNS`` as turns, in one loop for speed. Raises StoreError with the id of the row in the way."""
    turns: list[Turn] = []
    turn_id = 0
    try:
        for turn_id, parent, role, status, model, tokenizer, meta, created, parts, text, tokens in rows:
            if role not in _ROLES or (status and status not in _STATUSES) or (parts is None and text is None):
                raise StoreError(f"it has the role {role!r}, the status {status!r} and the parts {parts!r}")
            read = (TextPart(text),) if parts is None else _unpacked_parts(parts, text)
            ids = None if tokens is None else TokenIds(tokens)
            plain: dict[str, Any] = {} if meta is None else json.loads(meta)
            fields = (role, read, status or "complete", model, ids, tokenizer, plain, turn_id, parent, created)
            turns.append(Turn._make(fields))
    except (StoreError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__} {error!s}" if isinstance(error, KeyError) else str(error)
        raise StoreError(f"turns row {turn_id} can't be read: {why}; run verify on the database") from error
    return turns
