"""One answer being computed by transformers' own ``generate``, from what is kept and back into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from ..answer import Usage
from .backend import Done, Pixels, Settings
from .checkpoint import Checkpoint
from .encoder import Encoded
from .failures import is_out_of_memory, is_uncompiled
from .lookup import Lookup
from .prefill import Prefill, Seen, features_within
from .reuse import kv
from .reuse.kept import Kept
from .reuse.prefixes import Hit
from .sampling import Ends, Watch
from .vision import Vision


@dataclass(frozen=True, slots=True)
class Generation:
    """The answer to a prompt; ``watch`` sees its tokens, after which ``bounds`` bound each step.

    ``compilation`` is how steps on the slate are compiled, as transformers' ``CompileConfig``; ``lookup`` is the loop
    that guesses tokens from the prompt, where that was chosen.
    """

    model: Any
    checkpoint: Checkpoint
    kept: Kept
    vision: Vision
    encoded: Encoded
    settings: Settings
    pixels: Pixels
    bounds: Sequence[Any]
    watch: Watch
    compilation: Any = None
    lookup: Lookup | None = None

    def write(self, chunk: int) -> int:
        """Generate from what is kept, going on after what ``watch`` has already seen; how many tokens were reused.

        What isn't kept of the prompt is computed in chunks of so many tokens.
        """
        hit, seen, ids = self._taken(apart=False)
        left = replace(self.settings, max_new_tokens=max(1, self.settings.max_new_tokens - len(self.watch.ids)))
        prefill = Prefill(self.model, self.vision.device, chunk, self.watch.stop_now)
        try:
            one = None if self.kept.slate is None else 1
            inputs = prefill.run(ids, hit.cache, seen, begun=hit.length, left=one)
            if inputs is None:
                self.watch.end()
            else:
                self._decode(inputs, configuration(self.checkpoint, left, len(ids)), len(ids))
        except Exception as error:
            if is_out_of_memory(error) or is_uncompiled(error):
                kv.even(hit.cache, self._num_layers)
                self.keep(hit.cache)
            raise
        self.keep(hit.cache)
        return min(hit.length, len(self.encoded.ids))

    def begin(self, chunk: int) -> tuple[kv.Layers, int]:
        """Compute and keep the prompt, and take the first token: what was computed, and how many tokens were reused."""
        hit, seen, ids = self._taken(apart=True)
        try:
            inputs = Prefill(self.model, self.vision.device, chunk, self.watch.stop_now).run(
                ids, hit.cache, seen, begun=hit.length
            )
            if inputs is None:
                self.watch.end()
            else:
                once = replace(self.settings, max_new_tokens=1)
                self._generate(inputs, configuration(self.checkpoint, once, len(ids)), streamer=self.watch)
        finally:
            kv.even(hit.cache, self._num_layers)
            layers = kv.tensors(hit.cache)  # the store may give the cache to others, but tensors stay as they are
            self.keep(hit.cache)
        return layers, min(hit.length, len(self.encoded.ids))

    def keep(self, cache: Any) -> None:
        """Keep a cache of the prompt and of what was said, as far as it reaches."""
        keys = self.encoded.keys + self.watch.ids
        self.kept.put(keys[: cache.get_seq_length()], cache)

    def _taken(self, *, apart: bool) -> tuple[Hit, list[Seen], list[int]]:
        """What is kept of the prompt and of what was said, the pictures after it, and all ids."""
        encoded, said = self.encoded, list(self.watch.ids)
        keys, spans = encoded.keys + said, [(start, count) for start, _, count in encoded.pictures]
        plan = self.kept.plan(keys, spans)
        seen = self._seen(plan.length)
        # What is taken is lost when something fails, so it is taken last.
        return self.kept.take(keys, spans, plan, apart=apart), seen, encoded.ids + said

    @property
    def _num_layers(self) -> int:
        return self.checkpoint.config.text_config.num_hidden_layers

    def _decode(self, inputs: dict[str, Any], config: Any, length: int) -> None:
        """Generate after ``length`` positions, on the slate if there is one."""
        slate = self.kept.slate
        if slate is None:
            more: dict[str, Any] = {} if self.lookup is None else {"custom_generate": self.lookup}
            self._generate(inputs, config, streamer=self.watch, **more)
            return
        config.compile_config = self.compilation
        # The prompt's last token is a step like any other, so compiled; its place has the strides of theirs.
        config.prefill_chunk_size = 1
        places = torch.arange(length, device=self.vision.device).as_strided((1, length), (1, 1))
        slate.open(length + config.max_new_tokens)
        try:
            self._generate(inputs | {"position_ids": places}, config, streamer=self.watch)
        finally:
            slate.close()

    def write_beams(self, chunk: int) -> int:
        """Generate along several beams; nothing but pictures' features is reused or kept."""
        ids = torch.tensor([self.encoded.ids], device=self.vision.device)
        seen = self._seen(0)
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)} | features_within(seen, 0, ids.shape[1])
        config = configuration(self.checkpoint, self.settings, ids.shape[1])
        config.prefill_chunk_size = max(1, chunk // self.settings.num_beams)
        row = self._generate(given, config)
        self.watch.take(row[0, ids.shape[1] :].tolist())
        return 0

    def _generate(self, inputs: dict[str, Any], config: Any, **more: Any) -> Any:
        return self.model.generate(
            **inputs,
            generation_config=config,
            logits_processor=LogitsProcessorList([self.watch, *self.bounds]),
            stopping_criteria=StoppingCriteriaList([Ends(self.watch)]),
            **more,
        )

    def done(self, reused: int) -> Done:
        """What was answered."""
        return done(self.checkpoint, self.encoded, self.watch, reused=reused)

    def _seen(self, begun: int) -> list[Seen]:
        """The pictures from a position on."""
        shown = [(start, picture) for start, picture, _ in self.encoded.pictures if start >= begun]
        features = self.vision.see([picture for _, picture in shown], self.pixels)
        return [(start, rows) for (start, _), rows in zip(shown, features, strict=True)]


def done(checkpoint: Checkpoint, encoded: Encoded, watch: Watch, *, reused: int = 0) -> Done:
    """What ``watch`` has seen of the answer to a prompt, of which so many tokens were reused."""
    usage = Usage(
        prompt=len(encoded.ids),
        reused=reused,
        new=len(encoded.ids) - reused,
        image=sum(count for _, _, count in encoded.pictures),
        output=len(watch.ids),
    )
    return Done(
        watch.final_text(),
        watch.finish,
        usage,
        ids=None if watch.is_cut else tuple(watch.ids),  # words cut off at a stop word don't match their ids
        tokenizer=None if watch.is_cut else checkpoint.encoder.fingerprint,
        logprobs=tuple(watch.logprobs),
    )


def configuration(checkpoint: Checkpoint, settings: Settings, prompt_length: int) -> Any:
    """Transformers' ``GenerationConfig`` for settings, after a prompt of so many tokens."""
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
