"""The command line: ``looktwice``. Each command group is a short file, imported when it is used."""

from __future__ import annotations

from .program import main

__all__ = ["main"]
