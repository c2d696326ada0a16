"""Where answers go: SQLite, JSON Lines or Parquet, each resumable. What is kept stays, however the process ends."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from .database import SqliteResults
from .gathered import ParquetResults
from .lines import LineResults
from .parquet import require_library
from .result import Results

__all__ = ["open_results", "require_place"]

_KINDS = (".db", ".jsonl", ".parquet")


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
        require_library()
    return path


def open_results(path: Path, identity: Mapping[str, Any]) -> Results:
    """The results at ``path``, made if there are none; ``identity`` is plain JSON of what makes them.

    Raises StoreError for a file that is something else, InvalidInput for one that something else made.
    """
    kind = path.suffix.lower()
    if kind == ".jsonl":
        return LineResults(path, identity)
    return SqliteResults(path, identity) if kind == ".db" else ParquetResults(path, identity)
