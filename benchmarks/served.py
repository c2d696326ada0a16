"""``transformers serve`` as a peer: a saved checkpoint over loopback, started and stopped by the script that asks it.

Its extras (fastapi, accelerate and what they bring) are installed into a temporary folder that only the server sees.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

EXTRAS = ("fastapi", "annotated-doc", "accelerate", "psutil")
PATIENCE = 300  # seconds until a server that isn't healthy is given up


@dataclass(frozen=True)
class Reply:
    """What a server answered: seconds to the first words, its count of the prompt's tokens, and the words."""

    seconds: float
    prompt: int
    text: str


@dataclass(frozen=True)
class Server:
    """A running server of one model; conversations are sent whole, as its interface has it."""

    model: str
    port: int

    def ask(self, messages: Sequence[dict[str, Any]], new_tokens: int) -> Reply:
        """Stream one answer. Raises RuntimeError where there is none."""
        body = {"model": self.model, "messages": list(messages), "max_tokens": new_tokens, "stream": True}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        began, first, prompt, text = time.perf_counter(), 0.0, 0, ""
        with contextlib.closing(connection):
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                raise RuntimeError(f"transformers serve answered {response.status}: {response.read()[:300]!r}")
            for line in response:
                if not line.startswith(b"data: {"):
                    continue
                chunk = json.loads(line[6:])
                said = chunk["choices"][0]["delta"].get("content") or ""
                first = first or (time.perf_counter() - began if said else 0.0)
                text += said
                usage: dict[str, Any] = chunk.get("usage") or {}
                prompt = usage.get("prompt_tokens", prompt)
        return Reply(first or time.perf_counter() - began, prompt, text)


def picture_part(image: Image.Image) -> dict[str, Any]:
    """A picture as a part of a message."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"},
    }


@contextlib.contextmanager
def served(model: Path, folder: Path) -> Generator[Server]:
    """A server of the checkpoint ``model`` on the CPU, for a while; extras and log lie in ``folder``."""
    site = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), *EXTRAS]
    subprocess.run(pip, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = "from transformers.cli.transformers import main; main()"
    options = ["serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    log = (folder / "serve.log").open("w+")
    known = {**os.environ, "PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen([sys.executable, "-c", start, *options], env=known, stdout=log, stderr=log)
    try:
        _wait_until_healthy(process, port, folder / "serve.log")
        yield Server(str(model), port)
    finally:
        process.terminate()
        process.wait()
        log.close()


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.5)
    raise RuntimeError(f"transformers serve did not start: {log.read_text()[-500:]}")
