"""Pictures as servers are sent them: encoded once, without metadata, and not again where they are there already."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections import OrderedDict
from dataclasses import dataclass

from PIL import Image

from ...prompt import Shown
from ..backend import Pixels

__all__ = ["Upload", "Uploads"]

_THUMBNAIL = 336  # pixels of the longer side: one tile of LLaVA's
_KEPT_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture as PNG in a data URL. ``uuid`` is the SHA-256 of these bytes: of the content as it was transformed."""

    url: str
    uuid: str


class Uploads:
    """The pictures of one backend by key and tier; those that were used last stay encoded."""

    def __init__(self, longest_side: int | None = None, most: int = _KEPT_BYTES) -> None:
        """``longest_side`` is what larger pictures are made smaller to, in pixels; ``most`` the bytes that are kept."""
        self._longest = longest_side
        self._most = most
        self._kept: OrderedDict[tuple[str, str], Upload] = OrderedDict()
        self._sent: set[str] = set()
        self._guard = threading.Lock()

    def of(self, shown: Shown, pixels: Pixels) -> Upload:
        """The picture of a prompt, encoded the first time; every later time its bytes are the same."""
        place = (shown.key, shown.tier)
        with self._guard:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
        made = _encoded(pixels(shown.key), _THUMBNAIL if shown.tier == "thumbnail" else self._longest)
        with self._guard:
            self._kept[place] = made
            while len(self._kept) > 1 and sum(len(upload.url) for upload in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
        return made

    def has(self, uuid: str) -> bool:
        """Whether the server took a picture with that id before."""
        with self._guard:
            return uuid in self._sent

    def took(self, uuids: set[str]) -> None:
        """The server answered about these."""
        with self._guard:
            self._sent |= uuids

    def lost(self, uuids: set[str]) -> None:
        """The server doesn't have these any more, or may not."""
        with self._guard:
            self._sent -= uuids

    def forget(self, keys: set[str]) -> None:
        """Drop the pictures with these keys."""
        with self._guard:
            for place in [place for place in self._kept if place[0] in keys]:
                del self._kept[place]


def _encoded(image: Image.Image, longest: int | None) -> Upload:
    plain = image.convert("RGB")
    if longest is not None:
        plain.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    clean, out = Image.new("RGB", plain.size), io.BytesIO()
    clean.paste(plain)  # a new picture has no metadata that could be written along
    clean.save(out, "PNG", compress_level=6)
    data = out.getvalue()
    return Upload(f"data:image/png;base64,{base64.b64encode(data).decode()}", hashlib.sha256(data).hexdigest())
