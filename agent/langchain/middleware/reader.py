"""Reads the pictures of messages, each once."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import BaseMessage

from ...checks import Reading
from ...checks.reader import Reader
from ...toolbox import view_of
from ..album import Album
from .standing import Standing, standing_in

__all__ = ["read_messages"]


def read_messages(messages: Sequence[BaseMessage], album: Album, reader: Reader) -> tuple[Reading, ...]:
    """What stands in each picture of the messages, in their order, each once."""
    pictures = {picture.name: picture for picture in standing_in(messages, album)}
    return tuple(_reading(picture, album, reader) for picture in pictures.values())


def _reading(standing: Standing, album: Album, reader: Reader) -> Reading:
    if standing.picture is None:
        return Reading(standing.name, problem="the picture can't be opened here")
    return reader.read(view_of(album.memory, standing.picture))
