"""What the model may do with a picture: look closer, read its text, and what users add.

Tools know pictures, not conversations. The built-in ones go by their names, ``find_tools(["zoom", "ocr"])``, so that
nothing heavy is imported unasked.
"""

from __future__ import annotations

from .box import Box1000, to_pixels
from .find import available_tools, find_tools, installed_tools
from .result import Crop, ToolResult
from .tool import Tool, tool
from .view import View

__all__ = [
    "Box1000",
    "Crop",
    "Tool",
    "ToolResult",
    "View",
    "available_tools",
    "find_tools",
    "installed_tools",
    "to_pixels",
    "tool",
]
