"""From what a document names as a picture to the picture: files beside it, data URLs, members of an archive."""

from __future__ import annotations

import base64
import binascii
import posixpath
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from ....errors import PictureRejected
from ....memory import Picture
from .archive import Archive

__all__ = ["beside", "from_data_url", "inside"]

_SHOWN = 60


def beside(source: str, folder: Path, root: Path | None, base: str = "") -> Picture:
    """The picture of a file that is named relative to ``folder``.

    ``root`` is the folder that a leading slash stands for, and that the file has to lie in; without one that is
    ``folder``. Raises PictureRejected for anything else than a picture there.
    """
    if source[:5].lower() == "data:":
        return from_data_url(source)
    path = _local_path(posixpath.join(base, source) if base else source)
    top = (root or folder).resolve()
    if path.startswith("/") and root is None:
        raise PictureRejected(f"{_short(source)} begins at the root of a site; name its folder with --root")
    found = (top / path.lstrip("/") if path.startswith("/") else folder / path).resolve()
    if not found.is_relative_to(top):
        raise PictureRejected(f"{_short(source)} lies outside {str(top)!r}; name a folder around both with --root")
    if not found.is_file():
        raise PictureRejected(f"{_short(source)} is missing; check the path")
    try:
        return Picture.load(found)
    except PictureRejected as error:
        raise PictureRejected(str(error).replace(repr(str(found)), _short(source), 1)) from error


def inside(source: str, archive: Archive, member: str) -> Picture:
    """The picture of another member of an archive, named relative to ``member``. Raises PictureRejected."""
    if source[:5].lower() == "data:":
        return from_data_url(source)
    path = _local_path(source)
    name = posixpath.normpath(posixpath.join("/", posixpath.dirname(member), path)).lstrip("/")
    if name not in archive.names:
        raise PictureRejected(f"{_short(source)} is missing in the file; add it")
    return _loaded(archive.read(name), source)


def from_data_url(source: str) -> Picture:
    """The picture inside a ``data:`` URL. Raises PictureRejected."""
    head, comma, body = source.partition(",")
    if not comma:
        raise PictureRejected(f"{_short(source)} is a data URL without data; check it")
    raw = unquote_to_bytes(body)
    if head.lower().rstrip().endswith(";base64"):
        try:
            raw = base64.b64decode(b"".join(raw.split()), validate=True)
        except binascii.Error as error:
            raise PictureRejected(f"{_short(source)} is a damaged data URL ({error}); check it") from error
    return _loaded(raw, source)


def _local_path(source: str) -> str:
    """The path in a reference to a file. Raises PictureRejected for one that leads elsewhere."""
    if not source.strip():
        raise PictureRejected("the document names no picture there")
    try:
        parts = urlsplit(source)
    except ValueError as error:
        raise PictureRejected(f"{_short(source)} can't be read as a path ({error}); check it") from error
    if parts.scheme in ("http", "https", "ftp") or parts.netloc:
        raise PictureRejected(
            f"{_short(source)} is elsewhere on the network, and nothing is fetched; download it first"
        )
    if parts.scheme:
        raise PictureRejected(f"{_short(source)} is no relative path; put the picture beside the document")
    path = unquote(parts.path)
    if "\0" in path or not path:
        raise PictureRejected(f"{_short(source)} is no path of a file; check it")
    return path


def _loaded(data: bytes, source: str) -> Picture:
    try:
        return Picture.load(data)
    except PictureRejected as error:
        raise PictureRejected(str(error).replace("the given data", _short(source), 1)) from error


def _short(source: str) -> str:
    return repr(source) if len(source) <= _SHOWN else f"{source[:_SHOWN]!r}..."
