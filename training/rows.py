"""One dialogue as the language model trains on it: ids, what it has to say itself, and where it should look for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from looktwice.world import Thing

from .geometry import token_layout
from .shelf import GEOMETRY, Item, Shard

__all__ = ["END", "Look", "Row", "START", "Seen", "Span", "Writer"]

START, END = "<|im_start|>", "<|im_end|>"
Positions: TypeAlias = npt.NDArray[np.int64]


@dataclass(slots=True)
class Span:
    """A piece of text in a row; ``positions`` are its tokens, known once the text around it is encoded."""

    text: str
    positions: list[int] = field(default_factory=list[int])


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture in a row: where its tokens begin, and what each of them shows (see ``PatchTruth``)."""

    item: Item
    start: int
    patches: Positions
    """For each token the row of its patch among the shard's, or -1 for a newline."""
    shard: Shard
    name: Span
    thing: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    letters: npt.NDArray[np.int64]

    def showing(self, *things: Thing) -> Positions:
        """The tokens that show one of the things."""
        wanted = [1 + self.item.scene.things.index(thing) for thing in things]
        return self.start + np.flatnonzero(np.isin(self.thing, wanted))

    def showing_letter(self, sign: Thing, letter: int) -> Positions:
        """The tokens that show a sign's letter of that number; all of the sign's where none is known to."""
        here = (self.thing == 1 + self.item.scene.things.index(sign)) & (self.first <= letter)
        here &= (letter < self.first + self.letters) & (self.letters < 100)
        return self.start + np.flatnonzero(here) if here.any() else self.showing(sign)


Look: TypeAlias = "Positions | Span | None"


@dataclass(slots=True)
class Row:
    """``said`` are the answers as (first token, token after the last, kind), to be learned.

    ``looks`` are (role, position, positions it should attend to): the position is the one that predicts the next
    token; role 1 is for the second of two things that are compared.
    """

    ids: list[int] = field(default_factory=list[int])
    said: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])
    pictures: list[Seen] = field(default_factory=list[Seen])
    looks: list[tuple[int, int, Positions]] = field(default_factory=list[tuple[int, int, Positions]])


class Writer:
    """Writes a row piece by piece. What stands between two control tokens or pictures is encoded as one text."""

    def __init__(self, tokenizer: Any) -> None:
        self.row = Row()
        self._tokenizer = tokenizer
        self._run: list[tuple[Span, Look, Look]] = []
        self._looks: list[tuple[int, list[int], Look]] = []

    def __len__(self) -> int:
        return len(self.row.ids)

    def control(self, token: str, look: Look = None) -> None:
        """A control token."""
        self.flush()
        self._looks.append((0, [len(self.row.ids)], look))
        self.row.ids.append(_control(self._tokenizer, token))

    def words(self, text: str, look: Look = None, second: Look = None) -> Span:
        """A piece of text; ``look`` is where its tokens are to be found, and ``second`` what that is compared with."""
        span = Span(text)
        self._run.append((span, look, second))
        return span

    def picture(self, shard: Shard, item: Item, name: Span) -> Seen:
        """A picture's tokens."""
        self.flush()
        layout = token_layout(item.scene.size, GEOMETRY).astype(np.int64)
        is_patch = layout >= 0
        rows = np.where(is_patch, layout, 0) + item.start * 36
        shown = [
            np.where(is_patch, _flat(shard, name)[rows], 0).astype(np.int64) for name in ("thing", "first", "letters")
        ]
        seen = Seen(item, len(self.row.ids), np.where(is_patch, rows, -1), shard, name, *shown)
        self.row.ids += [_control(self._tokenizer, "<image>")] * len(layout)
        self.row.pictures.append(seen)
        return seen

    def flush(self) -> None:
        """Encode the text so far; what follows is encoded on its own, as an answer is after its question."""
        text = "".join(span.text for span, _, _ in self._run)
        ids, starts = _encoded(self._tokenizer, text)
        ends = np.cumsum([len(span.text) for span, _, _ in self._run])
        for token, start in zip(ids, starts, strict=True):
            owner = int(np.searchsorted(ends, start, side="right"))
            self._run[owner][0].positions.append(len(self.row.ids))
            self.row.ids.append(token)
        for span, look, second in self._run:
            self._looks += [(0, span.positions, look), (1, span.positions, second)]
        self._run.clear()

    def finish(self) -> Row:
        """The row, with every look resolved."""
        self.flush()
        for role, positions, look in self._looks:
            keys = np.asarray(look.positions if isinstance(look, Span) else look if look is not None else [], np.int64)
            for number, position in enumerate(positions):
                # Of a text that is copied, each token has its own source.
                is_copy = isinstance(look, Span) and len(keys) == len(positions)
                source = keys[number : number + 1] if is_copy else keys
                source = source[source < position]
                if len(source):
                    self.row.looks.append((role, position - 1, source))
        return self.row


@lru_cache(64)
def _loaded(shard_folder: str, name: str) -> npt.NDArray[Any]:
    return np.load(f"{shard_folder}/{name}.npy").reshape(-1)


def _flat(shard: Shard, name: str) -> npt.NDArray[Any]:
    """An array of the truth with one entry for each patch, kept in memory."""
    return _loaded(str(shard.folder), name)


@lru_cache(100_000)
def _encoded(tokenizer: Any, text: str) -> tuple[Sequence[int], Sequence[int]]:
    """Ids of a text without control tokens, and the character at which each begins."""
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return found["input_ids"], [start for start, _ in found["offset_mapping"]]


@lru_cache(64)
def _control(tokenizer: Any, token: str) -> int:
    return tokenizer.convert_tokens_to_ids(token)
