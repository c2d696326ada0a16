"""LangChain's messages as turns, and turns as messages: the same words, pictures and calls in the same places."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from ...memory.parts import ImagePart, Part, TextPart, ToolCallPart, ToolResultPart, Turn
from .album import Album
from .errors import InvalidMessages

__all__ = ["OWN", "messages_of", "turns_in", "turns_of"]

OWN = "looktwice"
"""Where a message keeps what LangChain has no place for: under this key of ``response_metadata`` or ``artifact``."""
_TEXT_BLOCKS = ("text", "text-plain")
_SILENT_BLOCKS = ("reasoning", "tool_call", "tool_call_chunk", "invalid_tool_call", "non_standard")


def turns_of(messages: Sequence[BaseMessage], album: Album) -> list[Turn]:
    """The turns that say what the messages say. Raises InvalidMessages for what can't be said to a vision model."""
    turns: list[Turn] = []
    calls: set[str] = set()
    for message in messages:
        match message:
            case SystemMessage():
                turns[:] = [_system(turns, message)]
            case HumanMessage():
                turns.append(Turn("user", _asked(message, album)))
            case AIMessage():
                calls |= {str(call["id"]) for call in message.tool_calls}
                turns += _said(message, album)
            case ToolMessage():
                if message.tool_call_id not in calls:
                    raise InvalidMessages(
                        f"a tool message answers the call {message.tool_call_id!r}, which no message before it made; "
                        "keep the AI message with that call"
                    )
                turns.append(Turn("tool", _brought(message, album)))
            case _:
                turns += turns_in(message, album)
    if not any(turn.role in ("user", "tool") for turn in turns):
        raise InvalidMessages("the messages hold no question; add a HumanMessage")
    return turns


def turns_in(message: BaseMessage, album: Album) -> list[Turn]:
    """What one message says, whatever stands before it: a turn, and one more for pictures in an AI message."""
    match message:
        case SystemMessage():
            return [Turn("system", tuple(_words_alone(message)))]
        case HumanMessage():
            return [Turn("user", tuple(_parts(message, album)))]
        case AIMessage():
            return list(_said(message, album))
        case ToolMessage():
            return [Turn("tool", _brought(message, album))]
        case _:
            raise InvalidMessages(f"a {type(message).__name__} can't be read; use system, human, AI and tool messages")


def messages_of(turns: Iterable[Turn], album: Album) -> list[BaseMessage]:
    """The messages that say what the turns say; ``turns_of`` gives equal turns back."""
    messages: list[BaseMessage] = []
    for turn in turns:
        match turn.role:
            case "system":
                text = [part.text for part in turn.parts if isinstance(part, TextPart)]
                if text:
                    messages.append(SystemMessage("\n".join(text)))
            case "user":
                messages.append(HumanMessage(_content(turn.parts, album)))
            case "assistant":
                messages.append(_answer(turn, album))
            case "tool":
                messages += _results(turn, album)
    return messages


def _blocks(message: BaseMessage) -> list[Mapping[str, Any]]:
    try:
        return [dict(block) for block in message.content_blocks]
    except ValueError as error:  # LangChain's own check of a block
        raise InvalidMessages(f"a block of a {message.type} message can't be read: {error}") from error


def _parts(message: BaseMessage, album: Album) -> Iterator[Part]:
    for block in _blocks(message):
        kind = block.get("type")
        if kind in _TEXT_BLOCKS:
            if block.get("text"):
                yield TextPart(str(block["text"]))
        elif kind == "image":
            yield ImagePart(album.keep(block).name)
        elif kind not in _SILENT_BLOCKS or (kind == "non_standard" and not isinstance(message, AIMessage)):
            inner: Mapping[str, Any] = block.get("value") or block
            raise InvalidMessages(
                f"a block of type {inner.get('type', kind)!r} can't be read; looktwice takes text and images"
            )


def _system(before: Sequence[Turn], message: SystemMessage) -> Turn:
    """The standing words; several system messages at the head become one."""
    if len(before) > 1 or (before and before[0].role != "system"):
        raise InvalidMessages("a system message stands after other messages; put it first, or make it a human message")
    return Turn("system", (*(before[0].parts if before else ()), *_words_alone(message)))


def _words_alone(message: BaseMessage) -> Iterator[Part]:
    for block in _blocks(message):
        if block.get("type") not in _TEXT_BLOCKS:
            raise InvalidMessages(
                f"a system message is words alone, this one has a block of type {block.get('type')!r}"
            )
        yield TextPart(str(block.get("text", "")))


def _asked(message: HumanMessage, album: Album) -> tuple[Part, ...]:
    parts = tuple(_parts(message, album))
    if not any(isinstance(part, ImagePart) or (isinstance(part, TextPart) and part.text.strip()) for part in parts):
        raise InvalidMessages("a human message is empty; give it text or a picture")
    return parts


def _said(message: AIMessage, album: Album) -> Iterator[Turn]:
    """What the model said; pictures of an AI message stand right after it, as only a user's turn can show them."""
    parts = list(_parts(message, album))
    words = [part for part in parts if isinstance(part, TextPart)]
    calls = [ToolCallPart(str(call["id"]), call["name"], dict(call["args"])) for call in message.tool_calls]
    own = _own(message.response_metadata)
    ids, tokenizer = _ids(own.get("ids")), own.get("tokenizer")
    yield Turn("assistant", (*words, *calls), tokens=ids, tokenizer=tokenizer if isinstance(tokenizer, str) else None)
    if pictures := tuple(part for part in parts if isinstance(part, ImagePart)):
        yield Turn("user", pictures)


def _brought(message: ToolMessage, album: Album) -> tuple[Part, ...]:
    parts = list(_parts(message, album))
    text = "\n".join(part.text for part in parts if isinstance(part, TextPart))
    data = _own(message.artifact).get("data")
    result = ToolResultPart(message.tool_call_id, message.name or "", text, data, error=message.status == "error")
    return (result, *(part for part in parts if isinstance(part, ImagePart)))


def _ids(kept: object) -> tuple[int, ...] | None:
    """Token ids as they were kept; whatever else stands there is none."""
    ids = cast("list[object]", kept) if isinstance(kept, list) else []
    return tuple(i for i in ids if isinstance(i, int)) if ids and all(type(i) is int for i in ids) else None


def _own(kept: object) -> Mapping[str, Any]:
    """What stands under our key, if anything of ours does."""
    own = cast("Mapping[str, object]", kept).get(OWN) if isinstance(kept, Mapping) else None
    return cast("Mapping[str, Any]", own) if isinstance(own, Mapping) else {}


def _content(parts: Sequence[Part], album: Album) -> str | list[str | dict[str, Any]]:
    """A text alone as it is; with pictures, blocks."""
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return parts[0].text
    blocks: list[str | dict[str, Any]] = []
    for part in parts:
        if isinstance(part, TextPart):
            blocks.append({"type": "text", "text": part.text})
        elif isinstance(part, ImagePart):
            blocks.append(album.block(album.named(part.name)))
    return blocks


def _answer(turn: Turn, album: Album) -> AIMessage:
    own = {OWN: {"ids": list(turn.tokens), "tokenizer": turn.tokenizer}} if turn.tokens and turn.tokenizer else {}
    words = tuple(part for part in turn.parts if isinstance(part, TextPart))
    calls = [
        {"name": call.tool, "args": dict(call.arguments), "id": call.id, "type": "tool_call"} for call in turn.calls
    ]
    content = _content(words, album) if words else ""
    return AIMessage(content, tool_calls=calls, response_metadata=own)  # pyright: ignore[reportArgumentType]


def _results(turn: Turn, album: Album) -> Iterator[ToolMessage]:
    pictures = [part for part in turn.parts if isinstance(part, ImagePart)]
    for part in turn.parts:
        if isinstance(part, ToolResultPart):
            content = _content((TextPart(part.text), *pictures) if part.text else pictures, album)
            artifact = {OWN: {"data": json.loads(json.dumps(part.data))}} if part.data is not None else None
            yield ToolMessage(
                content or "",  # pyright: ignore[reportArgumentType]
                tool_call_id=part.id,
                name=part.tool,
                status="error" if part.error else "success",
                artifact=artifact,
            )
