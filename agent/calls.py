"""Calls that the model may write: the grammar that bounds them, and the parser that reads them as data.

A call is ``<tool_call>{"name":...,"arguments":{...}}</tool_call>``. From the first character after the
opening tag the JSON is constrained (llguidance): picture names are an enum of those that exist, boxes four
integers from 0 to 1000, strings bounded. So a call to a picture that isn't there can't be written, by any
model, and one that never saw a tool still writes calls that parse.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from ..memory.parts import ToolCallPart, ToolSpec

OPEN, CLOSE = "<tool_call>", "</tool_call>"
Choice: TypeAlias = Literal["auto", "none"] | str
LONGEST_STRING = 200
LARGEST_NUMBER = 1_000_000_000
SMALLEST_STEP = 0.0001


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be called now: ``tools`` on ``images`` (names that exist).

    ``choice``: "auto" leaves it to the model, "none" forbids calls, a tool's name demands that call.
    """

    tools: tuple[ToolSpec, ...]
    images: tuple[str, ...]
    choice: Choice = "auto"

    @property
    def is_open(self) -> bool:
        """Whether any call can be written at all."""
        return self.choice != "none" and bool(self.callable)

    @property
    def callable(self) -> tuple[ToolSpec, ...]:
        """The tools that can be called: those that need a picture only if there is one."""
        chosen = (t for t in self.tools if self.choice in ("auto", t.name))
        return tuple(t for t in chosen if self.images or not t.pictures)

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a call."""
        return {"anyOf": [_call_schema(tool, self.images) for tool in self.callable]}

    def grammar(self, *, open_id: int | None = None, close_id: int | None = None) -> str:
        """The llguidance grammar of an answer with at most one call, at its end; without any, if none is open.

        ``open_id`` and ``close_id`` are the tags' token ids where the tokenizer has them as single tokens.
        """
        if not self.is_open:
            return "\n".join(["%llguidance {}", "start: TEXT", rf"TEXT: /(.|\n)*/ & ~/(.|\n)*{OPEN}(.|\n)*/"])
        begin = f"<[{open_id}]>" if open_id is not None else json.dumps(OPEN)
        end = f"<[{close_id}]>" if close_id is not None else json.dumps(CLOSE)
        schema = json.dumps({"x-guidance": {"whitespace_flexible": False}, **self.schema()})
        lines = ["%llguidance {}", f"call: %json {schema}", r"TEXT: /(.|\n)*/"]
        if self.choice != "auto":
            lines.append(f"start: {begin} call {end}")
        elif open_id is not None:
            lines.append(f"start: TEXT | TEXT {begin} call {end}")
        else:
            lines += [f"start: TEXT | head call {end}", f"head[lazy]: TEXT {begin}"]
        return "\n".join(lines)


def _call_schema(tool: ToolSpec, images: Sequence[str]) -> dict[str, Any]:
    arguments = cast("dict[str, Any]", bounded(tool.parameters))
    properties: dict[str, Any] = arguments.get("properties", {})
    for name in tool.pictures:
        if name in properties:
            properties[name] = {"enum": list(images)}
    for name in tool.boxes:
        if name in properties:
            properties[name] = {
                "type": "array",
                "items": {"type": "integer", "minimum": 0, "maximum": 1000},
                "minItems": 4,
                "maxItems": 4,
            }
    arguments |= {"type": "object", "additionalProperties": False}
    call = {"name": {"const": tool.name}, "arguments": arguments}
    return {"type": "object", "properties": call, "required": ["name", "arguments"], "additionalProperties": False}


def bounded(schema: object) -> object:
    """A JSON schema without descriptions, whose strings, lists and numbers have an end, so that every call does."""
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [bounded(item) for item in cast("Sequence[object]", schema)]
    if not isinstance(schema, Mapping):
        return schema
    plain = cast("Mapping[str, object]", schema)
    out: dict[str, object] = {k: bounded(v) for k, v in plain.items() if k not in ("description", "title", "default")}
    if plain.get("type") == "string" and not ({"enum", "const", "pattern", "format"} & out.keys()):
        out.setdefault("maxLength", LONGEST_STRING)
    if plain.get("type") == "array":
        out.setdefault("maxItems", 16)
    if plain.get("type") in ("integer", "number"):
        low, high = {"minimum", "exclusiveMinimum"} & out.keys(), {"maximum", "exclusiveMaximum"} & out.keys()
        out |= ({} if low else {"minimum": -LARGEST_NUMBER}) | ({} if high else {"maximum": LARGEST_NUMBER})
    if plain.get("type") == "number":
        out.setdefault("multipleOf", SMALLEST_STEP)
    if isinstance(plain.get("properties"), Mapping):
        named = cast("Mapping[str, object]", plain["properties"])
        out["properties"] = {name: bounded(value) for name, value in named.items()}
    return out


@dataclass(frozen=True, slots=True)
class Malformed:
    """Something that begins like a call and isn't one; ``why`` is one line for the model."""

    why: str


@dataclass(frozen=True, slots=True)
class Read:
    """An output taken apart: the words before the call, and the call if there is one."""

    words: str
    call: ToolCallPart | Malformed | None = None


def read(output: str) -> Read:
    """Words and call of a model's output. Never raises: whatever the model wrote is data."""
    words, tag, rest = output.partition(OPEN)
    if not tag:
        return Read(output.strip())
    body = rest.partition(CLOSE)[0].strip()
    return Read(words.strip(), _parse(body))


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refused(digits)


def _parse(body: str) -> ToolCallPart | Malformed:
    try:
        plain = cast("object", json.JSONDecoder(parse_constant=_refused, parse_float=_finite).raw_decode(body)[0])
    except (ValueError, RecursionError):
        return Malformed(f"the call is not JSON: {body[:80]!r}")
    if not isinstance(plain, Mapping):
        return Malformed(f"the call is not a JSON object: {body[:80]!r}")
    call = cast("Mapping[str, object]", plain)
    name, arguments = call.get("name"), call.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        return Malformed(f'a call needs "name" (text) and "arguments" (an object): {body[:80]!r}')
    return ToolCallPart(f"call_{secrets.token_hex(6)}", name, dict(cast("Mapping[str, Any]", arguments)))
