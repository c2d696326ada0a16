"""What a tool brings back: text for the model, data, pictures, readings; of bounded size, whatever the tool did."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from PIL import Image
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from ..errors import InvalidInput, ToolError
from ..memory.parts import Json
from ..memory.recipe import Box, Recipe
from .view import View

__all__ = ["Crop", "DATA_LIMIT", "PICTURE_LIMIT", "READING_LIMIT", "TEXT_LIMIT", "ToolResult", "cut", "one_line"]

TEXT_LIMIT = 8_000
"""Characters of a result that the model is shown."""
DATA_LIMIT = 1_000_000
"""Characters of a result's data, written as JSON."""
READING_LIMIT = 100_000
"""Characters of a picture's text that are kept with it."""
PICTURE_LIMIT = 8
"""Pictures that one call may bring."""
_MESSAGE_LIMIT = 300
_PLAIN = (bool, int, float, str, dict, list, tuple, BaseModel, type(None))


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a picture that becomes a picture of its own: ``box`` in its pixels, scaled to ``size``.

    Raises ToolError for a box that is empty or reaches beyond the picture, and for a size that can't be.
    """

    view: View
    box: Box
    size: tuple[int, int]

    def __post_init__(self) -> None:
        try:
            self.recipe()
        except InvalidInput as error:
            raise ToolError(f"can't crop {self.view.name}: {error}") from error
        if self.box[2] > self.view.size[0] or self.box[3] > self.view.size[1]:
            raise ToolError(f"can't crop {self.view.name}: {self.box!r} reaches beyond its {self.view.size!r} pixels")

    def recipe(self) -> Recipe:
        """How to make the crop again from the picture."""
        return Recipe(self.view.key, "crop", self.box, self.size)

    def pixels(self) -> Image.Image:
        """The crop in RGB."""
        return self.recipe().apply(self.view.pixels())


def _no_readings() -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What one call brought.

    ``text`` is what the model reads; ``data`` is plain JSON for programs; ``pictures`` enter the conversation under
    new names; ``readings`` gives the text read in a picture by the picture's key, so that it can be searched for.
    ``error`` says that the call failed and ``text`` why.
    """

    text: str = ""
    data: Json = None
    pictures: tuple[Crop | Image.Image, ...] = ()
    readings: Mapping[str, str] = field(default_factory=_no_readings)
    error: bool = False

    @classmethod
    def of(cls, value: object) -> ToolResult:
        """Whatever a tool returned as a result.

        Text, None, a number, a list, a dict, a dataclass or a pydantic model (they become ``data`` and its JSON
        the text), a picture, a ``Crop``, a ``ToolResult``, or a list of several of these with a picture among them.
        Raises ToolError for anything else.
        """
        match value:
            case ToolResult():
                return _checked(value)
            case None:
                return cls("finished; it returned nothing")
            case str():
                return cls(_storable(value))
            case Crop() | Image.Image():
                return cls(pictures=(value,))
            case _ if several := _several(value):
                return _joined([cls.of(item) for item in several if item is not None])
            case _:
                data = _as_json(value)
                return cls(_storable(_dump(data)), data)

    @classmethod
    def failed(cls, message: object) -> ToolResult:
        """A failed call, with one line on why."""
        return cls(one_line(message), error=True)

    def bounded(self) -> ToolResult:
        """The same result cut to the limits of this module; its text says what was left out."""
        notes: list[str] = []
        text, left_out = cut(self.text, TEXT_LIMIT)
        if left_out:
            notes.append(left_out)
        data, length = self.data, len(_dump(self.data))
        if length > DATA_LIMIT:
            data = None
            notes.append(f"data left out, {length} characters of JSON are over the limit of {DATA_LIMIT}")
        if len(self.pictures) > PICTURE_LIMIT:
            notes.append(f"cut, {len(self.pictures) - PICTURE_LIMIT} pictures more")
        if not notes:
            return self
        text = "\n".join(filter(None, [text, f"({'; '.join(notes)})"]))
        return dataclasses.replace(self, text=text, data=data, pictures=self.pictures[:PICTURE_LIMIT])


def cut(text: str, limit: int) -> tuple[str, str]:
    """The text's first whole lines up to ``limit`` characters, and a note on what is missing, empty if nothing."""
    if len(text) <= limit:
        return text, ""
    end = text.rfind("\n", 0, limit + 1)
    if end < 1:
        return text[:limit], f"cut, {len(text) - limit} characters more"
    more = text[end + 1 :].count("\n") + 1
    return text[:end], f"cut, {more} line{'s' if more > 1 else ''} more"


def one_line(message: object) -> str:
    """A message without line breaks and of bounded length."""
    line = _storable(" ".join(str(message)[: 4 * _MESSAGE_LIMIT].split()))
    return line if len(line) <= _MESSAGE_LIMIT else f"{line[:_MESSAGE_LIMIT]}..."


def _is_list(value: object) -> bool:
    return isinstance(value, tuple | list)


def _items(value: object) -> tuple[object, ...]:
    return tuple(cast("Sequence[object]", value)) if _is_list(value) else ()


def _several(value: object) -> tuple[object, ...]:
    """The items of a list that holds more than data, else nothing."""
    items = _items(value)
    return items if any(isinstance(item, Crop | Image.Image | ToolResult) for item in items) else ()


def _checked(result: ToolResult) -> ToolResult:
    """A tool's own ``ToolResult``, which nothing forced to hold what its fields say."""
    text, pictures, readings = cast("tuple[object, object, object]", (result.text, result.pictures, result.readings))
    shown = tuple(item for item in _items(pictures) if isinstance(item, Crop | Image.Image))
    if not isinstance(text, str):
        raise ToolError(f"the tool returned a ToolResult whose text is {_kind(text)}; give a str")
    if not _is_list(pictures) or len(shown) < len(_items(pictures)):
        raise ToolError("the tool returned a ToolResult whose pictures are not all Crop or PIL pictures")
    if not isinstance(readings, Mapping):
        raise ToolError(
            f"the tool returned a ToolResult whose readings are {_kind(readings)}; give a dict of texts by key"
        )
    read_in = cast("Mapping[object, object]", readings)
    if not all(isinstance(word, str) for pair in read_in.items() for word in pair):
        raise ToolError("the tool returned a ToolResult whose readings are not all texts by a picture's key")
    told = {key: _storable(cut(read, READING_LIMIT)[0]) for key, read in cast("Mapping[str, str]", readings).items()}
    return dataclasses.replace(result, text=_storable(text), data=_as_json(result.data), pictures=shown, readings=told)


def _joined(results: Sequence[ToolResult]) -> ToolResult:
    """Several results as one, in their order."""
    data: list[Json] = [result.data for result in results if result.data is not None]
    merged: Json = data if len(data) > 1 else next(iter(data), None)
    return ToolResult(
        "\n".join(result.text for result in results if result.text),
        merged,
        tuple(picture for result in results for picture in result.pictures),
        {key: text for result in results for key, text in result.readings.items()},
        any(result.error for result in results),
    )


def _as_json(value: object) -> Json:
    """The value as plain JSON. Raises ToolError for what JSON can't hold."""
    kind = _kind(value)
    if isinstance(value, type) or not (isinstance(value, _PLAIN) or dataclasses.is_dataclass(value)):
        raise ToolError(f"the tool returned {kind}; return text, a picture, plain data or a ToolResult")
    try:
        data: Json = json.loads(json.dumps(to_jsonable_python(value), allow_nan=False))
    except (ValueError, TypeError, RecursionError, PydanticSerializationError) as error:
        raise ToolError(f"the tool returned {kind} that JSON can't hold: {one_line(error)}") from error
    return data


def _dump(data: Json) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _storable(text: str) -> str:
    """Half a surrogate pair can't be written as UTF-8 and would break whoever keeps or prints the text."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text
