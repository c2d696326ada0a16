"""LLaVA-NeXT, LLaVA-1.5 and Interleave checkpoints in this process, through transformers.

Vision features and key-value prefixes are kept by content (`reuse/`),
so that a turn computes its new tokens alone; everything else is transformers' own ``generate``.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import torch

from ..answer import Usage
from ..calls import Offer
from ..prompt import Prompt, Style
from ..trigger import Calibration
from .attention import choose_attention
from .backend import Decoding, Done, Pixels, Row, Settings, Token
from .batched import Batch
from .bounds import Bounds, require_sense
from .checkpoint import Checkpoint
from .failures import explained, is_out_of_memory, is_uncompiled, reason
from .generation import Generation, done
from .limits import Limits
from .lookup import Lookup
from .prefill import Prefill, chunk_sizes
from .preprocessing import Preprocessing
from .queueing import Line, Ticket
from .reuse.folder import CacheFolder
from .reuse.identity import facts, identity
from .reuse.kept import Kept
from .reuse.recheck import Recheck, ReuseCheck
from .reuse.slate import Slate
from .sampling import Watch, seeded
from .together import MOST, Asked, Together
from .vision import Vision
from .weighing import Weighing
from .weights import choose_decoding, choose_device, choose_dtype, load, quantization

GIB = 1 << 30
T = TypeVar("T")

_log = logging.getLogger(__name__)


class LlavaBackend:
    """A checkpoint that answers prompts. Weights are loaded at the first question.

    ``device`` is "cuda", "mps", "cpu" or None (the best there is); ``dtype`` a torch name such as
    "bfloat16" (None: bfloat16 on a GPU, float32 on the CPU); ``quantize`` "4bit" or "8bit".
    ``decoding`` is "eager", "lookup" (several tokens a step where the answer repeats its prompt, `lookup.py`),
    "compiled" (steps as CUDA graphs on a static cache), "auto" (compiled on CUDA), or None: "lookup" on the CPU, else
    "eager".
    ``prefix_bytes`` and ``feature_bytes`` bound what is kept for reuse on the device; what is pushed out of a GPU
    moves to the machine's memory, up to ``ram_bytes`` (None: a quarter of it, at most 8 GiB). ``cache`` is a folder
    of at most ``cache_bytes`` where the next process finds it, too; pictures' keys must name their content then.
    Questions from several threads are answered in the order in which they came; those that wait while one is answered
    are then written together, as far as they go together (`together.py`).
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str | None = None,
        dtype: str | None = None,
        quantize: str | None = None,
        decoding: Decoding | None = None,
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
        self._quantization = quantization(quantize, self.device)
        self._model: Any = None
        self._line = Line()
        self.kept = Kept(
            device=self.device,
            prefix_bytes=prefix_bytes,
            feature_bytes=feature_bytes,
            ram_bytes=ram_bytes,
            folder=None if cache is None else CacheFolder(cache, cache_bytes),
        )
        self.prefixes, self.features = self.kept.prefixes, self.kept.features
        self._batch_bytes = prefix_bytes
        self.chunks = chunk_sizes(self.device)
        self.compilation = choose_decoding(decoding, self.device, quantize)
        self._may_fall_back = decoding == "auto"
        self._looks_up = decoding == "lookup" or (decoding is None and self.device == "cpu")
        self._thread: ThreadPoolExecutor | None = None
        if self.compilation is not None:
            self.kept.slate = Slate(checkpoint.config.text_config.num_hidden_layers)
            # CUDA graphs belong to the thread that recorded them.
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="looktwice-compute")
        preprocessing = Preprocessing(checkpoint.processor.image_processor, pinned=self.device.startswith("cuda"))
        self._vision = Vision(checkpoint, self.kept, self.device, self._loaded, preprocessing)
        self._bounds = Bounds(checkpoint)

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
    def own_prompts(self) -> Mapping[str, str]:
        """What the checkpoint was trained to be asked for a description; empty if it doesn't say."""
        return self.checkpoint.prompts

    @property
    def calibration(self) -> Calibration | None:
        """When its answers are doubtful, as the checkpoint says."""
        return self.checkpoint.calibration

    def load(self) -> None:
        """Load the weights now, if they aren't there; else the first question does. Raises ModelError."""
        try:
            with self._line:
                self._loaded()
        except Exception as error:
            told = explained(error)
            raise told from told.__cause__

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
        require_sense(settings, offer)
        abandoned = threading.Event()
        asked = Asked(prompt, settings, pixels, offer, Limits(settings.timeout, cancel, abandoned))
        ticket, out = self._line.join(asked), asked.out

        def work() -> None:
            try:
                with asked.limits.queued(ticket) as over:
                    if over:
                        out.put(Done("", over, Usage()))
                    elif not ticket.is_taken:  # or it is answered together with the one that took it along
                        self._answer(asked, ticket)
            except BaseException as error:
                out.put(explained(error))

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
        self,
        prompts: Sequence[Prompt],
        settings: Settings,
        *,
        pixels: Pixels,
        cancel: threading.Event | None = None,
        keep: bool = True,
    ) -> list[Done]:
        """One ``Done`` a prompt, in order, computed together as one batch; ``settings.timeout`` is the batch's.

        Features of pictures are reused and, but for ``keep`` False, kept; prefixes are neither. Where memory runs out,
        the batch is halved. Raises ModelError where loading or computing fails, InvalidInput for settings that don't
        go with a batch.
        """
        limits = Limits(settings.timeout, cancel)
        with limits.queued(self._line.join()) as over:
            if over:
                return [Done("", over, Usage()) for _ in prompts]
            try:
                model, see = self._loaded(), partial(self._vision.see, pixels=pixels, keep=keep)
                batch = Batch(
                    model, self.checkpoint, self.device, see, self._bounds.control, settings, limits, self.chunks[0]
                )
                return [done(self.checkpoint, encoded, watch) for encoded, watch in batch.answer(prompts)]
            except Exception as error:
                told = explained(error)
                raise told from told.__cause__

    def weigh(self, prompts: Sequence[Prompt], words: Sequence[str], *, pixels: Pixels) -> list[tuple[float, ...]]:
        """For each prompt the probability (0..1) of each word as the next token, in one pass over what is not kept.

        What is kept stays as it is, and nothing is added to it. Raises ModelError where loading or computing fails.
        """
        try:
            with self._line, torch.inference_mode():
                model, glance = self._loaded(), partial(self._vision.see, pixels=pixels, keep=False)
                return Weighing(model, self.checkpoint, self.device, self.kept, glance).weigh(prompts, words)
        except Exception as error:
            told = explained(error)
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
                model = self._loaded()
                prefill = Prefill(model, self.device, self.chunks[0])
                check = Recheck(model, self.kept, prefill, self._vision.feature, self._vision.see_anew)
                return check.run(self.checkpoint.encoder.encode(prompt), pixels)
        except Exception as error:
            told = explained(error)
            raise told from told.__cause__

    def close(self) -> None:
        """Give the weights and everything kept back; the next question loads them again."""
        with self._line:
            self._model = None
            self.kept.close()

    def _answer(self, asked: Asked, ticket: Ticket) -> None:
        """Answer what was asked, together with what waits right behind it, where that goes."""
        others: list[Ticket] = []
        if asked.goes_together:
            others = self._line.take_along(ticket, lambda other: other.goes_together, MOST - 1)
        if others:
            together = Together(self._begun, self._alone, self.chunks[0], self._batch_bytes)
            self._compute(partial(together.answer, [asked, *(other.work for other in others)]))
        else:
            asked.out.put(self._compute(lambda: self._alone(self._begun(asked))))

    def _compute(self, work: Callable[[], T]) -> T:
        """Do it in the thread that computes, if there is a certain one."""
        return self._thread.submit(work).result() if self._thread else work()

    def _begun(self, asked: Asked) -> Generation:
        """What computes the answer to a question; nothing is computed yet."""
        model, settings = self._loaded(), asked.settings
        watch = Watch(
            self.checkpoint.encoder.tokenizer,
            settings,
            stops=self.checkpoint.stops,
            before=self.checkpoint.encoder.open_ids(asked.prompt),
            limits=asked.limits,
            out=asked.out,
        )
        return Generation(
            model,
            self.checkpoint,
            self.kept,
            self._vision,
            self.checkpoint.encoder.encode(asked.prompt),
            settings,
            asked.pixels,
            self._bounds.around(None if settings.num_beams > 1 else asked.offer),
            watch,
            self.compilation,
            Lookup(watch, self._bounds.control) if self._looks_up else None,
        )

    def _alone(self, answer: Generation) -> Done:
        """Compute an answer to its end; with what was said before, if anything was."""
        write = answer.write_beams if answer.settings.num_beams > 1 else answer.write
        with torch.inference_mode(), seeded(answer.settings.seed, self.device):
            for chunk in self.chunks:
                try:
                    return answer.done(write(chunk))
                except Exception as error:
                    if chunk == self.chunks[-1] or not (is_out_of_memory(error) or self._falls_back(error)):
                        raise
                # Only here does nothing refer to the failed computation's tensors any more.
                self.kept.free()
                answer.watch.resume()
            raise AssertionError("no chunks to try")

    def _falls_back(self, error: Exception) -> bool:
        """Decode eagerly from now on, where nobody asked for compiled decoding and it can't be."""
        if not is_uncompiled(error) or not self._may_fall_back:
            return False
        _log.warning("decoding is not compiled here (%s); it is slower", reason(error))
        self.kept.slate = None
        return True

    def _loaded(self) -> Any:
        if self._model is None:
            attention = choose_attention(self.device, self.dtype, compiled=self.compilation is not None)
            self._model = load(
                self.checkpoint,
                device=self.device,
                dtype=self.dtype,
                quantization=self._quantization,
                attention=attention,
            )
            self.kept.attach(self._identity)
        return self._model

    def _identity(self) -> tuple[str, dict[str, Any]]:
        told = facts(self.model, self.checkpoint.source, device=self.device, dtype=self.dtype, quantize=self.quantize)
        return identity(told), told
