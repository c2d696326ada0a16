"""Text in pictures that speaks to an assistant. It is never obeyed; the person is told that it is there."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["is_addressed"]

_ADDRESSED = re.compile(
    r"(?:ignore|disregard|forget|override)\s+(?:\w+\s+){0,3}(?:instruction|question|prompt|rule|message|request|above)"
    r"|(?:ignoriere?|vergiss)\s+(?:\w+\s+){0,3}(?:anweisung|frage|regel)"
    r"|(?:ignore[zr]?|oublie[zr]?)\s+(?:\w+\s+){0,3}(?:instruction|question|consigne)"
    r"|(?:ignora|olvida)\s+(?:\w+\s+){0,3}(?:instruc|pregunta|regla)"
    r"|(?:^|[\n\"'])\s*(?:system|assistant|developer)\s*(?:prompt|message)?\s*:"
    r"|</?\s*(?:tool_?(?:call|response)|system|assistant)|<\|\w+\|>|\[/?INST\]"
    r"|\b(?:you are|act as|pretend to be)\s+(?:an?|the|now|my)\s+(?:\w+\s+){0,2}(?:assistant|ai\b|model|bot|agent)"
    r"|\b(?:call|use|run|invoke)\s+(?:the\s+)?(?:tool|function|zoom|ocr)\b|\bdear\s+(?:ai|assistant|model)\b"
    r"|\b(?:do not|don'?t)\s+(?:tell|mention|reveal)\b.{0,40}\b(?:user|person|anyone)\b"
    r"|\b(?:a[il1]|assistant|model)s?\s+(?:must|should|reading this)\b",
    re.IGNORECASE,
)


def is_addressed(text: str) -> bool:
    """Whether a text reads like an order to an assistant. A rule of thumb for a notice; nothing else rests on it."""
    return bool(_ADDRESSED.search(unicodedata.normalize("NFKC", text)))
