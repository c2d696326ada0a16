"""Pictures in words: a title, a paragraph or sections, with what is uncertain; and the prompts that ask for them."""

from __future__ import annotations

from .description import Description, Length, Section, describe
from .prompts import Prompts

__all__ = ["Description", "Length", "Prompts", "Section", "describe"]
