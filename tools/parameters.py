"""A function's parameters as a tool's: what the model may write, and how that becomes what the function gets."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError

from ..errors import BadArguments, InvalidInput, UnknownName
from ..memory.names import MAX_NAME, fold
from .box import BOX_RULE
from .docstring import argument_texts
from .result import one_line
from .schema import compact_schema
from .view import View

__all__ = ["Parameters"]

_PICTURE_TEXT = "name of a picture"
_BOX_TEXT = "x0, y0, x1, y1 in 0..1000 of the picture's width and height"
_NAME: Any = Annotated[str, Field(max_length=MAX_NAME + 1)]


class Parameters:
    """What a tool takes.

    ``schema`` is the JSON schema for the model; ``pictures`` and ``boxes`` name the parameters that take a
    picture's name or a box. Raises InvalidInput, naming the parameter, for a function that can't be a tool.
    """

    def __init__(self, function: Callable[..., Any], tool: str) -> None:
        self.tool = tool
        kinds = _annotations(function, tool)
        self.pictures = tuple(name for name, kind in kinds.items() if kind.picture)
        self.boxes = tuple(name for name, kind in kinds.items() if BOX_RULE in _metadata(kind.plain))
        self._pixels = frozenset(name for name, kind in kinds.items() if kind.plain is Image.Image)
        self._kinds = kinds
        self._fields = {f"p{number}": name for number, name in enumerate(kinds)}
        self._model, self.schema = self._build(argument_texts(inspect.getdoc(function)))

    def check(self, arguments: object, names: Collection[str]) -> dict[str, Any]:
        """Arguments that a model wrote, as plain JSON, pictures under the names that they have in ``names``.

        Raises BadArguments with a one-line correction for the model.
        """
        checked = self._parse(arguments).model_dump(mode="json", by_alias=True, exclude_unset=True)
        for name in self.pictures:
            if checked.get(name) is not None:
                checked[name] = self._known(checked[name], names)
        return checked

    def convert(self, arguments: Mapping[str, Any], views: Callable[[str], View]) -> dict[str, Any]:
        """Checked arguments as the function wants them: values of its types, views or pixels for names."""
        parsed = self._parse(arguments)
        given = {self._fields[field]: getattr(parsed, field) for field in parsed.model_fields_set}
        for name in self.pictures:
            if given.get(name) is not None:
                view = views(given[name])
                given[name] = view.pixels() if name in self._pixels else view
        return given

    def _build(self, texts: Mapping[str, str]) -> tuple[type[BaseModel], dict[str, Any]]:
        # Numbered fields with aliases: a parameter may be called "json" or "_x", a pydantic field may not.
        fields: dict[str, Any] = {field: self._kinds[name].field(name) for field, name in self._fields.items()}
        texts = dict.fromkeys(self.pictures, _PICTURE_TEXT) | dict.fromkeys(self.boxes, _BOX_TEXT) | dict(texts)
        defaults = {name: kind.default for name, kind in self._kinds.items() if kind.default is not _REQUIRED}
        model = create_model(self.tool, __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **fields)
        return model, compact_schema(model, texts, defaults)

    def _parse(self, arguments: object) -> BaseModel:
        if not isinstance(arguments, Mapping):
            raise BadArguments(f"{self.tool}: the arguments must be a JSON object, got {_short(arguments)}")
        given = cast("Mapping[str, Any]", arguments)
        kept = {name: value for name, value in given.items() if not (value is None and self._may_drop_null(name))}
        try:
            return self._model.model_validate(kept)
        except ValidationError as error:
            lines = [self._correction(cast("dict[str, Any]", detail)) for detail in error.errors()[:3]]
            raise BadArguments(one_line(f"{self.tool}: {'; '.join(lines)}")) from error
        except Exception as error:  # a validator of the tool's author, on values that it didn't think of
            raise BadArguments(one_line(f"{self.tool}: {type(error).__name__}: {error}")) from error

    def _may_drop_null(self, name: str) -> bool:
        """Models write null for "not given", also where the function knows no None."""
        kind = self._kinds.get(name)
        return kind is not None and kind.default is not _REQUIRED and not kind.optional

    def _correction(self, detail: Mapping[str, Any]) -> str:
        path = ".".join(str(step) for step in detail["loc"])
        match detail["type"]:
            case "missing":
                return f"{path} is missing"
            case "extra_forbidden":
                return f"there is no {path!r}; it takes {', '.join(self._kinds) or 'nothing'}"
            case "value_error":
                return f"{path} {detail['ctx']['error']}, got {_short(detail['input'])}"
            case _:
                message = str(detail["msg"])
                return f"{path}: {message[:1].lower()}{message[1:]}, got {_short(detail['input'])}"

    def _known(self, name: str, names: Collection[str]) -> str:
        wanted = fold(name.strip().removeprefix("@"))
        for known in names:
            if fold(known) == wanted:
                return known
        raise BadArguments(one_line(f"{self.tool}: {UnknownName('picture', name, names)}"))


_REQUIRED: Any = inspect.Parameter.empty
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class _Kind:
    """One parameter: its type without ``| None``, and its default."""

    def __init__(self, hint: Any, default: Any) -> None:
        self.plain, self.optional = _without_none(hint)
        self.default = default
        self.picture = self.plain is View or self.plain is Image.Image
        self.written = (Union[_NAME, None] if self.optional else _NAME) if self.picture else hint  # noqa: UP007

    def field(self, name: str) -> tuple[Any, Any]:
        """The pydantic field; a default stays with the function, for it may be something that JSON doesn't know."""
        return self.written, Field(alias=name) if self.default is _REQUIRED else Field(default=None, alias=name)


def _annotations(function: Callable[..., Any], tool: str) -> dict[str, _Kind]:
    """The parameters by name. Raises InvalidInput for one that a model can't be told of."""
    try:
        parameters = inspect.signature(function).parameters
        hints = typing.get_type_hints(_hinted(function), include_extras=True)
    except (NameError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"tool {tool!r}: its annotations can't be read ({one_line(error)}); import their types "
            "at the module's top, not only for type checkers"
        ) from error
    kinds: dict[str, _Kind] = {}
    for name, parameter in parameters.items():
        if parameter.kind not in _NAMED:
            shown = str(parameter).split(":")[0]
            raise InvalidInput(f"tool {tool!r}: a model can't fill {shown!r}; give each parameter a name of its own")
        if name not in hints:
            raise InvalidInput(f"tool {tool!r}: parameter {name!r} has no type; write one, as in {name}: View")
        kinds[name] = _Kind(hints[name], parameter.default)
        _require_json(kinds[name].written, f"tool {tool!r}: parameter {name!r}")
    return kinds


def _require_json(hint: Any, where: str) -> None:
    try:
        TypeAdapter[Any](hint).json_schema()
    except (PydanticUserError, TypeError) as error:
        raise InvalidInput(
            f"{where} has a type that a model can't write: {_type_name(hint)}; take View or Image for one picture, "
            "Box1000, text, numbers, lists of these or pydantic models"
        ) from error


def _hinted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where the annotations stand: an object with ``__call__`` carries them on its class."""
    return function if inspect.isroutine(function) else type(function).__call__


def _without_none(hint: Any) -> tuple[Any, bool]:
    """The type without ``| None``, and whether it had that."""
    if get_origin(hint) not in (Union, UnionType) or NoneType not in get_args(hint):
        return hint, False
    left = tuple(choice for choice in get_args(hint) if choice is not NoneType)
    return (left[0] if len(left) == 1 else hint), True


def _metadata(hint: Any) -> tuple[Any, ...]:
    return hint.__metadata__ if get_origin(hint) is Annotated else ()


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _short(value: object) -> str:
    text = one_line(repr(value))
    return text if len(text) <= 60 else f"{text[:60]}..."
