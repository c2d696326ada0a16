"""One conversation as one zip: ``conversation.json`` and the original pictures, as ``pictures/<sha256>.<kind>``.

The pictures are the files that were put in, byte for byte, with whatever a camera wrote into them. What comes in is
judged as any other data from outside: every entry must be one that ``write_zip`` would have written, is read
under a limit, and is checked against its hash and decoded before anything is kept.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from ..errors import InvalidInput, StoreError
from .conversations import Conversation, Conversations
from .database import Database
from .document import Document, PictureEntry, describe, parse
from .names import fold
from .picture import MAX_BYTES, Picture
from .pictures import Pictures
from .recipe import Recipe
from .turns import insert
from .vault import keep, keep_recipe, origin

__all__ = ["read_zip", "write_zip"]

MAX_JSON = 200_000_000
MAX_ENTRIES = 20_000
_ENTRY = re.compile(r"conversation\.json|pictures/[0-9a-f]{64}\.[a-z]{3,4}")
_UNREADABLE = (
    InvalidInput,
    KeyError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_zip(database: Database, conversation: Conversation | str, file: str | os.PathLike[str] | BinaryIO) -> None:
    """Write the zip; a file of that name is replaced once the new one is whole."""
    if not isinstance(file, str | os.PathLike):
        _write(database, conversation, file)
        return
    target = Path(file)
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as out:
            _write(database, conversation, out)
        part.replace(target)
    except OSError as error:
        raise StoreError(f"can't write {str(target)!r}: {error.strerror}; choose another place") from error
    finally:
        part.unlink(missing_ok=True)


def read_zip(database: Database, file: str | os.PathLike[str] | BinaryIO, *, name: str | None = None) -> Conversation:
    """Bring in a zip, all of it or nothing; ``name`` is by default the one it was exported under."""
    label = repr(os.fspath(file)) if isinstance(file, str | os.PathLike) else "the given file"
    try:
        with zipfile.ZipFile(file) as archive, database.atomic():
            _check_entries(archive)
            document = parse(_read(archive, "conversation.json", MAX_JSON))
            return _Import(database, archive, document).run(name or document.name)
    except _UNREADABLE as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise InvalidInput(
            f"{label} is not a conversation that looktwice exported ({why}); nothing was kept"
        ) from error


def _write(database: Database, conversation: Conversation | str, out: BinaryIO) -> None:
    with database.snapshot(), zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        document = describe(database, Conversations(database).get(conversation))
        archive.writestr("conversation.json", json.dumps(document.model_dump(), ensure_ascii=False, indent=1))
        for picture in document.pictures:
            if picture.entry is not None:
                archive.writestr(zipfile.ZipInfo(picture.entry), origin(database, picture.key)[1])


def _check_entries(archive: zipfile.ZipFile) -> None:
    entries = archive.namelist()
    if len(entries) > MAX_ENTRIES or len(set(entries)) != len(entries):
        raise InvalidInput(f"it has {len(entries)} entries, too many or some twice")
    for entry in entries:
        if not _ENTRY.fullmatch(entry):
            raise InvalidInput(f"it has an entry {entry[:80]!r}")


def _read(archive: zipfile.ZipFile, entry: str, limit: int) -> bytes:
    """An entry's bytes; never more than the limit, whatever its header claims."""
    with archive.open(entry) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise InvalidInput(f"its entry {entry!r} is over the limit of {limit} bytes")
    return data


class _Import:
    """One document on its way in; ``turns`` are the new ids of its turns."""

    def __init__(self, database: Database, archive: zipfile.ZipFile, document: Document) -> None:
        self._db = database
        self._archive = archive
        self._document = document
        self._turns: dict[int | None, int | None] = {None: None}

    def run(self, name: str) -> Conversation:
        conversations, document = Conversations(self._db), self._document
        conversation = conversations.create(name)
        self._add_pictures()
        self._add_turns(conversation)
        self._add_names(conversation)
        self._add_approvals(conversation)
        self._db.run(
            "UPDATE conversations SET head = ?, created = ?, updated = ? WHERE id = ?",
            (self._turn(document.head), document.created, document.updated, conversation.id),
        )
        return conversations.get(conversation)

    def _turn(self, exported: int | None) -> int | None:
        if exported not in self._turns:
            raise InvalidInput(f"it refers to a turn {exported!r} that it doesn't have")
        return self._turns[exported]

    def _add_pictures(self) -> None:
        expected = {picture.entry for picture in self._document.pictures} - {None}
        found = set(self._archive.namelist()) - {"conversation.json"}
        if expected != found:
            raise InvalidInput(f"its pictures and its list of them differ in {sorted(expected ^ found, key=str)[0]!r}")
        for picture in self._document.pictures:
            self._add_picture(picture)
            for kind, text in picture.notes.items():
                Pictures(self._db).note(picture.key, kind, text)

    def _add_picture(self, picture: PictureEntry) -> None:
        if picture.entry is not None:
            loaded = Picture.load(_read(self._archive, picture.entry, MAX_BYTES))
            if loaded.key != picture.key:
                raise InvalidInput(f"the bytes of {picture.entry!r} don't match their hash")
            keep(self._db, loaded)
            return
        recipe = None if picture.recipe is None else Recipe.load(picture.recipe)
        if recipe is not None and recipe.key != picture.key:
            raise InvalidInput(f"the recipe of {picture.key!r} doesn't match its key")
        if recipe is not None and not picture.gone:
            keep_recipe(self._db, recipe)
            return
        self._db.run(
            "INSERT INTO pictures (key, mime, bytes, width, height, frames, parent, recipe, gone, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, 0) ON CONFLICT (key) DO NOTHING",
            (
                picture.key,
                picture.mime,
                picture.size,
                picture.width,
                picture.height,
                picture.frames,
                None if recipe is None else recipe.parent,
                picture.recipe,
            ),
        )

    def _add_turns(self, conversation: Conversation) -> None:
        for turn in self._document.turns:
            if turn.id in self._turns:
                raise InvalidInput(f"its turn {turn.id} is there twice")
            parent = self._turn(turn.parent)
            self._turns[turn.id] = insert(self._db, conversation.id, turn.turn(), parent=parent, created=turn.created)

    def _add_names(self, conversation: Conversation) -> None:
        for name in self._document.names:
            self._db.run(
                "INSERT INTO names (conversation, name, folded, picture, tool, turn, forgotten, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    conversation.id,
                    name.name,
                    fold(name.name),
                    name.key,
                    name.tool,
                    self._turn(name.turn),
                    name.forgotten,
                    name.created,
                ),
            )

    def _add_approvals(self, conversation: Conversation) -> None:
        for one in self._document.approvals:
            self._db.run(
                "INSERT INTO approvals (conversation, turn, call, reason, state, decided, note, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    conversation.id,
                    self._turn(one.turn),
                    one.call.model_dump_json(),
                    one.reason,
                    json.dumps(one.state, ensure_ascii=False),
                    one.decided,
                    one.note,
                    one.created,
                ),
            )
