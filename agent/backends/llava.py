"""LLaVA-NeXT, LLaVA-1.5 and Interleave checkpoints in this process, through transformers.

Vision features and key-value prefixes are kept by content (`reuse.py`),
so that a turn computes its new tokens alone; everything else is transformers' own ``generate``.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Collection, Generator, Iterable, Sequence
from typing import Any

import torch
from transformers import DynamicCache, GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.modeling_outputs import BaseModelOutputWithPooling

from ...errors import InvalidInput, LookTwiceError, ModelError
from ..answer import Usage
from ..calls import CLOSE, OPEN, Offer
from ..prompt import Prompt, Shown, Style
from ..trigger import Calibration
from . import kv
from .backend import Done, Pixels, Row, Settings, Token
from .checkpoint import Checkpoint
from .encoder import Encoded
from .limits import Limits
from .reuse import ByteLimited, Hit, Prefixes
from .sampling import CallGrammar, Ends, Forbid, Watch, seeded
from .weights import choose_device, choose_dtype, load, quantization

GIB = 1 << 30


class LlavaBackend:
    """A checkpoint that answers prompts. Weights are loaded at the first question.

    ``device`` is "cuda", "mps", "cpu" or None (the best there is); ``dtype`` a torch name such as
    "bfloat16" (None: bfloat16 on a GPU, float32 on the CPU); ``quantize`` "4bit" or "8bit".
    ``prefix_bytes`` and ``feature_bytes`` bound what is kept for reuse. Questions from several threads
    are answered one after the other.
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
    ) -> None:
        self.checkpoint = checkpoint
        self.device = choose_device(device)
        self.dtype = choose_dtype(dtype, self.device)
        self._quantization = quantization(quantize)
        self._model: Any = None
        self._grammar_tokenizer: Any = None
        self._lock = threading.Lock()
        self.prefixes = Prefixes(prefix_bytes, size=kv.size, clone=kv.clone, crop=kv.crop)
        self.features: ByteLimited[torch.Tensor] = ByteLimited(feature_bytes, lambda t: t.numel() * t.element_size())

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

        def work() -> None:
            try:
                with limits.queued(self._lock) as over:
                    done = Done("", over, Usage()) if over else None
                    out.put(done or self._answer(prompt, settings, pixels, offer, limits, out))
            except BaseException as error:
                out.put(_explained(error))

        thread = threading.Thread(target=work, name="looktwice-generate", daemon=True)
        thread.start()
        try:
            while True:
                item = out.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
                if isinstance(item, Done):
                    return
        finally:
            abandoned.set()
            thread.join()

    def forget(self, keys: Iterable[str]) -> None:
        """Drop every computed prefix, and the features of the pictures with those keys."""
        with self._lock:
            self.prefixes.clear()
            for key in keys:
                self.features.drop(key)

    def close(self) -> None:
        """Give the weights and everything kept back; the next question loads them again."""
        with self._lock:
            self._model = None
            self.prefixes.clear()
            self.features = ByteLimited(self.features.limit, lambda t: t.numel() * t.element_size())
            if self.device.startswith("cuda"):
                torch.cuda.empty_cache()

    def _answer(
        self,
        prompt: Prompt,
        settings: Settings,
        pixels: Pixels,
        offer: Offer | None,
        limits: Limits,
        out: queue.Queue[Any],
    ) -> Done:
        model = self._loaded()
        encoded = self.checkpoint.encoder.encode(prompt)
        beams = settings.num_beams > 1
        spans = [(start, count) for start, _, count in encoded.pictures]
        watch = Watch(
            self.checkpoint.encoder.tokenizer,
            settings,
            stops=self.checkpoint.stops,
            before=self.checkpoint.encoder.open_ids(prompt),
            limits=limits,
            out=out,
        )
        bounds = self._bounds(None if beams else offer, watch)
        with torch.inference_mode(), seeded(settings.seed, self.device):
            known = 0 if beams else self.prefixes.reach(encoded.keys, spans)
            features = [self._feature(picture, pixels) for start, picture, _ in encoded.pictures if start >= known]
            # What is taken is lost when something fails, so it is taken last.
            hit = Hit(None, 0) if beams else self.prefixes.take(encoded.keys, spans)
            cache: Any = None if beams else hit.cache if hit.cache is not None else DynamicCache()
            row = model.generate(
                **self._inputs(encoded, cache, features),
                generation_config=self._config(settings, len(encoded.ids)),
                logits_processor=LogitsProcessorList(bounds),
                stopping_criteria=StoppingCriteriaList([Ends(watch)]),
                streamer=None if beams else watch,
            )
        if beams:
            watch.take(row[0, len(encoded.ids) :].tolist())
            return self._done(encoded, hit, watch)
        length = cache.get_seq_length()
        self.prefixes.put((encoded.keys + watch.ids)[:length], cache)
        return self._done(encoded, hit, watch)

    def _inputs(self, encoded: Encoded, cache: Any, features: Sequence[torch.Tensor]) -> dict[str, Any]:
        ids = torch.tensor([encoded.ids], device=self.device)
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
        """A picture's features, (tokens, hidden); a thumbnail is the first rows of the full ones."""
        full = self.features.get(picture.key)
        if full is None:
            full = self._encode(pixels(picture.key))
            self.features.put(picture.key, full)
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

    def _encode(self, image: Any) -> torch.Tensor:
        model = self._loaded()
        inputs = self.checkpoint.processor.image_processor(images=[image], return_tensors="pt")
        inputs = {name: value.to(self.device) for name, value in inputs.items()}
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
        if self.checkpoint.kind == "llava":
            inputs.pop("image_sizes", None)
        return model.model.get_image_features(**inputs, return_dict=True).pooler_output[0]

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
        return self._model


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
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or "out of memory" in str(error).lower():
        told = ModelError("the model ran out of memory; ask about fewer pictures, or load it with quantize='4bit'")
    else:
        first = (str(error).splitlines() or [""])[0]
        told = ModelError(f"the model failed: {type(error).__name__}: {first}")
    told.__cause__ = error
    return told
