"""The slate: one static key-value cache on which a model writes, so that decoding has shapes and places that stay.

Compiled decoding (CUDA graphs) needs tensors at fixed addresses and of a fixed size. A slate has two states. Closed, it
is filled like any other cache: what is written is seen, and nothing else; room grows by reallocation. Open, it is
transformers' static cache: all room is seen under a mask, and the place is counted on the device. Rolling back is
exact in both: what stands behind the place is never attended to, and is written over.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import cache_utils

_SMALLEST = 2048
_Layer: Any = cache_utils.StaticLayer  # typed for a layer that may not have tensors yet
_Cache: Any = cache_utils.Cache


class SlateLayer(_Layer):
    """Keys and values of one layer, (1, heads, room, head size), of which ``filled`` positions count while closed."""

    def __init__(self) -> None:
        _Layer.__init__(self, max_cache_len=0)
        self.is_compileable = False  # as long as the slate is closed
        self.filled = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write new positions; gives all that attention may see."""
        if self.is_compileable:
            return _Layer.update(self, key_states, value_states, *args, **kwargs)
        start, end = self.filled, self.filled + key_states.shape[-2]
        self.reserve(end, key_states, value_states)
        self.keys[:, :, start:end] = key_states
        self.values[:, :, start:end] = value_states
        self.filled = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reserve(self, count: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Have room for ``count`` positions of tensors like these; what is filled is kept."""
        if count <= self.max_cache_len:
            return
        old = (self.keys, self.values) if self.is_initialized else None
        self.max_cache_len = room(count)
        self.lazy_initialization(keys, values)
        if old is not None:
            for new, before in zip((self.keys, self.values), old, strict=True):
                new[:, :, : self.filled] = before[:, :, : self.filled]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """How many positions attention sees, and from which on."""
        return (self.max_cache_len if self.is_compileable else self.filled + query_length), 0

    def get_seq_length(self) -> Any:
        """The place: a number while closed, a tensor on the device while open."""
        return self.cumulative_length if self.is_compileable else self.filled


class Slate(_Cache):
    """A static cache of so many layers; its memory is taken at the first use."""

    def __init__(self, layers: int) -> None:
        _Cache.__init__(self, layers=[SlateLayer() for _ in range(layers)])

    @property
    def room(self) -> int:
        """Positions that fit without reallocation."""
        return self._layers[0].max_cache_len

    @property
    def filled(self) -> int:
        """Positions that all layers have."""
        return min(layer.filled for layer in self._layers)

    def tensors(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values of each layer, (1, heads, filled, head size); what is written later shows in them."""
        used = [layer for layer in self._layers if layer.is_initialized]
        return [(layer.keys[:, :, : layer.filled], layer.values[:, :, : layer.filled]) for layer in used]

    def lay(self, cache: Any) -> None:
        """Write what another cache holds (None: nothing) in the place of everything."""
        self.roll_back(0)
        for index, layer in enumerate(cache.layers if cache is not None else ()):
            self.update(layer.keys, layer.values, index)

    def roll_back(self, length: int) -> None:
        """Go back to the first ``length`` positions."""
        for layer in self._layers:
            layer.filled = min(layer.filled, length)

    def open(self, count: int) -> None:
        """Let ``generate`` decode up to ``count`` positions in all, compiled where it can be."""
        for layer in self._layers:
            layer.reserve(count, layer.keys, layer.values)
            layer.cumulative_length.fill_(layer.filled)
        for layer in self._layers:
            layer.is_compileable = True

    def close(self) -> None:
        """End decoding. After a failed step layers may differ; `filled` is what all of them have."""
        for layer in self._layers:
            if layer.is_compileable:
                layer.is_compileable = False
                layer.filled = int(layer.cumulative_length)

    def free(self) -> None:
        """Give the memory back."""
        self.layers = [SlateLayer() for _ in self._layers]

    @property
    def _layers(self) -> list[SlateLayer]:
        layers: Any = self.layers
        return layers


def room(count: int) -> int:
    """The size of a slate for so many positions: few sizes, as each is compiled for by itself."""
    size = _SMALLEST
    while size < count:
        size *= 2
    return size
