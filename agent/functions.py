"""Functions as OpenAI's interface writes them: what a client offers to be called, and how it chooses among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.utils.json_schema import dereference_refs

from ..errors import InvalidInput
from ..memory.parts import ToolSpec
from .calls import OWN

__all__ = ["OWN", "answer_function", "as_choice", "as_spec", "with_whole_schema"]

_DEFINED = ("$defs", "definitions")
_LARGEST = 5000  # parts of a schema with every reference followed


def with_whole_schema(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A tool in OpenAI's shape whose parameters are one object without references.

    Raises InvalidInput for what is no function with an object of arguments.
    """
    try:
        function: dict[str, Any] = dict(plain["function"])
        parameters: dict[str, Any] = {"type": "object", "properties": {}, **(function.get("parameters") or {})}
        _require_end(parameters)
        function["parameters"] = dereference_refs(parameters)
        name = function["name"] = str(function["name"])
    except InvalidInput:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise InvalidInput(f"{repr(plain)[:80]} is no tool that can be called here; give a function tool") from error
    if parameters["type"] != "object" or "allOf" in parameters:
        raise InvalidInput(f"the schema of {name!r} is no object with properties; give one, as a pydantic model does")
    return {**plain, "function": function}


def _require_end(schema: Mapping[str, Any]) -> None:
    """Raise InvalidInput for references that, followed, have no end, or one that is too far: few words can say much."""
    sizes: dict[str, float] = {}

    def size(part: object) -> float:
        if isinstance(part, Sequence) and not isinstance(part, str):
            return sum(map(size, cast("Sequence[object]", part)), 1)
        if not isinstance(part, Mapping):
            return 1
        plain = cast("Mapping[str, object]", part)
        reference = plain.get("$ref")
        return sum(map(size, plain.values()), followed(reference) if isinstance(reference, str) else 1)

    def followed(reference: str) -> float:
        if reference not in sizes:
            sizes[reference] = float("inf")  # until it is known: what leads back to itself has no end
            sizes[reference] = size(_found(schema, reference))
        return sizes[reference]

    if size({name: part for name, part in schema.items() if name not in _DEFINED}) > _LARGEST:
        raise InvalidInput(f"a schema refers to itself, or to more than {_LARGEST} parts; write it out, and shorter")


def _found(schema: Mapping[str, Any], reference: str) -> object:
    """What a reference inside a schema stands for."""
    if not reference.startswith("#/"):
        raise InvalidInput(f"the reference {reference[:80]!r} leads out of the schema; write out what it stands for")
    part: Any = schema
    for step in reference[2:].split("/"):
        part = cast("Any", part[int(step)] if isinstance(part, list) else part[step])
    return part


def as_spec(plain: Mapping[str, Any]) -> ToolSpec:
    """What the grammar is built from."""
    function, own = plain["function"], plain.get(OWN, {})
    return ToolSpec(
        function["name"],
        function.get("description") or "",
        function["parameters"],
        tuple(own.get("pictures", ())),
        tuple(own.get("boxes", ())),
    )


def answer_function(response_format: Any) -> dict[str, Any] | None:
    """The schema of an answer that has to be JSON, as the tool that the model must call to give it.

    Raises InvalidInput for a format without a schema.
    """
    if response_format is None:
        return None
    given = _mapping(response_format)
    inner = _mapping(given.get("json_schema"))
    if given.get("type") == "text":
        return None
    if given.get("type") != "json_schema" or not inner.get("schema"):
        shown = repr(cast("object", response_format))[:80]
        raise InvalidInput(f"the response_format {shown} has no schema; give one of type 'json_schema'")
    function = {"name": str(inner.get("name") or "answer"), "description": "", "parameters": inner["schema"]}
    return with_whole_schema({"type": "function", "function": function})


def as_choice(choice: Any, tools: Sequence[Mapping[str, Any]]) -> str:
    """LangChain's and OpenAI's ways to choose a tool as one of "auto", "none", "any" or a tool's name."""
    names: list[str] = [tool["function"]["name"] for tool in tools]
    if isinstance(choice, Mapping):
        chosen = cast("Mapping[str, Any]", choice)
        function = _mapping(chosen.get("function"))
        choice = cast("object", chosen.get("name") or function.get("name") or chosen.get("type"))
    if choice in (None, False, "auto"):
        return "auto"
    if choice in (True, "any", "required"):
        return "any"
    if choice == "none" or choice in names:
        return str(choice)
    raise InvalidInput(f"tool_choice {choice!r} is not a tool here; the tools are {', '.join(names) or 'none'}")


def _mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping; else an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
