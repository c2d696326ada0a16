"""Words as they come -> sentences to speak: none is cut inside a number, and none is held longer than needed."""

from __future__ import annotations

import re

__all__ = ["Sentences", "speakable"]

_LONGEST = 400  # characters: what comes without a full stop is still begun, and soon stopped
_END = re.compile(r"[.!?\u2026]+[\"')\]\u00bb\u201d\u2019]*(?=\s)|[\u3002\uff01\uff1f]|\n")
_ABBREVIATED = re.compile(
    r"(?:^|[\s(])(?:\w|\d+|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|approx|e\.g|i\.e|No|z\.B|bzw|usw|ca|Nr|Hr|Fr|M|Mme|Sr|Sra)\.$"
)
# What a terminal must not be shown is not to be heard either, and marks of direction have no sound.
_UNSPEAKABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Sentences:
    """Takes pieces of text of any length, and gives each sentence as soon as it is whole."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> list[str]:
        """The sentences that this piece completes."""
        self._held += piece
        whole: list[str] = []
        start = 0
        for end in _END.finditer(self._held):
            if not _ABBREVIATED.search(self._held[start : end.end()]):
                whole.append(self._held[start : end.end()])
                start = end.end()
        self._held = self._held[start:]
        while len(self._held) > _LONGEST:
            cut = self._held.rfind(" ", 1, _LONGEST) + 1 or _LONGEST
            whole.append(self._held[:cut])
            self._held = self._held[cut:]
        return [spoken for sentence in whole if (spoken := speakable(sentence))]

    def rest(self) -> list[str]:
        """What is left when no more comes."""
        spoken, self._held = speakable(self._held), ""
        return [spoken] if spoken else []


def speakable(text: str) -> str:
    """Text as one line that no speech program takes for anything but words; empty if there is nothing to say.

    espeak-ng reads ``[[...]]`` as phonemes, and spd-say a line that begins with ``!-!`` as a command.
    """
    line = " ".join(_UNSPEAKABLE.sub(" ", text).split()).replace("[[", "[ [").replace("!-!", "! - !")
    return line if any(map(str.isalnum, line)) else ""
