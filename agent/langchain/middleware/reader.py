"""Reads the pictures of messages with the tool ``ocr``, each once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast

from langchain_core.messages import BaseMessage

from ....tools import ToolResult, find_tools
from ..album import Album
from ..desk import use
from .claims import Reading, ReadLine
from .standing import Standing, standing_in

__all__ = ["Reader"]

_REMEMBERED = 512


class Reader:
    """Remembers what it read by the picture's content."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, Reading] = OrderedDict()
        self._guard = threading.Lock()

    def read(self, messages: Sequence[BaseMessage], album: Album) -> tuple[Reading, ...]:
        """What stands in each picture of the messages, in their order, each once."""
        pictures = {picture.name: picture for picture in standing_in(messages, album)}
        return tuple(self._reading(picture, album) for picture in pictures.values())

    def _reading(self, standing: Standing, album: Album) -> Reading:
        if standing.picture is None:
            return Reading(standing.name, problem="the picture can't be opened here")
        with self._guard:
            known = self._read.get(standing.picture.key)
        if known is not None:
            return Reading(standing.name, known.lines, known.gaps)
        result, _ = use(find_tools(["ocr"])[0], {"image": standing.name}, album)
        if result.error:  # not remembered: what was missing may be there the next time
            return Reading(standing.name, problem=result.text)
        reading = _reading(standing.name, result)
        with self._guard:
            self._read[standing.picture.key] = reading
            while len(self._read) > _REMEMBERED:
                self._read.popitem(last=False)
        return reading


def _reading(name: str, result: ToolResult) -> Reading:
    data = cast("dict[str, Any]", result.data)
    lines = tuple(ReadLine(line["text"], tuple(line["box"])) for line in data["lines"])
    return Reading(name, lines, bool(data["unread"]) or bool(data["truncated"]))
