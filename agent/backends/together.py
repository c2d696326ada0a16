"""Several answers written together: each prompt is computed by itself, then all of them go on in one batch.

What each conversation keeps is reused and kept as if it had been answered alone. A row that ends, by itself or because
its caller cancels, leaves the others as they are; those who come meanwhile wait for the next batch.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from ..calls import Offer
from ..prompt import Prompt
from .backend import Done, Pixels, Settings, Token
from .failures import explained
from .generation import Generation, configuration
from .limits import Limits
from .reuse import kv

__all__ = ["Asked", "MOST", "Together", "grouped"]

MOST = 8
"""So many answers are written together at most: a batch goes on until its longest answer ends."""
_WASTE = 1.5  # the positions of a batch, blanks included, against those of its rows
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question that waits for its answer: ``out`` gets its tokens and then ``Done``, or the error that ended it."""

    prompt: Prompt
    settings: Settings
    pixels: Pixels
    offer: Offer | None
    limits: Limits
    out: queue.Queue[Token | Done | BaseException] = field(default_factory=queue.Queue[Token | Done | BaseException])

    @property
    def goes_together(self) -> bool:
        """Whether it may share a batch: each step takes the likeliest token, and is spoken at once."""
        return not self.settings.temperature and self.settings.num_beams == 1 and not self.settings.stop


@dataclass(slots=True, eq=False)
class Row:
    """An answer of which the first token is known; ``layers`` are keys and values of everything before that token."""

    asked: Asked
    answer: Generation
    layers: kv.Layers
    reused: int
    room: int = field(init=False)
    """How many tokens the answer may have."""
    is_told: bool = False

    def __post_init__(self) -> None:
        length = len(self.answer.encoded.ids)
        self.room = configuration(self.answer.checkpoint, self.asked.settings, length).max_new_tokens

    @property
    def ids(self) -> list[int]:
        """The prompt and what was said."""
        return [*self.answer.encoded.ids, *self.answer.watch.ids]

    @property
    def length(self) -> int:
        """The positions of the prompt and of what was said."""
        return len(self.answer.encoded.ids) + len(self.answer.watch.ids)

    @property
    def is_over(self) -> bool:
        """Whether nothing follows what was said."""
        return self.answer.watch.finish != "length" or len(self.answer.watch.ids) >= self.room

    def tell(self) -> None:
        """Tell the end."""
        self.is_told = True
        self.asked.out.put(self.answer.done(self.reused))


@dataclass(frozen=True, slots=True)
class Together:
    """Answers several questions with one model.

    ``begin`` makes what computes an answer, ``alone`` computes one to its end by itself. ``chunk`` is the size of the
    parts in which prompts are computed, ``most_bytes`` what a batch may take for keys and values.
    """

    begin: Callable[[Asked], Generation]
    alone: Callable[[Generation], Done]
    chunk: int
    most_bytes: int

    def answer(self, questions: Sequence[Asked]) -> None:
        """Answer them all; what goes wrong with one is told to that one."""
        with torch.inference_mode():
            rows = [row for asked in questions if (row := self._begun(asked)) is not None]
            for group in grouped([row for row in rows if not row.is_told], most_bytes=self.most_bytes):
                self._write(group)

    def _begun(self, asked: Asked) -> Row | None:
        """The answer with its first token; None where there is none to go on with."""
        try:
            answer = self.begin(asked)
            row = Row(asked, answer, *answer.begin(self.chunk))
        except Exception as error:
            asked.out.put(explained(error))
            return None
        if row.is_over:
            row.tell()
        return row

    def _write(self, group: Sequence[Row]) -> None:
        """Write the rows to their ends, each alone where that can't be done together."""
        if len(group) > 1:
            try:
                _write_on(group)
            except Exception as error:
                _log.info("%d answers are written one by one: %s", len(group), explained(error))
        for row in group:
            if not row.is_told:
                self._write_alone(row)

    def _write_alone(self, row: Row) -> None:
        row.answer.watch.resume()
        try:
            told = self.alone(row.answer)
            row.asked.out.put(replace(told, usage=row.answer.done(row.reused).usage))
        except Exception as error:
            row.asked.out.put(explained(error))


def grouped(rows: Iterable[Row], *, most_bytes: int) -> list[list[Row]]:
    """Rows of about the same length together, in batches that take at most so many bytes, blanks included."""
    groups: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: row.length):
        wider = [*groups[-1], row] if groups else [row]
        padded = row.length * len(wider)
        each = sum(side.nbytes for layer in row.layers for side in layer) / row.length
        fits = padded <= _WASTE * sum(other.length for other in wider) and padded * each <= most_bytes
        if groups and fits:
            groups[-1] = wider
        else:
            groups.append([row])
    return groups


def _write_on(rows: Sequence[Row]) -> None:
    """One batch, filled up on the left. What each row computed is kept, also where this raises."""
    first, width = rows[0].answer, max(row.length for row in rows)
    blanks = [width - row.length for row in rows]
    pad, device = first.checkpoint.stops[0], first.vision.device
    ids = torch.tensor([[pad] * blank + row.ids for row, blank in zip(rows, blanks, strict=True)], device=device)
    mask = torch.tensor([[0] * blank + [1] * (width - blank) for blank in blanks], device=device)
    config = configuration(first.checkpoint, rows[0].asked.settings, 0)
    config.max_new_tokens = max(row.room - len(row.answer.watch.ids) for row in rows)
    joined = kv.joined([row.layers for row in rows], blanks)
    try:
        first.model.generate(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=joined,
            generation_config=config,
            logits_processor=LogitsProcessorList([_EachBounds(rows, blanks)]),
            stopping_criteria=StoppingCriteriaList([_EachEnds(rows)]),
        )
    finally:
        length = kv.even(joined, len(rows[0].layers))
        for index, (row, blank) in enumerate(zip(rows, blanks, strict=True)):
            row.answer.keep(kv.row(joined, index, blank, min(length, blank + row.length)))


class _EachBounds(LogitsProcessor):
    """Asks each row's own bounds, as if the row were alone."""

    def __init__(self, rows: Sequence[Row], blanks: Sequence[int]) -> None:
        self._rows = list(zip(rows, blanks, strict=True))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores, (rows, vocabulary), within each row's bounds."""
        bounded: list[torch.Tensor] = []
        for index, (row, blank) in enumerate(self._rows):
            ids, each = input_ids[index : index + 1, blank:], scores[index : index + 1]
            for bound in () if row.is_over else (row.answer.watch, *row.answer.bounds):
                each = bound(ids, each)
            bounded.append(each)
        return torch.cat(bounded)


class _EachEnds(StoppingCriteria):
    """Hands each row's token to its watch, and ends the rows one by one."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> Any:
        """One flag a row."""
        for row, chosen in zip(self._rows, input_ids[:, -1].cpu(), strict=True):
            if row.is_over:
                continue
            row.answer.watch.put(chosen)
            row.answer.watch.stop_now()
            if row.is_over:
                row.answer.watch.end()
                row.tell()
        return torch.tensor([row.is_over for row in self._rows], device=input_ids.device, dtype=torch.bool)
