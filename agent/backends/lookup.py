"""Prompt lookup: where an answer repeats what stands before it, several tokens are computed in one pass.

The last tokens are looked for further up, and what followed them there is guessed to follow again; one pass of the
model checks the whole guess. Every token is still chosen from the model's own scores, within its bounds, in order: a
guess changes how many passes it takes, not what is said.

Saxena, "Prompt lookup decoding" (2023), https://github.com/apoorvumang/prompt-lookup-decoding; for the checking of
guesses in one pass: Leviathan, Kalman and Matias (2023), arXiv 2211.17192. Transformers has a prompt lookup of its own,
which takes no cache that holds a part of the prompt, and asks the bounds about tokens that are never said.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import Any

import torch

from .reuse import kv

__all__ = ["Lookup", "Repeats"]

_MATCHES = (3, 2)  # tokens that must stand further up; one alone, such as a blank, says little of what comes
_SHORT, _LONG = 4, 16  # tokens of a guess: the first, and those after one that came true


class Lookup:
    """A decoding loop for transformers' ``generate`` (its ``custom_generate``) that tells ``streamer`` each token.

    ``never`` are ids that no answer holds; a guess ends before them.
    """

    def __init__(self, streamer: Any, never: Collection[int]) -> None:
        self._streamer = streamer
        self._never = frozenset(never)

    def __call__(
        self,
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        **model_kwargs: Any,
    ) -> torch.Tensor:
        """The prompt and the answer, (1, positions); the cache then holds all of it but the last token."""
        cache, repeats = model_kwargs["past_key_values"], Repeats(self._never)
        given = model.prepare_inputs_for_generation(
            input_ids,
            next_sequence_length=input_ids.shape[1] - cache.get_seq_length(),
            is_first_iteration=True,
            **model_kwargs,
        )
        guess, length = list[int](), _SHORT
        try:
            logits = model(**given, return_dict=True).logits[:, -1:]
            while True:
                for place in range(len(guess) + 1):
                    scores = logits_processor(input_ids, logits[:, place].to(copy=True, dtype=torch.float32))
                    chosen = _chosen(scores, sampled=generation_config.do_sample)
                    input_ids = torch.cat([input_ids, chosen[:, None]], dim=-1)
                    is_over = bool(stopping_criteria(input_ids, None).all())
                    self._streamer.put(chosen.cpu())
                    if is_over:
                        self._streamer.end()
                        return input_ids
                    if place < len(guess) and guess[place] != int(chosen):
                        length = max(_SHORT, length // 2)
                        break
                else:
                    length = min(_LONG, 2 * length) if guess else length
                start = input_ids.shape[1] - 1
                kv.crop(cache, start)
                repeats.read(input_ids[0, len(repeats.ids) :])  # the prompt only now: its first token waits for nothing
                guess = repeats.guess(min(length, generation_config.max_length - input_ids.shape[1] - 1))
                logits = _computed(model, cache, [repeats.ids[-1], *guess], start)
        finally:
            kv.crop(cache, input_ids.shape[1] - 1)


class Repeats:
    """A text that grows, and what followed its last tokens where they stood before."""

    def __init__(self, never: Collection[int]) -> None:
        self.ids: list[int] = []
        self._never = never
        self._after: dict[tuple[int, ...], int] = {}

    def read(self, ids: Any) -> None:
        """Append tokens, a tensor of them."""
        for token in ids.tolist():
            if token not in self._never:  # what a picture's thousands of places would lead to is never said
                for count in _MATCHES:
                    self._after[tuple(self.ids[-count:])] = len(self.ids)
            self.ids.append(token)

    def guess(self, most: int) -> list[int]:
        """At most so many tokens that followed the last time; none if these were never there."""
        places = (self._after.get(tuple(self.ids[-count:])) for count in _MATCHES)
        start = next((place for place in places if place is not None), None)
        if start is None or most < 1:
            return []
        return list(takewhile(lambda token: token not in self._never, self.ids[start : start + most]))


def _chosen(scores: torch.Tensor, *, sampled: bool) -> torch.Tensor:
    """The next token of each row, drawn as transformers draws it, so that a seed gives the same."""
    if not sampled:
        return torch.argmax(scores, dim=-1)
    return torch.multinomial(torch.softmax(scores, dim=-1), num_samples=1).squeeze(1)


def _computed(model: Any, cache: Any, ids: Sequence[int], start: int) -> torch.Tensor:
    """The logits after each of some ids at the positions from ``start`` on, (1, ids, vocabulary)."""
    return model(
        input_ids=torch.tensor([list(ids)], device=model.device),
        position_ids=torch.arange(start, start + len(ids), device=model.device)[None],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=len(ids),
        return_dict=True,
    ).logits
