"""What differs between two pictures of the same thing: laid over each other by code, told in sentences."""

from __future__ import annotations

from .comparison import Comparison, Difference, compare

__all__ = ["Comparison", "Difference", "compare"]
