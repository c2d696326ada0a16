"""Results in an SQLite database: a transaction for each batch."""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...memory.results import open_results, told
from .result import COLUMNS, Kept, Result, require_same

__all__ = ["SqliteResults"]

_APPLICATION = 0x4C4B3242  # "LK2B", in the file's header
_ALL = f"SELECT {', '.join(COLUMNS)} FROM answers"


class SqliteResults:
    """Results in the table ``answers`` of a database."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = str(path)
        self._identity = identity
        self._db = open_results(self.path, application=_APPLICATION, maker="looktwice batch", migrate=self._migrate)

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
