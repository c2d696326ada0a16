"""Key-value prefixes and features in the cache folder of one checkpoint.

A prefix is a chain of blocks of 256 positions. A block's name holds the hash of all keys before it and of all up to
its end, so branches share the blocks of their common beginning, and a longer conversation writes its new blocks alone.
The last block may be shorter; the longer one that follows takes its place. Every block holds its keys, and what
is found by hash is compared with them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from ....errors import StoreError
from . import kv
from .folder import FEATURES, PREFIXES, CacheFolder, measured
from .prefixes import common, outside
from .sealed import SUFFIX

BLOCK = 256
"""Positions of a block."""
_ROOT = "0" * 32
_LOOKED_AT = 64  # blocks after the same beginning whose keys are compared, the ones used last first


@dataclass(frozen=True, slots=True)
class Found:
    """The ``length`` positions that a lookup reaches; ``blocks`` hold those from ``start`` on, and maybe some more."""

    length: int
    start: int
    blocks: list[torch.Tensor]

    def onto(self, cache: Any, length: int, device: str) -> Any:
        """A cache of the first ``length`` positions, with those of the blocks from there on appended."""
        surplus = self.start + sum(block.shape[3] for block in self.blocks) - self.length
        blocks = [*self.blocks[:-1], self.blocks[-1][:, :, :, : self.blocks[-1].shape[3] - surplus]]
        return kv.extend(cache, blocks, skip=length - self.start, device=device)


class Stored:
    """What a cache folder keeps of one checkpoint; ``name`` is its identity."""

    def __init__(self, folder: CacheFolder, name: str, facts: dict[str, Any]) -> None:
        self.folder = folder
        self.name = name
        self.place = folder.part(name, facts)

    # --- prefixes

    def find(self, keys: Sequence[Hashable], spans: Sequence[tuple[int, int]], known: int) -> Found | None:
        """The blocks that reach further than the ``known`` positions, checked; None where there are none.

        As in memory, one position stays uncomputed and no cut falls inside a picture.
        """
        keys = list(keys)
        start = known // BLOCK * BLOCK
        chosen = self._chain(keys, start)
        if outside(min(_end(chosen, start), len(keys) - 1), spans) <= known:
            return None
        blocks = self._checked(keys, start, chosen)
        end = start + sum(block.shape[3] for block in blocks)
        length = outside(min(end, len(keys) - 1), spans)
        if length <= known:
            return None
        self.folder.used(file for file, _ in chosen[: len(blocks)])
        while blocks and end - blocks[-1].shape[3] >= length:
            end -= blocks.pop().shape[3]
        return Found(length, start, blocks)

    def save(self, keys: Sequence[Hashable], layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Write the blocks of a prefix that aren't there yet; ``layers`` are its keys and values."""
        keys, before, there = list(keys), _ROOT, list[Path]()
        for start in range(0, len(keys), BLOCK):
            part = keys[start : start + BLOCK]
            own = _digest(before, part)
            file = self._file(before, own, len(part))
            there.append(file)
            if not self.folder.has(file):
                about = {"checkpoint": self.name, "keys": _packed(part)}
                if not self.folder.write(file, kv.block(layers, start, start + len(part)), about):
                    return
                self.folder.remove(self._shorter(before, part))
            before = own
        self.folder.used(there)

    def _chain(self, keys: list[Hashable], start: int) -> list[tuple[Path, int]]:
        """The files from ``start`` on that fit the keys, each with how many of its positions do."""
        before, chosen = _after(keys[:start]), list[tuple[Path, int]]()
        while start < len(keys):
            part = keys[start : start + BLOCK]
            own = _digest(before, part)
            exact = self._file(before, own, len(part))
            found = (exact, len(part)) if self.folder.has(exact) else self._nearest(before, part)
            if found is None:
                break
            chosen.append(found)
            start += found[1]
            if found[1] < BLOCK:
                break
            before = own
        return chosen

    def _nearest(self, before: str, part: list[Hashable]) -> tuple[Path, int] | None:
        """The block after the same beginning that shares most with these keys."""
        best: tuple[Path, int] | None = None
        for file in self._following(before):
            shared = common(self._keys(self.folder.about(file)), part)
            if shared > (best[1] if best else 0):
                best = file, shared
        return best

    def _checked(self, keys: list[Hashable], start: int, chosen: list[tuple[Path, int]]) -> list[torch.Tensor]:
        """The tensors of files, as (layers, 2, heads, positions, head size), up to the first that can't be used."""
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # hashing lets other threads run
            read = list(pool.map(self.folder.read, [file for file, _ in chosen]))
        blocks: list[torch.Tensor] = []
        for (file, shared), content in zip(chosen, read, strict=True):
            if content is None:
                break
            told, tensor = content
            own = self._keys(told)
            fits = common(own, keys[start : start + shared]) == shared and tensor.shape[3:4] == (len(own),)
            if not fits or (blocks and _but_length(tensor) != _but_length(blocks[0])):
                self.folder.reject(file, StoreError(f"the cache file {str(file)!r} is another one's; it is not used"))
                break
            blocks.append(tensor[:, :, :, :shared])
            start += shared
        return blocks

    def _keys(self, about: dict[str, Any] | None) -> list[Hashable]:
        """A block's keys; none for one of another checkpoint."""
        if about is None or about.get("checkpoint") != self.name:
            return []
        return _unpacked(about.get("keys"))

    def _shorter(self, before: str, part: list[Hashable]) -> list[Path]:
        """Blocks after the same beginning that a longer one wholly contains."""
        shorter = [file for file in self._following(before) if _count(file) < len(part)]
        return [file for file in shorter if common(self._keys(self.folder.about(file)), part) == _count(file)]

    def _following(self, before: str) -> list[Path]:
        found = measured((self.place / PREFIXES / before[:2]).glob(f"{before}-*{SUFFIX}"))
        newest = sorted(found, key=lambda each: -each[1].st_mtime_ns)
        return [file for file, _ in newest[:_LOOKED_AT]]

    def _file(self, before: str, own: str, count: int) -> Path:
        return self.place / PREFIXES / before[:2] / f"{before}-{own}-{count}{SUFFIX}"

    # --- features

    def feature(self, key: str) -> torch.Tensor | None:
        """The features of the picture with that key, (tokens, hidden), checked."""
        file = self._feature_file(key)
        content = self.folder.read(file) if self.folder.has(file) else None
        if content is None:
            return None
        if content[0].get("checkpoint") != self.name or content[0].get("picture") != key:
            self.folder.reject(file, StoreError(f"the cache file {str(file)!r} is another one's; it is not used"))
            return None
        self.folder.used([file])
        return content[1]

    def save_feature(self, key: str, features: torch.Tensor) -> None:
        """Write a picture's features, if they aren't there yet."""
        file = self._feature_file(key)
        if not self.folder.has(file):
            self.folder.write(file, features, {"checkpoint": self.name, "picture": key})

    def _feature_file(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()[:32]
        return self.place / FEATURES / digest[:2] / f"{digest}{SUFFIX}"


def _after(keys: list[Hashable]) -> str:
    """The name of a beginning of whole blocks."""
    before = _ROOT
    for start in range(0, len(keys), BLOCK):
        before = _digest(before, keys[start : start + BLOCK])
    return before


def _digest(before: str, part: list[Hashable]) -> str:
    return hashlib.sha256(f"{before} {json.dumps(_packed(part))}".encode()).hexdigest()[:32]


def _packed(keys: Iterable[Hashable]) -> list[Any]:
    """Keys as JSON: ids as they are, the positions of a picture as one run, [content, tier, first offset, count]."""
    packed: list[Any] = []
    for key in keys:
        if not isinstance(key, tuple):
            packed.append(key)
            continue
        content, tier, offset = cast("tuple[str, str, int]", key)
        last = packed[-1] if packed else None
        if isinstance(last, list) and last[:2] == [content, tier] and offset == last[2] + last[3]:
            last[3] += 1
        else:
            packed.append([content, tier, offset, 1])
    return packed


def _unpacked(packed: Any) -> list[Hashable]:
    """The keys again; none where they can't be those of a block."""
    keys: list[Hashable] = []
    if not isinstance(packed, list):
        return keys
    for entry in cast("list[Any]", packed):
        match entry:
            case int():
                keys.append(entry)
            case [str() as content, str() as tier, int() as first, int() as count] if count <= BLOCK:
                keys += [(content, tier, first + offset) for offset in range(count)]
            case _:
                return []
    return keys


def _end(chosen: Sequence[tuple[Path, int]], start: int) -> int:
    return start + sum(shared for _, shared in chosen)


def _count(file: Path) -> int:
    return int(file.stem.rpartition("-")[2])


def _but_length(tensor: torch.Tensor) -> tuple[int, ...]:
    return (*tensor.shape[:3], *tensor.shape[4:])
