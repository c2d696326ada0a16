"""Who is let in: the right host's name, no foreign page, a token where one is needed. Everything else stays outside.

A page in a browser can send requests to a server on its own machine, and a name can be made to point there (DNS
rebinding). So the ``Host`` must be one that is known, or a plain address, which no name was turned into; and a request
that a browser says comes from another page is refused, unless that page's origin was allowed.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import Metrics
from .owners import Owners
from .refusal import Refused, refused

__all__ = ["Gate"]

_log = logging.getLogger(__name__)
_LOCAL = ("localhost",)
_OPEN = ("/healthz",)
_CORS = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "authorization, content-type, x-looktwice-chat",
    "Access-Control-Max-Age": "600",
}


class Gate:
    """Stands before the application; what passes carries its owner in the scope, as ``scope["owner"]``.

    ``hosts`` are names beside localhost and plain addresses, ``origins`` those of other pages that may ask (CORS),
    such as ``https://chat.example``. ``paths`` are the ones that are counted by themselves.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        owners: Owners,
        metrics: Metrics,
        hosts: Iterable[str] = (),
        origins: Collection[str] = (),
        paths: Collection[str] = (),
    ) -> None:
        self._app = app
        self._owners = owners
        self._metrics = metrics
        self._hosts = {*_LOCAL, *(host.lower() for host in hosts)}
        self._origins = set(origins)
        self._paths = set(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, began, status = Headers(scope=scope), time.monotonic(), [0]
        allowed = headers.get("origin") if headers.get("origin") in self._origins else None

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                _add_headers(MutableHeaders(scope=message), allowed)
            await send(message)

        try:
            answer = self._checked(scope, headers)
            await (answer or self._app)(scope, receive, counted)
        except Exception as error:  # or others would log it with all its words
            failed = refused(error)
            if not status[0]:
                await failed.response()(scope, receive, counted)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.request(path, status[0])
            _log.info("%s %s %d %.3fs", scope["method"], path, status[0], time.monotonic() - began)

    def _checked(self, scope: Scope, headers: Headers) -> Response | None:
        """None for a request that may pass, its owner noted; else what is answered instead."""
        try:
            self._require_host(headers)
            self._require_own_page(scope, headers)
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                return Response(status_code=204, headers=_CORS)
            scope["owner"] = self._owner(scope, headers)
        except Refused as refused:
            return refused.response()
        return None

    def _require_host(self, headers: Headers) -> None:
        named = headers.getlist("host")
        host = _host_of(named[0]) if len(named) == 1 else ""
        if host not in self._hosts and not _is_address(host):
            raise Refused(
                f"the host {host[:80]!r} is not served here; allow it with --allow-host",
                status=403,
                code="host_not_allowed",
            )

    def _require_own_page(self, scope: Scope, headers: Headers) -> None:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin in self._origins:
            return
        is_own = origin is None or _is_same(origin, headers["host"])
        is_link = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if not is_own or (site not in (None, "same-origin", "none") and not is_link):
            raise Refused(
                "pages from elsewhere may not ask here; allow their origin with --allow-origin",
                status=403,
                code="origin_not_allowed",
            )

    def _owner(self, scope: Scope, headers: Headers) -> str:
        if scope["path"] in _OPEN:
            return ""
        owner = self._owners.of(headers.get("authorization"))
        if owner is None:
            # Browsers say "navigate" to localhost and over TLS alone, but what they would show everywhere.
            is_page = headers.get("sec-fetch-mode") == "navigate" or "text/html" in headers.get("accept", "")
            asks = 'Basic realm="looktwice", charset="UTF-8"' if is_page else "Bearer"
            told = "no token, or a wrong one; send the header 'Authorization: Bearer TOKEN'"
            raise Refused(told, status=401, code="invalid_api_key", headers={"WWW-Authenticate": asks})
        return owner


def _add_headers(headers: MutableHeaders, origin: str | None) -> None:
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    if origin is not None:
        headers["Access-Control-Allow-Origin"] = origin
        headers.add_vary_header("Origin")


def _host_of(header: str) -> str:
    """The host without its port; "" for what can't be one."""
    try:
        split = urlsplit(f"//{header}")
        _ = split.port
    except ValueError:
        return ""
    has_more = split.path or split.query or split.fragment or split.username is not None
    return "" if has_more else (split.hostname or "").rstrip(".")


def _is_same(origin: str, host: str) -> bool:
    """Whether a page's origin is this server, by the name under which it was asked."""
    scheme, mark, rest = origin.lower().partition("://")
    return bool(mark) and scheme in ("http", "https") and rest == host.lower()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
