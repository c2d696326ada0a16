"""The pictures that stand in LangChain's messages, whatever vendor's shape their blocks have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, BaseMessage, HumanMessage

from ....errors import LookTwiceError
from ....memory import NamedPicture
from ..album import Album
from ..errors import InvalidMessages
from ..model import ChatLookTwice

__all__ = ["Standing", "album_of", "replaced", "standing_in"]

_IMAGE_TYPES = ("image", "image_url", "input_image")


@dataclass(frozen=True, slots=True)
class Standing:
    """A picture block: the number of its message, its number in there, and what is known of it.

    ``picture`` is None for one that can't be opened here, such as a URL or another vendor's ``file_id``.
    """

    message: int
    block: int
    name: str
    picture: NamedPicture | None = None

    @property
    def told(self) -> str:
        """What is written in its place."""
        known = (self.picture.caption or self.picture.alt or "") if self.picture else ""
        return f"Image {self.name} (not shown again){': ' + ' '.join(known.split()) if known else ''}"


def album_of(model: BaseChatModel | None, otherwise: Album) -> Album:
    """Where a model keeps its pictures; ``otherwise`` for those of other vendors, which keep none."""
    return model.album if isinstance(model, ChatLookTwice) else otherwise


def standing_in(messages: Sequence[BaseMessage], album: Album) -> list[Standing]:
    """Every picture of the messages in its order; those that can be opened are kept in the album."""
    found: list[Standing] = []
    for number, message in enumerate(messages):
        for place, block in _image_blocks(message):
            picture = _opened(block, album)
            name = picture.name if picture else _name(block, f"picture-{len(found) + 1}")
            found.append(Standing(number, place, name, picture))
    return found


def replaced(messages: Sequence[AnyMessage], pictures: Sequence[Standing]) -> list[AnyMessage]:
    """The messages with words in the place of those pictures; the messages that are given stay as they are."""
    told = {(picture.message, picture.block): picture.told for picture in pictures}
    changed = {number for number, _ in told}
    return [
        message.model_copy(update={"content": _content(message, number, told)}) if number in changed else message
        for number, message in enumerate(messages)
    ]


def _content(message: BaseMessage, number: int, told: Mapping[tuple[int, int], str]) -> list[Any]:
    return [
        {"type": "text", "text": told[number, place]} if (number, place) in told else block
        for place, block in enumerate(message.content)
    ]


def _image_blocks(message: BaseMessage) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each picture's place in the message, and its block in the standard shape."""
    if isinstance(message.content, str):
        return
    for place, block in enumerate(message.content):
        if isinstance(block, dict) and block.get("type") in _IMAGE_TYPES:
            standard = cast("Mapping[str, Any]", HumanMessage([block]).content_blocks[0])
            yield place, standard if standard.get("type") == "image" else cast("Mapping[str, Any]", block)


def _opened(block: Mapping[str, Any], album: Album) -> NamedPicture | None:
    with suppress(LookTwiceError, InvalidMessages):  # the model itself says what is wrong with a picture
        picture = album.keep(block)
        return None if picture.forgotten else picture
    return None


def _name(block: Mapping[str, Any], otherwise: str) -> str:
    extras: Mapping[str, Any] = block.get("extras") or {}
    return str(extras.get("name") or block.get("file_id") or otherwise)
