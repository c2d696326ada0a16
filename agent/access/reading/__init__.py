"""All the text of a picture, in reading order and with its doubts, read without a language model.

from looktwice.agent.access import read

transcript = read("bill.jpg")
for line in transcript.said("en"):
    print(line)
"""

from __future__ import annotations

from .foreign import Foreign
from .read import CERTAIN, read
from .receipt import Sum, Verdict, add_up
from .spelling import codes_in, spelled
from .table import with_tables
from .text import Cell, TextLine, TextWord
from .transcript import Transcript

__all__ = [
    "CERTAIN",
    "Cell",
    "Foreign",
    "Sum",
    "TextLine",
    "TextWord",
    "Transcript",
    "Verdict",
    "add_up",
    "codes_in",
    "read",
    "spelled",
    "with_tables",
]
