"""OpenAI's messages as turns: the same words, pictures and calls in the same places."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

from ...memory.parts import ImagePart, Part, TextPart, ToolCallPart, ToolResultPart, Turn
from .asked import ImageBlock, Message
from .pictures import Album
from .refusal import Refused
from .said import Said

__all__ = ["turns_of"]


def turns_of(messages: Sequence[Message], album: Album, said: Said) -> list[Turn]:
    """The turns that say what the messages say. Raises Refused for what can't be said to a vision model."""
    turns: list[Turn] = []
    calls: dict[str, str] = {}
    for number, message in enumerate(messages):
        place = f"messages.{number}"
        match message.role:
            case "system" | "developer":
                turns.append(Turn("system", tuple(_words_alone(message, place))))
            case "user":
                turns.append(Turn("user", _filled(tuple(_parts(message, album, place)), place)))
            case "assistant":
                turn = Turn("assistant", (*_words_alone(message, place), *_calls(message, place)))
                calls |= {call.id: call.tool for call in turn.calls}
                turns.append(said.with_ids(turn))
            case "tool":
                turns.append(Turn("tool", tuple(_result(message, album, calls, place))))
    if turns[-1].role not in ("user", "tool"):
        raise Refused("the last message must be the user's or a tool's", param="messages")
    return turns


def _parts(message: Message, album: Album, place: str) -> Iterator[Part]:
    for number, block in enumerate(message.blocks):
        if isinstance(block, ImageBlock):
            yield ImagePart(album.keep(block.image_url.url, block.name, f"{place}.content.{number}"))
        elif block.text:
            yield TextPart(block.text)


def _filled(parts: tuple[Part, ...], place: str) -> tuple[Part, ...]:
    if not any(isinstance(part, ImagePart) or (isinstance(part, TextPart) and part.text.strip()) for part in parts):
        raise Refused("a user's message is empty; give it text or a picture", param=f"{place}.content")
    return parts


def _words_alone(message: Message, place: str) -> Iterator[TextPart]:
    for block in message.blocks:
        if isinstance(block, ImageBlock):
            raise Refused(f"a message of role {message.role!r} is words alone", param=f"{place}.content")
        if block.text:
            yield TextPart(block.text)


def _calls(message: Message, place: str) -> Iterator[ToolCallPart]:
    for number, call in enumerate(message.tool_calls or ()):
        yield ToolCallPart(
            call.id, call.function.name, _object(call.function.arguments, f"{place}.tool_calls.{number}")
        )


def _object(written: str, place: str) -> dict[str, Any]:
    try:
        arguments: object = json.loads(written or "{}")
    except (ValueError, RecursionError) as error:
        raise Refused("the arguments of a call are no JSON", param=place) from error
    if not isinstance(arguments, dict):
        raise Refused("the arguments of a call are no JSON object", param=place)
    return cast("dict[str, Any]", arguments)


def _result(message: Message, album: Album, calls: dict[str, str], place: str) -> Iterator[Part]:
    if message.tool_call_id is None or message.tool_call_id not in calls:
        raise Refused("a tool's message answers a call that no message before it made", param=f"{place}.tool_call_id")
    parts = list(_parts(message, album, place))
    text = "\n".join(part.text for part in parts if isinstance(part, TextPart))
    yield ToolResultPart(message.tool_call_id, calls[message.tool_call_id], text)
    yield from (part for part in parts if isinstance(part, ImagePart))
