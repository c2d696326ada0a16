"""Several prompts as one left-padded batch: prefilled and decoded together by transformers' own ``generate``.

Nothing of it is kept for later turns but the features of its pictures. Where memory runs out the batch is halved.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList
from transformers.modeling_outputs import BaseModelOutputWithPooling

from ...errors import InvalidInput
from ..answer import Finish
from ..prompt import Prompt, Shown
from .backend import Settings
from .checkpoint import Checkpoint
from .encoder import Encoded
from .failures import is_out_of_memory
from .generation import configuration
from .limits import Limits
from .pieces import Pieces
from .sampling import Forbid, Watch, seeded

See: TypeAlias = Callable[[Sequence[Shown]], list[torch.Tensor]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What answers prompts together.

    ``see`` brings the features of pictures, (tokens, hidden) each; ``control`` are ids that no answer holds;
    ``chunk`` is how many tokens of the prompts are computed at once, those of all rows together.
    """

    model: Any
    checkpoint: Checkpoint
    device: str
    see: See
    control: Collection[int]
    settings: Settings
    limits: Limits
    chunk: int

    def answer(self, prompts: Sequence[Prompt]) -> list[tuple[Encoded, Watch]]:
        """Each prompt with what came of it, in order. Raises InvalidInput for beams."""
        if self.settings.num_beams > 1:
            raise InvalidInput(f"num_beams {self.settings.num_beams} can't be used in a batch; give 1")
        with torch.inference_mode(), seeded(self.settings.seed, self.device):
            return self._halved([self.checkpoint.encoder.encode(prompt) for prompt in prompts], prompts)

    def _halved(self, encoded: Sequence[Encoded], prompts: Sequence[Prompt]) -> list[tuple[Encoded, Watch]]:
        """Everything together or, where memory runs out, each half alone."""
        if not encoded:
            return []
        try:
            return list(zip(encoded, self._together(encoded, prompts), strict=True))
        except Exception as error:
            if len(encoded) == 1 or not is_out_of_memory(error):
                raise
        # Only here, where nothing refers to the failed batch's tensors any more, is there room again.
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
        middle = len(encoded) // 2
        return self._halved(encoded[:middle], prompts[:middle]) + self._halved(encoded[middle:], prompts[middle:])

    def _together(self, encoded: Sequence[Encoded], prompts: Sequence[Prompt]) -> list[Watch]:
        configs = [configuration(self.checkpoint, self.settings, len(each.ids)) for each in encoded]
        config = min(zip(encoded, configs, strict=True), key=lambda each: len(each[0].ids))[1]
        config.prefill_chunk_size = max(1, self.chunk // len(encoded))
        room = [each.max_new_tokens for each in configs]
        watches = [self._watch(prompt) for prompt in prompts]
        scores = Scores()
        ends = EachEnds(
            scores,
            watches,
            self._texts(prompts),
            room=torch.tensor(room, device=self.device),
            stops=self.checkpoint.stops,
            limits=self.limits,
        )
        inputs = self._inputs(encoded)
        rows = self.model.generate(
            **inputs,
            generation_config=config,
            logits_processor=LogitsProcessorList([scores, Forbid(self.control)]),
            stopping_criteria=StoppingCriteriaList([ends]),
        )
        ends.tell(rows[:, inputs["input_ids"].shape[1] :].tolist())
        return watches

    def _inputs(self, encoded: Sequence[Encoded]) -> dict[str, Any]:
        """Ids and mask, (rows, longest prompt), with nothing to attend to on the left; all pictures in order."""
        width, pad = max(len(each.ids) for each in encoded), self.checkpoint.stops[0]
        ids = torch.tensor([[pad] * (width - len(each.ids)) + each.ids for each in encoded])
        mask = torch.tensor([[0] * (width - len(each.ids)) + [1] * len(each.ids) for each in encoded])
        inputs: dict[str, Any] = {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}
        rows: Any = self.see([picture for each in encoded for _, picture, _ in each.pictures])
        if rows:
            inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=rows)}
        return {**inputs, "past_key_values": DynamicCache()}

    def _watch(self, prompt: Prompt) -> Watch:
        encoder, unheard = self.checkpoint.encoder, queue.Queue[Any]()
        return Watch(
            encoder.tokenizer,
            self.settings,
            stops=self.checkpoint.stops,
            before=encoder.open_ids(prompt),
            limits=self.limits,
            out=unheard,
        )

    def _texts(self, prompts: Sequence[Prompt]) -> list[Text]:
        """Each row's words as they come, which only stop words need."""
        encoder = self.checkpoint.encoder
        befores = [encoder.open_ids(prompt) for prompt in prompts] if self.settings.stop else []
        return [Text(encoder.tokenizer.backend_tokenizer, before) for before in befores]


class Text:
    """The words of an answer that is being written; ``before`` are the ids of one that goes on."""

    def __init__(self, tokenizer: Any, before: Sequence[int] | None) -> None:
        self._goes_on = before is not None
        self._pieces = Pieces(tokenizer, before or ())
        self.said = ""

    def add(self, chosen: int) -> str:
        """All words, with those that the token brings."""
        piece = self._pieces.add(chosen)
        self.said += piece if self.said or self._goes_on else piece.lstrip()
        return self.said


class Scores(LogitsProcessor):
    """The last step's log-probabilities, (rows, vocabulary), before anything bounds them."""

    def __init__(self) -> None:
        self.last: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Remember the scores; hand them on unchanged."""
        self.last = torch.log_softmax(scores.float(), dim=-1)
        return scores


@dataclass
class EachEnds(StoppingCriteria):
    """Ends each row by itself, at its own room, at a stop word, or all of them at the limits.

    ``room`` is how many tokens each row may have, (rows,); ``texts`` is empty where there are no stop words.
    """

    scores: Scores
    watches: Sequence[Watch]
    texts: Sequence[Text]
    room: torch.Tensor
    stops: Collection[int]
    limits: Limits
    _chosen: list[torch.Tensor] = field(default_factory=list[torch.Tensor])
    _over: set[int] = field(default_factory=set[int])
    _reason: Finish | None = None

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> Any:
        """One flag per row, after each step; nothing but stop words waits for the device."""
        assert self.scores.last is not None
        last = input_ids[:, -1]
        self._chosen.append(self.scores.last.gather(1, last[:, None])[:, 0])
        self._reason = self.limits.reached()
        if self._reason:
            return torch.ones_like(last, dtype=torch.bool)
        ends = self.room <= len(self._chosen)
        return ends | self._spoken(last) if self.texts else ends

    def _spoken(self, last: torch.Tensor) -> torch.Tensor:
        """Which rows have come to a stop word."""
        for row, (watch, chosen) in enumerate(zip(self.watches, _listed(last), strict=True)):
            if row in self._over:
                continue
            if chosen not in self.stops:
                watch.text = self.texts[row].add(chosen)
            if chosen in self.stops or watch.stop_now():
                self._over.add(row)
        return torch.tensor([row in self._over for row in range(len(self.watches))], device=last.device)

    def tell(self, rows: Sequence[Sequence[int]]) -> None:
        """Hand the watches what was chosen, (rows, steps), each up to its own end."""
        logprobs, rooms = _listed(torch.stack(self._chosen, dim=1)), _listed(self.room)
        for watch, ids, likely, room in zip(self.watches, rows, logprobs, rooms, strict=True):
            if self._reason and watch.finish == "length" and len(ids) < room:
                watch.finish = self._reason
            watch.take(ids[:room])  # one that ended before the others is filled up with end tokens
            watch.logprobs = likely[: len(watch.ids)]


def _listed(tensor: Any) -> list[Any]:
    return tensor.tolist()
