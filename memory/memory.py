"""Memory: one SQLite file with everything that conversations need to go on tomorrow, in another process."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal

from ..errors import InvalidInput, StoreError
from .approvals import Approvals
from .calibrations import Calibrations
from .conversations import Conversation, Conversations
from .database import Database
from .picture import Picture
from .pictures import Pictures
from .schema import connect, migrate
from .search import Alike, Hit, alike, search
from .turns import Turns
from .verify import Damage, verify

__all__ = ["Memory"]

_log = logging.getLogger(__name__)


class Memory:
    """Conversations, their turns and their pictures, in one SQLite file.

    ``path`` is a file, made if it isn't there, or ``":memory:"``; without one it is ``$LOOKTWICE_DB``, else
    ``looktwice.db`` in the user's data directory. ``durability`` "full" survives a power cut after each append;
    "normal" is faster and may then lose the last ones, never a half turn. ``timeout`` is how many seconds to wait
    for another writer. A Memory serves all threads of a process; processes open their own, and one that was
    forked goes on with a connection of its own.

    Raises StoreError, and leaves the file as it is, if that is damaged, newer than this code or not a database
    of looktwice.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        durability: Literal["full", "normal"] = "full",
        timeout: float = 5.0,
    ) -> None:
        if durability not in ("full", "normal"):
            raise InvalidInput(f"{durability!r} is not a durability; use 'full' or 'normal'")
        self.path = _place(path)
        """Where the file is."""
        self._db = Database(self.path, partial(connect, self.path, durability, timeout))
        try:
            self.is_new = migrate(self.path, self._db.connection)
            """Whether this Memory made the file."""
        except StoreError:
            self._db.close()
            raise
        if self.is_new and path is None:
            _log.info("conversations are kept in %r", self.path)
        self.conversations = Conversations(self._db)
        """The conversations: create, open, list, fork, rename, delete."""
        self.pictures = Pictures(self._db)
        """The pictures: add, get, pixels, forget."""
        self.turns = Turns(self._db)
        """The turns: append, update, branch."""
        self.approvals = Approvals(self._db)
        """The calls that wait for a decision: ask, pending, decide."""
        self.calibrations = Calibrations(self._db)
        """What was measured of models: get, put."""

    @contextmanager
    def atomic(self) -> Generator[None]:
        """Everything inside is kept together or not at all; one inside another undoes its own part alone."""
        with self._db.atomic():
            yield

    def search(self, text: str, *, conversation: Conversation | str | None = None, limit: int = 20) -> list[Hit]:
        """The turns, picture names and notes that hold all the words, newest first. Case and accents don't matter."""
        return search(self._db, text, conversation=conversation, limit=limit)

    def similar(self, picture: Picture, *, distance: int = 8) -> list[Alike]:
        """The pictures that look like this one, nearest first; ``distance`` is how many of 64 bits may differ."""
        return alike(self._db, picture, distance=distance)

    def verify(self) -> list[Damage]:
        """Read and re-hash everything, make every crop again, and report each row that is damaged; raises nothing."""
        return verify(self._db, self.pictures, self.turns)

    def export(self, conversation: Conversation | str, file: str | os.PathLike[str] | BinaryIO) -> None:
        """Write a conversation, all its branches and its original pictures, as one zip that ``import_`` reads."""
        from .transfer import write_zip

        write_zip(self._db, conversation, file)

    def import_(self, file: str | os.PathLike[str] | BinaryIO, *, name: str | None = None) -> Conversation:
        """Bring in what ``export`` wrote, all of it or nothing. Raises InvalidInput for anything else."""
        from .transfer import read_zip

        return read_zip(self._db, file, name=name)

    def close(self) -> None:
        """Close the file; ``with Memory(...) as memory:`` does it by itself."""
        self._db.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Memory({self.path!r})"


def _place(path: str | os.PathLike[str] | None) -> str:
    given = os.fspath(path) if path is not None else os.environ.get("LOOKTWICE_DB")
    if given == ":memory:":
        return given
    if given is not None:
        if not given or "\0" in given:
            raise InvalidInput(f"{given!r} can't be the path of a database; give a file, or ':memory:'")
        return os.path.expanduser(given)
    return _default_place()


def _default_place() -> str:
    import platformdirs

    folder = Path(platformdirs.user_data_dir("looktwice", appauthor=False))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"can't make the folder {str(folder)!r}: {error.strerror}; set LOOKTWICE_DB to a file elsewhere"
        ) from error
    return str(folder / "looktwice.db")
