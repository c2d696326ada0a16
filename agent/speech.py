"""Tokens as they are spoken to a person: a call that is being written is no speech."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from dataclasses import replace

from ..errors import ModelError
from .backends.backend import Backend, Done, Pixels, Settings, Token
from .calls import OPEN, Offer
from .prompt import Prompt

__all__ = ["Speech", "spoken"]


class Speech:
    """Lets the tokens of words through; with ``hide_calls``, everything from a call's opening tag on stays unsaid."""

    def __init__(self, *, hide_calls: bool) -> None:
        self._hide = hide_calls
        self._held: list[Token] = []
        self._silent = False

    def say(self, token: Token) -> Iterator[Token]:
        """The tokens that may be spoken now; what may be the beginning of a call is held back."""
        if self._silent:
            return
        self._held.append(token)
        text = "".join(held.text for held in self._held)
        if self._hide and OPEN in text:
            self._silent = True
            yield from self._cut(text.index(OPEN))
            return
        keep = _overlap(text) if self._hide else 0
        left = len(text)
        while self._held and left - len(self._held[0].text) >= keep:
            left -= len(self._held[0].text)
            yield self._held.pop(0)

    def end(self) -> Iterator[Token]:
        """What was held back and turned out to be words."""
        held, self._held = self._held, []
        yield from held

    def _cut(self, length: int) -> Iterator[Token]:
        """The first ``length`` characters of what is held; the rest is dropped."""
        held, self._held = self._held, []
        for token in held:
            if length <= 0:
                return
            yield replace(token, text=token.text[:length])
            length -= len(token.text)


def spoken(
    backend: Backend,
    prompt: Prompt,
    settings: Settings,
    *,
    pixels: Pixels,
    offer: Offer | None,
    cancel: threading.Event | None,
) -> Generator[Token, None, Done]:
    """One generation: the tokens of its words as they come; returns its end. A call, if one is on offer, is no words.

    Leaving early ends the generation. Raises what `Backend.generate` raises.
    """
    speech = Speech(hide_calls=offer is not None and offer.is_open)
    stream = backend.generate(prompt, settings, pixels=pixels, offer=offer, cancel=cancel)
    try:
        for item in stream:
            if isinstance(item, Done):
                yield from speech.end()
                return item
            yield from speech.say(item)
        raise ModelError(f"the backend {backend.model!r} ended without a Done; its generate must yield one")
    finally:
        stream.close()


def _overlap(text: str) -> int:
    """How many of the last characters begin a call's opening tag."""
    return next((n for n in range(min(len(OPEN) - 1, len(text)), 0, -1) if OPEN.startswith(text[-n:])), 0)
