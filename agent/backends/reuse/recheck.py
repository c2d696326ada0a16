"""A test of what is kept: the next token with it, and computed from nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from transformers import DynamicCache, GenerationConfig

from ...prompt import Shown
from ..backend import Pixels
from ..encoder import Encoded
from ..prefill import Prefill, Seen
from . import kv
from .kept import Kept
from .prefixes import Hit

See: TypeAlias = Callable[[Shown, Pixels], torch.Tensor]


@dataclass(frozen=True, slots=True)
class ReuseCheck:
    """What came of it: ``reused`` positions, the largest ``difference`` of the next token's logits.

    ``same_token``: the likeliest next token is the same; ``tolerance`` is the largest difference that rounding
    explains.
    """

    reused: int
    difference: float
    same_token: bool
    tolerance: float

    @property
    def fine(self) -> bool:
        """Whether what is kept gives what a computation from nothing gives, but for rounding."""
        return self.difference <= self.tolerance


@dataclass(frozen=True, slots=True)
class Recheck:
    """How a model computes the next token twice: ``see`` brings the features that are kept, ``see_anew`` others."""

    model: Any
    kept: Kept
    prefill: Prefill
    see: See
    see_anew: See

    def run(self, encoded: Encoded, pixels: Pixels) -> ReuseCheck:
        """Both computations of a prompt, compared. What is kept stays as it was."""
        reused, left = self._reusing(encoded, pixels)
        seen = [(start, self.see_anew(picture, pixels)) for start, picture, _ in encoded.pictures]
        right = self._logits(encoded, Hit(DynamicCache(), 0), seen)
        # What is kept in 16 bits was computed in other steps, each rounded; logits are of the order of ten.
        tolerance = 1e-3 if left.dtype == torch.float32 and self.model.dtype == torch.float32 else 0.5
        difference = float((left.float() - right.float()).abs().max())
        difference = difference if difference == difference else float("inf")  # a damaged value may give no number
        return ReuseCheck(reused, difference, bool(left.argmax() == right.argmax()), tolerance)

    def _reusing(self, encoded: Encoded, pixels: Pixels) -> tuple[int, torch.Tensor]:
        spans = [(start, count) for start, _, count in encoded.pictures]
        plan = self.kept.plan(encoded.keys, spans)
        seen = [(start, self.see(picture, pixels)) for start, picture, _ in encoded.pictures if start >= plan.length]
        hit = self.kept.take(encoded.keys, spans, plan)
        logits = self._logits(encoded, hit, seen)
        kv.crop(hit.cache, hit.length)
        if hit.length > self.kept.prefixes.reach(encoded.keys, spans):
            self.kept.prefixes.put(encoded.keys[: hit.length], hit.cache)
        return hit.length, logits

    def _logits(self, encoded: Encoded, hit: Hit, seen: Sequence[Seen]) -> torch.Tensor:
        """The next token's logits, (vocabulary,), in the way that answers are computed."""
        once = GenerationConfig(
            max_new_tokens=1, do_sample=False, output_logits=True, return_dict_in_generate=True, use_cache=True
        )
        inputs = self.prefill.run(encoded.ids, hit.cache, seen, begun=hit.length)
        out = self.model.generate(**(inputs or {}), generation_config=once)
        return out.logits[0][0]
