"""Reads data: JSON Lines of one's own; V*Bench, HR-Bench, TextVQA and DocVQA as they are distributed."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import InvalidInput
from ...memory import check_name
from .items import Cell, Collected, Data, Item, Shown, sha256_of, table_rows

__all__ = ["read_data"]

_LETTER_ALONE = "Answer with the option's letter from the given choices directly."
_HR_COLUMNS = ("index", "question", "answer", "A", "B", "C", "D", "category", "image")
_M = TypeVar("_M", bound=BaseModel)
Text = Annotated[str, Field(min_length=1)]


class _Named(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: Text
    name: Text | None = None


class _Own(BaseModel):
    """A line of one's own data."""

    model_config = ConfigDict(extra="forbid")
    images: list[Text | _Named] = Field(min_length=1)
    question: Text
    answers: list[Text] | Text
    kind: Text = "question"
    id: Text | int | None = None
    metric: Literal["anls", "choice", "exact", "vqa"] = "exact"


class _VStar(BaseModel):
    image: Text
    text: Text
    category: Text
    label: Annotated[str, Field(pattern="^[A-Z]$")]
    question_id: int | str


class _TextVqa(BaseModel):
    question_id: int | str
    image_id: Text
    question: Text
    answers: list[str]


class _DocVqa(BaseModel):
    questionId: int | str
    question: Text
    image: Text
    answers: list[str]
    question_types: list[str] | None = None


def read_data(path: str | os.PathLike[str]) -> Data:
    """The questions of a file or folder, and those that can't be asked, each with its place.

    Raises InvalidInput if there is no such file, if a folder holds none of the known layouts, or if nothing in it can
    be read at all.
    """
    given = Path(path).expanduser()
    if given.is_dir():
        given = _file_in(given)
    if not given.is_file():
        raise InvalidInput(f"no data at {str(path)!r}; give a JSON Lines file, or the folder of a benchmark")
    read = next((read for _, pattern, read in _LAYOUTS if fnmatch(given.name, pattern)), _own)
    collected = Collected()
    try:
        read(given, collected)
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{str(given)!r} can't be read: {error}; get a whole copy") from error
    if not collected.items:
        why = f"; the first: {collected.refused[0]}" if collected.refused else "; it is empty"
        raise InvalidInput(f"no question of {str(given)!r} can be asked{why}")
    return Data(given, sha256_of(given), tuple(collected.items), tuple(collected.refused))


def _file_in(folder: Path) -> Path:
    found = [file for _, pattern, _ in _LAYOUTS for file in sorted(folder.glob(pattern))]
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise InvalidInput(f"{str(folder)!r} holds {names}; give one of these files")
    if not found:
        looked = ", ".join(f"{pattern} ({name})" for name, pattern, _ in _LAYOUTS)
        raise InvalidInput(f"{str(folder)!r} holds none of {looked}; give one of these, or a JSON Lines file")
    return found[0]


def _own(path: Path, collected: Collected) -> None:
    """Lines such as {"images": ["a.png"], "question": "...", "answers": "..."}; paths are relative to the file."""
    for place, number, line in _lines(path, collected):
        own = _parsed(_Own, line, place, collected)
        if own is None:
            continue
        try:
            images = tuple(_shown(path.parent, image) for image in own.images)
        except InvalidInput as error:
            collected.refuse(place, str(error))
            continue
        answers = (own.answers,) if isinstance(own.answers, str) else tuple(own.answers)
        name = str(number) if own.id is None else str(own.id)
        collected.add(Item(name, own.question, answers, images, own.kind, own.metric, place, has_mentions=True))


def _shown(folder: Path, image: str | _Named) -> Shown:
    if isinstance(image, str):
        return Shown(folder / image)
    return Shown(folder / image.path, None if image.name is None else check_name(image.name))


def _v_star(path: Path, collected: Collected) -> None:
    """Wu and Xie, "V*: guided visual search as a core mechanism in multimodal LLMs", 2024."""
    for place, _, line in _lines(path, collected):
        found = _parsed(_VStar, line, place, collected)
        if found is not None:
            name, images = f"{found.category}/{found.question_id}", (Shown(path.parent / found.image),)
            collected.add(Item(name, found.text, (found.label,), images, found.category, "choice", place))


def _hr_bench(path: Path, collected: Collected) -> None:
    """Wang et al., "Divide, conquer and combine", 2024: pictures in base64, options cycled in four orders."""
    with path.open("rb") as file:
        rows = table_rows(file)
        _, heads = next(rows, (0, list[str]()))
        absent = [name for name in _HR_COLUMNS if name not in heads]
        if absent:
            raise InvalidInput(f"{str(path)!r} has no column {', '.join(map(repr, absent))}; get a whole copy")
        for number, (offset, row) in enumerate(rows, start=2):
            place = f"{path.name}:row {number}"
            if len(row) != len(heads):
                collected.refuse(place, f"the row has {len(row)} cells, not {len(heads)}")
                continue
            cells = dict(zip(heads, row, strict=True))
            if not cells["image"] or cells["answer"] not in tuple("ABCD"):
                collected.refuse(place, f"there is no picture, or the answer {cells['answer']!r} is none of A to D")
                continue
            collected.add(_cycled(cells, Cell(path, offset, heads.index("image")), place))


def _cycled(cells: dict[str, str], picture: Cell, place: str) -> Item:
    options = [f"({letter}) {cells[letter]}" for letter in "ABCD"]
    question = "\n".join([cells["question"], *options, _LETTER_ALONE])
    name = "/".join(filter(None, (cells["index"], cells.get("cycle_category", ""))))
    return Item(name, question, (cells["answer"],), (Shown(picture),), cells["category"], "choice", place)


def _text_vqa(path: Path, collected: Collected) -> None:
    """Singh et al., "Towards VQA models that can read", 2019."""
    for place, entry in _entries(path):
        found = _checked(_TextVqa, entry, place, collected)
        if found is not None:
            images = (Shown(path.parent / "train_images" / f"{found.image_id}.jpg"),)
            answers = tuple(found.answers)
            collected.add(Item(str(found.question_id), found.question, answers, images, "textvqa", "vqa", place))


def _doc_vqa(path: Path, collected: Collected) -> None:
    """Mathew et al., "DocVQA: a dataset for VQA on document images", 2021. The first of several types is the kind."""
    for place, entry in _entries(path):
        found = _checked(_DocVqa, entry, place, collected)
        if found is not None:
            kind = next(iter(found.question_types or ()), "docvqa")
            images = (Shown(path.parent / found.image),)
            name, answers = str(found.questionId), tuple(found.answers)
            collected.add(Item(name, found.question, answers, images, kind, "anls", place))


def _lines(path: Path, collected: Collected) -> list[tuple[str, int, str]]:
    """The lines that are not blank, each with its place and number."""
    found: list[tuple[str, int, str]] = []
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        place = f"{path.name}:{number}"
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            collected.refuse(place, "the line is not UTF-8")
            continue
        if text.strip():
            found.append((place, number, text))
    return found


def _entries(path: Path) -> list[tuple[str, object]]:
    """The entries under "data" of a JSON file, each with its place."""
    whole: object = json.loads(path.read_bytes())
    entries = cast("dict[str, object]", whole).get("data") if isinstance(whole, dict) else None
    if not isinstance(entries, list):
        raise InvalidInput(f"{str(path)!r} has no list under 'data'; get a whole copy")
    listed = cast("list[object]", entries)
    return [(f"{path.name}:data[{number}]", entry) for number, entry in enumerate(listed)]


def _parsed(model: type[_M], line: str, place: str, collected: Collected) -> _M | None:
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        collected.refuse(place, f"this is no JSON: {error}")
        return None
    return _checked(model, entry, place, collected)


def _checked(model: type[_M], entry: object, place: str, collected: Collected) -> _M | None:
    try:
        return model.model_validate(entry, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        collected.refuse(place, f"{where}: {first['msg']}" if where else first["msg"])
        return None


_LAYOUTS: Sequence[tuple[str, str, Callable[[Path, Collected], None]]] = (
    ("V*Bench", "test_questions.jsonl", _v_star),
    ("HR-Bench", "hr_bench_*.tsv", _hr_bench),
    ("TextVQA", "TextVQA_*.json", _text_vqa),
    ("DocVQA", "val_v1.0*.json", _doc_vqa),
)
