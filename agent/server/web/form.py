"""A form that came in: its fields, and pictures under the limits of the server.

Where it is too large, what came before that is there all the same, and the rest is read and dropped: a browser that is
cut off while it sends shows nothing of what it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from ..caps import Caps
from ..refusal import Refused

__all__ = ["Form", "Upload"]

_FIELDS = 20
_DROPPED = 4  # times the cap that are read on


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture as it was sent, with the name of its file."""

    file: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """The fields and pictures; ``fault`` says what could not be taken, if anything could not."""

    fields: Mapping[str, str]
    uploads: tuple[Upload, ...] = ()
    fault: Refused | None = None

    @classmethod
    async def read(cls, request: Request, caps: Caps, *, most: int) -> Form:
        """Read the body of a request, of ``most`` bytes. Raises Refused if it is no form of ours, or doesn't come."""
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise Refused("this is no form of this page; load the page again", status=415)
        body = _Body(request, most)
        body.require_bearable()
        parser = MultiPartParser(
            request.headers, body.pieces(), max_files=caps.pictures, max_fields=_FIELDS, max_part_size=caps.question
        )
        parser.spool_max_size = most  # pictures are never written into temporary files
        fault: Refused | None = None
        try:
            async with asyncio.timeout(caps.reading):
                try:
                    await parser.parse()
                except MultiPartException as error:
                    fault = _unfit(error, caps)
                    await body.drop()
                except _TooLarge:
                    fault = Refused(_too_large(most))
        except TimeoutError:
            told = f"the form did not come within {caps.reading:g} s"
            raise Refused(told, status=408, headers={"Connection": "close"}) from None
        fields = {name: value for name, value in parser.items if isinstance(value, str)}
        return cls(fields, () if fault else await _uploads(parser.items), fault)

    def words(self, name: str) -> str:
        """A field's text, with the line ends of a text; empty if it isn't there."""
        return self.fields.get(name, "").replace("\r\n", "\n").strip()


class _TooLarge(Exception):
    """A body that is over the cap; the parser closes what it has opened."""


class _Body:
    """The body of a request, of which no more than a cap is handed on."""

    def __init__(self, request: Request, most: int) -> None:
        self._stream = request.stream()
        self._most = most
        self._size = 0
        length = request.headers.get("content-length", "")
        self._length = int(length[:20]) if length.isascii() and length.isdigit() else 0

    def require_bearable(self) -> None:
        """Raise Refused for a body that is too large even to be dropped."""
        if max(self._size, self._length) > _DROPPED * self._most:
            raise Refused(_too_large(self._most), status=413, headers={"Connection": "close"})

    async def pieces(self) -> AsyncGenerator[bytes]:
        """What is within the cap. Raises _TooLarge where there is more, when all has come."""
        async for piece in self._stream:
            room = max(self._most - self._size, 0)
            self._size += len(piece)
            self.require_bearable()
            yield piece[:room]
        if self._size > self._most:
            raise _TooLarge

    async def drop(self) -> None:
        """Read what is left."""
        with suppress(_TooLarge):
            async for _ in self.pieces():
                pass


async def _uploads(items: list[tuple[str, str | UploadFile]]) -> tuple[Upload, ...]:
    """The files that were chosen; a browser sends a nameless empty one where none was."""
    files = [value for _, value in items if isinstance(value, UploadFile)]
    read = [Upload(file.filename or "picture", await file.read()) for file in files if file.filename or file.size]
    for file in files:
        await file.close()
    return tuple(read)


def _too_large(most: int) -> str:
    return f"the pictures have more than {most / 1_000_000:g} MB together; send fewer, or smaller"


def _unfit(error: MultiPartException, caps: Caps) -> Refused:
    if error.message.startswith("Too many files"):
        return Refused(f"there are more than {caps.pictures} pictures; send fewer at a time")
    if error.message.startswith("Part exceeded"):
        return Refused(f"the text has more than {caps.question} bytes; ask in fewer words")
    return Refused("the form can't be read; load the page again")
