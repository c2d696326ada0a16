"""A turn as a row of the table ``turns``, and back.

Words are kept once, in the column that search reads. ``parts`` is a JSON list in which a number is so many
characters of them, a string the name of a picture, and an object any other part. Model and tokenizer stand in the
table ``makers``, once for all the turns they made. What a turn carries beside its words (``meta``) is decoded when
somebody looks at it: most reading is for the words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast, get_args

from ..errors import InvalidInput, StoreError
from .database import Database, Row
from .parts import ImagePart, Json, Part, Role, Status, TextPart, Turn, dump, load
from .tokens import TokenIds

__all__ = ["COLUMNS", "Reader", "insert", "replace"]

COLUMNS = "id, parent, role, status, maker, meta, created, parts, text, tokens"
_ROLES = frozenset(get_args(Role))
_STATUSES = frozenset({None, *get_args(Status)})
_UNREADABLE = (StoreError, ValueError, KeyError, TypeError, AttributeError)
_NO_META = Turn("user", ()).meta
_decode = json.JSONDecoder().raw_decode
# The id of a deleted turn must not come back: what still holds it would find another turn under it. AUTOINCREMENT
# sees to that with a page more for every turn; this looks at a table that only deletion writes to. NULL: the next one.
_INSERT = """
INSERT INTO turns (id, conversation, parent, created, role, status, maker, meta, parts, text, tokens) VALUES (
    (SELECT turn + 1 FROM last_deleted WHERE turn > coalesce((SELECT max(id) FROM turns), 0)),
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
)
"""


def insert(database: Database, conversation: int, turn: Turn, *, parent: int | None, created: float) -> int:
    """Keep a turn inside a transaction, where ``parent`` and the pictures are known to exist; returns its id."""
    added = database.run(_INSERT, (conversation, parent, created, *_packed(database, turn)))
    return added.lastrowid or 0


def replace(database: Database, turn_id: int, turn: Turn) -> None:
    """Write another turn into a row that exists."""
    database.run(
        "UPDATE turns SET role = ?, status = ?, maker = ?, meta = ?, parts = ?, text = ?, tokens = ? WHERE id = ?",
        (*_packed(database, turn), turn_id),
    )


class Reader:
    """Rows of ``COLUMNS`` as turns."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._makers: dict[int | None, Row] = {None: (None, None)}  # never changed, and no id is given twice

    def turns(self, rows: Iterable[Row]) -> list[Turn]:
        """Column by column, for speed. Raises StoreError with the id of a row that can't be read."""
        kept = rows if isinstance(rows, list) else list(rows)
        try:
            return self._built(kept)
        except _UNREADABLE:
            for row in kept:  # once more, to find it
                try:
                    self._built([row])
                except _UNREADABLE as error:
                    raise _unreadable(row[0], error) from error
            raise

    def _built(self, rows: list[Row]) -> list[Turn]:
        if not rows:
            return []
        ids, parents, roles, statuses, makers, metas, created, stored, texts, tokens = zip(*rows, strict=True)
        if not _ROLES.issuperset(roles) or not _STATUSES.issuperset(statuses):
            raise StoreError(f"it has the role {roles[0]!r} and the status {statuses[0]!r}")
        parts = [
            (TextPart(text),) if fields is None and text is not None else _unpacked(fields, text)
            for fields, text in zip(stored, texts, strict=True)
        ]
        models, tokenizers = zip(*self._made_by(makers), strict=True)
        columns = (
            roles,
            parts,
            [status or "complete" for status in statuses],
            models,
            [None if packed is None else TokenIds(packed) for packed in tokens],
            tokenizers,
            [_NO_META if meta is None else _Meta(turn_id, meta) for turn_id, meta in zip(ids, metas, strict=True)],
            ids,
            parents,
            created,
        )
        return [*map(Turn._make, zip(*columns, strict=True))]

    def _made_by(self, makers: Sequence[int | None]) -> Iterator[Row]:
        """The model and the tokenizer of each."""
        if not self._makers.keys() >= set(makers):
            rows = self._db.rows("SELECT id, model, tokenizer FROM makers")
            self._makers.update((key, (model, tokenizer)) for key, model, tokenizer in rows)
        return map(self._makers.__getitem__, makers)


class _Meta(Mapping[str, Any]):
    """The JSON object of a row, decoded at the first look. Raises StoreError if it can't be."""

    __slots__ = ("_row", "_stored", "_value")

    def __init__(self, row: int, stored: str) -> None:
        self._row = row
        self._stored = stored
        self._value: dict[str, Any] | None = None

    def _decoded(self) -> dict[str, Any]:
        if self._value is None:
            try:
                self._value = dict(json.loads(self._stored))
            except (ValueError, TypeError) as error:
                raise _unreadable(self._row, error) from error
        return self._value

    def __getitem__(self, key: str) -> Any:
        return self._decoded()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decoded())

    def __len__(self) -> int:
        return len(self._decoded())

    def __repr__(self) -> str:
        return repr(self._decoded())


def _unreadable(row: int, error: Exception) -> StoreError:
    why = f"{type(error).__name__} {error!s}" if isinstance(error, KeyError) else str(error)
    return StoreError(f"turns row {row} can't be read: {why}; run verify on the database")


def _packed(database: Database, turn: Turn) -> Row:
    """role, status, maker, meta, parts, text, tokens."""
    if turn.role not in _ROLES:
        raise InvalidInput(f"{turn.role!r} is not a role; use one of {', '.join(get_args(Role))}")
    if turn.status not in get_args(Status):
        raise InvalidInput(f"{turn.status!r} is not a status; use one of {', '.join(get_args(Status))}")
    status = None if turn.status == "complete" else turn.status
    meta = _json(dict(turn.meta)) if turn.meta else None
    tokens = None if turn.tokens is None else TokenIds.of(turn.tokens).packed
    return turn.role, status, _maker(database, turn), meta, *_packed_parts(turn.parts), tokens


def _maker(database: Database, turn: Turn) -> int | None:
    if turn.model is None and turn.tokenizer is None:
        return None
    made = (turn.model, turn.tokenizer)
    row = database.row("SELECT id FROM makers WHERE model IS ? AND tokenizer IS ?", made)
    return row[0] if row else database.run("INSERT INTO makers (model, tokenizer) VALUES (?, ?)", made).lastrowid


def _packed_parts(parts: Sequence[Part]) -> tuple[str | None, str | None]:
    """The columns ``parts`` and ``text``; without the first, the text is the only part."""
    if len(parts) == 1 and type(parts[0]) is TextPart:
        return None, _storable(parts[0].text)
    texts: list[str] = []
    stored: list[Json] = []
    for part in parts:
        if isinstance(part, ImagePart):
            stored.append(part.name)
            continue
        fields = dump(part)
        if "text" in fields:
            texts.append(fields.pop("text"))
            fields["length"] = len(texts[-1])
        stored.append(fields["length"] if isinstance(part, TextPart) else fields)
    return _json(stored), _storable("\n".join(texts)) if texts else None


def _unpacked(stored: str | None, text: str | None) -> tuple[Part, ...]:
    if stored is None:
        raise StoreError("it has neither parts nor text")
    packed, end = _decode(stored)
    if end != len(stored) or not isinstance(packed, list):
        raise StoreError(f"its parts are {stored[:80]!r}")
    parts: list[Part] = []
    text, start = text or "", 0
    for one in cast("list[Any]", packed):
        if type(one) is str:
            parts.append(ImagePart(one))
        elif type(one) is int:
            parts.append(TextPart(text[start : start + one]))
            start += one + 1
        elif "length" in one:
            length = one.pop("length")
            parts.append(load(one | {"text": text[start : start + length]}))
            start += length + 1
        else:
            parts.append(load(one))
    if start not in (0, len(text) + 1):
        raise StoreError(f"its text has {len(text)} characters, its parts need {start - 1}")
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
