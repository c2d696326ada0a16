"""The zip file that an EPUB or a DOCX is: its members within limits, and the same file with some of them changed."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from copy import copy

from ....errors import InvalidInput

__all__ = ["Archive"]

_OLE = bytes.fromhex("d0cf11e0a1b11ae1")  # what encrypted documents and the old .doc are kept in
_MOST = 512 << 20  # bytes of all members, unpacked
_MOST_TEXT = 64 << 20  # bytes of one member


class Archive:
    """A zip file in memory."""

    def __init__(self, raw: bytes, label: str) -> None:
        """Raises InvalidInput, naming ``label``, for what is no zip file, is encrypted, damaged, or far too big."""
        if raw.startswith(_OLE):
            raise InvalidInput(f"{label} is encrypted, or in the old .doc format; save it as .docx without a password")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(raw))
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise InvalidInput(f"{label} is no zip file, or cut short ({error}); get a whole copy") from error
        self.label = label
        self._infos = self._zip.infolist()
        self.names = frozenset(info.filename for info in self._infos)
        if any(info.flag_bits & 1 for info in self._infos):
            raise InvalidInput(f"{label} is encrypted; save it without a password")
        if sum(info.file_size for info in self._infos) > _MOST or len(self.names) != len(self._infos):
            raise InvalidInput(f"{label} unpacks to far too much, or holds a name twice; get a sound copy")

    def read(self, name: str) -> bytes:
        """A member. Raises InvalidInput if it is missing, damaged or too big."""
        if name not in self.names:
            raise InvalidInput(f"{self.label} lacks {name!r}; get a whole copy")
        if self._zip.getinfo(name).file_size > _MOST_TEXT:
            raise InvalidInput(f"{name!r} in {self.label} has over {_MOST_TEXT >> 20} MB")
        return self._member(self._zip.getinfo(name))

    def written(self, changes: Mapping[str, bytes]) -> bytes:
        """The file with some members changed; all others keep bytes, order, dates and compression."""
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as out:
            out.comment = self._zip.comment
            for info in self._infos:
                data = changes.get(info.filename)
                kept = copy(info)
                if info.filename == "mimetype":
                    kept.extra = b""  # an EPUB is told by the bytes at its beginning
                out.writestr(kept, self._member(info) if data is None else data, compress_type=info.compress_type)
        return target.getvalue()

    def _member(self, info: zipfile.ZipInfo) -> bytes:
        try:
            return self._zip.read(info)
        except (zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise InvalidInput(f"{info.filename!r} in {self.label} is damaged ({error}); get a whole copy") from error
