"""What a conversation is made of: turns, and the parts of a turn, as pure values.

A part knows nothing of the database; identity is the store's concern. ``dump`` and ``load`` turn a part
into plain JSON and back without loss; an unknown kind is an error, never skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, NoReturn, TypeAlias

from ..errors import StoreError

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Status: TypeAlias = Literal["complete", "partial", "paused"]


def _no_json() -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model is told of it: its ``parameters`` are a JSON schema of type object.

    ``pictures`` are the parameters that take a picture's name; ``boxes`` those that take a box of four
    integers 0..1000. ``acts`` says that calling it changes something outside the conversation.
    """

    name: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=_no_json)
    pictures: tuple[str, ...] = ()
    boxes: tuple[str, ...] = ()
    acts: bool = False


@dataclass(frozen=True, slots=True)
class TextPart:
    """Words, as they were written."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture, standing where it was put, by its name in the conversation."""

    name: str


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A call that the model wrote. ``id`` ties it to its result."""

    id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What a call brought. ``text`` is what the model reads; pictures follow as ``ImagePart``."""

    id: str
    tool: str
    text: str
    data: Json = None
    error: bool = False


@dataclass(frozen=True, slots=True)
class ToolsPart:
    """The tools that the model may call from here on; an empty tuple takes them all back."""

    tools: tuple[ToolSpec, ...]


Part: TypeAlias = TextPart | ImagePart | ToolCallPart | ToolResultPart | ToolsPart


class _NoMeta(Mapping[str, Any]):
    """Nothing, safe to share: a mappingproxy would do, but can't be pickled."""

    __slots__ = ()

    def __getitem__(self, key: str) -> NoReturn:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"


class Turn(NamedTuple):
    """Who spoke, and an ordered list of parts.

    ``tokens`` are the ids that the model itself produced (decoding and encoding again is lossy, and the
    reusable prefix depends on them); they mean something only to the tokenizer whose fingerprint is
    ``tokenizer``. ``status`` is "partial" for an answer that broke off and "paused" for one that waits
    for an approval. ``meta`` is plain JSON: usage, timing, evidence. ``id``, ``parent`` and ``created``
    (seconds since 1970) are set by the store.
    """

    role: Role
    parts: tuple[Part, ...]
    status: Status = "complete"
    model: str | None = None
    tokens: Sequence[int] | None = None
    tokenizer: str | None = None
    meta: Mapping[str, Any] = _NoMeta()
    id: int = 0
    parent: int | None = None
    created: float = 0.0

    @property
    def text(self) -> str:
        """The words of the turn: its text parts and tool results, joined by newlines."""
        return "\n".join(p.text for p in self.parts if isinstance(p, TextPart | ToolResultPart))

    @property
    def images(self) -> tuple[str, ...]:
        """The names of the pictures that stand in the turn, in order."""
        return tuple(p.name for p in self.parts if isinstance(p, ImagePart))

    @property
    def calls(self) -> tuple[ToolCallPart, ...]:
        """The calls that the model wrote in this turn."""
        return tuple(p for p in self.parts if isinstance(p, ToolCallPart))

    def replace(self, **changes: Any) -> Turn:
        """The same turn with some fields changed."""
        return self._replace(**changes)


def dump(part: Part) -> dict[str, Any]:
    """A part as plain JSON; its ``kind`` says which one it is."""
    match part:
        case TextPart(text):
            return {"kind": "text", "text": text}
        case ImagePart(name):
            return {"kind": "image", "name": name}
        case ToolCallPart(id, tool, arguments):
            return {"kind": "tool_call", "id": id, "tool": tool, "arguments": dict(arguments)}
        case ToolResultPart(id, tool, text, data, error):
            return {"kind": "tool_result", "id": id, "tool": tool, "text": text, "data": data, "error": error}
        case ToolsPart(tools):
            return {"kind": "tools", "tools": [_dump_spec(spec) for spec in tools]}


def load(stored: Mapping[str, Any]) -> Part:
    """The part that ``dump`` wrote. Raises StoreError for a kind that this version doesn't know."""
    match stored.get("kind"):
        case "text":
            return TextPart(stored["text"])
        case "image":
            return ImagePart(stored["name"])
        case "tool_call":
            return ToolCallPart(stored["id"], stored["tool"], stored["arguments"])
        case "tool_result":
            return ToolResultPart(
                stored["id"], stored["tool"], stored["text"], stored.get("data"), stored.get("error", False)
            )
        case "tools":
            return ToolsPart(tuple(_load_spec(spec) for spec in stored["tools"]))
        case kind:
            raise StoreError(
                f"unknown kind of part {kind!r}; a newer looktwice may have written it: upgrade and try again"
            )


def _dump_spec(spec: ToolSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "description": spec.description,
        "parameters": dict(spec.parameters),
        "pictures": list(spec.pictures),
        "boxes": list(spec.boxes),
        "acts": spec.acts,
    }


def _load_spec(stored: Mapping[str, Any]) -> ToolSpec:
    return ToolSpec(
        stored["name"],
        stored["description"],
        stored["parameters"],
        tuple(stored["pictures"]),
        tuple(stored["boxes"]),
        stored["acts"],
    )
