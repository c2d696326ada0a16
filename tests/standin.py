"""A stand-in of vLLM's protocol: a real server that keeps pictures by their ids, says a miss, and records what it got.

It answers with the colours of the pictures that it was shown, so that a picture taken for another is noticed.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import threading
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from PIL import Image
from serving import PATIENCE, wait_until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from looktwice.agent.server import bound


@dataclass
class StandIn:
    """What it does and what it got. ``refuses``: what its error says where a field is sent that it doesn't take."""

    owner: str = "vllm"
    refuses: dict[str, str] = field(default_factory=dict[str, str])
    failures: list[int] = field(default_factory=list[int])
    answers: list[Any] = field(default_factory=list[Any])
    usage: bool = True
    ends: bool = True
    endless: bool = False
    key: str = ""
    kept: dict[str, bytes] = field(default_factory=dict[str, bytes])
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    uploads: list[str] = field(default_factory=list[str])
    lists: int = 0
    left: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    async def models(self, request: Request) -> Response:
        self.lists += 1
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return _error(401, "Unauthorized")
        model = {"id": "llava", "object": "model", "created": 1, "owned_by": self.owner, "max_model_len": 32768}
        return JSONResponse({"object": "list", "data": [model]})

    async def completions(self, request: Request) -> Response:
        body: dict[str, Any] = json.loads(await request.body())
        self.bodies.append(body)
        if self.failures:
            return _error(self.failures.pop(0), "not now")
        if body["model"] != "llava":
            return _error(404, f"The model `{body['model']}` does not exist.")
        for name, told in self.refuses.items():
            if name in body:
                return _error(400, told)
        shown: list[bytes] = []
        for part in parts(body, "image_url"):
            url: Any = part["image_url"] and part["image_url"]["url"]
            uuid: str = part.get("uuid") or ""
            if url is None and uuid not in self.kept:
                return _error(400, f"no data was given for the image {uuid!r}, which is not cached")
            if url is not None:
                data = base64.b64decode(url.partition(",")[2])
                self.uploads.append(uuid)
                self.kept.setdefault(uuid or str(url), data)  # the id alone is the key
            shown.append(self.kept[uuid or str(url)])
        return StreamingResponse(self._stream(body, shown), media_type="text/event-stream")

    async def _stream(self, body: dict[str, Any], shown: list[bytes]) -> AsyncGenerator[str]:
        import asyncio

        answer = self.answers.pop(0) if self.answers else " ".join(map(colour, shown)) or "nothing"
        try:
            if isinstance(answer, dict):
                yield _chunk({"role": "assistant", "tool_calls": [{"index": 0, "id": "x", "function": answer}]})
            else:
                for word in str(answer).split(" "):
                    yield _chunk({"content": f"{word} "}, logprob=-0.25 if "logprobs" in body else None)
            while self.endless:
                await asyncio.sleep(0.01)
                yield _chunk({"content": "on "})
        finally:
            self.left.set()
        if not self.ends:
            return
        yield _chunk({}, finish="stop" if isinstance(answer, str) else "tool_calls")
        if self.usage and "stream_options" in body:
            details = {"cached_tokens": 40}
            cost = {"prompt_tokens": 100, "completion_tokens": 3, "total_tokens": 103, "prompt_tokens_details": details}
            yield _event({**_HEAD, "choices": [], "usage": cost})
        yield "data: [DONE]\n\n"


_HEAD: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "llava"}


def parts(body: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The parts of that kind of all messages, in order."""
    contents = [m["content"] for m in body["messages"] if isinstance(m["content"], list)]
    return [part for content in contents for part in content if part["type"] == kind]


@functools.cache
def colour(data: bytes) -> str:
    """The colour in the middle of a picture, as hexadecimal digits."""
    image = Image.open(io.BytesIO(data))
    pixel: Any = image.getpixel((image.width // 2, image.height // 2))
    return "".join(f"{channel:02x}" for channel in pixel)


def _chunk(delta: dict[str, Any], *, finish: str | None = None, logprob: float | None = None) -> str:
    choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish}
    if logprob is not None:
        token: dict[str, Any] = {"token": delta["content"], "logprob": logprob, "bytes": None, "top_logprobs": []}
        choice["logprobs"] = {"content": [token]}
    return _event({**_HEAD, "choices": [choice]})


def _event(plain: dict[str, Any]) -> str:
    return f"data: {json.dumps(plain)}\n\n"


def _error(status: int, told: str) -> JSONResponse:
    return JSONResponse({"error": {"message": told, "type": "error", "param": None, "code": status}}, status)


@contextlib.contextmanager
def standing_in(**manners: Any) -> Generator[StandIn]:
    """A stand-in on a free port; ended afterwards."""
    stand = StandIn(**manners)
    routes = [
        Route("/v1/models", stand.models),
        Route("/v1/chat/completions", stand.completions, methods=["POST"]),
    ]
    config = uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with bound("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started)
            stand.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
            yield stand
        finally:
            server.should_exit = True
            end = time.monotonic() + PATIENCE
            while thread.is_alive() and time.monotonic() < end:
                thread.join(0.1)
            assert not thread.is_alive()
