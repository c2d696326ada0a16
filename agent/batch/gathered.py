"""Results as one Parquet file, which can't grow: they are gathered in a database beside it and written at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .database import SqliteResults
from .parquet import read_results, write_results
from .result import COLUMNS, require_same

__all__ = ["ParquetResults"]


class ParquetResults(SqliteResults):
    """Results that are gathered in a database beside the file, which is written in one piece at the end."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self._target, self._made_with = path, identity
        part = path.with_name(f"{path.name}.part.db")
        before = self._written(identity) if path.exists() else None
        super().__init__(part, identity)
        if before is not None and not self.kept():  # else the database goes on from there already
            self._take_over(before)

    def finish(self) -> None:
        """Write the file, and drop the database."""
        write_results(self._target, self._made_with, COLUMNS, self.rows())
        self.close()
        for suffix in ("", "-wal", "-shm"):
            Path(self.path + suffix).unlink(missing_ok=True)

    def _written(self, identity: Mapping[str, Any]) -> Iterable[list[dict[str, Any]]]:
        before, parts = read_results(self._target)
        require_same(self._target, before, identity)
        return parts

    def _take_over(self, parts: Iterable[list[dict[str, Any]]]) -> None:
        try:
            self._rows.put(row for part in parts for row in part)
        except BaseException:
            self.close()
            raise
