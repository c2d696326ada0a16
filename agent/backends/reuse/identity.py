"""Which checkpoint computed something: what must be equal for a key-value prefix to be used again.

A hash of the configuration, the tokenizer, the picture processor and the weights (their size, their header and a
sample of every tensor, not all of them), and of what else decides the numbers: type, device, libraries.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
import transformers

LAYOUT = 1
"""How looktwice lays out what it keeps; another number is another cache."""

_SMALL = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth")
_WHOLE = 16 << 20  # bytes: a file of weights up to this size is read whole
_SAMPLE = 1024  # bytes of each tensor, or at each of many places


def facts(name: str, source: str, *, device: str, dtype: torch.dtype, quantize: str | None) -> dict[str, Any]:
    """What decides the numbers that a checkpoint computes; readable, and the same in every process."""
    return {
        "model": name,
        "files": files_hash(_folder(source)),
        "device": device.split(":", maxsplit=1)[0],
        "dtype": str(dtype).removeprefix("torch."),
        "quantize": quantize,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "layout": LAYOUT,
    }


def identity(given: dict[str, Any]) -> str:
    """A short name for such facts; the name of the model isn't one of them."""
    counted = {key: value for key, value in given.items() if key != "model"}
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()[:32]


def files_hash(folder: Path) -> str:
    """The hash of a checkpoint's files. Raises OSError if one can't be read."""
    digest = hashlib.sha256()
    for name in _SMALL:
        if (folder / name).is_file():
            digest.update(f"{name}\n".encode() + hashlib.sha256((folder / name).read_bytes()).digest())
    for file in sorted(found for pattern in _WEIGHTS for found in folder.glob(pattern)):
        digest.update(f"{file.name} {file.stat().st_size}\n".encode())
        with file.open("rb") as opened:
            for piece in _sampled(opened, file.suffix == ".safetensors"):
                digest.update(piece)
    return digest.hexdigest()


def _folder(source: str) -> Path:
    """Where a checkpoint's files lie: its own folder, or that of the hub's cache."""
    if Path(source).is_dir():
        return Path(source)
    library: Any = transformers.utils.hub
    return Path(library.cached_file(source, "config.json", local_files_only=True)).parent


def _sampled(file: BinaryIO, has_header: bool) -> Iterator[bytes]:
    size = os.fstat(file.fileno()).st_size
    if size <= _WHOLE:
        yield file.read()
        return
    places = [size * part // 256 for part in range(256)]
    if has_header:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(min(length, _WHOLE))
        yield header
        places += [8 + length + middle for middle in _middles(header)]
    for place in (*places, size - _SAMPLE):
        file.seek(place)
        yield file.read(_SAMPLE)


def _middles(header: bytes) -> list[int]:
    """The middle of each tensor, from where the data begins."""
    try:
        tensors: dict[str, Any] = json.loads(header)
        return [sum(told["data_offsets"]) // 2 for name, told in tensors.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []  # whoever loads it will say so; the header's bytes are in the hash
