"""The tool ``zoom``: a part of a picture, enlarged, as a picture of its own."""

from __future__ import annotations

from .box import Box1000
from .frame import frame
from .result import Crop, ToolResult
from .tool import tool
from .view import View

__all__ = ["zoom"]


@tool
def zoom(image: View, box: Box1000) -> ToolResult:
    """Look at a part of a picture, enlarged."""
    cut, size = frame(image.size, box)
    return ToolResult(pictures=(Crop(image, cut, size),))
