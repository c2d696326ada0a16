"""What turns a prompt into words, and the one way to open it by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...errors import InvalidInput
from .backend import Backend, Decoding, Done, Row, Settings, Token
from .scripted import ScriptedBackend

if TYPE_CHECKING:
    from .llava import LlavaBackend

REMOTE = "openai:"
"""What the name of a model behind a server begins with."""

__all__ = ["Backend", "Decoding", "Done", "Row", "ScriptedBackend", "Settings", "Token", "open_backend", "open_model"]


def open_model(
    model: str,
    *,
    base_url: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    quantize: str | None = None,
    decoding: Decoding | None = None,
    chat_format: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    prefix_bytes: int = 4 << 30,
) -> Backend:
    """A backend by name: "openai:NAME" is a model behind the server at ``base_url``, any other is `open_backend`'s.

    Raises InvalidInput for what doesn't go together, ModelError where there is no such checkpoint.
    """
    local: dict[str, Any] = {"device": device, "dtype": dtype, "quantize": quantize, "decoding": decoding}
    local |= {"chat_format": chat_format, "cache": cache}
    if not model.startswith(REMOTE):
        if base_url is not None:
            raise InvalidInput(f"base_url goes with a model such as 'openai:NAME', not with {model!r}")
        return open_backend(model, prefix_bytes=prefix_bytes, **local)
    given = [name for name, value in local.items() if value is not None]
    if given:
        raise InvalidInput(f"{' and '.join(given)} can't be used with {model!r}: its server loads and keeps it")
    from .remote import RemoteBackend

    return RemoteBackend(model.removeprefix(REMOTE), base_url=base_url)


def open_backend(
    model: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    quantize: str | None = None,
    decoding: Decoding | None = None,
    chat_format: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    cache_bytes: int = 8 << 30,
    prefix_bytes: int = 4 << 30,
) -> LlavaBackend:
    """The backend of "pocket", of a checkpoint's folder, or of a hub name in the local cache.

    ``decoding`` is "eager", "lookup" (several tokens a step where an answer repeats its prompt), "compiled" (fast steps
    on a static cache), "auto" (compiled on CUDA), or None: "lookup" on the CPU, else "eager".
    ``cache`` is a folder of at most ``cache_bytes`` where what was computed lasts, ``prefix_bytes`` the most that is
    kept in memory for the next turn. Weights are read at the first question. Raises ModelError where there is no such
    checkpoint.
    """
    from .checkpoint import open_checkpoint

    checkpoint = open_checkpoint(model, chat_format=chat_format)
    from .llava import LlavaBackend  # takes seconds, so what is missing is said before

    return LlavaBackend(
        checkpoint,
        device=device,
        dtype=dtype,
        quantize=quantize,
        decoding=decoding,
        cache=cache,
        cache_bytes=cache_bytes,
        prefix_bytes=prefix_bytes,
    )
