"""Everything that a model keeps for reuse, in its tiers: on the device, in the machine's memory, in a cache folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from ....errors import InvalidInput
from . import kv
from .folder import CacheFolder
from .prefixes import ByteLimited, Hit, Lower, Prefixes
from .slate import Slate
from .stored import Found, Stored
from .writer import Writer

GIB = 1 << 30

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """How far the kept prefixes reach: ``length`` positions, with ``found`` from the disk."""

    length: int
    found: Found | None = None


class Kept:
    """Prefixes and features, each at most so many bytes on the device.

    What is pushed out of a GPU moves to the machine's memory (``ram_bytes``, a quarter of it for features); on the CPU
    there is one tier. With a ``folder`` both are also written to disk, in the background. With a ``slate``, what is
    taken lies on it; what lay there before moves off, if it is kept.
    """

    def __init__(
        self, *, device: str, prefix_bytes: int, feature_bytes: int, ram_bytes: int | None, folder: CacheFolder | None
    ) -> None:
        ram = _ram() if ram_bytes is None else ram_bytes
        for name, given in (("prefix_bytes", prefix_bytes), ("feature_bytes", feature_bytes), ("ram_bytes", ram)):
            if given < 0:
                raise InvalidInput(f"{name} {given!r} can't be used; give 0 or more")
        self._device = device
        self._folder = folder
        self._stored: Stored | None = None
        self._writer = Writer()
        self.slate: Slate | None = None
        below = 0 if device == "cpu" else ram
        self.prefixes = _prefixes(prefix_bytes, Lower(_prefixes(below - below // 4), _to_ram, self._up))
        self.features: ByteLimited[torch.Tensor] = ByteLimited(
            feature_bytes,
            _size,
            lower=Lower(ByteLimited(below // 4, _size), lambda t: t.cpu(), lambda t: t.to(device)),
        )

    def attach(self, checkpoint: Callable[[], tuple[str, dict[str, Any]]]) -> None:
        """Use the folder for a checkpoint, given by its identity and the facts behind it; asked for once."""
        if self._folder is None or self._stored is not None:
            return
        try:
            name, facts = checkpoint()
        except OSError as error:
            _log.warning("the checkpoint's files can't be read (%s); the cache folder is not used", error.strerror)
            self._folder = None
            return
        self._stored = Stored(self._folder, name, facts)

    # --- prefixes

    def plan(self, keys: Sequence[Hashable], spans: Sequence[tuple[int, int]]) -> Plan:
        """What `take` would give. Files are read and checked here; nothing leaves a store."""
        known = self.prefixes.reach(keys, spans)
        found = self._stored.find(keys, spans, known) if self._stored and known < len(keys) - 1 else None
        return Plan(found.length, found) if found else Plan(known)

    def take(
        self, keys: Sequence[Hashable], spans: Sequence[tuple[int, int]], plan: Plan, *, apart: bool = False
    ) -> Hit:
        """The cache that reaches as far as planned; in memory it leaves the store until `put` brings it back.

        ``apart``: one of its own in any case, never the slate.
        """
        hit = self.prefixes.take(keys, spans)
        cache = self._own(hit) if apart else self._begun(hit.cache)
        if plan.found is None:
            return Hit(cache, hit.length)
        return Hit(plan.found.onto(cache, hit.length, self._device), plan.found.length)

    def _begun(self, cache: Any) -> Any:
        """What a computation goes on with: the slate, on which the cache is laid, or the cache (None: a new one)."""
        if self.slate is None:
            return DynamicCache() if cache is None else cache
        if cache is not self.slate:
            self.prefixes.move_off(self.slate)
            self.slate.lay(cache)
        return self.slate

    def view(self, keys: Sequence[Hashable], spans: Sequence[tuple[int, int]], plan: Plan) -> Hit:
        """The same, to be read alone: what is in memory stays there as it is, and may hold more positions."""
        hit = self.prefixes.view(keys, spans)
        if plan.found is None:
            return hit
        own = None if hit.cache is None else kv.clone(hit.cache, hit.length)
        return Hit(plan.found.onto(own, hit.length, self._device), plan.found.length)

    def _own(self, hit: Hit) -> Any:
        if hit.cache is None:
            return DynamicCache()
        return kv.clone(hit.cache, hit.length) if hit.cache is self.slate else hit.cache

    def put(self, keys: Sequence[Hashable], cache: Any) -> None:
        """Keep a cache of exactly ``len(keys)`` positions."""
        # What waits to be written must not change, as a slate does.
        layers = kv.tensors(kv.clone(cache, len(keys)) if self._stored and cache is self.slate else cache)
        self.prefixes.put(keys, cache)
        if keys and (stored := self._stored):
            self._writer.submit(lambda: stored.save(keys, layers), keys)

    # --- features

    def feature(self, key: str) -> torch.Tensor | None:
        """A picture's features, (tokens, hidden), from wherever they are kept."""
        features = self.features.get(key)
        if features is None and self._stored and (read := self._stored.feature(key)) is not None:
            features = read.to(self._device)
            self.features.put(key, features)
        return features

    def put_feature(self, key: str, features: torch.Tensor) -> None:
        """Keep a picture's features."""
        self.features.put(key, features)
        if stored := self._stored:
            self._writer.submit(lambda: stored.save_feature(key, features))

    # --- giving back

    def forget(self, pictures: Iterable[str]) -> None:
        """Drop every prefix in memory, the features of these pictures, and what the folder has of them."""
        pictures = list(pictures)
        self.prefixes.clear()
        for key in pictures:
            self.features.drop(key)
        if self._folder is not None:
            self._writer.finish()  # what waits may come from other pictures, and what doesn't is deleted then
            if self._folder.path.is_dir():
                self._folder.forget(pictures)

    def free(self) -> None:
        """Make room on the device; what is kept there moves down where it can."""
        self.prefixes.free()
        self.features.free()
        if self.slate is not None:
            self.slate.free()
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()

    def finish(self) -> None:
        """Wait until everything is in the cache folder."""
        self._writer.finish()

    def close(self) -> None:
        """Drop everything in memory, when all that is to be written is."""
        self.finish()
        self._stored = None
        self.prefixes.clear()
        self.features.clear()
        if self.slate is not None:
            self.slate.free()
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _up(self, cache: Any) -> Any:
        return kv.moved(cache, self._device)


def _prefixes(limit: int, lower: Lower[Prefixes, Any] | None = None) -> Prefixes:
    return Prefixes(limit, size=kv.size, clone=kv.clone, crop=kv.crop, lower=lower)


def _to_ram(cache: Any) -> Any:
    return kv.moved(cache, "cpu")


def _size(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _ram() -> int:
    """A quarter of the machine's memory, at most 8 GiB; 2 where the system doesn't say."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()):
        return 2 * GIB
    return min(8 * GIB, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4)
