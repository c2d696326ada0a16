"""Reading text: engines behind a small protocol, reading order, and the tool that the model calls."""

from __future__ import annotations

from .both import BothEngines
from .choice import EngineName, open_engine
from .engine import Engine, Line, Word
from .order import Layout
from .rapid import RapidEngine
from .reading import Reading, read_page, read_part
from .tesseract import TesseractEngine
from .tool import ocr_with

__all__ = [
    "BothEngines",
    "Engine",
    "EngineName",
    "Layout",
    "Line",
    "RapidEngine",
    "Reading",
    "TesseractEngine",
    "Word",
    "ocr_with",
    "open_engine",
    "read_page",
    "read_part",
]
