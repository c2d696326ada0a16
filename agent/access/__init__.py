"""For people who can't see the picture, and for those who publish for them: what can be said of it, and how surely.

from looktwice.agent.access import check

for fault in check("photo.jpg"):
print(fault.said, fault.advice)
"""

from __future__ import annotations

from .check import Fault, FaultKind, check, check_pixels
from .comparing import Comparison, Difference, compare
from .describing import Description, Length, Prompts, Section, describe
from .reading import Transcript, read

__all__ = [
    "Comparison",
    "Description",
    "Difference",
    "Fault",
    "FaultKind",
    "Length",
    "Prompts",
    "Section",
    "Transcript",
    "check",
    "check_pixels",
    "compare",
    "describe",
    "read",
]
