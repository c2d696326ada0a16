"""Results in an SQLite database: a transaction for each batch."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from ...memory.results import ResultRows
from .result import COLUMNS, Kept, Result, require_same

__all__ = ["SqliteResults"]

_APPLICATION = 0x4C4B3242  # "LK2B", in the file's header


class SqliteResults:
    """Results in the table ``answers`` of a database."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = str(path)
        self._rows = ResultRows(
            self.path,
            COLUMNS,
            identity,
            required=("question",),
            by=("sha256", "question"),
            check=partial(require_same, path, now=identity),
            application=_APPLICATION,
            maker="looktwice batch",
        )

    def kept(self) -> dict[str, Kept]:
        """Every row that is there, by its id."""
        rows = self._rows.all("id", "question", "error")
        return {name: Kept(question, error is not None) for name, question, error in rows}

    def known(self, sha256: str, question: str) -> Result | None:
        """An answer to that question about those bytes, if there is one."""
        row = self._rows.first(*COLUMNS, sha256=sha256, question=question, error=None)
        return None if row is None else Result(*row)

    def begin_again(self, ids: Collection[str]) -> None:
        """Nothing to do: a row is replaced once there is another result."""

    def keep(self, results: Sequence[Result]) -> None:
        """Keep rows, all of them or none."""
        self._rows.put([asdict(result) for result in results])

    def finish(self) -> None:
        """Nothing to do: the file is whole after each batch."""

    def close(self) -> None:
        """Close the file."""
        self._rows.close()

    def rows(self) -> Generator[tuple[Any, ...]]:
        """All rows in the order in which they came, as ``COLUMNS``."""
        return self._rows.all(*COLUMNS)
