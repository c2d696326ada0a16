"""One answer being computed by transformers' own ``generate``, from what is kept and back into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import DynamicCache, GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.modeling_outputs import BaseModelOutputWithPooling

from .backend import Pixels, Settings
from .checkpoint import Checkpoint
from .encoder import Encoded
from .failures import is_out_of_memory
from .reuse import kv
from .reuse.kept import Kept
from .reuse.prefixes import Hit
from .sampling import Ends, Watch
from .vision import Vision


@dataclass(frozen=True, slots=True)
class Generation:
    """The answer to a prompt; ``watch`` sees its tokens, after which ``bounds`` bound each step."""

    model: Any
    checkpoint: Checkpoint
    kept: Kept
    vision: Vision
    encoded: Encoded
    settings: Settings
    pixels: Pixels
    bounds: Sequence[Any]
    watch: Watch

    def write(self) -> Hit:
        """Generate from what is kept, going on after what ``watch`` has already seen; what was reused."""
        encoded, said = self.encoded, list(self.watch.ids)
        keys, spans = encoded.keys + said, [(start, count) for start, _, count in encoded.pictures]
        plan = self.kept.plan(keys, spans)
        features = [self._feature(picture) for start, picture, _ in encoded.pictures if start >= plan.length]
        # What is taken is lost when something fails, so it is taken last.
        hit = self.kept.take(keys, spans, plan)
        cache = hit.cache if hit.cache is not None else DynamicCache()
        left = replace(self.settings, max_new_tokens=max(1, self.settings.max_new_tokens - len(said)))
        try:
            self._generate(encoded.ids + said, left, cache, features, streamer=self.watch)
        except Exception as error:
            if is_out_of_memory(error):
                length = kv.even(cache, self.checkpoint.config.text_config.num_hidden_layers)
                self.kept.put((encoded.keys + self.watch.ids)[:length], cache)
            raise
        self.kept.put((encoded.keys + self.watch.ids)[: cache.get_seq_length()], cache)
        return Hit(None, min(hit.length, len(encoded.ids)))

    def write_beams(self) -> Hit:
        """Generate along several beams; nothing but pictures' features is reused or kept."""
        ids, features = self.encoded.ids, [self._feature(picture) for _, picture, _ in self.encoded.pictures]
        row = self._generate(ids, self.settings, None, features)
        self.watch.take(row[0, len(ids) :].tolist())
        return Hit(None, 0)

    def _generate(
        self, ids: Sequence[int], settings: Settings, cache: Any, features: Sequence[torch.Tensor], **more: Any
    ) -> Any:
        return self.model.generate(
            **inputs(ids, cache, features, device=self.vision.device),
            generation_config=configuration(self.checkpoint, settings, len(ids)),
            logits_processor=LogitsProcessorList([self.watch, *self.bounds]),
            stopping_criteria=StoppingCriteriaList([Ends(self.watch)]),
            **more,
        )

    def _feature(self, picture: Any) -> torch.Tensor:
        return self.vision.feature(picture, self.pixels)


def inputs(prompt: Sequence[int], cache: Any, features: Sequence[torch.Tensor], *, device: str) -> dict[str, Any]:
    """What ``generate`` takes: all ids, and the features of those pictures that aren't in the cache."""
    ids = torch.tensor([list(prompt)], device=device)
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "past_key_values": cache}
    if features:
        rows: Any = list(features)  # one (tokens, hidden) a picture; the class is typed for a single tensor
        given["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=rows)}
    return {name: value for name, value in given.items() if value is not None}


def configuration(checkpoint: Checkpoint, settings: Settings, prompt_length: int) -> GenerationConfig:
    """Transformers' configuration for settings, after a prompt of so many tokens."""
    sampled = settings.temperature > 0
    return GenerationConfig(
        max_new_tokens=max(1, min(settings.max_new_tokens, checkpoint.context - prompt_length)),
        do_sample=sampled,
        temperature=settings.temperature if sampled else None,
        top_p=settings.top_p if sampled else None,
        top_k=0 if sampled else None,
        num_beams=settings.num_beams,
        eos_token_id=list(checkpoint.stops),
        pad_token_id=checkpoint.stops[0],
        use_cache=True,
    )
