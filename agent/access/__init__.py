"""For people who can't see the picture, and for those who publish for them: what can be said of it, and how surely.

from looktwice.agent.access import check

for fault in check("photo.jpg"):
print(fault.said, fault.advice)
"""

from __future__ import annotations

from .check import Fault, FaultKind, check, check_pixels
from .reading import Transcript, read

__all__ = ["Fault", "FaultKind", "Transcript", "check", "check_pixels", "read"]
