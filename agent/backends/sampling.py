"""What watches and bounds a generation, token by token: confidence, grammar, stop words, time, cancel.

All of these hang on transformers' own ``generate`` as logits processors, a streamer and a stopping criterion.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy
import torch
from transformers import LogitsProcessor, StoppingCriteria
from transformers.generation.streamers import BaseStreamer

from ...errors import ModelError
from ..answer import Finish
from .backend import Settings, Token
from .limits import Limits
from .pieces import Pieces


class Watch(LogitsProcessor, BaseStreamer):
    """Sees each step's scores before anything bounds them, then the token that was chosen.

    Each chosen token goes to ``out`` as a ``Token``; ids, log-probabilities and the reason for the end stay
    here. Memory does not grow with the vocabulary: only the last step's scores are held. ``before`` are the ids
    of an answer that goes on; None for a new one, whose leading blanks are not spoken.
    """

    def __init__(
        self,
        tokenizer: Any,
        settings: Settings,
        *,
        stops: Sequence[int],
        before: Sequence[int] | None,
        limits: Limits,
        out: queue.Queue[Any],
    ) -> None:
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.text = ""
        self.finish: Finish = "length"
        self._settings = settings
        self._stops = frozenset(stops)
        self._limits = limits
        self._out = out
        self._tokenizer = tokenizer
        self._before = before
        self._pieces = Pieces(tokenizer.backend_tokenizer, before or ())
        self._held: list[Token] = []
        self._longest_stop = max(map(len, settings.stop), default=1)
        self._scores: torch.Tensor | None = None
        self._prompt_seen = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Remember the scores, (1, vocabulary), as log-probabilities; hand them on unchanged."""
        self._scores = torch.log_softmax(scores[0].float(), dim=-1)
        return scores

    def put(self, value: torch.Tensor) -> None:
        """A chosen token (the first call brings the prompt)."""
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        chosen = int(value.reshape(-1)[0])
        if chosen in self._stops:
            self.finish = "stop"
            return
        logprob, entropy = self._confidence(chosen)
        self.ids.append(chosen)
        self.logprobs.append(logprob)
        piece = self._pieces.add(chosen)
        piece = piece.lstrip() if not self.text and self._before is None else piece
        self.text += piece
        self._held.append(Token(piece, logprob, entropy, self._likeliest()))
        self._release(keep=self._longest_stop - 1)

    def resume(self) -> None:
        """The computation begins again after the tokens so far, which come once more as its prompt."""
        self._prompt_seen = False

    def take(self, ids: Sequence[int]) -> None:
        """All chosen tokens at once, up to the end token: those of the best beam, known only at the end."""
        ends = [place for place, i in enumerate(ids) if i in self._stops]
        self.ids = list(ids[: ends[0]] if ends else ids)
        self.finish = "stop" if ends else self.finish

    def _confidence(self, chosen: int) -> tuple[float, float]:
        if self._scores is None:
            return 0.0, 0.0
        entropy = -(self._scores.exp() * self._scores.clamp(min=-1e4)).sum()
        return float(self._scores[chosen]), float(entropy)

    def _likeliest(self) -> tuple[tuple[str, float], ...]:
        """The likeliest tokens of the last step, best first, as text with their log-probabilities."""
        if self._scores is None or not self._settings.top_logprobs:
            return ()
        best: Any = self._scores.topk(min(self._settings.top_logprobs, len(self._scores)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return tuple((self._decoded([token]), value) for token, value in pairs)

    def end(self) -> None:
        """The streamer's end: what was held back is spoken, up to a stop word."""
        surplus = len(self.text) - self._spoken_end()
        while surplus > 0 and self._held:
            last = self._held.pop()
            kept = last.text[: max(0, len(last.text) - surplus)]
            surplus -= len(last.text) - len(kept)
            if kept:
                self._held.append(replace(last, text=kept))
        self._release(keep=0)

    def _spoken_end(self) -> int:
        """Where the first stop word begins, else the end."""
        return min((self.text.find(word) for word in self._settings.stop if word in self.text), default=len(self.text))

    def _release(self, *, keep: int) -> None:
        """Speak the tokens that can't be part of a stop word: all but those of the last ``keep`` characters."""
        held = sum(len(token.text) for token in self._held)
        while self._held and (keep <= 0 or held - len(self._held[0].text) >= keep):
            token = self._held.pop(0)
            held -= len(token.text)
            self._out.put(token)

    def stop_now(self) -> bool:
        """Whether the generation must end before its own end, for one of our reasons."""
        if reason := self._limits.reached():
            self.finish = reason
        elif any(word in self.text[-200 - len(word) :] for word in self._settings.stop):
            self.finish = "stop"
        else:
            return False
        return True

    def final_text(self) -> str:
        """The answer's words, decoded as a whole, without a stop word and what follows it."""
        before = self._decoded(self._before or ())
        text = self._decoded([*(self._before or ()), *self.ids])[len(before) :]
        text = text.lstrip() if self._before is None else text
        cuts = [text.find(word) for word in self._settings.stop if word in text]
        return text[: min(cuts)] if cuts else text

    @property
    def is_cut(self) -> bool:
        """Whether a stop word stands in the answer."""
        return any(word in self.text for word in self._settings.stop)

    def _decoded(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)


class Ends(StoppingCriteria):
    """Transformers asks after each token whether to stop; a `Watch` knows."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> Any:
        """One flag per row."""
        return torch.full((input_ids.shape[0],), self._watch.stop_now(), device=input_ids.device, dtype=torch.bool)


class Forbid(LogitsProcessor):
    """Control tokens that no answer may hold."""

    def __init__(self, ids: Iterable[int | None]) -> None:
        self._ids = torch.tensor(sorted(i for i in ids if i is not None), dtype=torch.long)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores with the forbidden ids at minus infinity."""
        ids = self._ids.to(scores.device)
        return scores.index_fill(-1, ids[ids < scores.shape[-1]], float("-inf"))


class CallGrammar(LogitsProcessor):
    """Keeps an answer inside an llguidance grammar: free words, then at most one well-formed call."""

    def __init__(self, llg_tokenizer: Any, grammar: str) -> None:
        import llguidance

        self._matcher = llguidance.LLMatcher(llg_tokenizer, grammar)
        self._seen: int | None = None
        self._check()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores with everything outside the grammar at minus infinity."""
        length = input_ids.shape[-1]
        if self._seen is not None and length > self._seen:
            self._matcher.consume_tokens([int(i) for i in input_ids[0, self._seen :]])
            self._check()
        self._seen = length
        bits = numpy.frombuffer(self._matcher.compute_bitmask(), dtype=numpy.uint8)
        allowed = numpy.unpackbits(bits, bitorder="little", count=None).astype(bool)
        mask = torch.zeros(scores.shape[-1], dtype=torch.bool)
        width = min(len(allowed), scores.shape[-1])
        mask[:width] = torch.as_tensor(allowed[:width])
        return scores.masked_fill(~mask.to(scores.device), float("-inf"))

    def _check(self) -> None:
        if self._matcher.is_error():
            reason = self._matcher.get_error().splitlines()[0]
            raise ModelError(f"the tools' schemas can't be made into a grammar ({reason}); simplify their parameters")


@contextlib.contextmanager
def seeded(seed: int | None, device: str) -> Generator[None]:
    """With a seed: torch's generators start from it, and are afterwards as they were."""
    if seed is None:
        yield
        return
    library: Any = torch.random  # not typed
    with library.fork_rng(devices=None if device.startswith("cuda") else []):
        library.manual_seed(seed)
        yield
