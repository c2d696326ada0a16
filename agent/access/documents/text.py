"""Bytes of a document as UTF-8 and back, byte for byte, whatever they were encoded in."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

from ....errors import InvalidInput
from .place import Edit

__all__ = ["Text"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LEGACY = "cp1252"  # what browsers take a page without a declaration for


@dataclass(frozen=True, slots=True)
class Text:
    """A text as UTF-8 in ``data``, with the mark and the encoding that it had."""

    data: bytes
    encoding: str = "utf-8"
    bom: bytes = b""

    @classmethod
    def read(cls, raw: bytes, label: str, *, declared: str | None = None) -> Text:
        """Decode bytes that come back the same. ``declared`` is the encoding that the document itself names.

        Raises InvalidInput, naming ``label``, where no encoding gives the bytes back.
        """
        bom, marked = next(((bom, name) for bom, name in _BOMS if raw.startswith(bom)), (b"", None))
        tried = [marked] if marked else [declared or "utf-8", "utf-8", _LEGACY]
        for name in tried:
            text = _exact(raw[len(bom) :], name)
            if text is not None:
                return cls(text.encode("utf-8"), name, bom)
        names = ", ".join(dict.fromkeys(tried))
        raise InvalidInput(f"{label} can't be read as {names}; save it as UTF-8 first")

    def line(self, offset: int) -> int:
        """The line, from 1, on which a byte of ``data`` stands."""
        return self.data.count(b"\n", 0, offset) + 1

    def edited(self, edits: Sequence[Edit]) -> Text:
        """The text with its edits, which must not overlap."""
        pieces: list[bytes] = []
        end = 0
        for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
            if edit.start < end:
                raise InvalidInput("two changes meet in one place of the document; change them one after the other")
            pieces += [self.data[end : edit.start], edit.new]
            end = edit.end
        return Text(b"".join([*pieces, self.data[end:]]), self.encoding, self.bom)

    def encoded(self) -> bytes:
        """The bytes as they belong in the file; characters that its encoding lacks become references."""
        return self.bom + self.data.decode("utf-8").encode(self.encoding, "xmlcharrefreplace")


def _exact(raw: bytes, name: str) -> str | None:
    """The decoded text, if encoding it gives the same bytes."""
    try:
        text = raw.decode(name)
        return text if text.encode(name) == raw else None
    except (LookupError, UnicodeError):
        return None
