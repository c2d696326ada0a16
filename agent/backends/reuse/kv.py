"""What the reuse of prefixes does to transformers' key-value cache: measure, copy, cut, move, join."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from transformers import DynamicCache

from .slate import Slate

Layers: TypeAlias = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of each layer, each (batch, heads, positions, head size)."""


def size(cache: Any) -> int:
    """Bytes of a cache's positions."""
    return sum(t.numel() * t.element_size() for layer in tensors(cache) for t in layer)


def clone(cache: Any, length: int) -> Any:
    """A copy of a cache's first ``length`` positions; tensors are (batch, heads, positions, head size)."""
    copy: Any = DynamicCache()
    for index, layer in enumerate(cache.layers):
        copy.update(layer.keys[:, :, :length].clone(), layer.values[:, :, :length].clone(), index)
    return copy


def repeated(cache: Any, length: int, count: int) -> Any:
    """A cache for a batch of ``count`` whose rows all begin with the first positions of this one, which stays as it is.

    The rows share their memory until the cache grows.
    """
    shared: Any = DynamicCache()
    for index, layer in enumerate(tensors(cache)):
        keys, values = (side[:, :, :length].expand(count, -1, -1, -1) for side in layer)
        shared.update(keys[:, :, :0], values[:, :, :0], index)
        shared.layers[index].keys, shared.layers[index].values = keys, values
    return shared


def crop(cache: Any, length: int) -> None:
    """Cut a cache to its first ``length`` positions, in place."""
    if isinstance(cache, Slate):
        cache.roll_back(length)
        return
    for layer in cache.layers:  # one by one: a failed computation leaves them uneven
        surplus = layer.get_seq_length() - length
        if surplus > 0:
            layer.crop(-surplus)


def moved(cache: Any, device: str) -> Any:
    """A copy of a cache on another device."""
    copy: Any = DynamicCache()
    for index, (keys, values) in enumerate(tensors(cache)):
        copy.update(keys.to(device), values.to(device), index)
    return copy


def tensors(cache: Any) -> Layers:
    """Keys and values of each layer, as they are now: a cache that grows or is cut gets others, but for a slate."""
    if isinstance(cache, Slate):
        return cache.tensors()
    return [(layer.keys, layer.values) for layer in cache.layers if layer.is_initialized]


def block(layers: Sequence[tuple[torch.Tensor, torch.Tensor]], start: int, stop: int) -> torch.Tensor:
    """Some positions of a cache of one conversation as one tensor: (layers, 2, heads, positions, head size), in RAM."""
    sides = [torch.stack([side[0, :, start:stop].cpu() for side in layer]) for layer in layers]
    return torch.stack(sides)


def extend(cache: Any, blocks: Sequence[torch.Tensor], *, skip: int, device: str) -> Any:
    """A cache (None: an empty one) with the positions of several blocks appended, without the first ``skip``."""
    cache = DynamicCache() if cache is None else cache
    for index in range(len(blocks[0])):
        keys, values = (
            torch.cat([one[index, side] for one in blocks], dim=1)[None, :, skip:].to(device) for side in (0, 1)
        )
        cache.update(keys, values, index)
    return cache


def even(cache: Any, count: int) -> int:
    """Cut a cache that a failed computation left uneven to the positions that all ``count`` layers have."""
    if isinstance(cache, Slate):
        cache.close()
        cache.roll_back(cache.filled)
        return cache.filled
    layers: Any = cache.layers
    length = min(layer.get_seq_length() for layer in layers) if len(layers) == count else 0
    for layer in layers:
        if layer.is_initialized:
            layer.keys, layer.values = layer.keys[:, :, :length], layer.values[:, :, :length]
    return length


def joined(conversations: Sequence[Layers], blanks: Sequence[int]) -> Any:
    """A cache of several conversations as one batch, each with so many blank positions before its first one."""
    batch: Any = DynamicCache()
    for index, layers in enumerate(zip(*conversations, strict=True)):
        sides = zip(*layers, strict=True)  # the keys of all, then the values
        batch.update(*(torch.cat([_blank(*each) for each in zip(side, blanks, strict=True)]) for side in sides), index)
    return batch


def _blank(side: torch.Tensor, count: int) -> torch.Tensor:
    return torch.nn.functional.pad(side, (0, 0, count, 0))


def row(batch: Any, index: int, start: int, stop: int) -> Any:
    """A copy of some positions of one conversation in a batch."""
    copy: Any = DynamicCache()
    for number, layer in enumerate(tensors(batch)):
        copy.update(*(side[index : index + 1, :, start:stop].clone() for side in layer), number)
    return copy
