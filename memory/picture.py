"""Encoded bytes -> a checked picture with upright RGB pixels: the one place where pictures are decoded.

Everything that comes in is decoded completely once, under limits, because a header says nothing of what follows
it. Whatever can't be used is one ``PictureRejected`` that names the source; Pillow's warnings never get out.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import threading
import warnings
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from PIL import Image

from ..errors import PictureRejected
from .names import name_from
from .pixels import perceptual_hash, pixel_hash, to_rgb, upright

__all__ = [
    "MAX_ASPECT",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MIN_SIDE",
    "Picture",
    "decode",
    "perceptual_hash",
    "pixel_hash",
]

MAX_BYTES = 25_000_000
MAX_PIXELS = 50_000_000
MAX_ASPECT = 200
MIN_SIDE = 4  # a side of 1 or 3 pixels is taken for the colour channels by image processors

_MIMES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIF": "image/heif",
}
_KINDS = "JPEG, PNG, WEBP, GIF, BMP, TIFF and AVIF"
_OTHERS = (  # what people do hand in: where the mark stands, the mark, the kind, what to do
    (0, b"%PDF", "a PDF", "save the page as PNG first"),
    (4, b"ftyphe", "HEIC", "run: pip install pillow-heif, or save it as JPEG first"),
    (4, b"ftypmif1", "HEIF", "run: pip install pillow-heif, or save it as JPEG first"),
    (4, b"ftyp", "a video", "save one frame as PNG first"),
    (0, b"8BPS", "a Photoshop file", "save it as PNG first"),
    (0, b"%!PS", "PostScript", "convert it to PNG first"),
    (0, b"PK\x03\x04", "a zip archive", "unpack it first"),
    (0, b"\x1f\x8b", "compressed with gzip", "unpack it first"),
)
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    KeyError,
    IndexError,
    TypeError,
    EOFError,
    NotImplementedError,
    OverflowError,
    struct.error,
    Image.DecompressionBombError,
)
# Pillow warns of pictures that we judge ourselves, and the filters for warnings are one for the whole process.
_silence = threading.Lock()


def _after_fork() -> None:
    # The thread that held the lock is not in the child, so nobody would ever release it.
    global _silence  # noqa: PLW0603
    _silence = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


@dataclass(frozen=True)
class Picture:
    """A picture as encoded bytes, checked by decoding them completely once.

    ``width`` and ``height`` are pixels as one looks at it (EXIF orientation applied). Of an animated picture or a
    TIFF of several pages, ``frames`` is how many there are; only the first is ever seen. ``name`` is a suggestion,
    from the name of the file.
    """

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    frames: int = 1
    name: str | None = None

    @cached_property
    def key(self) -> str:
        """What addresses these bytes everywhere: ``sha256:`` and their hash."""
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"

    @cached_property
    def likeness(self) -> int:
        """The perceptual hash of the pixels, for finding pictures that look alike."""
        return perceptual_hash(self.pixels())

    def pixels(self) -> Image.Image:
        """The pixels as upright RGB, decoded anew at each call."""
        return decode(self.data)

    @classmethod
    def load(
        cls, source: str | os.PathLike[str] | bytes | Image.Image | Picture, *, file: str | None = None
    ) -> Picture:
        """A picture from a path, encoded bytes or a PIL image (kept as PNG). Raises PictureRejected.

        ``file`` is the name of the file that bytes come from, if they were not read here.
        """
        if isinstance(source, Picture):
            return source
        if isinstance(source, Image.Image):
            return _checked(_as_png(source), "the PIL image")
        if isinstance(source, bytes | bytearray | memoryview):
            return _from_bytes(bytes(source), file)
        return _from_path(source)


def decode(data: bytes) -> Image.Image:
    """Encoded bytes -> upright RGB, first frame, under the limits. Raises PictureRejected."""
    return _decoded(data, "the given data")[0]


def _checked(data: bytes, label: str, name: str | None = None) -> Picture:
    image, mime, frames = _decoded(data, label)
    picture = Picture(data, mime, image.width, image.height, frames, name)
    picture.__dict__["likeness"] = perceptual_hash(image)  # while the pixels are at hand: decoding is the costly part
    return picture


def _from_bytes(data: bytes, file: str | None) -> Picture:
    if file is None:
        return _checked(data, "the given data")
    return _checked(data, f"{file[:80]!r}", name_from(Path(file).stem))


def _from_path(source: str | os.PathLike[str]) -> Picture:
    try:
        written = os.fsdecode(source)
    except TypeError as error:
        kind = type(source).__name__
        raise PictureRejected(f"{kind!r} is no picture; give a path, encoded bytes or a PIL image") from error
    label = repr(written) if len(written) <= 200 else f"{written[:80]!r}..."
    if re.match(r"[a-z][a-z0-9+.-]+://|data:", written, re.IGNORECASE):
        raise PictureRejected(f"{label} is a URL; fetching is not part of looktwice; download it first")
    return _checked(_read(Path(written), label), label, name_from(Path(written).stem))


def _read(path: Path, label: str) -> bytes:
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise PictureRejected(f"{label} is a folder; give the pictures in it one by one")
        if not stat.S_ISREG(found.st_mode):
            raise PictureRejected(f"{label} is not a regular file; give a picture file")
        _check_bytes(found.st_size, label)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise PictureRejected(f"{label} does not exist; check the path") from error
    except PictureRejected:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise PictureRejected(f"{label} can't be read: {why}; check the path and its permissions") from error


def _check_bytes(size: int, label: str) -> None:
    if size == 0:
        raise PictureRejected(f"{label} is empty (0 bytes); give a picture file")
    if size > MAX_BYTES:
        limit = f"{MAX_BYTES // 1_000_000} MB"
        raise PictureRejected(f"{label} has {size / 1e6:.1f} MB, over the limit of {limit}; save it smaller or as JPEG")


def _decoded(data: bytes, label: str) -> tuple[Image.Image, str, int]:
    _check_bytes(len(data), label)
    with _silence, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _opened(data, label)
        _check_size(image.width, image.height, label)
        mime = _MIMES[image.format or ""]
        try:
            # A camera's JPEG may carry previews as further frames; they are the same picture.
            frames = 1 if mime == "image/jpeg" else int(getattr(image, "n_frames", 1))
            image.load()
            rgb = to_rgb(upright(image))
        except _BROKEN as error:
            raise PictureRejected(f"{label} is damaged or cut short ({_line(error)}); get a whole copy") from error
        except MemoryError as error:
            raise PictureRejected(f"{label} needs more memory than there is; scale it down first") from error
    return rgb, mime, frames


def _opened(data: bytes, label: str) -> Image.Image:
    try:
        return Image.open(BytesIO(data), formats=_formats())
    except Image.DecompressionBombError as error:
        raise _too_big(label, "far more") from error
    except _BROKEN as error:
        raise PictureRejected(f"{label} {_what_it_is(data)}") from error


@cache
def _formats() -> tuple[str, ...]:
    """The allowed formats that this Pillow can open; naming any other one to it is a KeyError."""
    for plugin in ("Bmp", "Gif", "Jpeg", "Png", "WebP", "Tiff", "Avif"):
        import_module(f"PIL.{plugin}ImagePlugin")
    if find_spec("pillow_heif"):
        import_module("pillow_heif").register_heif_opener()
    return tuple(format for format in _MIMES if format in Image.OPEN)


def _what_it_is(data: bytes) -> str:
    """The end of a rejection of bytes that no decoder takes: what they are, as far as one can tell, and what to do."""
    head = data[:4096]
    if b"<svg" in head.lower():
        return "is SVG, a drawing without pixels; convert it to PNG first"
    for start, mark, kind, advice in _OTHERS:
        if head.startswith(mark, start):
            return f"is {kind}, not a picture; {advice}"
    if not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head):
        return f"holds text, not a picture; give one of {_KINDS}"
    return f"is damaged or of an unknown kind; give one of {_KINDS}"


def _check_size(width: int, height: int, label: str) -> None:
    if width * height > MAX_PIXELS:
        raise _too_big(label, f"{width}x{height}")
    if min(width, height) < MIN_SIDE:
        raise PictureRejected(f"{label} has {width}x{height} pixels; each side needs {MIN_SIDE} or more")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PictureRejected(
            f"{label} has {width}x{height} pixels, over the limit of {MAX_ASPECT}:1; cut it into pieces first"
        )


def _too_big(label: str, pixels: str) -> PictureRejected:
    limit = f"{MAX_PIXELS // 1_000_000} million"
    return PictureRejected(f"{label} has {pixels} pixels, over the limit of {limit}; scale it down first")


def _as_png(image: Image.Image) -> bytes:
    label = "the PIL image"
    _check_size(image.width, image.height, label)
    try:
        image = upright(image)
        if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
            image = to_rgb(image)
        buffer = BytesIO()
        image.save(buffer, "PNG")
    except _BROKEN as error:
        raise PictureRejected(f"{label} can't be kept as PNG ({_line(error)}); convert it to RGB first") from error
    return buffer.getvalue()


def _line(error: BaseException) -> str:
    """An exception of Pillow as a few words on one line."""
    return " ".join(str(error).split())[:100] or type(error).__name__
