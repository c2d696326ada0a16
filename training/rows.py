"""One dialogue as the language model trains on it: ids, what it has to say itself, and where it should look for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from looktwice.world import Thing

from .geometry import token_layout
from .shelf import GEOMETRY, Item, Shard

__all__ = ["END", "FIND", "COMPARE", "TALLY", "Look", "Row", "START", "Seen", "Span", "Writer"]

START, END = "<|im_start|>", "<|im_end|>"
FIND, COMPARE, TALLY = range(3)
"""What a look is for: what is asked about or copied, what that is compared with, and things that are counted."""
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

    @property
    def name_places(self) -> Positions:
        """The tokens of the picture's name, where it is introduced."""
        return np.asarray(self.name.positions, np.int64)

    def showing(self, *things: Thing) -> Positions:
        """The tokens that show one of the things."""
        wanted = [1 + self.item.scene.things.index(thing) for thing in things]
        return self.start + np.flatnonzero(np.isin(self.thing, wanted))

    def overview(self, *things: Thing) -> Positions:
        """Of the tokens that show one of the things those of the base view, in which it is seen where it lies."""
        shown = self.showing(*things)
        in_base = shown[shown < self.start + (GEOMETRY.tile // GEOMETRY.patch) ** 2]
        return in_base if len(in_base) else shown

    def middles(self, things: Sequence[Thing]) -> Positions:
        """For each of the things the one token of the base view in which its middle lies."""
        side = GEOMETRY.tile // GEOMETRY.patch
        middles = [self.item.scene.centre(thing) for thing in things]
        cells = [min(side - 1, int(side * down)) * side + min(side - 1, int(side * across)) for across, down in middles]
        return self.start + np.asarray(cells, np.int64)

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
    token.
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
        self._run: list[tuple[Span, Mapping[int, Look]]] = []
        self._looks: list[tuple[int, list[int], Look]] = []

    def __len__(self) -> int:
        return len(self.row.ids)

    def control(self, token: str, look: Look = None) -> None:
        """A control token."""
        self.flush()
        self._looks.append((FIND, [len(self.row.ids)], look))
        self.row.ids.append(_control(self._tokenizer, token))

    def words(self, text: str, look: Look = None, *, compared: Look = None, counted: Look = None) -> Span:
        """A piece of text; ``look`` is where its tokens are to be found, ``compared`` what that is compared with.

        ``counted`` are tokens to be looked at evenly, one for each thing and one more.
        """
        span = Span(text)
        self._run.append((span, {FIND: look, COMPARE: compared, TALLY: counted}))
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
        text = "".join(span.text for span, _ in self._run)
        ids, starts = _encoded(self._tokenizer, text)
        ends = np.cumsum([len(span.text) for span, _ in self._run])
        for token, start in zip(ids, starts, strict=True):
            owner = int(np.searchsorted(ends, start, side="right"))
            self._run[owner][0].positions.append(len(self.row.ids))
            self.row.ids.append(token)
        for span, looks in self._run:
            self._looks += [(role, span.positions, look) for role, look in looks.items()]
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
