"""Our tools at work on the pictures of an album: checked arguments in, a result and the names of its pictures out."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any

from ...errors import BadArguments, UnknownName
from ...memory import NamedPicture, Picture
from ...tools import Crop, Tool, ToolResult
from ..toolbox import view_of
from .album import Album

__all__ = ["use"]


def use(
    tool: Tool,
    arguments: Mapping[str, Any],
    album: Album,
    *,
    names: Collection[str] | None = None,
    cancel: threading.Event | None = None,
) -> tuple[ToolResult, tuple[NamedPicture, ...]]:
    """Run a tool on pictures of the album, as far as ``names`` allows; what it brings is kept and named there.

    Raises nothing for what goes wrong in a call: the result then says so in one line for the model.
    """
    try:
        checked = tool.validate(arguments, album.names() if names is None else names)
    except (BadArguments, UnknownName) as error:
        return ToolResult.failed(error), ()
    result = tool.run(checked, lambda name: view_of(album.memory, album.named(name)), cancel=cancel)
    return result, tuple(_kept(album, picture, tool.name) for picture in result.pictures)


def _kept(album: Album, picture: Any, tool: str) -> NamedPicture:
    pictures = album.memory.pictures
    if isinstance(picture, Crop):
        stem = f"{picture.view.name}.{tool}"
        return pictures.add_recipe(album.conversation, picture.recipe(), stem=stem, tool=tool)
    return pictures.add(album.conversation, Picture.load(picture))
