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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from ..memory.parts import ToolCallPart, ToolSpec

OPEN, CLOSE = "<tool_call>", "</tool_call>"
OWN = "looktwice"
"""Where a tool in OpenAI's shape says what that has no place for: which of its parameters are pictures, and boxes."""
Choice: TypeAlias = Literal["auto", "any", "none"] | str
LONGEST_STRING = 200
LONGEST_LIST = 16
LARGEST_NUMBER = 1_000_000_000
STEPS = (0.0001, 0.000_001, 0.000_000_001)
DEEPEST = 32  # levels of nesting in a call
FORMATS = {"date", "time", "date-time", "duration", "uuid", "uri", "email", "ipv4", "ipv6", "hostname"}


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be called now: ``tools`` on ``images`` (names that exist).

    ``choice``: "auto" leaves it to the model, "any" demands some call, "none" forbids calls, a tool's name demands a
    call of that tool.
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
        chosen = (t for t in self.tools if self.choice in ("auto", "any", t.name))
        return tuple(t for t in chosen if self.images or not set(t.pictures) & set(t.parameters.get("required", ())))

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a call."""
        return {"anyOf": [_call_schema(tool, self.images) for tool in self.callable]}

    def grammar(self, *, open_id: int | None = None, close_id: int | None = None) -> str:
        """The llguidance grammar of an answer with at most one call, at its end; without any, if none is open.

        ``open_id`` and ``close_id`` are the tags' token ids where the tokenizer has them as single tokens.
        """
        if not self.is_open:
            return "\n".join(["%llguidance {}", "start: TEXT", _NO_TAG])
        begin = f"<[{open_id}]>" if open_id is not None else json.dumps(OPEN)
        end = f"<[{close_id}]>" if close_id is not None else json.dumps(CLOSE)
        schema = json.dumps({"x-guidance": {"whitespace_flexible": False}, **self.schema()})
        lines = ["%llguidance {}", f"call: %json {schema}"]
        if self.choice != "auto":
            lines.append(f"start: {begin} call {end}")
        elif open_id is not None:  # ordinary tokens must not spell the tag: it would open a call without bounds
            lines += [f"start: TEXT | TEXT {begin} call {end}", _NO_TAG]
        else:
            lines += [f"start: TEXT | head call {end}", f"head[lazy]: TEXT {begin}", r"TEXT: /(.|\n)*/"]
        return "\n".join(lines)


_NO_TAG = rf"TEXT: /(.|\n)*/ & ~/(.|\n)*{OPEN}(.|\n)*/"


def _call_schema(tool: ToolSpec, images: Sequence[str]) -> dict[str, Any]:
    arguments = cast("dict[str, Any]", bounded({"properties": {}, **tool.parameters}))
    properties: dict[str, Any] = arguments.get("properties", {})
    for name in tool.pictures:
        if name in properties and images:
            properties[name] = {"enum": list(images)}
        else:
            properties.pop(name, None)
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
    """A JSON schema without descriptions, whose strings, lists and numbers have an end, so that every call does.

    What llguidance can't hold to (``uniqueItems``, formats that it doesn't know) is left out: the tool's own
    validation still asks for it.
    """
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [bounded(item) for item in cast("Sequence[object]", schema)]
    if not isinstance(schema, Mapping):
        return schema
    plain = cast("Mapping[str, object]", schema)
    out = {_AS.get(key, key): _kept(key, value) for key, value in plain.items() if key not in _UNUSED}
    if out.get("format") not in FORMATS:
        out.pop("format", None)
    if plain.get("type") == "string" and not ({"enum", "const", "pattern", "format"} & out.keys()):
        out.setdefault("maxLength", max(LONGEST_STRING, _number(out.get("minLength")) or 0))
    if plain.get("type") == "array":
        out.setdefault("maxItems", max(LONGEST_LIST, _number(out.get("minItems")) or 0))
    if plain.get("type") in ("integer", "number") and not ({"enum", "const"} & out.keys()):
        out |= _limits(out, whole=plain["type"] == "integer")
    is_table = not ({"properties", "patternProperties"} & out.keys()) and out.get("additionalProperties") is not False
    if "properties" in out:  # else a model could go on with keys of its own for ever
        out.setdefault("additionalProperties", False)
    elif plain.get("type") == "object" and is_table:
        values, most = out.get("additionalProperties", {}), max(LONGEST_LIST, _number(out.get("minProperties")) or 0)
        out |= {"patternProperties": {_KEY: {} if values is True else values}, "additionalProperties": False}
        out.setdefault("maxProperties", most)
    return out


_KEY = rf"^(.|\n){{0,{LONGEST_STRING}}}$"
_AS = {"oneOf": "anyOf"}  # which of several fits is the tool's to say
_UNUSED = ("description", "title", "default", "uniqueItems")


def _kept(key: str, value: object) -> object:
    """What stands under a schema's key: other schemas by their names, plain values, or one more schema."""
    if key in ("properties", "$defs", "patternProperties") and isinstance(value, Mapping):
        return {name: bounded(inner) for name, inner in cast("Mapping[str, object]", value).items()}
    return value if key in ("enum", "const", "required") else bounded(value)


def _limits(schema: Mapping[str, object], *, whole: bool) -> dict[str, object]:
    """The bounds and the step that a number's schema lacks, beside those it has."""
    low = _given(schema.get("minimum"), schema.get("exclusiveMinimum"), max)
    high = _given(schema.get("maximum"), schema.get("exclusiveMaximum"), min)
    out: dict[str, object] = {}
    if low is None:
        low = out["minimum"] = min(-LARGEST_NUMBER, (high or 0) - LARGEST_NUMBER)
    if high is None:
        high = out["maximum"] = max(LARGEST_NUMBER, low + LARGEST_NUMBER)
    step = next((step for step in STEPS if high - low > 2 * step), None)
    if not whole and step is not None and "multipleOf" not in schema:
        out["multipleOf"] = step
    return out


def _given(one: object, other: object, choose: Callable[[list[Any]], Any]) -> Any:
    given = [number for number in (_number(one), _number(other)) if number is not None]
    return choose(given) if given else None


def _number(value: object) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


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
    return Read(words.strip(), _parse(rest.strip()))


def says_the_same(left: str, right: str) -> bool:
    """Whether two outputs hold the same words and the same call; the blanks in a call's JSON don't count."""
    return left.strip() == right.strip() or _taken(left) == _taken(right) is not None


def _taken(output: str) -> tuple[str, object, str] | None:
    """Words, call and what follows it; None where there is no call that can be read."""
    words, _, rest = output.partition(OPEN)
    try:
        call, end = json.JSONDecoder(object_pairs_hook=_unrepeated).raw_decode(rest.strip())
    except (ValueError, RecursionError):
        return None
    return words.strip(), call, rest.strip()[end:].strip().removesuffix(CLOSE)


def _unrepeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return dict(pairs) if len(dict(pairs)) == len(pairs) else _refused("a key twice")


def _refused(what: str) -> Any:
    raise ValueError(f"{what} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refused(digits)


_DECODER = json.JSONDecoder(parse_constant=_refused, parse_float=_finite)


def _parse(body: str) -> ToolCallPart | Malformed:
    shown = repr(body.partition(CLOSE)[0].strip()[:80])
    try:
        plain = cast("object", _DECODER.raw_decode(body)[0])
        json.dumps(plain, ensure_ascii=False).encode()  # half of a surrogate pair is JSON and yet no text
    except (ValueError, RecursionError):
        return Malformed(f"the call is not JSON: {shown}")
    if _depth(plain) > DEEPEST:
        return Malformed(f"the call is nested deeper than {DEEPEST} levels: {shown}")
    if not isinstance(plain, Mapping):
        return Malformed(f"the call is not a JSON object: {shown}")
    call = cast("Mapping[str, object]", plain)
    name, arguments = call.get("name"), call.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        return Malformed(f'a call needs "name" (text) and "arguments" (an object): {shown}')
    return ToolCallPart(f"call_{secrets.token_hex(6)}", name, dict(cast("Mapping[str, Any]", arguments)))


def _depth(plain: object) -> int:
    """Levels of lists and objects, counted without recursion."""
    depth, level = 0, [plain]
    while level := [item for item in level if isinstance(item, list | dict)]:
        depth += 1
        level = [inner for item in cast("list[Any]", level) for inner in _inside(item)]
    return depth


def _inside(item: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return item.values() if isinstance(item, dict) else item
