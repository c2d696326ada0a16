"""The cache folder: what was computed, on disk, for the next process. Everything in it can be computed again.

``<folder>/<checkpoint>/prefixes`` and ``.../features`` hold sealed files (`sealed.py`), one subfolder a checkpoint as
it was loaded. Whatever is wrong with the folder or with a file is said once, in one line of the log, and the answer
goes on without it. Torch-free: listing, checking and clearing need none.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ....errors import InvalidInput, StoreError
from . import sealed

GIB = 1 << 30
FEATURES, PREFIXES = "features", "prefixes"
_ABOUT = "about.json"
_V = TypeVar("_V")
_STALE = 3600  # seconds after which a file that was never finished is nobody's

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """What a folder keeps of one checkpoint: facts about it, files and bytes, and when it was last used (seconds)."""

    name: str
    facts: dict[str, Any]
    files: int
    bytes: int
    used: float


class CacheFolder:
    """A folder of at most ``limit`` bytes; what was used longest ago is deleted first.

    Several processes may share one. Nothing here raises for what is wrong with the disk.
    """

    def __init__(self, path: str | os.PathLike[str], limit: int = 8 * GIB) -> None:
        if limit < 1:
            raise InvalidInput(f"cache_bytes {limit!r} can't be used; give at least 1")
        self.path = Path(path).expanduser().absolute()
        self.limit = limit
        self._known: int | None = None  # bytes in the folder, as far as this process knows
        self._unseen = 0  # bytes written since it last looked
        self._told = False
        self._can_write = True

    def part(self, name: str, facts: dict[str, Any]) -> Path:
        """The subfolder of a checkpoint, made if it can be."""
        place = self.path / name
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (place, place / PREFIXES, place / FEATURES):
                folder.mkdir(mode=0o700, exist_ok=True)
            if not (place / _ABOUT).exists():
                handle = os.open(place / _ABOUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with open(handle, "w", encoding="utf-8") as file:
                    json.dump(facts, file)
        except OSError as error:
            self._give_up(error)
        return place

    def write(self, file: Path, tensor: Any, about: dict[str, Any]) -> bool:
        """Write a file, and delete the oldest ones beyond the limit; whether it is there now."""
        if not self._can_write:
            return False
        try:
            file.parent.mkdir(mode=0o700, exist_ok=True)
            written = sealed.write(file, tensor, about)
            self._count(written)
        except OSError as error:
            self._give_up(error)
            return False
        return True

    def read(self, file: Path) -> tuple[dict[str, Any], Any] | None:
        """A file's description and tensor; None if it isn't there or is damaged (it is then removed)."""
        return self._looked_into(file, sealed.read)

    def has(self, file: Path) -> bool:
        """Whether a file is there and may be looked at."""
        try:
            return file.exists()
        except OSError as error:
            self._tell(error)
            return False

    def about(self, file: Path) -> dict[str, Any] | None:
        """A file's description, not checked; None as for `read`."""
        return self._looked_into(file, sealed.about)

    def reject(self, file: Path, error: StoreError) -> None:
        """Say that a file can't be used, and remove it."""
        _log.warning("%s", error)
        self.remove([file])

    def remove(self, files: Iterable[Path]) -> None:
        """Delete files; one that another process deleted before is fine."""
        try:
            for file in files:
                file.unlink(missing_ok=True)
        except OSError as error:
            self._tell(error)

    def used(self, files: Iterable[Path]) -> None:
        """Mark files as used now; the first ones are the last to be deleted."""
        now = time.time_ns()
        for place, file in enumerate(files):
            with contextlib.suppress(OSError):  # read-only, or deleted meanwhile: the order is then not so good
                os.utime(file, ns=(now - place, now - place))

    def files(self) -> Iterator[Path]:
        """Every file of ours, in all subfolders. Raises StoreError if there is no such folder."""
        if not self.path.is_dir():
            raise StoreError(f"no cache folder at {str(self.path)!r}; --cache names one, and the first answer fills it")
        for kind in (PREFIXES, FEATURES):
            yield from self.path.glob(f"*/{kind}/*/*{sealed.SUFFIX}")

    def parts(self) -> list[Part]:
        """What is kept, by checkpoint, the one used last first. Raises StoreError if there is no such folder."""
        counted: dict[str, list[os.stat_result]] = {}
        for file, stat in measured(self.files()):
            counted.setdefault(file.relative_to(self.path).parts[0], []).append(stat)
        parts = [
            Part(name, self._facts(name), len(stats), sum(s.st_size for s in stats), max(s.st_mtime for s in stats))
            for name, stats in counted.items()
        ]
        return sorted(parts, key=lambda part: -part.used)

    def verify(self) -> tuple[int, list[Path]]:
        """How many files there are, and those that are damaged. Raises StoreError if there is no such folder."""
        count, damaged = 0, list[Path]()
        for file in self.files():
            try:
                sealed.verify(file)
            except FileNotFoundError:
                continue
            except (StoreError, OSError):
                damaged.append(file)
            count += 1
        return count, damaged

    def clear(self) -> int:
        """Delete every file of ours, and nothing else; their number. Raises StoreError where one can't be."""
        files = [*self.files(), *self._unfinished(older_than=0)]
        try:
            for file in files:
                file.unlink(missing_ok=True)
            for about in self.path.glob(f"*/{_ABOUT}"):
                about.unlink(missing_ok=True)
                _remove_empty(about.parent)
        except OSError as error:
            raise StoreError(
                f"can't delete {error.filename!r} ({error.strerror}); delete the folder yourself"
            ) from error
        self._known = None
        return len(files)

    def forget(self, pictures: Iterable[str]) -> int:
        """Delete what was computed from pictures, by their keys, and all that came after them; how many files.

        Raises StoreError if there is no such folder.
        """
        wanted = frozenset(pictures)
        gone = {file for file in self.files() if wanted & _pictures(self.about(file))}
        after = {file.stem.split("-")[1] for file in gone if file.parts[-3] == PREFIXES}
        while after:
            more = {file for file in self.files() if file.stem.split("-")[0] in after and "-" in file.stem} - gone
            gone |= more
            after = {file.stem.split("-")[1] for file in more}
        self.remove(gone)
        return len(gone)

    def shrink(self) -> None:
        """Delete what was used longest ago, down to nine tenths of the limit, if there is more than the limit."""
        self.remove(self._unfinished(older_than=_STALE))
        files = sorted(measured(self.files()), key=lambda found: found[1].st_mtime_ns)
        total = sum(stat.st_size for _, stat in files)
        if total > self.limit:
            for file, stat in files:
                if total <= self.limit * 9 // 10:
                    break
                self.remove([file])
                total -= stat.st_size
        self._known, self._unseen = total, 0

    def _looked_into(self, file: Path, look: Callable[[Path], _V]) -> _V | None:
        try:
            return look(file)
        except StoreError as error:
            self.reject(file, error)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell(error)
        return None

    def _count(self, written: int) -> None:
        """Others write, too: after each sixteenth of the limit the folder is looked at again."""
        self._unseen += written
        if self._known is None or self._known + self._unseen > self.limit or self._unseen > self.limit // 16:
            self.shrink()

    def _unfinished(self, *, older_than: float) -> list[Path]:
        now = time.time()
        found = self.path.glob(f"*/*/*/{sealed.TEMPORARY}*")
        return [file for file, stat in measured(found) if now - stat.st_mtime >= older_than]

    def _facts(self, name: str) -> dict[str, Any]:
        try:
            return json.loads((self.path / name / _ABOUT).read_bytes())
        except (OSError, ValueError):
            return {}  # it only describes: the files count

    def _give_up(self, error: OSError) -> None:
        self._can_write = False
        self._tell(error)

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            reason = error.strerror or type(error).__name__
            _log.warning("the cache folder %r can't be used (%s); answers go on without it", str(self.path), reason)


def _pictures(about: dict[str, Any] | None) -> set[str]:
    """The keys of the pictures that a file was computed from."""
    about = about or {}
    keys: Any = about.get("keys", [])
    runs: list[list[Any]] = [entry for entry in keys if isinstance(entry, list) and entry]
    return {str(run[0]) for run in runs} | ({str(about["picture"])} if "picture" in about else set())


def measured(files: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """Files that are still there, with their size and time."""
    for file in files:
        with contextlib.suppress(OSError):  # another process deleted it, or it is another user's
            yield file, file.stat()


def _remove_empty(folder: Path) -> None:
    """Remove a checkpoint's subfolders from the inside out, where nothing is left in them."""
    for inner in sorted(folder.glob("*/**/"), reverse=True):
        with contextlib.suppress(OSError):  # somebody's file is in it
            inner.rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()
