"""How attention is computed: what is installed and fits, and one way of our own for steps on a static cache."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import torch
import transformers
from transformers import masking_utils
from transformers.integrations import sdpa_attention

STATIC = "looktwice_static"
"""The name of `static_attention` in transformers."""

_library: Any = transformers  # not typed, as its parts
_masks: Any = masking_utils
_torchs: Any = sdpa_attention

_PART = 512  # positions; with parts of them, a step at batch 1 keeps all of a GPU's processors busy
_SMALLEST_PART = 64  # a cache that isn't static has any length, which may have no common part


def choose_attention(device: str, dtype: torch.dtype, *, compiled: bool) -> str:
    """Transformers' name of the attention: flash-attn's where it is installed and fits, else torch's own.

    Flash-attn fits a CUDA device and 16 bits, but not compiled steps, as its kernels break their graphs.
    """
    if compiled:
        return STATIC
    fits = device.startswith("cuda") and dtype in (torch.bfloat16, torch.float16)
    return "flash_attention_2" if fits and importlib.util.find_spec("flash_attn") is not None else "sdpa"


def static_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """One step over a static cache reads each key and value once; anything else goes to torch's own attention.

    ``query`` is (batch, heads, 1, size), ``key`` and ``value`` (batch, key-value heads, room, size), the mask (batch,
    1, 1, room); gives (batch, 1, heads, size). Torch's own attention with a mask copies keys and values for every
    head that shares them, and goes over the room in few pieces. The values are summed in parts, as flash-decoding
    does (Dao et al., "Flash-Decoding for long-context inference", 2023).
    """
    batch, heads, steps, size = query.shape
    shared, room = key.shape[1:3]
    part = math.gcd(room, _PART)
    if steps > 1 or part < _SMALLEST_PART or attention_mask is None or attention_mask.dtype != torch.bool:
        return _torchs.sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **more)
    grouped = query.reshape(batch, shared, heads // shared, size)
    scores = (grouped @ key.transpose(2, 3)).float() * (scaling or 1 / math.sqrt(size))
    weights = scores.masked_fill(~attention_mask, float("-inf")).softmax(dim=-1).to(value.dtype)
    pieces = weights.view(batch, shared, heads // shared, room // part, part).transpose(2, 3)
    summed = (pieces @ value.reshape(batch, shared, room // part, part, size)).sum(dim=2, dtype=torch.float32)
    return summed.to(query.dtype).reshape(batch, 1, heads, size), None


_library.AttentionInterface.register(STATIC, static_attention)
_library.AttentionMaskInterface.register(STATIC, _masks.sdpa_mask)
