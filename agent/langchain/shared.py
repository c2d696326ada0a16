"""One backend for all chat models of a checkpoint: its weights are in memory once, however many pipelines use it."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from ..backends import Backend, open_model

__all__ = ["shared_backend"]

_open: weakref.WeakValueDictionary[tuple[Any, ...], Backend] = weakref.WeakValueDictionary()
_guard = threading.Lock()


def shared_backend(
    model: str, *, device: str | None = None, dtype: str | None = None, quantize: str | None = None
) -> Backend:
    """The backend of a checkpoint, opened at the first call and kept as long as somebody holds it."""
    key = (model, device, dtype, quantize)
    with _guard:
        backend = _open.get(key)
        if backend is None:
            backend = _open[key] = open_model(model, device=device, dtype=dtype, quantize=quantize)
        return backend
