"""What the page loads: its style, its script, its icon, and pictures; and a conversation to take away."""

from __future__ import annotations

import asyncio
import hashlib
import io
from functools import cache
from importlib.resources import files
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from ...page.figures import encoded
from ..refusal import Refused
from .visit import Visit

__all__ = ["export", "icon", "picture", "script", "style"]

_ROOM = "looktwice.agent"
_KEPT = "private, no-cache"  # asked for each time, sent anew if it has changed


async def style(request: Request) -> Response:
    """The style of pages as files, and what a page with forms needs beside it."""
    return _static(request, "text/css", "page/style.css", "server/web/page.css")


async def script(request: Request) -> Response:
    """The one script."""
    return _static(request, "text/javascript", "server/web/page.js")


async def icon(request: Request) -> Response:
    """The picture beside the title."""
    return _static(request, "image/svg+xml", "server/web/icon.svg")


async def picture(visit: Visit) -> Response:
    """A picture of a conversation, encoded anew without what a camera wrote beside it."""
    conversation, key = visit.own(), visit.request.query_params.get("key", "")
    if not any(each.key == key and not each.forgotten for each in visit.memory.pictures.all(conversation)):
        raise Refused("there is no such picture in this conversation", status=404)
    headers = {"Cache-Control": _KEPT, "ETag": f'"{key}"'}
    if visit.request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    mime, data = await asyncio.to_thread(lambda: encoded(visit.memory.pictures.pixels(key)))
    return Response(data, headers=headers, media_type=mime)


async def export(visit: Visit) -> Response:
    """A conversation as a zip file, with its original pictures."""
    conversation, packed = visit.own(), io.BytesIO()
    await asyncio.to_thread(visit.memory.export, conversation, packed)
    name = quote(f"{visit.shown(conversation.name)}.zip", safe="")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(packed.getvalue(), headers=headers, media_type="application/zip")


def _static(request: Request, mime: str, *names: str) -> Response:
    data, tag = _read(*names)
    headers = {"Cache-Control": _KEPT, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=mime)


@cache
def _read(*names: str) -> tuple[bytes, str]:
    data = b"\n".join(files(_ROOM).joinpath(name).read_bytes() for name in names)
    return data, f'"{hashlib.sha256(data).hexdigest()[:32]}"'
