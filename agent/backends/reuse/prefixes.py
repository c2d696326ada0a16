"""What was computed once: key-value prefixes of conversations, and vision features of pictures.

Both are keyed by content, never by place: a prefix by one key per position (a token's id, or a picture's
content, tier and offset), features by the picture's key. Both hold at most so many bytes; what was used longest
ago is dropped, or moves to a lower store (from a GPU to the machine's memory) and comes up again when it is needed.
Torch-free by itself: tensors come and go through the few methods it calls on them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

V = TypeVar("V")
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Lower(Generic[S, V]):
    """A store below another one, and the way of a value down to it and up from it."""

    store: S
    down: Callable[[V], V]
    up: Callable[[V], V]


class ByteLimited(Generic[V]):
    """A mapping of at most ``limit`` bytes; what was used longest ago goes first, to the lower one if there is one."""

    def __init__(self, limit: int, size: Callable[[V], int], *, lower: Lower[ByteLimited[V], V] | None = None) -> None:
        self.limit = limit
        self.used = 0
        self.lower = lower
        self._size = size
        self._kept: OrderedDict[str, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> V | None:
        """The value, now the most recently used; None if it isn't kept."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        found = self.lower.store.get(key) if self.lower else None
        if self.lower is None or found is None:
            return None
        value = self.lower.up(found)
        self.put(key, value)
        return value

    def put(self, key: str, value: V) -> None:
        """Keep a value, and push the oldest ones out beyond the limit. One over the limit itself isn't kept here."""
        self.drop(key)
        self._kept[key] = (value, self._size(value))
        self.used += self._kept[key][1]
        if self._kept[key][1] > self.limit:
            self._push_out(key)
        while self.used > self.limit:
            self._push_out(next(iter(self._kept)))

    def drop(self, key: str) -> None:
        """Forget one value, if it is kept."""
        if key in self._kept:
            self.used -= self._kept.pop(key)[1]
        if self.lower:
            self.lower.store.drop(key)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.used = 0
        if self.lower:
            self.lower.store.clear()

    def free(self) -> None:
        """Push everything out, to the lower store if there is one."""
        while self._kept:
            self._push_out(next(iter(self._kept)))

    def _push_out(self, key: str) -> None:
        value, size = self._kept.pop(key)
        self.used -= size
        if self.lower and self.lower.store.limit:
            self.lower.store.put(key, self.lower.down(value))


@dataclass(slots=True, eq=False)
class Prefix:
    """A computed prefix: ``cache`` holds exactly ``len(keys)`` positions."""

    keys: list[Hashable]
    cache: Any


@dataclass(frozen=True, slots=True)
class Hit:
    """A cache whose first ``length`` positions are those of the prompt; ``cache`` is None where there's nothing."""

    cache: Any
    length: int


class Prefixes:
    """Key-value caches of several conversations and branches, found by their longest common prefix.

    ``clone(cache, length)`` copies a cache's first positions, ``crop(cache, length)`` cuts it in place,
    ``size(cache)`` is its bytes. Branches are kept whole, each with its own copy of what they share.
    """

    def __init__(
        self,
        limit: int,
        *,
        size: Callable[[Any], int],
        clone: Callable[[Any, int], Any],
        crop: Callable[[Any, int], None],
        lower: Lower[Prefixes, Any] | None = None,
    ) -> None:
        self.limit = limit
        self.lower = lower
        self._size = size
        self._clone = clone
        self._crop = crop
        self._kept: list[Prefix] = []  # the most recently used one last

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def used(self) -> int:
        """Bytes of all kept caches."""
        return sum(self._size(prefix.cache) for prefix in self._kept)

    def reach(self, keys: Sequence[Hashable], spans: Sequence[tuple[int, int]]) -> int:
        """The length of what `take` would give; nothing leaves the store."""
        below = self.lower.store.reach(keys, spans) if self.lower else 0
        return max(self._best(list(keys), spans)[1], below)

    def take(self, keys: Sequence[Hashable], spans: Sequence[tuple[int, int]]) -> Hit:
        """The cache that shares most with ``keys``; it leaves the store until ``put`` brings it back.

        At least one position stays uncomputed, as the model needs one to go on from, and no cut falls inside
        a picture (``spans`` are their first position and length): its features come whole. Where the kept
        conversation goes on differently, it stays, and the prompt gets a copy, if that fits the limit.
        """
        best, length = self._best(list(keys), spans)
        if self.lower and self.lower.store.reach(keys, spans) > length:
            found = self.lower.store.take(keys, spans)
            return Hit(self.lower.up(found.cache), found.length)
        if best is None:
            return Hit(None, 0)
        self._kept.remove(best)
        if length == len(best.keys):
            return Hit(best.cache, length)
        share = self._size(best.cache) * length // len(best.keys)
        if self._size(best.cache) + share <= self.limit:
            self._kept.append(best)
            self._shrink(self.limit - share)
            return Hit(self._clone(best.cache, length), length)
        self._crop(best.cache, length)
        return Hit(best.cache, length)

    def view(self, keys: Sequence[Hashable], spans: Sequence[tuple[int, int]]) -> Hit:
        """The cache of which `take` would give the first ``length`` positions, to be read alone: it stays here."""
        best, length = self._best(list(keys), spans)
        if self.lower and self.lower.store.reach(keys, spans) > length:
            found = self.lower.store.view(keys, spans)
            return Hit(self.lower.up(found.cache), found.length)
        return Hit(best and best.cache, length)

    def _best(self, keys: list[Hashable], spans: Sequence[tuple[int, int]]) -> tuple[Prefix | None, int]:
        best, length = None, 0
        for prefix in self._kept:
            shared = common(prefix.keys, keys)
            if shared >= length:
                best, length = prefix, shared
        length = outside(min(length, len(keys) - 1), spans)
        return (best, length) if length > 0 else (None, 0)

    def put(self, keys: Sequence[Hashable], cache: Any) -> None:
        """Keep a cache of exactly ``len(keys)`` positions. What it wholly contains is no longer needed."""
        keys = list(keys)
        self._drop_within(keys)
        if keys and self._size(cache) <= self.limit:
            self._kept.append(Prefix(keys, cache))
        elif keys:
            self._lay_down(Prefix(keys, cache))
        self._shrink(self.limit)

    def move_off(self, cache: Any) -> None:
        """Have a copy in the place of a cache, which is needed for something else, if it is kept here."""
        for prefix in self._kept:
            if prefix.cache is cache:
                prefix.cache = self._clone(cache, len(prefix.keys))

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        if self.lower:
            self.lower.store.clear()

    def free(self) -> None:
        """Push everything out, to the lower store if there is one."""
        self._shrink(-1)

    def _drop_within(self, keys: list[Hashable]) -> None:
        self._kept = [p for p in self._kept if common(p.keys, keys) < len(p.keys)]
        if self.lower:
            self.lower.store._drop_within(keys)

    def _shrink(self, limit: int) -> None:
        while self._kept and self.used > limit:
            self._lay_down(self._kept.pop(0))

    def _lay_down(self, prefix: Prefix) -> None:
        if self.lower and self.lower.store.limit:
            self.lower.store.put(prefix.keys, self.lower.down(prefix.cache))


def common(left: list[Hashable], right: list[Hashable]) -> int:
    """The length of the longest common prefix; slices compare in C, so the search is by halves."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def outside(length: int, spans: Sequence[tuple[int, int]]) -> int:
    """The longest length up to ``length`` that cuts no picture."""
    for start, count in spans:
        if start < length < start + count:
            return start
    return length
