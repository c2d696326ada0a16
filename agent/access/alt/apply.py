"""Accepted suggestions go into the document: atomically, with a backup, and with nothing else changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ....errors import InvalidInput
from ..documents import Document, open_document
from ..documents.saving import backup_of, replace_file, require_writable
from .places import located
from .reviewfile import ReviewFile

__all__ = ["Applied", "apply"]


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done: the numbers of the pictures whose texts were ``written``, and of those that had them ``already``.

    ``kept_back`` are accepted ones that would have replaced a text that is there, each with that text. ``backup`` is
    where the document as it was is kept; None if nothing was written.
    """

    document: Path
    backup: Path | None
    written: tuple[int, ...]
    already: tuple[int, ...]
    kept_back: tuple[tuple[int, str], ...]


def apply(
    review: str | os.PathLike[str],
    *,
    document: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    replace: Collection[int] = (),
) -> Applied:
    """Write what was accepted in the file ``review`` into its document (or ``document``, if it was moved).

    A text that is there, also an empty one, stays unless its picture's number is in ``replace``. Raises InvalidInput,
    with nothing written, for a file with a mistake, a document that has changed so that a place isn't certain, or one
    that can't be written.
    """
    file = ReviewFile.read(review)
    for number in replace:
        file.entry(number)
    opened = open_document(document or file.document, root=root)
    accepted = [entry for entry in file.entries if entry.written is not None]
    places = located(file, opened, accepted)
    texts: dict[int, str] = {}
    already: list[int] = []
    kept_back: list[tuple[int, str]] = []
    for entry in accepted:
        present = opened.places[places[entry.number]].alt
        if _is_same(present, entry.written):
            already.append(entry.number)
        elif present is not None and not (entry.number in replace and _is_same(present, entry.now)):
            kept_back.append((entry.number, present))
        else:
            texts[places[entry.number]] = entry.written or ""
    backup = None
    if texts:
        require_writable(file.path)
        backup, sha256 = _write(opened, texts)
        file.seen_as(sha256).save()  # the places are as certain as they were
    written = tuple(entry.number for entry in accepted if places[entry.number] in texts)
    return Applied(opened.path, backup, written, tuple(already), tuple(kept_back))


def _write(document: Document, texts: dict[int, str]) -> tuple[Path, str]:
    """Where the document as it was is kept, and the hash of what it is now."""
    require_writable(document.path)
    changed = document.written(texts)
    if document.path.read_bytes() != document.raw:
        raise InvalidInput(f"{str(document.path)!r} was changed by another program just now; try again")
    kept = backup_of(document.path, document.raw)
    replace_file(document.path, changed)
    return kept, hashlib.sha256(changed).hexdigest()


def _is_same(one: str | None, other: str | None) -> bool:
    return (one is None) == (other is None) and (one or "").split() == (other or "").split()
