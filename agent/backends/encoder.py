"""A prompt becomes token ids, segment by segment, so that data can never become a control token.

Literals of the chat format are split at the tokenizer's added tokens; all text between two of those,
the format's and the data's together, is encoded as one run *without* added tokens. For harmless text the
result therefore equals the tokenizer's own encoding of the whole string, and for hostile text the control
ids are still exactly those of the format. Torch-free: counting a prompt needs no weights.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from ...tools.tiling import ImageTokens
from ..calls import CLOSE, OPEN, says_the_same
from ..formats import Format, Literal
from ..prompt import Prompt, Shown, Tier, Words, Written
from .backend import Row

Key: TypeAlias = Hashable


@dataclass(slots=True)
class Encoded:
    """Token ids of a prompt, and a key for each position.

    ``keys[i]`` is the id, or ``(content, tier, offset)`` inside a picture: two prompts share a prefix of
    the cache exactly where their keys are equal. ``pictures`` are (first position, picture, tokens).
    """

    ids: list[int] = field(default_factory=list[int])
    keys: list[Key] = field(default_factory=list[Key])
    rows: list[Row] = field(default_factory=list[Row])
    pictures: list[tuple[int, Shown, int]] = field(default_factory=list[tuple[int, Shown, int]])


class Encoder:
    """Encodes prompts for one checkpoint: its tokenizer, its chat format, its picture sizes."""

    def __init__(self, tokenizer: Any, fmt: Format, images: ImageTokens, *, image_token_id: int) -> None:
        self.tokenizer = tokenizer
        self.format = fmt
        self.images = images
        self.image_token_id = image_token_id
        added: dict[str, int] = tokenizer.get_added_vocab()
        self.control: dict[str, int] = added
        self._split = _splitter(added)
        # A conversation's earlier turns come again at every turn, and a prompt is counted before it is run.
        self._raw = lru_cache(8192)(self._encode_raw)
        self._encoded = lru_cache(4)(self._encode)
        self._usable = lru_cache(1024)(self._can_be_used)
        self.fingerprint = _fingerprint(tokenizer)
        self._start = self._bos()
        self._lead = self._dropped_lead()

    def encode(self, prompt: Prompt) -> Encoded:
        """The ids, keys and rows of a prompt; remembered for the last few, so not to be changed."""
        return self._encoded(prompt)

    def _encode(self, prompt: Prompt) -> Encoded:
        out = Encoded()
        if self._start is not None:
            self._put(out, [self._start], Row("format", self.tokenizer.bos_token, 1))
        run: list[tuple[str, str]] = []
        for piece in self._pieces(prompt):
            if isinstance(piece, tuple):
                run.append(piece)
                continue
            self._flush(run, out)
            if isinstance(piece, int):
                self._put(out, [piece], Row("format", self.tokenizer.convert_ids_to_tokens(piece), 1))
            elif isinstance(piece, Shown):
                self._put_image(out, piece)
            else:
                self._put(out, list(piece.ids or ()), Row("answer", _plain(piece), len(piece.ids or ())))
        self._flush(run, out)
        return out

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, control tokens included."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def image_tokens(self, shown: Shown) -> int:
        """What a picture costs at its tier."""
        return self.images.thumbnail() if shown.tier == "thumbnail" else self.images.count(shown.size)

    def open_ids(self, prompt: Prompt) -> tuple[int, ...] | None:
        """The ids of the answer that goes on at the prompt's end (empty if they are another tokenizer's); else None."""
        if not prompt.open_answer:
            return None
        answer = prompt.messages[-1].segments[-1]
        return answer.ids or () if isinstance(answer, Written) and self._usable(answer) else ()

    def call_tag(self, tag: str) -> int | None:
        """The id of a call's tag if this tokenizer knows it as one token."""
        return self.control.get(tag)

    def _pieces(self, prompt: Prompt) -> Iterator[tuple[str, str] | int | Shown | Written]:
        """Runs of text as (kind, text), control tokens as ids, pictures, and answers with usable ids."""
        for piece in self.format.row(prompt):
            match piece:
                case Literal(text):
                    yield from self._literal(text)
                case Words(text):
                    yield ("text", text)
                case Shown():
                    yield piece
                case Written():
                    yield from self._answer(piece)

    def _literal(self, text: str) -> Iterator[tuple[str, str] | int]:
        for part in self._split.split(text) if self._split else [text]:
            if part in self.control:
                yield self.control[part]
            elif part:
                yield ("format", part)

    def _answer(self, answer: Written) -> Iterator[tuple[str, str] | int | Written]:
        if self._usable(answer):
            yield answer
            return
        for piece in self.format.spelled(answer):
            if isinstance(piece, Literal):
                yield from self._literal(piece.text)
            else:
                yield ("answer", piece.text)

    def _can_be_used(self, answer: Written) -> bool:
        """Stored ids are data too: no control token but the call tags, no structure in words, nothing but the text."""
        if not answer.ids or answer.tokenizer != self.fingerprint:
            return False
        allowed = {self.control[tag] for tag in (OPEN, CLOSE) if tag in self.control}
        if not all(0 <= i < len(self.tokenizer) for i in answer.ids):
            return False
        if (set(answer.ids) & set(self.control.values())) - allowed:
            return False
        said = self.decode(answer.ids)
        return not self.format.has_marker(said) and says_the_same(said, _plain(answer))

    def _flush(self, run: list[tuple[str, str]], out: Encoded) -> None:
        """Encode a run of neighbouring texts as one string, and share its tokens among their rows."""
        if not run:
            return
        whole = "".join(text for _, text in run)
        ids = self.encode_run(whole, first=len(out.ids) <= (self._start is not None))
        start = len(out.ids)
        out.ids += ids
        out.keys += ids
        out.rows += self._share(run, ids)
        assert len(out.ids) == start + len(ids)
        run.clear()

    def _share(self, run: Sequence[tuple[str, str]], ids: Sequence[int]) -> Iterator[Row]:
        """Rows of a run; a token that spans two texts counts for the first. The sum is always exact."""
        done, before = 0, ""
        for place, (kind, text) in enumerate(run):
            before += text
            upto = len(ids) if place + 1 == len(run) else min(len(self._raw(before)), len(ids))
            yield Row(kind, text, max(0, upto - done))
            done = max(done, upto)

    def encode_run(self, text: str, *, first: bool = False) -> tuple[int, ...]:
        """Text without any control token in it, as it is encoded inside a longer string.

        ``first``: it opens the string, where some tokenizers put a blank before the first word.
        """
        ids = self._raw(text) if first or not self._lead else self._raw(self._lead + text)[len(self._raw(self._lead)) :]
        forbidden = set(ids) & set(self.control.values())
        if forbidden:  # no tokenizer known does this; a letter at a time can't form one
            ids = tuple(i for letter in text for i in self._raw(letter) if i not in forbidden)
        return ids

    def _encode_raw(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer._encode_without_added_tokens(text))

    def _put(self, out: Encoded, ids: Sequence[int], row: Row) -> None:
        out.ids += ids
        out.keys += ids
        out.rows.append(row)

    def _put_image(self, out: Encoded, shown: Shown) -> None:
        count = self.image_tokens(shown)
        out.pictures.append((len(out.ids), shown, count))
        out.ids += [self.image_token_id] * count
        out.keys += _image_keys(shown.key, shown.tier, count)
        out.rows.append(Row("image", "", count, shown.name, shown.tier, shown.key))

    def _bos(self) -> int | None:
        ids = self.tokenizer("x").input_ids
        starts = bool(ids) and ids[0] == self.tokenizer.bos_token_id
        in_template = bool(self.tokenizer.bos_token) and self.tokenizer.bos_token in (
            self.tokenizer.chat_template or ""
        )
        return self.tokenizer.bos_token_id if starts or in_template or self.format.family == "llama3" else None

    def _dropped_lead(self) -> str:
        """What must stand before a run, and be dropped again, so that it is encoded as after a control token.

        Tokenizers of the Llama family put a blank before the first word of a string but, unless they are
        of the oldest kind, not after a control token. Which kind this one is, is tried out.
        """
        token = self.tokenizer.eos_token or next(iter(self.control), "")
        for lead in ("", "\x01"):  # a byte that no vocabulary merges with anything
            dropped = len(self._raw(lead))
            if all(
                self._raw(lead + probe)[dropped:]
                == tuple(self.tokenizer(token + probe, add_special_tokens=False).input_ids[1:])
                for probe in ("word two", "\nword", " word", "[x")
            ):
                return lead
        return ""


@lru_cache(64)
def _image_keys(key: str, tier: Tier, count: int) -> tuple[Key, ...]:
    return tuple((key, tier, offset) for offset in range(count))


def _splitter(added: dict[str, int]) -> re.Pattern[str] | None:
    longest_first = sorted(added, key=len, reverse=True)
    return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")") if longest_first else None


def _fingerprint(tokenizer: Any) -> str:
    """Equal for tokenizers that give equal ids, across processes."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()[:16]


def _plain(answer: Written) -> str:
    return "".join(part.text for part in answer.text)
