"""DOCX: the text and its headers, footers and notes, with the pictures that Word keeps alternative texts of.

Word's alternative text is the attribute ``descr`` of a ``docPr``, and a decorative picture has an extension inside it.
lxml tells what stands around a picture; the bytes that change are found by tree-sitter, element by element in the same
order.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path

from ....errors import InvalidInput, PictureRejected
from ....memory import Picture
from .archive import Archive
from .document import Document, Part
from .pictures import inside
from .place import Place, Slot
from .text import Text
from .word import Story
from .xml import Element, attribute, elements, local, parsed

__all__ = ["read_docx"]

_STORIES = ("header", "footer", "footnotes", "endnotes")
_TYPES, _CORE = "[Content_Types].xml", "docProps/core.xml"


def read_docx(path: Path, raw: bytes) -> Document:
    """The document in a DOCX. Raises InvalidInput for one that is encrypted, signed or holds macros."""
    archive = Archive(raw, repr(str(path)))
    main = _main(archive)
    title = _title(archive)
    styles = _styles(archive, main)
    related = _relations(archive, main)
    stories = [main, *(target for kind, target in related.values() if kind in _STORIES and target in archive.names)]
    parts = tuple(_part(archive, name, title, styles, is_main=name == main) for name in dict.fromkeys(stories))
    return Document(path, raw, parts, archive.written, lambda place: _picture(archive, main, place))


def _part(archive: Archive, name: str, title: str, styles: Mapping[str, str], *, is_main: bool) -> Part:
    label = f"{name!r} in {archive.label}"
    related = {key: target for key, (_, target) in _relations(archive, name).items()}

    def read(text: Text) -> tuple[Slot, ...]:
        root = parsed(text.encoded(), label)
        return Story(text, root, title, styles, related, "" if is_main else name).slots()

    text = Text.read(archive.read(name), label)
    return Part(name, text, read)


def _picture(archive: Archive, main: str, place: Place) -> Picture:
    if place.kind == "chart":
        raise PictureRejected("a chart or diagram that Word draws has no pixels to look at")
    if place.source and "://" not in place.source:
        return inside(f"/{place.source}", archive, main)
    return inside(place.source, archive, main)


def _main(archive: Archive) -> str:
    if _TYPES not in archive.names:
        raise InvalidInput(f"{archive.label} is no DOCX: it lacks {_TYPES!r}; save it as .docx anew")
    types = parsed(archive.read(_TYPES), f"{_TYPES!r} in {archive.label}")
    kinds = " ".join(attribute(each, "ContentType") or "" for each in types)
    if "macroEnabled" in kinds or "vbaProject" in kinds:
        raise InvalidInput(f"{archive.label} holds macros; save it as .docx without them")
    if "digital-signature" in kinds:
        raise InvalidInput(f"{archive.label} is signed, and a change would break that; take the copy that was signed")
    found = next((target for kind, target in _relations(archive, "").values() if kind == "officeDocument"), None)
    if found is None or not found.startswith("word/"):
        raise InvalidInput(f"{archive.label} holds no text of a word processor; give a .docx")
    return found


def _relations(archive: Archive, name: str) -> dict[str, tuple[str, str]]:
    """What a part refers to, by id: the kind, and the member or the address."""
    folder, file = posixpath.split(name)
    path = posixpath.join(folder, "_rels", f"{file}.rels")
    if path not in archive.names:
        return {}
    found: dict[str, tuple[str, str]] = {}
    for each in elements(parsed(archive.read(path), f"{path!r} in {archive.label}"), "Relationship"):
        target = attribute(each, "Target") or ""
        if attribute(each, "TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
        found[attribute(each, "Id") or ""] = ((attribute(each, "Type") or "").rpartition("/")[2], target)
    return found


def _styles(archive: Archive, main: str) -> dict[str, str]:
    """The names of paragraph styles, in lower case, by their ids."""
    name = next((target for kind, target in _relations(archive, main).values() if kind == "styles"), None)
    if name not in archive.names:
        return {}
    assert name is not None
    named: dict[str, str] = {}
    for style in elements(parsed(archive.read(name), f"{name!r} in {archive.label}"), "style"):
        title: Element | None = next((each for each in style if local(each) == "name"), None)
        if title is not None:
            named[attribute(style, "styleId") or ""] = (attribute(title, "val") or "").lower()
    return named


def _title(archive: Archive) -> str:
    if _CORE not in archive.names:
        return ""
    core = parsed(archive.read(_CORE), f"{_CORE!r} in {archive.label}")
    return next((str(each.text or "") for each in elements(core, "title")), "").strip()
