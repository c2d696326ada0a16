"""Parameters whose JSON schema is given, of a function that checks its arguments itself: another library's tool."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

from ..errors import BadArguments
from .result import one_line
from .view import View

__all__ = ["GivenParameters"]


class GivenParameters:
    """Stands where `Parameters` stands. No parameter is a picture or a box, which only our own tools know."""

    pictures: tuple[str, ...] = ()
    boxes: tuple[str, ...] = ()

    def __init__(self, schema: Mapping[str, Any], tool: str) -> None:
        self.schema: dict[str, Any] = {"type": "object", "properties": {}, **schema}
        self.tool = tool

    def check(self, arguments: object, names: Collection[str]) -> dict[str, Any]:
        """The arguments, if they have the names that the schema knows and lack none. Raises BadArguments."""
        if not isinstance(arguments, Mapping):
            shown = one_line(repr(arguments))[:60]
            raise BadArguments(f"{self.tool}: the arguments must be a JSON object, got {shown}")
        given = dict(cast("Mapping[str, Any]", arguments))
        missing = [name for name in self.schema.get("required", ()) if name not in given]
        if missing:
            raise BadArguments(f"{self.tool}: {', '.join(missing)} is missing")
        known: Mapping[str, Any] = self.schema["properties"]
        unknown = [name for name in given if name not in known]
        if unknown and not self.schema.get("additionalProperties"):
            raise BadArguments(f"{self.tool}: there is no {unknown[0]!r}; it takes {', '.join(known) or 'nothing'}")
        return given

    def convert(self, arguments: Mapping[str, Any], views: Callable[[str], View]) -> dict[str, Any]:
        """The arguments as they are."""
        return dict(arguments)
