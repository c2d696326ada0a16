# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""One optimiser for both stages: the model may work in bfloat16, its weights are kept and improved in float32."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch

__all__ = ["MixedAdam", "cosine"]


class MixedAdam:
    """AdamW over float32 copies of the parameters (Micikevicius et al., "Mixed Precision Training", 2018).

    Without copies, steps smaller than a 256th of a weight would be lost. Gradients are clipped to a norm of ``clip``.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], *, decay: float = 0.01, clip: float = 1.0) -> None:
        self._working = [p for p in parameters if p.requires_grad]
        self._kept = [p.detach().float().clone().requires_grad_() for p in self._working]
        self._adam = torch.optim.AdamW(self._kept, betas=(0.9, 0.98), weight_decay=decay, fused=True)
        self._clip = clip

    def step(self, rate: float) -> float:
        """Improve the weights by the gradients, and drop those. Returns their norm before clipping."""
        for working, kept in zip(self._working, self._kept, strict=True):
            kept.grad = torch.zeros_like(kept) if working.grad is None else working.grad.float()
            working.grad = None
        norm = torch.nn.utils.clip_grad_norm_(self._kept, self._clip)
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()
        with torch.no_grad():
            for working, kept in zip(self._working, self._kept, strict=True):
                working.copy_(kept)
        return float(norm)

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {"kept": self._kept, "adam": self._adam.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``."""
        with torch.no_grad():
            for working, kept, saved in zip(self._working, self._kept, state["kept"], strict=True):
                kept.copy_(saved)
                working.copy_(saved)
        self._adam.load_state_dict(state["adam"])


def cosine(step: int, steps: int, *, rate: float, warm_up: int, last: float = 0.01) -> float:
    """A rate that rises over ``warm_up`` steps and falls along a cosine to its share ``last``."""
    rising = min(1.0, (step + 1) / max(1, warm_up))
    return rate * rising * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps)))))
