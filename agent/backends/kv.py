"""What the reuse of prefixes does to transformers' key-value cache: measure, copy, cut."""

from __future__ import annotations

from typing import Any

from transformers import DynamicCache


def size(cache: Any) -> int:
    """Bytes of a cache's tensors."""
    return sum(t.numel() * t.element_size() for layer in cache.layers for t in (layer.keys, layer.values))


def clone(cache: Any, length: int) -> Any:
    """A copy of a cache's first ``length`` positions; tensors are (batch, heads, positions, head size)."""
    copy: Any = DynamicCache()
    for index, layer in enumerate(cache.layers):
        copy.update(layer.keys[:, :, :length].clone(), layer.values[:, :, :length].clone(), index)
    return copy


def crop(cache: Any, length: int) -> None:
    """Cut a cache to its first ``length`` positions, in place."""
    surplus = cache.get_seq_length() - length
    if surplus > 0:
        cache.crop(-surplus)
