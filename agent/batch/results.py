"""Where answers go: SQLite, JSON Lines or Parquet, each resumable. What is kept stays, however the process ends.

Results are told by what made them, the model and its settings; only the same ones go on in the same file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from ...errors import InvalidInput
from ...memory.results import open_results as open_database
from ...memory.results import told

__all__ = ["COLUMNS", "Kept", "Result", "Results", "SqliteResults", "open_results", "require_same"]

_APPLICATION = 0x4C4B3242  # "LK2B", in the file's header


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a row. ``error``: no answer, and why.

    ``sha256`` is the hash of the picture's bytes, ``confidence`` the mean probability (0..1) of the answer's tokens,
    ``seconds`` the row's share of the time of its batch, 0 for one that is equal to another.
    """

    id: str
    image: str
    sha256: str | None
    question: str
    answer: str | None = None
    finish: str | None = None
    prompt_tokens: int = 0
    output_tokens: int = 0
    confidence: float | None = None
    seconds: float = 0.0
    error: str | None = None
    model: str = ""


_NUMBERS: dict[str, type] = {"prompt_tokens": int, "output_tokens": int, "confidence": float, "seconds": float}
COLUMNS: dict[str, type] = {each.name: _NUMBERS.get(each.name, str) for each in fields(Result)}


@dataclass(frozen=True, slots=True)
class Kept:
    """What a row that is there was asked, and whether it failed."""

    question: str
    failed: bool


class Results(Protocol):
    """Where answers are kept."""

    path: str

    def kept(self) -> dict[str, Kept]:
        """Every row that is there, by its id."""
        ...

    def known(self, sha256: str, question: str) -> Result | None:
        """An answer to that question about those bytes, if there is one."""
        ...

    def begin_again(self, ids: Collection[str]) -> None:
        """These rows, which failed, are asked again."""
        ...

    def keep(self, results: Sequence[Result]) -> None:
        """Keep rows, all of them or none."""
        ...

    def finish(self) -> None:
        """Every row is there."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def require_place(out: str | os.PathLike[str]) -> Path:
    """Where results go, if there can be any. Raises InvalidInput, and MissingExtra for Parquet without pyarrow."""
    path = Path(out).expanduser()
    if path.suffix.lower() not in _KINDS:
        raise InvalidInput(f"results can't be written to {str(path)!r}; give a file that ends in {', '.join(_KINDS)}")
    if path.is_dir():
        raise InvalidInput(f"{str(path)!r} is a folder; give a file for the results")
    if not path.absolute().parent.is_dir():
        raise InvalidInput(f"no folder {str(path.parent)!r} for the results; make it, or choose another file")
    if path.suffix.lower() == ".parquet":
        from .parquet import require_library

        require_library()
    return path


def open_results(path: Path, identity: Mapping[str, Any]) -> Results:
    """The results at ``path``, made if there are none; ``identity`` is plain JSON of what makes them.

    Raises StoreError for a file that is something else, InvalidInput for one that something else made.
    """
    from .lines import LineResults

    kind = path.suffix.lower()
    if kind == ".jsonl":
        return LineResults(path, identity)
    return SqliteResults(path, identity) if kind == ".db" else ParquetResults(path, identity)


def require_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise InvalidInput, with the first difference, where results were made by something else."""
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            raise InvalidInput(
                f"the results in {str(path)!r} were made with {name} {before.get(name)!r}, not {now.get(name)!r};"
                " name another file with --out"
            )


class SqliteResults:
    """Results in the table ``answers`` of a database."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = str(path)
        self._identity = identity
        self._db = open_database(self.path, application=_APPLICATION, maker="looktwice batch", migrate=self._migrate)

    def kept(self) -> dict[str, Kept]:
        """Every row that is there, by its id."""
        with told(self.path):
            rows = self._db.execute("SELECT id, question, error IS NOT NULL FROM answers")
            return {name: Kept(question, bool(failed)) for name, question, failed in rows}

    def known(self, sha256: str, question: str) -> Result | None:
        """An answer to that question about those bytes, if there is one."""
        with told(self.path):
            found = self._db.execute(f"{_ALL} WHERE sha256 = ? AND question = ? AND error IS NULL", [sha256, question])
            row = found.fetchone()
        return None if row is None else Result(*row)

    def begin_again(self, ids: Collection[str]) -> None:
        """Nothing to do: a row is replaced once there is another result."""

    def keep(self, results: Sequence[Result]) -> None:
        """Keep rows, all of them or none."""
        with told(self.path), self._db.atomic():
            self._db.table("answers").insert_all([asdict(result) for result in results], pk="id", replace=True)

    def finish(self) -> None:
        """Nothing to do: the file is whole after each batch."""

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def rows(self) -> Generator[tuple[Any, ...]]:
        """All rows in the order in which they came, as ``COLUMNS``."""
        with told(self.path):
            yield from self._db.execute(f"{_ALL} ORDER BY rowid")

    def _migrate(self, db: Any) -> None:
        """Make the tables where they are missing, and hold what made them against what comes now."""
        db.enable_wal()
        with db.atomic():
            db.table("made_with").create({"name": str, "value": str}, pk="name", if_not_exists=True)
            db.table("answers").create(COLUMNS, pk="id", not_null={"question"}, if_not_exists=True)
            db.table("answers").create_index(["sha256", "question"], if_not_exists=True)
            before = {row["name"]: json.loads(row["value"]) for row in db.table("made_with").rows}
            if before:
                require_same(Path(self.path), before, self._identity)
                return
            rows = [{"name": name, "value": json.dumps(value)} for name, value in self._identity.items()]
            db.table("made_with").insert_all(rows)


_ALL = f"SELECT {', '.join(COLUMNS)} FROM answers"


class ParquetResults(SqliteResults):
    """Results that are gathered in a database beside the file, which is written in one piece at the end."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self._target = path
        part = path.with_name(f"{path.name}.part.db")
        before = self._written(identity) if path.exists() else None
        super().__init__(part, identity)
        if before is not None and not self.kept():  # else the database goes on from there already
            self._take_over(before)

    def finish(self) -> None:
        """Write the file, and drop the database."""
        from .parquet import write_results

        write_results(self._target, self._identity, COLUMNS, self.rows())
        self.close()
        for suffix in ("", "-wal", "-shm"):
            Path(self.path + suffix).unlink(missing_ok=True)

    def _written(self, identity: Mapping[str, Any]) -> Iterable[list[dict[str, Any]]]:
        from .parquet import read_results

        before, parts = read_results(self._target)
        require_same(self._target, before, identity)
        return parts

    def _take_over(self, parts: Iterable[list[dict[str, Any]]]) -> None:
        try:
            with told(self.path), self._db.atomic():
                for part in parts:
                    self._db.table("answers").insert_all(part, pk="id")
        except BaseException:
            self.close()
            raise


_KINDS = (".db", ".jsonl", ".parquet")
