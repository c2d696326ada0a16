"""Where rows come from: folders of pictures, single pictures, JSON Lines, Parquet. Pictures stay where they are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from ...errors import InvalidInput
from .parquet import rows as rows_of_parquet
from .row import Row, name_of, readable

__all__ = ["Places", "SUFFIXES", "read_rows"]

SUFFIXES = (".avif", ".bmp", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
Places: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"


class _Line(BaseModel):
    """What a line of JSON says of a row; other keys are the user's own."""

    model_config = ConfigDict(extra="ignore", strict=True)

    image: str
    question: str | None = None
    id: str | int | None = None


def read_rows(source: Places, question: str | None = None, *, limit: int | None = None) -> list[Row]:
    """The rows of folders and files, in order; ``question`` is for those that have none of their own.

    Raises InvalidInput for a source that isn't there or holds no rows, for an id that comes twice, and where there
    is no question.
    """
    if limit is not None and limit < 1:
        raise InvalidInput(f"limit {limit!r} can't be used; give 1 or more, or None for all")
    paths = [Path(source)] if isinstance(source, str | os.PathLike) else [Path(each) for each in source]
    if not paths:
        raise InvalidInput("there is no source; give a folder, pictures, or a .jsonl or .parquet file")
    found: dict[str, Row] = {}
    for path in paths:
        for row in _rows(path.expanduser(), (question or "").strip()):
            if row.id in found:
                raise InvalidInput(
                    f"the id {row.id!r} comes twice ({found[row.id].image!r}, {row.image!r}); ask about one source at a"
                    " time, each with results of its own"
                )
            found[row.id] = row
    return list(found.values())[:limit]


def _rows(path: Path, question: str) -> Iterator[Row]:
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in SUFFIXES:
        if not question:
            raise InvalidInput("the question is empty; ask something, for example 'What is in the picture?'")
        return iter(_in_folder(path, question)) if path.is_dir() else iter([_one(path, path.name, question)])
    if not path.exists():
        raise InvalidInput(f"no folder or file {str(path)!r}; check the path")
    if suffix == ".jsonl":
        return _lines(path, question)
    if suffix == ".parquet":
        return rows_of_parquet(path, question)
    raise InvalidInput(f"can't ask about {str(path)!r}; give a folder, pictures, or a .jsonl or .parquet file")


def _one(path: Path, name: str, question: str) -> Row:
    if not path.exists():
        raise InvalidInput(f"no picture {str(path)!r}; check the path")
    return Row(readable(name), readable(str(path)), question, path, name=name_of(path))


def _in_folder(folder: Path, question: str) -> list[Row]:
    """The pictures in a folder and those below it, but for hidden ones; an id is the path from the folder on."""
    files: list[Path] = []
    for where, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        files += [Path(where) / name for name in names if not name.startswith(".")]
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not pictures:
        kinds = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise InvalidInput(f"the folder {str(folder)!r} holds no pictures; looked for {kinds}")
    rows = [_one(file, file.relative_to(folder).as_posix(), question) for file in pictures]
    return sorted(rows, key=lambda row: row.id)


def _lines(path: Path, question: str) -> Iterator[Row]:
    """Lines such as {"image": "a.png", "question": "...", "id": "..."}; paths are relative to the file."""
    try:
        written = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} can't be read: {error.strerror}; check its permissions") from error
    lines = written.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    rows = [_parsed(path, number, line, question) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise InvalidInput(f"{str(path)!r} holds no rows; write lines such as {_EXAMPLE}")
    return iter(rows)


_EXAMPLE = '{"image": "a.png", "question": "What is it?"}'


def _parsed(path: Path, number: int, line: bytes, question: str) -> Row:
    try:
        entry: Any = json.loads(line)
        said = _Line.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return _refused(path, number, f"{where}: {first['msg']}" if where else first["msg"], question)
    except (ValueError, RecursionError) as error:
        return _refused(path, number, f"this is no JSON: {error}", question)
    name = str(number) if said.id is None else str(said.id)
    own = (said.question or "").strip() or question
    problem = None if own else f"there is no question; give one, or a key 'question' in line {number} of {path.name!r}"
    return Row(readable(name), readable(said.image), own, path.parent / said.image, problem, name_of(said.image))


def _refused(path: Path, number: int, reason: str, question: str) -> Row:
    told = f"line {number} of {path.name!r} can't be read ({' '.join(reason.split())}); write {_EXAMPLE}"
    return Row(str(number), "", question, None, told)
