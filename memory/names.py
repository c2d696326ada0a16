"""Names of pictures: what may be one, how a file's name becomes one, and where a text mentions one.

A name starts with a letter of any script and goes on with letters, digits, ``_`` and single ``-``. A crop's name
is its parent's, a dot, and a word that ends in a number: ``bill.zoom1``. Case never tells two names apart.
"""

from __future__ import annotations

import re
import unicodedata

from ..errors import InvalidInput

__all__ = ["MAX_NAME", "check_name", "fold", "mentions", "name_from"]

MAX_NAME = 64
_AT = re.compile(r"(?<![\w\\/@])@")


def check_name(name: str) -> str:
    """The name, in Unicode's composed form. Raises InvalidInput for what can't be one."""
    composed = unicodedata.normalize("NFC", name)
    if len(composed) > MAX_NAME:
        raise InvalidInput(f"the name {composed[:20]!r}... has {len(composed)} characters; {MAX_NAME} at most")
    if not composed or _name_length(composed) != len(composed):
        raise InvalidInput(
            f"{name!r} can't be a name; start with a letter, go on with letters, digits, '_' or single '-', as in "
            f"{name_from(name)!r}"
        )
    return composed


def fold(name: str) -> str:
    """The form in which two names are compared: composed and without case."""
    if name.isascii():  # most names are, and they are compared often
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def name_from(stem: str) -> str:
    """A name out of any text, as a rule a file's stem: lower case, ``-`` for what can't stand in one, never empty."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", stem).lower())
    slug = re.sub(r"-+", "-", "".join(char if _is_word(char) else "-" for char in text)).strip("-_")
    if slug and not slug[0].isalpha():
        slug = f"picture-{slug}"
    slug = slug[: MAX_NAME // 2].rstrip("-_")  # the other half is for the crops of crops
    return slug or "picture"


def mentions(text: str) -> list[str]:
    """The names that a text mentions as ``@bill`` or ``@bill.zoom1``, each once, in order.

    A full stop after a name is punctuation, an e-mail address mentions nothing, and ``\\@x`` is literal.
    """
    text = unicodedata.normalize("NFC", text)
    found: dict[str, str] = {}
    for at in _AT.finditer(text):
        start = at.end()
        length = _name_length(text, start)
        if length:
            name = text[start : start + length]
            found.setdefault(fold(name), name)
    return list(found.values())


def _name_length(text: str, start: int = 0) -> int:
    """How many characters from ``start`` on are a name: the longest one that can be read there."""
    end = _word_end(text, start)
    while end > start and text[end : end + 1] == ".":
        next_end = _word_end(text, end + 1)
        if next_end == end + 1 or not text[next_end - 1].isdecimal():
            break
        end = next_end
    return end - start


def _word_end(text: str, start: int) -> int:
    """Where the word ends that starts with a letter at ``start``; ``start`` itself if none does."""
    if not text[start : start + 1].isalpha():
        return start
    end = start + 1
    while end < len(text) and (_is_word(text[end]) or (text[end] == "-" and _is_word(text[end + 1 : end + 2]))):
        end += 1
    return end


def _is_word(char: str) -> bool:
    """Whether a name may hold the character: Python's ``\\w`` lacks the vowel signs that most scripts of India need."""
    return char == "_" or char.isalnum() or (char != "" and unicodedata.category(char).startswith("M"))
