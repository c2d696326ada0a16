"""Results as lines of JSON: appended and on the disk after each batch; what made them is told in a file beside."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...errors import InvalidInput, StoreError
from .result import Kept, Result, require_same

__all__ = ["LineResults"]


class LineResults:
    """Results in a JSON Lines file. A line that was cut off while it was written is dropped, and its row asked anew."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = str(path)
        self._path = path
        self._about = path.with_name(f"{path.name}.about.json")
        self._kept: dict[str, Kept] = {}
        self._answers: dict[tuple[str, str], Result] = {}
        with self._told():
            self._require_own(identity)
            self._file = path.open("r+b" if path.exists() else "x+b")
            try:
                _lock(self._file.fileno(), path)
                self._file.truncate(self._read())
                self._file.seek(0, os.SEEK_END)
            except BaseException:
                self._file.close()
                raise

    def kept(self) -> dict[str, Kept]:
        """Every row that is there, by its id."""
        return dict(self._kept)

    def known(self, sha256: str, question: str) -> Result | None:
        """An answer to that question about those bytes, if there is one."""
        return self._answers.get((sha256, question))

    def begin_again(self, ids: Collection[str]) -> None:
        """Drop these rows, which failed, from the file, in one piece."""
        if not ids:
            return
        again = set(ids)
        with self._told():
            self._file.seek(0)
            lines = [line for line in self._file if json.loads(line)["id"] not in again]
            partial = self._path.with_name(f"{self._path.name}.tmp")
            _write(partial, b"".join(lines))
            partial.replace(self._path)
            self._file.close()
            self._file = self._path.open("r+b")
            _lock(self._file.fileno(), self._path)
            self._file.seek(0, os.SEEK_END)
        for name in again:
            self._kept.pop(name, None)

    def keep(self, results: Sequence[Result]) -> None:
        """Append rows; they are on the disk when this returns."""
        written = "".join(f"{json.dumps(asdict(result), ensure_ascii=False)}\n" for result in results)
        with self._told():
            self._file.write(written.encode("utf-8", "backslashreplace"))
            self._file.flush()
            os.fsync(self._file.fileno())
        for result in results:
            self._note(result)

    def finish(self) -> None:
        """Nothing to do: the file is whole after each batch."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _require_own(self, identity: Mapping[str, Any]) -> None:
        """What makes the results is told before the first of them, so a file without that is another's."""
        if not self._path.exists() or not self._path.stat().st_size:
            partial = self._about.with_name(f"{self._about.name}.tmp")
            _write(partial, json.dumps(identity, indent=2).encode())
            partial.replace(self._about)
        elif self._about.exists():
            require_same(self._path, json.loads(self._about.read_bytes()), identity)
        else:
            raise StoreError(
                f"{self.path!r} holds no results of looktwice batch, or {self._about.name!r} is gone; name another file"
                " with --out"
            )

    def _read(self) -> int:
        """Take in the lines, and give the length of the whole ones."""
        length = 0
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                break
            length += len(line)
            try:
                self._note(Result(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise StoreError(
                    f"line {number} of {self.path!r} is no result ({error}); take it out, or name another file"
                ) from error
        return length

    def _note(self, result: Result) -> None:
        self._kept[result.id] = Kept(result.question, result.error is not None)
        if result.error is None and result.sha256 is not None:
            self._answers.setdefault((result.sha256, result.question), result)

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or error
            raise StoreError(f"can't write {self.path!r}: {why}; free some space, or choose another file") from error


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _lock(file: int, path: Path) -> None:
    """Keep a second process from writing the same lines; the lock ends with the process, however that ends."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InvalidInput(
            f"{str(path)!r} is being written by another process; wait for it, or choose another file"
        ) from error
