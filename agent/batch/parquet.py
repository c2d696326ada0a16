"""Rows from Parquet files, and results as one; pyarrow is an optional part."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ...errors import InvalidInput, MissingExtra, PictureRejected, StoreError
from .row import Row, name_of

__all__ = ["Cell", "read_results", "rows", "write_results"]

_OWN = b"looktwice"  # the key in the file's metadata
_AT_ONCE = 4096  # rows


@dataclass(slots=True)
class _Pictures:
    """The picture column of a file; the row group that was read last is held, as rows come in order."""

    path: Path
    _group: int = -1
    _held: list[Any] = field(default_factory=list[Any])

    def get(self, group: int, place: int) -> Any:
        if group != self._group:
            self._held = _opened(self.path).read_row_group(group, columns=["image"]).column("image").to_pylist()
            self._group = group
        return self._held[place]


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture in a row of a file: encoded bytes, or the path of one, relative to the file."""

    pictures: _Pictures
    group: int
    place: int

    def read(self) -> bytes | Path:
        """The encoded bytes, or where they are. Raises PictureRejected where there is neither."""
        data, path = _parts(self.pictures.get(self.group, self.place))
        if data is not None:
            return data
        if path is None:
            raise PictureRejected("there is no picture in the column 'image'; give a path, bytes, or a struct of both")
        return self.pictures.path.parent / path


def rows(path: Path, question: str) -> Iterator[Row]:
    """The rows of a file with the columns image, question (or one for all) and id (or their number).

    Raises MissingExtra without pyarrow, InvalidInput for a file that can't be used.
    """
    file, pictures = _opened(path), _Pictures(path)
    names: list[str] = file.schema_arrow.names
    if "image" not in names:
        raise InvalidInput(f"{str(path)!r} has no column 'image'; it has {', '.join(map(repr, names))}")
    if not file.metadata.num_rows:
        raise InvalidInput(f"{str(path)!r} holds no rows; give one with a column 'image'")
    number = 0
    for group in range(file.metadata.num_row_groups):
        told = file.read_row_group(group, columns=[name for name in ("id", "question") if name in names])
        told = {name: told.column(name).to_pylist() for name in told.column_names}
        for place, shown in enumerate(_shown(file, group)):
            number += 1
            yield _row(path, number, shown, told, place, Cell(pictures, group, place), question)


def _shown(file: Any, group: int) -> list[str | None]:
    """The paths in the picture column of a row group, for the rows that have one; bytes are not read."""
    kind = str(file.schema_arrow.field("image").type)
    if kind in ("string", "large_string", "string_view"):
        return file.read_row_group(group, columns=["image"]).column("image").to_pylist()
    nothing: list[str | None] = [None] * file.metadata.row_group(group).num_rows
    if not kind.startswith("struct") or "path:" not in kind:
        return nothing
    read = file.read_row_group(group, columns=["image.path"]).column("image").to_pylist()
    return [None if each is None else each.get("path") for each in read]


def _row(
    path: Path, number: int, shown: str | None, told: Mapping[str, Any], place: int, cell: Cell, question: str
) -> Row:
    name, own = (told[column][place] if column in told else None for column in ("id", "question"))
    asked = str(own or "").strip() or question
    problem = None if asked else f"there is no question; give one, or a column 'question' in {path.name!r}"
    called = name_of(shown) if shown else "picture"
    return Row(str(number if name is None else name), shown or f"{path.name}:{number}", asked, cell, problem, called)


def _parts(value: object) -> tuple[bytes | None, str | None]:
    if isinstance(value, Mapping):
        found = cast("Mapping[str, object]", value)
        data, path = found.get("bytes"), found.get("path")
        return (data if isinstance(data, bytes) else None), (path if isinstance(path, str) else None)
    return (value if isinstance(value, bytes) else None), (value if isinstance(value, str) else None)


def _opened(path: Path) -> Any:
    parquet = _library()
    try:
        return parquet.ParquetFile(path)
    except Exception as error:  # pyarrow's errors have several parents
        reason = (str(error).splitlines() or [""])[0]
        raise InvalidInput(f"{str(path)!r} is no Parquet file that can be read ({reason}); get a whole copy") from error


def _library() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra("pyarrow, which .parquet needs,", "parquet") from error


def require_library() -> None:
    """Raise MissingExtra without pyarrow."""
    _library()


def read_results(path: Path) -> tuple[dict[str, Any], Iterator[list[dict[str, Any]]]]:
    """What a file of results was made with, and its rows, some at a time. Raises StoreError for any other file."""
    file = _opened(path)
    metadata: dict[bytes, bytes] = dict(file.schema_arrow.metadata or ())
    own = metadata.get(_OWN)
    if own is None:
        raise StoreError(f"{str(path)!r} holds no results of looktwice batch; name another file with --out")
    return json.loads(own), (part.to_pylist() for part in file.iter_batches(_AT_ONCE))


def write_results(
    path: Path, identity: Mapping[str, Any], columns: Mapping[str, type], results: Iterable[Sequence[Any]]
) -> None:
    """Write results, in the order of ``columns``, in one piece: either the whole file is there or the one before."""
    parquet = _library()
    library: Any = importlib.import_module("pyarrow")
    kinds = {str: library.string(), int: library.int64(), float: library.float64()}
    schema = library.schema(
        [(name, kinds[kind]) for name, kind in columns.items()], metadata={_OWN: json.dumps(identity)}
    )
    partial = path.with_name(f"{path.name}.tmp")
    try:
        with partial.open("wb") as file:
            with parquet.ParquetWriter(file, schema) as writer:
                for part in _parted(results):
                    cells = [dict(zip(columns, result, strict=True)) for result in part]
                    writer.write_table(library.Table.from_pylist(cells, schema=schema))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StoreError(
            f"can't write {str(path)!r}: {error.strerror or error}; free some space, or choose another file"
        ) from error


def _parted(results: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    part: list[Sequence[Any]] = []
    for result in results:
        part.append(result)
        if len(part) == _AT_ONCE:
            yield part
            part = []
    if part:
        yield part
