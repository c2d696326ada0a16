"""Reads pictures with the tool ``ocr``, each once however often it is asked about."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...memory.recipe import Box
from ...tools import Tool, View, find_tools
from ...tools.box import from_pixels
from .readings import Piece, Reading

__all__ = ["Reader"]

_REMEMBERED = 512


class Reader:
    """Reads with ``ocr``, or with a tool that brings the same data; remembers whole pictures by their content.

    May be used from several threads.
    """

    def __init__(self) -> None:
        # The tool is kept with what it read, so that no other one can get its place in memory, and its readings.
        self._read: OrderedDict[tuple[int, str], tuple[Tool, Reading]] = OrderedDict()
        self._guard = threading.Lock()

    def read(self, view: View, tool: Tool | None = None, *, seconds: float | None = None) -> Reading:
        """What stands in a picture. ``seconds`` is the longest wait.

        A reading that failed says why in ``problem``, and is tried again next time.
        """
        reader = tool or find_tools(["ocr"])[0]
        known = self.known(view, reader)
        if known is not None:
            return known
        read = _run(reader, view, {}, seconds)
        return read if read.problem else self._kept(view, read, reader)

    def known(self, view: View, tool: Tool | None = None) -> Reading | None:
        """What was read in a picture before; None if nothing was."""
        reader = tool or find_tools(["ocr"])[0]
        with self._guard:
            if (id(reader), view.key) not in self._read:
                return None
            self._read.move_to_end((id(reader), view.key))
            return replace(self._read[id(reader), view.key][1], image=view.name)

    def learn(self, view: View, data: object, tool: Tool | None = None) -> None:
        """Keep what a tool brought of a whole picture elsewhere, if it is lines of text."""
        reading = Reading.of(view.name, data)
        if not reading.problem:
            self._kept(view, reading, tool or find_tools(["ocr"])[0])

    def closer(
        self, view: View, box: Box, tool: Tool | None = None, *, seconds: float | None = None
    ) -> tuple[Piece, ...]:
        """What stands in a box of a picture (pixels of it), read on its own; nothing if that fails."""
        part = {"box": from_pixels(box, view.size)}
        return _run(tool or find_tools(["ocr"])[0], view, part, seconds).pieces

    def _kept(self, view: View, reading: Reading, tool: Tool) -> Reading:
        with self._guard:
            self._read[id(tool), view.key] = (tool, reading)
            while len(self._read) > _REMEMBERED:
                self._read.popitem(last=False)
        return reading


def _run(tool: Tool, view: View, arguments: Mapping[str, Any], seconds: float | None) -> Reading:
    result = tool.run({"image": view.name, **arguments}, lambda _: view, timeout=seconds)
    return Reading(view.name, problem=result.text) if result.error else Reading.of(view.name, result.data)
