"""The server itself: an address that may be bound, connections that can't be held open for nothing, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ipaddress
import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from ...errors import InvalidInput
from .caps import Caps
from .house import House
from .owners import TOKEN_VARIABLE, Owners

__all__ = ["Server", "bound", "require_token", "use_few_arenas"]

_ARENAS = -8  # M_ARENA_MAX of malloc.h


class _Patient(H11Protocol):
    """A connection that is closed if the headers of a request don't come in time."""

    seconds = Caps().headers
    _timer: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.access_log = False  # it would hold queries; the gate logs requests

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unwatch()

    def _watch(self) -> None:
        if not self._waits():
            self._unwatch()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self._close)

    def _waits(self) -> bool:
        """Whether a request has still to begin; uvicorn's types say that there is a cycle from the start."""
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._timer = None
        if self._waits() and not self.transport.is_closing():
            self.transport.close()


class Server(uvicorn.Server):
    """Serves an application of ``create_app`` until SIGINT or SIGTERM, and then ends in order.

    No connection is taken any more; running answers go on for ``caps.ending`` seconds, are then ended as far as they
    came, sent and kept; a second signal ends at once.
    """

    def __init__(self, app: Starlette) -> None:
        self.house: House = app.state.house
        caps = self.house.caps
        protocol = type("_Connection", (_Patient,), {"seconds": caps.headers})
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=int(caps.ending) + 5,
            backlog=512,
        )
        super().__init__(config)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what runs end by itself for a while, then end it."""
        timer = asyncio.get_running_loop().call_later(self.house.caps.ending, self.house.end_answers)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()


def use_few_arenas() -> None:
    """Have glibc share its memory among threads: else each of many keeps what its tensors left, and a server grows."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_ARENAS, 2)


def require_token(host: str, owners: Owners) -> None:
    """Raise InvalidInput for an address that others reach, without a token."""
    if not owners and not _is_loopback(host):
        raise InvalidInput(
            f"{host!r} can be reached from elsewhere, and there is no token; set {TOKEN_VARIABLE}, or give a file with "
            "--tokens, or bind 127.0.0.1"
        )


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there soon; port 0 takes a free one. Raises InvalidInput if it can't be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        raise InvalidInput(f"can't listen at {host!r} port {port}: {why}; give another --host or --port") from error
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
