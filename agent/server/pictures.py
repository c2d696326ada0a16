"""The pictures of one request: out of data URLs, checked, and under names that the model can say."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping

from PIL import Image

from ...memory import NamedPicture, Picture, check_name, decode, fold
from .refusal import Refused

__all__ = ["Album", "Seen"]

_DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*(?:;[\w.+-]+=[\w.+-]*)*;base64,", re.ASCII)
_REMEMBERED = 4096


class Seen:
    """What is known of pictures that were checked before, by their hash, so that a history is not decoded each time."""

    def __init__(self) -> None:
        self._facts: OrderedDict[str, tuple[str, int, int, int]] = OrderedDict()
        self._guard = threading.Lock()

    def picture(self, data: bytes) -> Picture:
        """The checked picture. Raises PictureRejected."""
        digest = hashlib.sha256(data).hexdigest()
        with self._guard:
            known = self._facts.get(digest)
        if known is not None:
            mime, width, height, frames = known
            return Picture(data, mime, width, height, frames)
        picture = Picture.load(data)
        with self._guard:
            self._facts[digest] = (picture.mime, picture.width, picture.height, picture.frames)
            while len(self._facts) > _REMEMBERED:
                self._facts.popitem(last=False)
        return picture


class Album:
    """Names are given in the order of the request: ``picture``, ``picture2`` ... or as a block asks."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._pictures: dict[str, tuple[str, Picture]] = {}

    def keep(self, url: str, wanted: str | None, place: str) -> str:
        """The name of the picture of a data URL. Raises Refused for any other, PictureRejected for no picture.

        The same bytes have the same name all through a request, unless another one is wanted.
        """
        picture = self._seen.picture(decoded(url, place))
        for name, known in self._pictures.values():
            if known.key == picture.key and wanted is None:
                return name
        name = check_name(wanted) if wanted else self._free()
        there = self._pictures.setdefault(fold(name), (name, picture))
        if there[1].key != picture.key:
            raise Refused(f"two pictures are named {name!r}; give one of them another name", param=place)
        return name

    def picture(self, name: str) -> Picture:
        """The picture of that name."""
        return self._pictures[fold(name)][1]

    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(name for name, _ in self._pictures.values())

    def images(self) -> Mapping[str, NamedPicture]:
        """The pictures by their folded names, as a prompt is composed of them."""
        return {folded: _named(name, picture) for folded, (name, picture) in self._pictures.items()}

    def pixels(self, key: str) -> Image.Image:
        """Upright RGB of the picture with that key."""
        return decode(next(picture.data for _, picture in self._pictures.values() if picture.key == key))

    def _free(self) -> str:
        number = len(self._pictures) + 1
        while fold(name := "picture" if number == 1 else f"picture{number}") in self._pictures:
            number += 1
        return name


def decoded(url: str, place: str) -> bytes:
    """The bytes of a data URL. Raises Refused: nothing is fetched, and no file of the server is read."""
    head = _DATA_URL.match(url[:200])
    if head is None:
        kind = url[:200].partition(":")[0][:12] if ":" in url[:200] else "path"
        raise Refused(
            f"a picture must be a data URL with base64, not {kind!r}: this server fetches nothing and reads no file",
            param=place,
            code="invalid_image_url",
        )
    try:
        return base64.b64decode(url[head.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("the base64 of a picture can't be decoded; encode its bytes again", param=place) from error


def _named(name: str, picture: Picture) -> NamedPicture:
    size = (picture.width, picture.height)
    return NamedPicture(
        name,
        picture.key,
        *size,
        mime=picture.mime,
        size=len(picture.data),
        parent=None,
        recipe=None,
        tool=None,
        turn=None,
        alt=None,
        caption=None,
        forgotten=False,
        created=time.time(),
        frames=picture.frames,
    )
