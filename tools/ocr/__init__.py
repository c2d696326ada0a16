"""Reading text: an engine behind a small protocol, reading order, and the tool that the model calls."""

from __future__ import annotations

from .engine import Engine, Line
from .rapid import RapidEngine
from .reading import Reading, read_page, read_part
from .tool import ocr_with

__all__ = ["Engine", "Line", "RapidEngine", "Reading", "ocr_with", "read_page", "read_part"]
