"""The first sentence of a description, which has to work as a title: short, and of the thing, not of the picture."""

from __future__ import annotations

import re

from ..sentences import split

__all__ = ["LONGEST", "title_of"]

LONGEST = 125
"""Characters of a title: what screen readers say in one go."""
_EN, _DE = "(?:image|picture|photo|photograph)", "(?:bild|foto)"
_FR, _ES = "(?:image|photo|photographie)", "(?:imagen|foto|fotografía)"
_ELIDED = "['\u2019]"
_OPENINGS = (
    rf"(?:(?:the|this|an?) )?{_EN} (?:shows|showing|of|depicts|depicting|features|displays|contains) ",
    rf"in (?:the|this) {_EN},? (?:(?:we|you|one) (?:can )?see |there (?:is|are) )?",
    rf"(?:(?:das|dieses|ein) )?{_DE} (?:zeigt|von) ",
    rf"(?:auf|in) (?:dem|diesem) {_DE},? (?:(?:ist|sind) |sieht man )?",
    rf"(?:l{_ELIDED}|la |cette |une )?{_FR} (?:montre |représente |de |d{_ELIDED})",
    rf"(?:sur|dans) (?:l{_ELIDED}|la |cette ){_FR},? (?:on (?:peut voir|voit) |il y a )?",
    rf"(?:(?:la|esta|una) )?{_ES} (?:muestra|representa|contiene|de) ",
    rf"en (?:la|esta) {_ES},? (?:se (?:ven?|pueden? ver) |hay |aparecen? )?",
)
_OPENING = re.compile(f"^(?:{'|'.join(_OPENINGS)})", re.IGNORECASE)
_CLOSING = re.compile(r" zu sehen(?=[.!]?$)")  # of "Auf dem Bild ist ... zu sehen."
_MARKUP = re.compile(r"^(?:[-*#>\s]+|(?:title|titel|titre|título|alt text)\s*:\s*)+", re.IGNORECASE)
_QUOTES = "\"'`\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019 "


def title_of(text: str) -> str:
    """The first sentence of what a model says, without markup and without "The image shows"; of any length."""
    first = next(iter(split(_MARKUP.sub("", text.strip()))), "").strip(_QUOTES).replace("**", "")
    bare = _OPENING.sub("", first)
    if bare != first:
        bare = _CLOSING.sub("", bare)
    bare = bare.strip(_QUOTES) or first
    return bare[:1].upper() + bare[1:]
