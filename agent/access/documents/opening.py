"""Opening a document by what its name says that it is."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from ....errors import InvalidInput
from ....memory import Picture
from . import html, markdown
from .document import Document, Part
from .docx import read_docx
from .epub import read_epub
from .pictures import beside
from .place import Place, Slot
from .tags import Tree
from .text import Text

__all__ = ["SUFFIXES", "open_document"]

_PAGES, _TEXTS = (".html", ".htm", ".xhtml"), (".md", ".markdown")
SUFFIXES = (*_PAGES, *_TEXTS, ".epub", ".docx")
"""How the names of documents end that can be read."""
_MOST = 256 << 20


def open_document(path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None) -> Document:
    """The document in a file: HTML, Markdown, EPUB or DOCX.

    Pictures are read from its folder, or from anywhere in the folder ``root``. Raises InvalidInput for what can't be
    read, and MissingExtra where the libraries for documents are not installed.
    """
    found = Path(path).expanduser()
    kind = found.suffix.lower()
    if kind in (".docm", ".dotm"):
        raise InvalidInput(f"{str(path)!r} holds macros; save it as .docx without them")
    if kind not in SUFFIXES:
        raise InvalidInput(f"{str(path)!r} is no document that can be read; give one of {', '.join(SUFFIXES)}")
    raw = _read(found)
    if kind == ".epub":
        return read_epub(found, raw)
    if kind == ".docx":
        return read_docx(found, raw)
    return _text_document(found, raw, None if root is None else Path(root).expanduser())


def _text_document(path: Path, raw: bytes, root: Path | None) -> Document:
    is_page = path.suffix.lower() in _PAGES
    read: Callable[[Text], tuple[Slot, ...]] = html.slots_of if is_page else markdown.slots_of
    text = Text.read(raw, repr(str(path)), declared=html.declared_encoding(raw) if is_page else None)
    base = _base(text) if is_page else ""

    def pack(changed: Mapping[str, bytes]) -> bytes:
        return changed[""]

    def find(place: Place) -> Picture:
        return beside(place.source, path.parent, root, base)

    return Document(path, raw, (Part("", text, read),), pack, find)


def _base(text: Text) -> str:
    """What a page's ``base`` says that its addresses are relative to."""
    return next((tag.get("href") or "" for tag in Tree(text.data).tags if tag.name == "base"), "")


def _read(path: Path) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InvalidInput(f"{str(path)!r} is no file; give a document")
        if found.st_size > _MOST:
            raise InvalidInput(f"{str(path)!r} has over {_MOST >> 20} MB; split it first")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidInput(f"{str(path)!r} does not exist; check the path") from error
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} can't be read: {error.strerror}; check its permissions") from error
