"""The one seam between looktwice and what turns a prompt into words.

A backend is passed in (``Agent(my_backend)``) and is anything with these few members: LLaVA in process
(`llava.py`), a server, or a script (`scripted.py`). Tokens come one by one, the end comes as ``Done``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast, runtime_checkable

from ...errors import InvalidInput
from ..answer import Finish, Usage
from ..prompt import Prompt, Style

if TYPE_CHECKING:
    from PIL import Image

    from ..calls import Offer

Decoding: TypeAlias = Literal["auto", "eager", "compiled", "lookup"]
Pixels: TypeAlias = "Callable[[str], Image.Image]"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the composed prompt: ``kind`` is "format", "text", "answer" or "image"; ``tokens`` its cost."""

    kind: str
    text: str
    tokens: int
    image: str | None = None
    tier: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How to generate. ``timeout`` is in seconds of wall clock; ``temperature`` 0 is greedy.

    ``top_logprobs`` is how many of the likeliest tokens come along with each token.

    Raises InvalidInput for values that make no sense, naming them.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    num_beams: int = 1
    seed: int | None = None
    stop: tuple[str, ...] = ()
    timeout: float | None = None
    top_logprobs: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", _words(self.stop))
        _whole("max_new_tokens", self.max_new_tokens, lambda n: n >= 1, "give at least 1, a whole number")
        _whole("num_beams", self.num_beams, lambda n: 1 <= n <= 16, "give 1 to 16, a whole number")
        _real("temperature", self.temperature, lambda t: 0 <= t <= 5, "give 0 (greedy) to 5, a number")
        _real("top_p", self.top_p, lambda p: 0 < p <= 1, "give more than 0, at most 1, a number")
        _whole("top_logprobs", self.top_logprobs, lambda n: 0 <= n <= 20, "give 0 to 20, a whole number")
        if self.seed is not None:
            _whole("seed", self.seed, lambda n: -(2**63) <= n < 2**64, "give a whole number of 64 bits, or None")
        if self.timeout is not None:
            _real("timeout", self.timeout, lambda s: s > 0, "give seconds above 0, or None")

    @classmethod
    def of(cls, **given: object) -> Settings:
        """Settings from keywords. Raises InvalidInput for one that doesn't exist."""
        known = {f.name for f in fields(cls)}
        for name in given:
            _check(name in known, "setting", name, f"known: {', '.join(sorted(known))}")
        return cls(**given)  # pyright: ignore[reportArgumentType]


def _words(stop: object) -> tuple[str, ...]:
    """What ``stop`` may be given as: nothing, a word, or several."""
    several = () if stop is None else (stop,) if isinstance(stop, str) else stop
    good = isinstance(several, list | tuple)
    words = tuple(cast("Sequence[object]", several)) if good else ()
    good = good and all(isinstance(word, str) and word for word in words)
    _check(good, "stop", stop, "give a word, or several, that are not empty")
    return cast("tuple[str, ...]", words)


def _whole(name: str, value: object, fits: Callable[[int], bool], advice: str) -> None:
    _check(isinstance(value, int) and not isinstance(value, bool) and fits(value), name, value, advice)


def _real(name: str, value: object, fits: Callable[[float], bool], advice: str) -> None:
    _check(isinstance(value, int | float) and not isinstance(value, bool) and fits(value), name, value, advice)


def _check(good: bool, name: str, value: object, advice: str) -> None:
    if not good:
        raise InvalidInput(f"{name} {value!r} can't be used; {advice}")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer. ``logprob`` (natural) and ``entropy`` (nats) are the model's own, before any grammar.

    ``top`` are the likeliest pieces in its place with their logarithms, as far as `Settings.top_logprobs` asks.
    """

    text: str
    logprob: float = 0.0
    entropy: float = 0.0
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a generation: the whole text, its ids without the end token, and what it cost.

    ``logprobs`` has one number per token, or none where they are not known; ``notices`` is what the person should know
    of how it came about.
    """

    text: str
    finish: Finish
    usage: Usage
    ids: tuple[int, ...] | None = None
    tokenizer: str | None = None
    logprobs: tuple[float, ...] = ()
    notices: tuple[str, ...] = ()


class Backend(Protocol):
    """What answers prompts. Calls may come from several threads; a backend queues them itself."""

    @property
    def model(self) -> str:
        """The name that answers carry."""
        ...

    @property
    def context(self) -> int:
        """The most tokens, prompt and answer together."""
        ...

    @property
    def style(self) -> Style:
        """What the checkpoint expects of a prompt."""
        ...

    @property
    def note(self) -> str:
        """One sentence on what this model can't do, or nothing."""
        ...

    def rows(self, prompt: Prompt) -> Sequence[Row]:
        """The prompt with its exact cost, row by row; the sum is the prompt's length in tokens."""
        ...

    def generate(
        self,
        prompt: Prompt,
        settings: Settings,
        *,
        pixels: Pixels,
        offer: Offer | None = None,
        cancel: threading.Event | None = None,
    ) -> Generator[Token | Done]:
        """Tokens as they come, then one ``Done``.

        ``pixels`` brings a picture's RGB by its key, for those not seen before. ``offer`` are the calls that
        may be written. ``cancel`` ends the answer within one token.
        """
        ...

    def close(self) -> None:
        """Give memory back."""
        ...


@runtime_checkable
class Weighs(Protocol):
    """What a backend may be able to do beside answering: say how likely words are, without answering."""

    def weigh(
        self, prompts: Sequence[Prompt], words: Sequence[str], *, pixels: Pixels
    ) -> Sequence[Sequence[float]] | None:
        """For each prompt the probability (0..1) of each word as the next token; None where that isn't known.

        The prompts begin alike; it should cost one pass over what differs. Nothing of them is kept.
        """
        ...


def weighed(
    backend: Backend, prompts: Sequence[Prompt], words: Sequence[str], *, pixels: Pixels
) -> Sequence[Sequence[float]] | None:
    """What `Weighs.weigh` says; None from a backend that can't."""
    return backend.weigh(prompts, words, pixels=pixels) if isinstance(backend, Weighs) else None
