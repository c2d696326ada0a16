"""One conversation as one zip: ``conversation.json`` and the original pictures, as ``pictures/<sha256>.<kind>``.

The pictures are the files that were put in, byte for byte, with whatever a camera wrote into them. What comes in is
judged as any other data from outside: every entry must be one that ``write_zip`` would have written, is read
under a limit, and is checked against its hash and decoded before anything is kept, so that the database isn't locked
meanwhile. What is known here already is never changed by it.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ..errors import InvalidInput, StoreError
from .conversations import Conversation, Conversations
from .database import Database
from .document import Document, PictureEntry, describe, parse
from .names import fold
from .picture import MAX_BYTES, Picture
from .recipe import Recipe
from .rows import insert
from .vault import Made, keep, keep_recipe, origin

__all__ = ["read_zip", "write_zip"]

MAX_JSON = 20_000_000
MAX_ENTRIES = 20_000
_ENTRY = re.compile(r"conversation\.json|pictures/[0-9a-f]{64}\.[a-z]{3,4}")
_UNREADABLE = (
    AttributeError,
    InvalidInput,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_zip(database: Database, conversation: Conversation | str, file: str | os.PathLike[str] | BinaryIO) -> None:
    """Write the zip, for its owner alone to read; a file of that name is replaced once the new one is whole."""
    if not isinstance(file, str | os.PathLike):
        _write(database, conversation, file)
        return
    target = Path(file)
    try:
        with _replacing(target) as out:
            _write(database, conversation, out)
    except OSError as error:
        raise StoreError(f"can't write {str(target)!r}: {error.strerror}; choose another place") from error


def read_zip(database: Database, file: str | os.PathLike[str] | BinaryIO, *, name: str | None = None) -> Conversation:
    """Bring in a zip, all of it or nothing; ``name`` is by default the one it was exported under."""
    label = repr(os.fspath(file)) if isinstance(file, str | os.PathLike) else "the given file"
    try:
        with zipfile.ZipFile(file) as archive:
            _check_entries(archive)
            document = parse(_read(archive, "conversation.json", MAX_JSON))
            arrivals = _Arrivals(archive, document.pictures)
            with database.atomic():
                return _Import(database, arrivals, document).run(name or document.name)
    except _UNREADABLE as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise InvalidInput(
            f"{label} is not a conversation that looktwice exported ({why}); nothing was kept"
        ) from error


@contextmanager
def _replacing(target: Path) -> Generator[BinaryIO]:
    """A new file beside the target, under a name that nobody has, which takes its place at the end."""
    handle, part = tempfile.mkstemp(prefix=".looktwice-", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
        os.replace(part, target)
    except BaseException:
        os.unlink(part)
        raise


def _write(database: Database, conversation: Conversation | str, out: BinaryIO) -> None:
    with database.snapshot(), zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        document = describe(database, Conversations(database).get(conversation))
        written = json.dumps(document.model_dump(), ensure_ascii=False, indent=1).encode()
        if len(written) > MAX_JSON:
            raise InvalidInput(
                f"the conversation {document.name!r} has {len(written) / 1e6:.1f} MB of words and tokens, over the "
                f"limit of {MAX_JSON // 1_000_000} MB; fork it at an earlier turn and export the fork"
            )
        archive.writestr("conversation.json", written)
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


class _Arrivals:
    """The pictures of a zip, each decoded and each crop made once; what is held of them is what is known of each."""

    def __init__(self, archive: zipfile.ZipFile, pictures: list[PictureEntry]) -> None:
        self._archive = archive
        self._loaded: dict[str, Picture] = {}
        self._crops: defaultdict[str, list[Recipe]] = defaultdict(list)
        self.made: dict[str, Made] = {}
        """The hashes of each crop, by its key."""
        expected = {picture.entry for picture in pictures} - {None}
        found = set(archive.namelist()) - {"conversation.json"}
        if expected != found:
            raise InvalidInput(f"its pictures and its list of them differ in {sorted(expected ^ found, key=str)[0]!r}")
        for picture in pictures:
            if picture.made is not None and not picture.gone:
                self._crops[picture.made.parent].append(picture.made)
        for picture in pictures:
            if picture.entry is not None:
                self._judge(picture.key, picture.entry)

    def picture(self, key: str, entry: str) -> Picture:
        """The picture with its bytes, read again rather than held."""
        known = self._loaded[key]
        picture = replace(known, data=_read(self._archive, entry, MAX_BYTES))
        if picture.key != key:
            raise InvalidInput(f"the bytes of {entry!r} don't match their hash")
        picture.__dict__["likeness"] = known.likeness
        return picture

    def _judge(self, key: str, entry: str) -> None:
        loaded = Picture.load(_read(self._archive, entry, MAX_BYTES))
        if loaded.key != key:
            raise InvalidInput(f"the bytes of {entry!r} don't match their hash")
        self._loaded[key] = replace(loaded, data=b"")
        self._loaded[key].__dict__["likeness"] = loaded.likeness
        if key in self._crops:
            self._make(key, loaded.pixels())

    def _make(self, key: str, image: Image.Image) -> None:
        for recipe in self._crops.pop(key, ()):
            crop = recipe.apply(image)
            self.made[recipe.key] = Made.of(crop)
            self._make(recipe.key, crop)


class _Import:
    """One document on its way in; ``turns`` are the new ids of its turns."""

    def __init__(self, database: Database, arrivals: _Arrivals, document: Document) -> None:
        self._db = database
        self._arrivals = arrivals
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
        for picture in self._document.pictures:
            self._add_picture(picture)
            if not picture.gone:
                self._db.run_many(
                    "INSERT INTO notes (picture, kind, text, created) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    [(picture.key, kind, text, time.time()) for kind, text in picture.notes.items()],
                )

    def _add_picture(self, picture: PictureEntry) -> None:
        recipe = picture.made
        if picture.entry is not None:
            keep(self._db, self._arrivals.picture(picture.key, picture.entry))
            return
        if recipe is not None and not picture.gone:
            keep_recipe(self._db, recipe, self._arrivals.made[recipe.key])
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
