"""A tensor in a file that shows when it was damaged: safetensors, with a hash of all that it holds.

The header says what the file is about (JSON), and the SHA-256 of that and of the tensor's bytes. Reading what a
file is about, and checking it, need no torch; files appear whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....errors import StoreError

SUFFIX = ".safetensors"
TEMPORARY = ".tmp-"
_NAME = "kept"


@dataclass(frozen=True, slots=True)
class _Header:
    """The first bytes of a file: what it is about, as JSON and read, its hash, and where the tensor begins."""

    text: str
    about: dict[str, Any]
    sha256: str
    data: int


def write(path: Path, tensor: Any, about: dict[str, Any]) -> int:
    """Write a tensor with what it is about; the file's bytes. Only its owner may read it. Raises OSError."""
    import safetensors.torch

    library: Any = safetensors.torch  # not typed
    tensor = tensor.detach().cpu().contiguous()
    text = json.dumps({**about, "shape": list(tensor.shape), "dtype": str(tensor.dtype)}, sort_keys=True)
    metadata = {"about": text, "sha256": _hash(text, _bytes_of(tensor))}
    return _put(path, library.save({_NAME: tensor}, metadata=metadata))


def read(path: Path) -> tuple[dict[str, Any], Any]:
    """What a file is about, and its tensor, mapped into memory and checked.

    Raises StoreError where its content isn't what was written, OSError where it can't be read.
    """
    import safetensors

    header = _header(path)
    library: Any = safetensors  # not typed
    try:
        with library.safe_open(path, "pt") as file:
            tensor = file.get_tensor(_NAME)
    except library.SafetensorError as error:
        raise _damaged(path) from error
    wrong = [list(tensor.shape), str(tensor.dtype)] != [header.about.get("shape"), header.about.get("dtype")]
    if wrong or _hash(header.text, _bytes_of(tensor)) != header.sha256:
        raise _damaged(path)
    return header.about, tensor


def about(path: Path) -> dict[str, Any]:
    """What a file says that it is about, not checked. Raises StoreError and OSError as `read` does."""
    return _header(path).about


def verify(path: Path) -> None:
    """Raises StoreError where a file's content isn't what was written, OSError where it can't be read."""
    header = _header(path)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        digest = hashlib.sha256(header.text.encode())
        with memoryview(content) as whole, whole[header.data :] as data:
            digest.update(data)
    if digest.hexdigest() != header.sha256:
        raise _damaged(path)


def _header(path: Path) -> _Header:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > os.fstat(file.fileno()).st_size:
            raise _damaged(path)
        head = file.read(length)
    try:
        metadata = json.loads(head)["__metadata__"]
        text, digest = metadata["about"], metadata["sha256"]
        read_about: object = json.loads(text)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error
    if not isinstance(read_about, dict) or not isinstance(digest, str):
        raise _damaged(path)
    return _Header(text, read_about, digest, 8 + length)  # pyright: ignore[reportUnknownArgumentType]


def _damaged(path: Path) -> StoreError:
    return StoreError(f"the cache file {str(path)!r} is damaged; it is not used")


def _bytes_of(tensor: Any) -> Any:
    """A tensor's bytes as they lie in memory, for the hash; (size in bytes,)."""
    import torch

    return tensor.reshape(-1).view(torch.uint8).numpy()


def _hash(text: str, data: Any) -> str:
    digest = hashlib.sha256(text.encode())
    digest.update(data)
    return digest.hexdigest()


def _put(path: Path, content: bytes) -> int:
    """Another process sees the whole file or none; mkstemp gives mode 0600."""
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return len(content)
