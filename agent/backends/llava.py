"""LLaVA-NeXT, LLaVA-1.5 and Interleave checkpoints in this process, through transformers.

Vision features and key-value prefixes are kept by content (`reuse/`),
so that a turn computes its new tokens alone; everything else is transformers' own ``generate``.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import DynamicCache, GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.modeling_outputs import BaseModelOutputWithPooling

from ...errors import InvalidInput, LookTwiceError, ModelError
from ..answer import Usage
from ..calls import CLOSE, OPEN, Offer
from ..prompt import Prompt, Shown, Style
from ..trigger import Calibration
from .backend import Done, Pixels, Row, Settings, Token
from .batched import Batch, is_out_of_memory
from .checkpoint import Checkpoint
from .encoder import Encoded
from .limits import Limits
from .queueing import Line
from .reuse import kv
from .reuse.folder import CacheFolder
from .reuse.identity import facts, identity
from .reuse.kept import Kept
from .reuse.prefixes import Hit
from .reuse.recheck import Recheck, ReuseCheck
from .sampling import CallGrammar, Ends, Forbid, Watch, seeded
from .weights import choose_device, choose_dtype, load, quantization

GIB = 1 << 30


class LlavaBackend:
    """A checkpoint that answers prompts. Weights are loaded at the first question.

    ``device`` is "cuda", "mps", "cpu" or None (the best there is); ``dtype`` a torch name such as
    "bfloat16" (None: bfloat16 on a GPU, float32 on the CPU); ``quantize`` "4bit" or "8bit".
    ``prefix_bytes`` and ``feature_bytes`` bound what is kept for reuse on the device; what is pushed out of a GPU
    moves to the machine's memory, up to ``ram_bytes`` (None: a quarter of it, at most 8 GiB). ``cache`` is a folder
    of at most ``cache_bytes`` where the next process finds it, too; pictures' keys must name their content then.
    Questions from several threads are answered one after the other, in the order in which they came.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str | None = None,
        dtype: str | None = None,
        quantize: str | None = None,
        prefix_bytes: int = 4 * GIB,
        feature_bytes: int = GIB,
        ram_bytes: int | None = None,
        cache: str | os.PathLike[str] | None = None,
        cache_bytes: int = 8 * GIB,
    ) -> None:
        self.checkpoint = checkpoint
        self.device = choose_device(device)
        self.dtype = choose_dtype(dtype, self.device)
        self.quantize = quantize
        self._quantization = quantization(quantize)
        self._model: Any = None
        self._grammar_tokenizer: Any = None
        self._line = Line()
        self.kept = Kept(
            device=self.device,
            prefix_bytes=prefix_bytes,
            feature_bytes=feature_bytes,
            ram_bytes=ram_bytes,
            folder=None if cache is None else CacheFolder(cache, cache_bytes),
        )
        self.prefixes, self.features = self.kept.prefixes, self.kept.features

    @property
    def model(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    @property
    def context(self) -> int:
        """The most tokens, prompt and answer together."""
        return self.checkpoint.context

    @property
    def style(self) -> Style:
        """What the checkpoint expects of a prompt."""
        return self.checkpoint.style

    @property
    def note(self) -> str:
        """What the checkpoint says that it can't do."""
        return self.checkpoint.note

    @property
    def calibration(self) -> Calibration | None:
        """When its answers are doubtful, as the checkpoint says."""
        return self.checkpoint.calibration

    def rows(self, prompt: Prompt) -> list[Row]:
        """The prompt with its exact cost, row by row; no weights are needed."""
        return self.checkpoint.encoder.encode(prompt).rows

    def generate(
        self,
        prompt: Prompt,
        settings: Settings,
        *,
        pixels: Pixels,
        offer: Offer | None = None,
        cancel: threading.Event | None = None,
    ) -> Generator[Token | Done]:
        """Tokens as they come, then ``Done``. The generation runs in a thread and ends with this iterator.

        Raises ModelError where loading or computing fails, InvalidInput for settings that can't go together.
        """
        _require_sense(settings, offer)
        abandoned = threading.Event()
        limits = Limits(settings.timeout, cancel, abandoned)
        out: queue.Queue[Token | Done | BaseException] = queue.Queue()
        ticket = self._line.join()

        def work() -> None:
            try:
                with limits.queued(ticket) as over:
                    done = Done("", over, Usage()) if over else None
                    out.put(done or self._answer(prompt, settings, pixels, offer, limits, out))
            except BaseException as error:
                out.put(_explained(error))

        thread = threading.Thread(target=work, name="looktwice-generate", daemon=True)
        try:
            thread.start()
            while True:
                item = out.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
                if isinstance(item, Done):
                    return
        finally:
            abandoned.set()
            if thread.ident is not None:
                thread.join()
            ticket.leave()

    def generate_many(
        self, prompts: Sequence[Prompt], settings: Settings, *, pixels: Pixels, cancel: threading.Event | None = None
    ) -> list[Done]:
        """One ``Done`` a prompt, in order, computed together as one batch; ``settings.timeout`` is the batch's.

        Features of pictures are kept and reused, prefixes are not. Where memory runs out, the batch is halved. Raises
        ModelError where loading or computing fails, InvalidInput for settings that don't go with a batch.
        """
        limits = Limits(settings.timeout, cancel)
        with limits.queued(self._line.join()) as over:
            if over:
                return [Done("", over, Usage()) for _ in prompts]
            try:
                model, see = self._loaded(), partial(self._see, pixels=pixels)
                batch = Batch(model, self.checkpoint, self.device, see, self._config, settings, limits)
                return [self._done(encoded, Hit(None, 0), watch) for encoded, watch in batch.answer(prompts)]
            except Exception as error:
                told = _explained(error)
                raise told from told.__cause__

    def forget(self, keys: Iterable[str]) -> None:
        """Drop every computed prefix, and the features of the pictures with those keys, in the cache folder, too."""
        with self._line:
            self.kept.forget(keys)

    def check_reuse(self, prompt: Prompt, pixels: Pixels) -> ReuseCheck:
        """Compute a prompt's next token with what is kept and once more from nothing, and compare.

        Finds a stale or wrong prefix, picture's features or file. Nothing is written; ``pixels`` as for `generate`.
        """
        try:
            with self._line, torch.inference_mode():
                model, encode = self._loaded(), self._encode_shown
                return Recheck(model, self.kept, self._inputs, self._feature, encode).run(
                    self.checkpoint.encoder.encode(prompt), pixels
                )
        except Exception as error:
            told = _explained(error)
            raise told from told.__cause__

    def close(self) -> None:
        """Give the weights and everything kept back; the next question loads them again."""
        with self._line:
            self._model = None
            self.kept.close()

    def _answer(
        self,
        prompt: Prompt,
        settings: Settings,
        pixels: Pixels,
        offer: Offer | None,
        limits: Limits,
        out: queue.Queue[Any],
    ) -> Done:
        self._loaded()
        encoded = self.checkpoint.encoder.encode(prompt)
        watch = Watch(
            self.checkpoint.encoder.tokenizer,
            settings,
            stops=self.checkpoint.stops,
            before=self.checkpoint.encoder.open_ids(prompt),
            limits=limits,
            out=out,
        )
        bounds = self._bounds(None if settings.num_beams > 1 else offer, watch)
        way = self._write_beams if settings.num_beams > 1 else self._write
        write = partial(way, encoded, settings, pixels, bounds, watch)
        with torch.inference_mode(), seeded(settings.seed, self.device):
            try:
                return self._done(encoded, write(), watch)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # Only here does nothing refer to the failed computation's tensors any more.
            self.kept.free()
            watch.resume()
            return self._done(encoded, write(), watch)

    def _write(self, encoded: Encoded, settings: Settings, pixels: Pixels, bounds: list[Any], watch: Watch) -> Hit:
        """Generate from what is kept, going on after what ``watch`` has already seen; what was reused."""
        said = list(watch.ids)
        keys, spans = encoded.keys + said, [(start, count) for start, _, count in encoded.pictures]
        plan = self.kept.plan(keys, spans)
        features = [self._feature(picture, pixels) for start, picture, _ in encoded.pictures if start >= plan.length]
        # What is taken is lost when something fails, so it is taken last.
        hit = self.kept.take(keys, spans, plan)
        cache = hit.cache if hit.cache is not None else DynamicCache()
        left = replace(settings, max_new_tokens=max(1, settings.max_new_tokens - len(said)))
        try:
            self._loaded().generate(
                **self._inputs(encoded.ids + said, cache, features),
                generation_config=self._config(left, len(keys)),
                logits_processor=LogitsProcessorList(bounds),
                stopping_criteria=StoppingCriteriaList([Ends(watch)]),
                streamer=watch,
            )
        except Exception as error:
            if is_out_of_memory(error):
                length = kv.even(cache, self.checkpoint.config.text_config.num_hidden_layers)
                self.kept.put((encoded.keys + watch.ids)[:length], cache)
            raise
        self.kept.put((encoded.keys + watch.ids)[: cache.get_seq_length()], cache)
        return Hit(None, min(hit.length, len(encoded.ids)))

    def _write_beams(
        self, encoded: Encoded, settings: Settings, pixels: Pixels, bounds: list[Any], watch: Watch
    ) -> Hit:
        """Generate along several beams; nothing but pictures' features is reused or kept."""
        row = self._loaded().generate(
            **self._inputs(encoded.ids, None, [self._feature(picture, pixels) for _, picture, _ in encoded.pictures]),
            generation_config=self._config(settings, len(encoded.ids)),
            logits_processor=LogitsProcessorList(bounds),
            stopping_criteria=StoppingCriteriaList([Ends(watch)]),
        )
        watch.take(row[0, len(encoded.ids) :].tolist())
        return Hit(None, 0)

    def _inputs(self, prompt: Sequence[int], cache: Any, features: Sequence[torch.Tensor]) -> dict[str, Any]:
        ids = torch.tensor([list(prompt)], device=self.device)
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "past_key_values": cache}
        if features:
            rows: Any = list(features)  # one (tokens, hidden) a picture; the class is typed for a single tensor
            inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=rows)}
        return {name: value for name, value in inputs.items() if value is not None}

    def _config(self, settings: Settings, prompt_length: int) -> GenerationConfig:
        sampled = settings.temperature > 0
        return GenerationConfig(
            max_new_tokens=max(1, min(settings.max_new_tokens, self.context - prompt_length)),
            do_sample=sampled,
            temperature=settings.temperature if sampled else None,
            top_p=settings.top_p if sampled else None,
            top_k=0 if sampled else None,
            num_beams=settings.num_beams,
            eos_token_id=list(self.checkpoint.stops),
            pad_token_id=self.checkpoint.stops[0],
            use_cache=True,
        )

    def _bounds(self, offer: Offer | None, watch: Watch) -> list[Any]:
        """What bounds each step. An answer never holds a control token, but for the tags of a call on offer."""
        encoder = self.checkpoint.encoder
        control = {*encoder.control.values(), encoder.image_token_id} - set(self.checkpoint.stops)
        if offer is None:
            return [watch, Forbid(control)]
        open_id, close_id = encoder.call_tag(OPEN), encoder.call_tag(CLOSE)
        if open_id is None or close_id is None:
            open_id = close_id = None
        allowed = {open_id, close_id} if offer.is_open else set[int | None]()
        _require_sayable(offer, encoder.control)
        grammar = offer.grammar(open_id=open_id, close_id=close_id)
        return [watch, Forbid(control - allowed), CallGrammar(self._for_grammar(), grammar)]

    def _for_grammar(self) -> Any:
        if self._grammar_tokenizer is None:
            import llguidance.hf

            tokenizer = self.checkpoint.encoder.tokenizer
            vocabulary = max(len(tokenizer), self.checkpoint.config.text_config.vocab_size)
            self._grammar_tokenizer = llguidance.hf.from_tokenizer(
                tokenizer, n_vocab=vocabulary, eos_token=list(self.checkpoint.stops)
            )
        return self._grammar_tokenizer

    def _feature(self, picture: Shown, pixels: Pixels) -> torch.Tensor:
        """A picture's features, (tokens, hidden)."""
        return self._see([picture], pixels)[0]

    def _see(self, pictures: Sequence[Shown], pixels: Pixels) -> list[torch.Tensor]:
        """The features of pictures, (tokens, hidden) each; those that aren't kept are encoded together."""
        found = {key: self.kept.feature(key) for key in dict.fromkeys(picture.key for picture in pictures)}
        unseen = [key for key, full in found.items() if full is None]
        if unseen:
            for key, full in zip(unseen, self._encode([pixels(key) for key in unseen]), strict=True):
                found[key] = full
                self.kept.put_feature(key, full)
        return [self._fitted(picture, full) for picture in pictures if (full := found[picture.key]) is not None]

    def _encode_shown(self, picture: Shown, pixels: Pixels) -> torch.Tensor:
        """A picture's features, computed from its pixels whatever is kept."""
        return self._fitted(picture, self._encode([pixels(picture.key)])[0])

    def _fitted(self, picture: Shown, full: torch.Tensor) -> torch.Tensor:
        """The features at the picture's tier; a thumbnail is the first rows of the full ones."""
        geometry = self.checkpoint.encoder.images
        if picture.tier == "thumbnail" and geometry.pinpoints:
            newline = self._loaded().model.image_newline[None].to(full.dtype)
            full = torch.cat([full[: (geometry.tile // geometry.patch) ** 2], newline])
        expected = self.checkpoint.encoder.image_tokens(picture)
        if len(full) != expected:
            raise ModelError(
                f"picture {picture.name!r} gave {len(full)} features instead of {expected}; is {self.model!r} whole?"
            )
        return full

    def _encode(self, images: Sequence[Any]) -> list[torch.Tensor]:
        model = self._loaded()
        inputs = self.checkpoint.processor.image_processor(images=list(images), return_tensors="pt")
        inputs = {name: value.to(self.device) for name, value in inputs.items()}
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
        if self.checkpoint.kind == "llava":
            inputs.pop("image_sizes", None)
        rows = model.model.get_image_features(**inputs, return_dict=True).pooler_output
        return [each.clone() for each in rows]  # a part would hold the memory of all

    def _done(self, encoded: Encoded, hit: Hit, watch: Watch) -> Done:
        text = watch.final_text()
        usage = Usage(
            prompt=len(encoded.ids),
            reused=hit.length,
            new=len(encoded.ids) - hit.length,
            image=sum(count for _, _, count in encoded.pictures),
            output=len(watch.ids),
        )
        return Done(
            text,
            watch.finish,
            usage,
            ids=None if watch.is_cut else tuple(watch.ids),  # words cut off at a stop word don't match their ids
            tokenizer=None if watch.is_cut else self.checkpoint.encoder.fingerprint,
            logprobs=tuple(watch.logprobs),
        )

    def _loaded(self) -> Any:
        if self._model is None:
            self._model = load(self.checkpoint, device=self.device, dtype=self.dtype, quantization=self._quantization)
            self.kept.attach(self._identity)
        return self._model

    def _identity(self) -> tuple[str, dict[str, Any]]:
        told = facts(self.model, self.checkpoint.source, device=self.device, dtype=self.dtype, quantize=self.quantize)
        return identity(told), told


def _require_sense(settings: Settings, offer: Offer | None) -> None:
    if settings.num_beams > 1 and offer is not None and offer.is_open:
        raise InvalidInput(
            f"num_beams {settings.num_beams} can't be used with tools: a call is bounded along one beam; give 1"
        )
    if settings.num_beams > 1 and (settings.stop or settings.timeout):
        raise InvalidInput(f"num_beams {settings.num_beams} can't be used with stop or timeout; give 1")


def _require_sayable(offer: Offer, control: Collection[str]) -> None:
    """Raise InvalidInput for a schema that prescribes a control token: no answer can spell one."""
    written = json.dumps(offer.schema(), ensure_ascii=False) if offer.is_open else ""
    spelled = [token for token in control if token in written]
    if spelled:
        raise InvalidInput(f"a tool's schema holds {spelled[0]!r}, which is a control token of this model; rename it")


def _explained(error: BaseException) -> BaseException:
    """What the user is told: our own errors as they are, torch's in one line with the way out."""
    if isinstance(error, LookTwiceError) or not isinstance(error, Exception):
        return error
    if is_out_of_memory(error):
        told = ModelError(
            "the model ran out of memory; ask about fewer pictures, give them a smaller budget,"
            " or load it with quantize='4bit'"
        )
    else:
        first = (str(error).splitlines() or [""])[0]
        told = ModelError(f"the model failed: {type(error).__name__}: {first}")
    told.__cause__ = error
    return told
