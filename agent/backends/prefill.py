"""A long prompt is computed in chunks: they bound the memory of its activations, and a cancel is heard between them.

The last chunk is left to ``generate``. Pictures may be cut anywhere: each chunk gets the rows of their features
that stand in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

Seen: TypeAlias = tuple[int, torch.Tensor]
"""Where a picture begins in a prompt, and its features, (tokens, hidden)."""

# An explicit mask takes chunk x context bytes; below a thousand tokens a large GPU is no longer busy.
_CHUNK = {"cuda": 4096, "mps": 1024, "cpu": 4096}


def chunk_sizes(device: str) -> tuple[int, ...]:
    """Tokens of a chunk on a device, at each try: where memory runs out, room is made, then chunks get smaller."""
    usual = _CHUNK.get(device.partition(":")[0], 1024)
    return usual, usual, usual // 4, usual // 16


@dataclass(frozen=True, slots=True)
class Prefill:
    """Fills a cache for ``model`` in chunks of ``size`` tokens; ``stopped`` is asked before each but the first."""

    model: Any
    device: str
    size: int
    stopped: Callable[[], bool] = lambda: False

    def run(
        self, ids: Sequence[int], cache: Any, seen: Sequence[Seen], *, begun: int, left: int | None = None
    ) -> dict[str, Any] | None:
        """Compute a prompt from position ``begun`` on, and give what ``generate`` takes for the rest; None if stopped.

        The cache holds ``begun`` positions, and afterwards all but the last ``left`` (None: those of the last chunk).
        """
        row = torch.tensor([list(ids)], device=self.device)
        start, until = begun, len(ids) - (self.size if left is None else left)
        while start < until:
            if start > begun and self.stopped():
                return None
            end = start + self.size if left is None else min(start + self.size, until)
            self._chunk(row, start, end, cache, seen)
            start = end
        if start > begun and self.stopped():
            return None
        given = {"input_ids": row, "attention_mask": torch.ones_like(row), "past_key_values": cache}
        return given | features_within(seen, start, len(ids))

    def _chunk(self, row: torch.Tensor, start: int, end: int, cache: Any, seen: Sequence[Seen]) -> None:
        self.model(
            input_ids=row[:, start:end],
            position_ids=torch.arange(start, end, device=self.device)[None],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **features_within(seen, start, end),
        )


def features_within(seen: Sequence[Seen], start: int, end: int) -> dict[str, Any]:
    """The rows of features that stand between two positions of a prompt, as the model takes them; maybe none."""
    parts = [rows[max(0, start - at) : max(0, end - at)] for at, rows in seen]
    rows: Any = [part for part in parts if len(part)]  # one (tokens, hidden) each; the class is typed for one tensor
    return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=rows)}} if rows else {}
