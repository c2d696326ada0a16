"""A pydantic model's JSON schema made compact for a language model: no titles, no references, no endless strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

from ..errors import InvalidInput

__all__ = ["ARRAY_LIMIT", "STRING_LIMIT", "compact_schema"]

STRING_LIMIT = 400
"""Characters that the model may write for a text parameter that sets no bound of its own."""
ARRAY_LIMIT = 16
"""Items that the model may write for a list parameter that sets no bound of its own."""

_BOUNDS_STRING = ("maxLength", "enum", "const", "pattern", "format")
_NOISE = ("title", "default", "$defs")


def compact_schema(
    model: type[BaseModel], descriptions: Mapping[str, str], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The schema of type object that the model is shown, parameters described, plain defaults told."""
    whole = model.model_json_schema()
    definitions: dict[str, Any] = whole.get("$defs", {})
    properties: dict[str, Any] = {}
    for name, given in whole.get("properties", {}).items():
        schema = _compact(given, definitions, ())
        if name in defaults:
            schema = _without_null(schema)
            if isinstance(defaults[name], str | int | float):
                schema["default"] = defaults[name]
        if descriptions.get(name):
            schema["description"] = descriptions[name]
        properties[name] = schema
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    required = whole.get("required")
    return schema | ({"required": required} if required else {})


def _compact(schema: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    """The schema with references written out; ``inside`` are the references that led here."""
    if isinstance(schema, list):
        return [_compact(item, definitions, inside) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    given = cast("dict[str, Any]", schema)
    if "$ref" in given:
        name = str(given["$ref"]).rsplit("/", 1)[-1]
        if name in inside:
            raise InvalidInput(f"the type {name!r} contains itself; a tool's parameter can't be recursive")
        rest = {key: value for key, value in given.items() if key != "$ref"}
        return _compact(definitions[name] | rest, definitions, (*inside, name))
    made = {key: _value(key, value, definitions, inside) for key, value in given.items() if key not in _NOISE}
    return made | _bounds(made)


def _value(key: str, value: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    """One entry of a schema. What is keyed by a user's own words must not be taken for keywords of JSON schema."""
    if key in ("properties", "patternProperties"):
        return {name: _compact(item, definitions, inside) for name, item in value.items()}
    return value if key in ("enum", "const", "examples", "required") else _compact(value, definitions, inside)


def _bounds(schema: Mapping[str, Any]) -> dict[str, int]:
    if schema.get("type") == "string" and not any(key in schema for key in _BOUNDS_STRING):
        return {"maxLength": STRING_LIMIT}
    if schema.get("type") == "array" and "maxItems" not in schema:
        return {"maxItems": max(ARRAY_LIMIT, schema.get("minItems", 0))}
    return {}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out need not be writable as null too."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if not choices or len(choices) == len(schema["anyOf"]):
        return dict(schema)
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return rest | (choices[0] if len(choices) == 1 else {"anyOf": choices})
