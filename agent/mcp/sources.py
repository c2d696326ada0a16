"""Where a client's pictures may come from: data URLs always, files only below the folders that were allowed."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable
from pathlib import Path

from ...errors import InvalidInput
from ...memory import Picture

__all__ = ["Sources"]

_DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*(?:;[\w.+-]+=[\w.+-]*)*;base64,", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


class Sources:
    """``roots`` are folders; without any, no file is read."""

    def __init__(self, roots: Iterable[str | os.PathLike[str]] = ()) -> None:
        """Raises InvalidInput for a root that is no folder."""
        self.roots = tuple(Path(root).resolve() for root in roots)
        for root in self.roots:
            if not root.is_dir():
                raise InvalidInput(f"{os.fspath(root)!r} is no folder; give one whose pictures may be read")

    def picture(self, given: str) -> Picture:
        """The checked picture. Raises InvalidInput for what may not be read, PictureRejected for no picture."""
        head = _DATA_URL.match(given[:200])
        if head is not None:
            try:
                return Picture.load(base64.b64decode(given[head.end() :], validate=True))
            except (binascii.Error, ValueError) as error:
                if isinstance(error, InvalidInput):
                    raise
                raise InvalidInput("the base64 of the picture can't be decoded; encode its bytes again") from error
        if _SCHEME.match(given) and not os.path.isabs(given):
            kind = given.partition(":")[0][:12]
            raise InvalidInput(f"a picture can't come from {kind!r}: nothing is fetched; give a data URL with base64")
        return Picture.load(self._allowed(given))

    def _allowed(self, given: str) -> Path:
        """The file itself, links followed: what counts is where it lies."""
        if not self.roots:
            raise InvalidInput("no file is read here; give the picture as a data URL with base64")
        try:
            places = [(root / os.path.expanduser(given)).resolve() for root in self.roots]
        except (OSError, ValueError, RuntimeError) as error:
            raise InvalidInput(f"{given[:80]!r} can't be the path of a picture") from error
        inside = [place for place, root in zip(places, self.roots, strict=True) if place.is_relative_to(root)]
        if not inside:
            allowed = ", ".join(map(str, self.roots))
            raise InvalidInput(f"{given[:80]!r} lies outside of what may be read ({allowed}); give a data URL")
        return next((place for place in inside if place.exists()), inside[0])
