"""EPUB: the chapters that its manifest names, each read as a page."""

from __future__ import annotations

import posixpath
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from ....errors import InvalidInput
from .archive import Archive
from .document import Document, Part
from .html import declared_encoding, slots_of
from .pictures import inside
from .text import Text
from .xml import attribute, elements, parsed

__all__ = ["read_epub"]

_CONTAINER, _ENCRYPTION, _SIGNATURES = (f"META-INF/{name}.xml" for name in ("container", "encryption", "signatures"))
_PAGES = {"application/xhtml+xml", "text/html"}


def read_epub(path: Path, raw: bytes) -> Document:
    """The document in an EPUB. Raises InvalidInput for one without a manifest, an encrypted or a signed one."""
    label = repr(str(path))
    archive = Archive(raw, label)
    if _SIGNATURES in archive.names:
        raise InvalidInput(f"{label} is signed, and a change would break that; take the copy that was signed")
    chapters = _chapters(archive)
    _require_open(archive, chapters)
    parts = tuple(_part(archive, name) for name in chapters)
    return Document(path, raw, parts, archive.written, lambda place: inside(place.source, archive, place.where.member))


def _part(archive: Archive, name: str) -> Part:
    raw = archive.read(name)
    text = Text.read(raw, f"{name!r} in {archive.label}", declared=declared_encoding(raw))
    return Part(name, text, partial(slots_of, member=name))


def _chapters(archive: Archive) -> list[str]:
    """The names of the members that are pages, in reading order, then those that are in no order."""
    package = _package(archive)
    root = parsed(archive.read(package), f"{package!r} in {archive.label}")
    pages: dict[str, str] = {}
    for item in elements(root, "item"):
        if attribute(item, "media-type") in _PAGES:
            name = posixpath.join(posixpath.dirname(package), unquote(attribute(item, "href") or ""))
            pages[attribute(item, "id") or name] = posixpath.normpath(name)
    if next(elements(root, "manifest"), None) is None:
        raise InvalidInput(
            f"{archive.label} has no manifest in {package!r}; make it anew with the program that made it"
        )
    order = [attribute(item, "idref") or "" for item in elements(root, "itemref")]
    return [pages[name] for name in dict.fromkeys([*order, *pages]) if name in pages]


def _package(archive: Archive) -> str:
    if _CONTAINER not in archive.names:
        raise InvalidInput(f"{archive.label} is no EPUB: it lacks {_CONTAINER!r}; get a whole copy")
    root = parsed(archive.read(_CONTAINER), f"{_CONTAINER!r} in {archive.label}")
    found = next((attribute(each, "full-path") for each in elements(root, "rootfile")), None)
    if not found:
        raise InvalidInput(f"{archive.label} names no manifest in {_CONTAINER!r}; make it anew")
    return found


def _require_open(archive: Archive, chapters: list[str]) -> None:
    """Raises InvalidInput where a chapter is encrypted; fonts may be."""
    if _ENCRYPTION not in archive.names:
        return
    root = parsed(archive.read(_ENCRYPTION), f"{_ENCRYPTION!r} in {archive.label}")
    locked = {unquote(attribute(each, "URI") or "") for each in elements(root, "CipherReference")}
    if locked.intersection(chapters):
        raise InvalidInput(f"{archive.label} is encrypted (DRM); ask its publisher for an open copy")
