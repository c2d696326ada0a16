"""Text that an engine has no letters for: it comes out as nothing, with holes, as look-alikes, or scores badly."""

from __future__ import annotations

from .reading import Reading

__all__ = ["is_greek", "is_hard", "missed"]

_FAIR = 0.9  # mean score of a reading; scripts that the engine does not know stay below


def missed(reading: Reading) -> int:
    """In how many places other text stands than the engine has letters for."""
    return sum(not line.text or line.gaps or is_greek(line.text) for line in reading.lines)


def is_hard(reading: Reading) -> bool:
    """Whether the reading is not to be believed: some text is missed, or all of it scores badly."""
    return bool(reading.lines) and (missed(reading) > 0 or reading.score < _FAIR)


def is_greek(text: str) -> bool:
    """Whether a quarter of the letters are Greek, of which the models know some; one alone may be a unit."""
    letters = [char for char in text if char.isalpha()]
    greek = sum("\u0370" <= char <= "\u03ff" or char == "\u00b5" for char in letters)
    return greek >= 2 and 4 * greek >= len(letters)
