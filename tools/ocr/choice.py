"""Which engine reads: by its name and the language of the text, with one line for what can't be had."""

from __future__ import annotations

from typing import Literal, TypeAlias

from ...errors import InvalidInput
from .both import BothEngines
from .engine import Engine
from .languages import Language, language
from .rapid import RapidEngine, default_engine
from .tesseract import TesseractEngine

__all__ = ["EngineName", "open_engine", "reads"]

EngineName: TypeAlias = Literal["rapidocr", "tesseract", "both"]
_FALLBACK = "en"


def open_engine(name: EngineName | None = None, *, lang: str | None = None) -> Engine:
    """The engine of that name, for text in ``lang`` (a code such as "de"; several as "de+en").

    Without a name it is RapidOCR, and Tesseract for languages that RapidOCR doesn't read. Raises MissingExtra and
    ToolError, with the command that installs what is missing, InvalidInput and UnknownName.
    """
    asked = [language(code) for code in lang.replace(",", "+").split("+")] if lang else []
    foreign = [each for each in asked if not reads(each)]
    if name == "tesseract" or (name is None and foreign):
        return _tesseract(asked)
    if foreign:
        known = ", ".join(RapidEngine.scripts)
        raise InvalidInput(
            f"rapidocr reads {known} writing, not {foreign[0].name}; read it with --engine tesseract "
            f"(needs: {foreign[0].install})"
        )
    return BothEngines(default_engine(), _tesseract(asked)) if name == "both" else default_engine()


def reads(asked: Language) -> bool:
    """Whether RapidOCR's bundled models know the letters of a language."""
    return asked.script in RapidEngine.scripts


def _tesseract(asked: list[Language]) -> TesseractEngine:
    return TesseractEngine([each.code for each in asked] or [_FALLBACK])
