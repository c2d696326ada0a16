"""Reads pictures with the tool ``ocr``, each once however often it is asked about."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, cast

from ...memory.recipe import Box
from ...tools import Tool, View, find_tools
from .readings import Piece, Reading

__all__ = ["Reader"]

_REMEMBERED = 512


class Reader:
    """Remembers what it read by the picture's content. May be used from several threads."""

    def __init__(self) -> None:
        self._read: OrderedDict[tuple[int, str], Reading] = OrderedDict()
        self._guard = threading.Lock()

    def read(self, view: View, tool: Tool | None = None, *, seconds: float | None = None) -> Reading:
        """What stands in a picture, by ``tool`` (which brings data like ``ocr``) or by ``ocr`` itself.

        ``seconds`` is the longest wait. A reading that failed says why in ``problem``, and is tried again next time.
        """
        reader = tool or find_tools(["ocr"])[0]
        known = self.known(view, reader)
        if known is not None:
            return known
        limit = reader.timeout if seconds is None else min(reader.timeout, seconds)
        result = reader.run({"image": view.name}, lambda _: view, timeout=limit)
        data = cast("object", result.data)
        if result.error or not isinstance(data, Mapping) or "lines" not in data:
            return Reading(view.name, problem=result.text or f"{reader.name} brought no lines of text")
        return self.remember(view, cast("Mapping[str, Any]", data), reader)

    def known(self, view: View, tool: Tool | None = None) -> Reading | None:
        """What was read in a picture before; None if nothing was."""
        reader = tool or find_tools(["ocr"])[0]
        with self._guard:
            found = self._read.get((id(reader), view.key))
        return found and Reading(view.name, found.pieces, found.has_gaps)

    def remember(self, view: View, data: Mapping[str, Any], tool: Tool | None = None) -> Reading:
        """Keep what a tool brought of a whole picture."""
        reader, reading = tool or find_tools(["ocr"])[0], Reading.of(view.name, data)
        with self._guard:
            self._read[id(reader), view.key] = reading
            while len(self._read) > _REMEMBERED:
                self._read.popitem(last=False)
        return reading

    def closer(
        self, view: View, box: Box, tool: Tool | None = None, *, seconds: float | None = None
    ) -> tuple[Piece, ...]:
        """What stands in a box of a picture (pixels of it), read on its own; nothing if that fails."""
        reader = tool or find_tools(["ocr"])[0]
        limit = reader.timeout if seconds is None else min(reader.timeout, seconds)
        arguments = {"image": view.name, "box": within_1000(box, view.size)}
        result = reader.run(arguments, lambda _: view, timeout=limit)
        data = cast("object", result.data)
        if result.error or not isinstance(data, Mapping) or "lines" not in data:
            return ()
        return Reading.of(view.name, cast("Mapping[str, Any]", data)).pieces


def within_1000(box: Box, size: tuple[int, int], *, margin: float = 0.0) -> list[int]:
    """A box in pixels as tools take it, 0..1000, rounded outwards; ``margin`` is in the box's own heights."""
    (width, height), (left, top, right, bottom) = size, box
    more = margin * (bottom - top)
    low = [max(0, int(1000 * edge / side)) for edge, side in ((left - more, width), (top - more, height))]
    high = [min(1000, -int(-1000 * edge // side)) for edge, side in ((right + more, width), (bottom + more, height))]
    return [*low, *(max(first + 1, last) for first, last in zip(low, high, strict=True))]
