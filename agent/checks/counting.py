"""Counts counted again: a picture's halves are counted apart, and have to come to the number that was claimed.

It is done both ways, left and right, above and below: what a cut runs through is counted twice, and is seldom cut by
both. Only two sums that both come to the claimed number say anything; two that agree on another one do not, since a
whole picture is counted better than its halves (`benchmarks/counting.py` measures both). So a count never conflicts.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from ...errors import LookTwiceError
from ...memory import NamedPicture, fold
from ...memory.parts import ImagePart, TextPart, Turn
from ..answer import Evidence, Usage, Verdict
from ..backends.backend import Backend, Done, Settings
from ..prompt import Prompt, compose, how_many
from .claims import NUMBERS, Claim
from .sentence import asks_how_many

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Count", "Counter", "counts_of", "with_counts"]

_THINGS = re.compile(r"\s+((?:[^\W\d_]+\s+){0,2}?[^\W\d_]{3,}[sn])\b")
_WORDS = NUMBERS | dict.fromkeys(("eins", "ein", "eine", "un", "une", "uno", "una"), 1) | {"none": 0}
_NUMBER = re.compile(rf"(?<![\w.,])(?:\d+|{'|'.join(_WORDS)})(?![.,]?\w)", re.IGNORECASE)
_WAYS = (
    (("left", (0.0, 0.0, 0.5, 1.0)), ("right", (0.5, 0.0, 1.0, 1.0))),
    (("top", (0.0, 0.0, 1.0, 0.5)), ("bottom", (0.0, 0.5, 1.0, 1.0))),
)
_MOST = 4  # counts of one answer that are counted again in one batch
_LONGEST = 12  # tokens of an answer about a half
_LEAST = 2  # pixels of a half's side


@dataclass(frozen=True, slots=True)
class Count:
    """A number of things that an answer claims, and the question that asks for it."""

    claim: Claim
    number: int
    question: str


def counts_of(answer: str, question: str, claims: Sequence[Claim], lang: str = "en") -> list[Count]:
    """The counts of an answer, each with the question to put again.

    That is the person's own, where it asks for a number and the answer has one; else one in the language ``lang``.
    A bare number counts things where that was asked.
    """
    is_asked = asks_how_many(question)
    counted = [claim for claim in claims if claim.kind == "count"]
    bare = _NUMBER.fullmatch(answer.strip(" .!\n"))
    if not counted and bare and is_asked:
        start = answer.index(bare.group())
        counted = [Claim("count", bare.group(), start, start + len(bare.group()), is_reading=False)]
    if is_asked and len(counted) == 1:
        return [Count(counted[0], _number(counted[0].text), question)]
    things = [(claim, _THINGS.match(answer, claim.end)) for claim in counted]
    return [Count(claim, _number(claim.text), how_many(found[1], lang)) for claim, found in things if found]


def with_counts(evidence: Sequence[Evidence], counted: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Evidence in the order of the answer, with what was counted again in the place of what said nothing of it."""
    spans = {item.span for item in counted}
    kept = [item for item in evidence if item.span not in spans or item.verdict in ("agree", "conflict")]
    held = {item.span for item in kept}
    return tuple(
        sorted([*kept, *(each for each in counted if each.span not in held)], key=lambda item: item.span or ())
    )


class Counter:
    """Counts in the halves of pictures, with the model; nothing of it is kept in a conversation."""

    def __init__(
        self,
        backend: Backend,
        pixels: Callable[[str], Image.Image],
        settings: Settings,
        cancel: threading.Event | None = None,
        *,
        passed: Callable[[], object] = lambda: None,
    ) -> None:
        """``pixels`` brings a picture by its key; of ``settings`` the time limit counts; ``passed`` hears each run."""
        self._backend = backend
        self._pixels = pixels
        self._settings = replace(settings, max_new_tokens=_LONGEST, temperature=0.0, top_p=1.0, num_beams=1, stop=())
        self._cancel = cancel
        self._passed = passed
        self._together = getattr(backend, "generate_many", None)
        self.usage = Usage()
        """What the counting cost."""

    def evidence(self, counts: Sequence[Count], picture: NamedPicture) -> list[Evidence]:
        """Evidence for the first few counts: "agree" where both ways come to the number, else "unchecked".

        All halves are one batch where the backend can answer several prompts at once. Elsewhere one count is asked for,
        half after half, until a sum is another one.
        """
        if min(picture.width, picture.height) < 2 * _LEAST:
            return []
        counts = counts[:_MOST] if self._together else counts[:1]
        halves = [half for way in _WAYS for half in way]
        try:
            said = self._ask([(picture, box, count.question) for count in counts for _, box in halves], counts)
        except LookTwiceError as error:
            return [_evidence(count, picture, "unchecked", f"not counted again: {error}") for count in counts]
        size = len(halves)
        return [
            _judged(count, picture, said[size * number : size * (number + 1)]) for number, count in enumerate(counts)
        ]

    def _ask(
        self, glances: Sequence[tuple[NamedPicture, tuple[float, ...], str]], counts: Sequence[Count]
    ) -> list[int | None]:
        """The number that is seen in each half; None where none was said, or none had to be asked for any more."""
        prompts = [self._prompt(*glance) for glance in glances]
        load = cache(self._pixels)  # a picture is decoded once for all its halves
        keys = {prompt.pictures[0].key: glance for prompt, glance in zip(prompts, glances, strict=True)}

        def pixels(key: str) -> Image.Image:
            picture, box, _ = keys[key]
            return load(picture.key).crop(_pixels_of(box, picture))

        if self._together:
            done: Sequence[Done] = self._together(
                prompts, self._settings, pixels=pixels, cancel=self._cancel, keep=False
            )
            self._passed()
            self.usage = sum((each.usage for each in done), self.usage)
            return [_first_number(each) for each in done]
        said = list[int | None]()
        for number in self._one_by_one(prompts, pixels):
            said.append(number)
            if number is None or (len(said) % 2 == 0 and sum(filter(None, said[-2:])) != counts[0].number):
                break
        return said + [None] * (len(prompts) - len(said))

    def _one_by_one(self, prompts: Sequence[Prompt], pixels: Callable[[str], Image.Image]) -> Iterator[int | None]:
        for prompt in prompts:
            with closing(self._backend.generate(prompt, self._settings, pixels=pixels, cancel=self._cancel)) as stream:
                done = next(item for item in stream if isinstance(item, Done))
            self._passed()
            self.usage += done.usage
            yield _first_number(done)

    def _prompt(self, picture: NamedPicture, box: tuple[float, ...], question: str) -> Prompt:
        """The question about one half, alone, under the picture's own name."""
        left, top, right, bottom = _pixels_of(box, picture)
        key = f"{picture.key}[{left},{top},{right},{bottom}]"
        half = replace(picture, key=key, width=right - left, height=bottom - top)
        turn = Turn("user", (ImagePart(picture.name), TextPart(question)))
        return compose([turn], {fold(picture.name): half}, style=self._backend.style)


def _pixels_of(box: tuple[float, ...], picture: NamedPicture) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    width, height = picture.width, picture.height
    return round(left * width), round(top * height), round(right * width), round(bottom * height)


def _judged(count: Count, picture: NamedPicture, said: Sequence[int | None]) -> Evidence:
    """What the halves, in the order of ``_WAYS``, say of a count."""
    pairs = list(zip(said[::2], said[1::2], strict=True))
    if any(number is None for pair in pairs for number in pair) and not _differs(count, pairs):
        return _evidence(count, picture, "unchecked", "not counted again: a half brought no number")
    sums = [_sum(names, pair) for names, pair in zip(_WAYS, pairs, strict=True) if None not in pair]
    verdict: Verdict = "unchecked" if _differs(count, pairs) else "agree"
    return _evidence(count, picture, verdict, f"counted again in its halves: {'; '.join(sums)}")


def _differs(count: Count, pairs: Sequence[tuple[int | None, int | None]]) -> bool:
    return any(one is not None and other is not None and one + other != count.number for one, other in pairs)


def _sum(names: Sequence[tuple[str, object]], pair: tuple[int | None, int | None]) -> str:
    return " and ".join(f"{number} {name}" for (name, _), number in zip(names, pair, strict=True))


def _evidence(count: Count, picture: NamedPicture, verdict: Verdict, note: str) -> Evidence:
    claim = count.claim
    span = (claim.start, claim.end)
    return Evidence(picture.name, None, claim.text, "", verdict, "count", span, claim.logprob, note)


def _first_number(done: Done) -> int | None:
    found = _NUMBER.search(done.text) if done.finish in ("stop", "length") else None
    return _number(found.group()) if found else None


def _number(word: str) -> int:
    return int(word) if word.isdecimal() else _WORDS[word.casefold()]
