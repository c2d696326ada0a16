"""Real servers for tests, each in a thread of its own, and requests to them that no client library would send."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import socket
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from PIL import Image

from looktwice import Agent
from looktwice.agent.server import House, Server, bound, create_app

PATIENCE = 60.0


@dataclass(frozen=True)
class Served:
    """A server that runs: where, and what it has."""

    port: int
    house: House
    server: Server
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, body: object, *, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, json=body, headers=named)

    def send(self, content: str | bytes, kind: str = "application/json") -> httpx.Response:
        """What comes back for a body as it is."""
        return self.client.post("/v1/chat/completions", content=content, headers={"Content-Type": kind})

    def get(self, path: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(path, headers=named)

    def raw(self, data: bytes) -> bytes:
        """What comes back for these very bytes until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(data)
            received = b""
            while piece := connection.recv(65536):
                received += piece
        return received


@contextlib.contextmanager
def served(agents: Mapping[str, Agent], **options: Any) -> Generator[Served]:
    """A server for the agents on a free port; ended in order afterwards."""
    with bound("127.0.0.1", 0) as listener:
        server = Server(create_app(agents, **options))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started)
            port = listener.getsockname()[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, verify=False) as client:
                yield Served(port, server.house, server, client)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


def wait_until(holds: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def data_url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def shown(image: Image.Image | str, **more: str) -> dict[str, Any]:
    """A part of a message: a picture, or any URL in the place of one."""
    return {"type": "image_url", "image_url": {"url": image if isinstance(image, str) else data_url(image)}, **more}


def says(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def user(*content: dict[str, Any] | str) -> dict[str, Any]:
    return {"role": "user", "content": [says(item) if isinstance(item, str) else item for item in content]}


def asking(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The body of a request."""
    return {"model": "pocket", "messages": list(messages or [user("Hello?")]), **more}


def events(response: httpx.Response) -> list[Any]:
    """The events of a stream; the last one is "[DONE]"."""
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]
