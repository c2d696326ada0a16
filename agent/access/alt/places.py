"""Finding the places of a document again when suggestions come back to it, also after it was changed elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ....errors import InvalidInput, PictureRejected
from ..documents import Document, Place
from .entry import Entry
from .reviewfile import ReviewFile

__all__ = ["located", "mark_of"]

_UNSEEN = "-"


def mark_of(document: Document, index: int, key: str | None) -> str:
    """What finds a place again: its number, the picture's name, what stands around, and the picture's content."""
    place = document.places[index]
    return f"{index + 1} {_identity(place)} {_surroundings(place)} {_content(key)}"


def located(review: ReviewFile, document: Document, entries: Sequence[Entry]) -> dict[int, int]:
    """The index of the place of each entry, by its number.

    Raises InvalidInput where a place isn't certain any more, or shows another picture.
    """
    same = document.sha256 == review.head["sha256"]
    found: dict[int, int] = {}
    for entry in entries:
        index = _index(document, entry, same=same)
        if index is None or index in found.values():
            raise InvalidInput(
                f"the document has changed, and where picture {entry.number} ({entry.source}) stands now isn't certain;"
                f" nothing was written; make new suggestions: looktwice alt suggest {str(document.path)!r}"
            )
        _require_same_picture(document, document.places[index], entry)
        found[entry.number] = index
    return found


def _index(document: Document, entry: Entry, *, same: bool) -> int | None:
    number, identity, surroundings, _ = entry.mark.split()
    if same and number.isdecimal() and 0 < int(number) <= len(document.places):
        index = int(number) - 1
        return index if _identity(document.places[index]) == identity else None
    alike = [index for index, place in enumerate(document.places) if _identity(place) == identity]
    exact = [index for index in alike if _surroundings(document.places[index]) == surroundings]
    certain = exact if exact else alike
    return certain[0] if len(certain) == 1 else None


def _require_same_picture(document: Document, place: Place, entry: Entry) -> None:
    content = entry.mark.split()[3]
    if content == _UNSEEN:
        return
    try:
        now = _content(document.picture(place).key)
    except PictureRejected:
        now = _UNSEEN
    if now != content:
        raise InvalidInput(
            f"picture {entry.number} ({entry.source}) is another one than when its text was suggested;"
            " nothing was written; look at it again, or make new suggestions"
        )


def _identity(place: Place) -> str:
    return _hash(place.where.member, place.kind, place.source)


def _surroundings(place: Place) -> str:
    around = place.context
    return _hash(around.heading, around.before, around.after, around.caption, around.link)


def _content(key: str | None) -> str:
    return _UNSEEN if key is None else key.rpartition(":")[2][:12]


def _hash(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:12]
