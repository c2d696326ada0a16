"""How likely a few words are to come next, after several prompts that share their beginning: one pass, nothing kept.

What the kept prefixes hold of the shared beginning is read where it lies, as the common past of every row of a batch;
the rows are the prompts' own endings, filled up on the right.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from transformers import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPooling

from ..prompt import Prompt, Shown
from .checkpoint import Checkpoint
from .encoder import Encoded, Encoder
from .failures import is_out_of_memory
from .reuse import kv
from .reuse.kept import Kept
from .reuse.prefixes import Hit, common, outside

__all__ = ["Weighing"]

_BLANKS = ("", "\u2581", "\u0120")  # how tokenizers write the blank before a word

Glance: TypeAlias = Callable[[Sequence[Shown]], list[torch.Tensor]]


@dataclass(frozen=True, slots=True)
class Weighing:
    """A model with what it keeps; ``glance`` brings the features of pictures, (tokens, hidden) each, and keeps none."""

    model: Any
    checkpoint: Checkpoint
    device: str
    kept: Kept
    glance: Glance

    def weigh(self, prompts: Sequence[Prompt], words: Sequence[str]) -> list[tuple[float, ...]]:
        """For each prompt the probability (0..1) of each word as the next token, before any grammar or temperature.

        A word counts with a blank before it and without; one that takes several tokens has the probability 0. Where
        memory runs out, the batch is halved.
        """
        encoded = [self.checkpoint.encoder.encode(prompt) for prompt in prompts]
        if not encoded:
            return []
        ids = [_spellings(self.checkpoint.encoder, word) for word in words]
        with torch.inference_mode():
            hit = self._past(encoded)
            likely = self._halved(encoded, hit)
        return [tuple(float(row[list(each)].sum()) for each in ids) for row in likely]

    def _past(self, encoded: Sequence[Encoded]) -> Hit:
        """What is kept of the beginning that all prompts share; each has at least one position after it."""
        keys, spans = _shared(encoded)
        return self.kept.view([*keys, None], spans, self.kept.plan([*keys, None], spans))

    def _halved(self, encoded: Sequence[Encoded], past: Hit) -> list[torch.Tensor]:
        """The next token's probabilities, (vocabulary,), after each prompt."""
        try:
            return self._together(encoded, past)
        except Exception as error:
            if len(encoded) == 1 or not is_out_of_memory(error):
                raise
        # Only here does nothing refer to the failed computation's tensors any more.
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
        middle = len(encoded) // 2
        return self._halved(encoded[:middle], past) + self._halved(encoded[middle:], past)

    def _together(self, encoded: Sequence[Encoded], past: Hit) -> list[torch.Tensor]:
        endings = [each.ids[past.length :] for each in encoded]
        width, pad = max(map(len, endings)), self.checkpoint.stops[0]
        ids = torch.tensor([[*ending, *[pad] * (width - len(ending))] for ending in endings], device=self.device)
        seen = [[1] * (past.length + len(ending)) + [0] * (width - len(ending)) for ending in endings]
        positions = torch.arange(past.length, past.length + width, device=self.device)
        lasts = sorted({len(ending) - 1 for ending in endings})
        out = self.model(
            input_ids=ids,
            attention_mask=torch.tensor(seen, device=self.device),
            position_ids=positions.expand(len(endings), -1),
            past_key_values=kv.repeated(past.cache, past.length, len(endings)) if past.length else DynamicCache(),
            use_cache=True,
            logits_to_keep=torch.tensor(lasts, device=self.device),
            **self._pictures(encoded, past.length),
        )
        rows = [out.logits[row, lasts.index(len(ending) - 1)] for row, ending in enumerate(endings)]
        return [torch.softmax(row.float(), dim=-1).cpu() for row in rows]

    def _pictures(self, encoded: Sequence[Encoded], after: int) -> dict[str, Any]:
        """The features of the pictures in all endings, in the order of the rows."""
        shown = [picture for each in encoded for start, picture, _ in each.pictures if start >= after]
        rows: Any = self.glance(shown)
        return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=rows)}} if rows else {}


def _shared(encoded: Sequence[Encoded]) -> tuple[list[Hashable], list[tuple[int, int]]]:
    """The keys that all prompts begin with, but for at least one position of each, and the pictures among them."""
    first = encoded[0]
    length = min([len(first.keys) - 1, *(min(common(first.keys, e.keys), len(e.keys) - 1) for e in encoded[1:])])
    spans = [(start, count) for start, _, count in first.pictures]
    length = outside(length, spans)
    return first.keys[:length], [span for span in spans if span[0] < length]


def _spellings(encoder: Encoder, word: str) -> frozenset[int]:
    """The tokens that are a word by themselves, with a blank before it or without."""
    known: dict[str, int] = encoder.tokenizer.get_vocab()
    found = {known[piece] for blank in _BLANKS if (piece := blank + word) in known}
    found |= {ids[0] for blank in ("", " ") if len(ids := encoder.encode_run(blank + word)) == 1}
    return frozenset(i for i in found if encoder.decode([i]).strip() == word)
