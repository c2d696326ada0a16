"""Tokens as they are spoken to a person: a call that is being written is no speech."""

from __future__ import annotations

from .backends.backend import Token
from .calls import OPEN
from .events import Emit, Text


class Speech:
    """Hands tokens on as ``Text``; with ``hide_calls``, everything from a call's opening tag on stays unsaid."""

    def __init__(self, emit: Emit, *, hide_calls: bool) -> None:
        self._emit = emit
        self._hide = hide_calls
        self._held = ""
        self._logprob = 0.0
        self._silent = False

    def say(self, token: Token) -> None:
        """Speak a token, or hold it back while it may be the beginning of a call."""
        if self._silent:
            return
        self._held += token.text
        self._logprob = token.logprob
        if self._hide and OPEN in self._held:
            self._held = self._held.partition(OPEN)[0]
            self._silent = True
        keep = _overlap(self._held) if self._hide and not self._silent else 0
        spoken, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        if spoken:
            self._emit(Text(spoken, self._logprob))

    def end(self) -> None:
        """Speak what was held back."""
        if self._held and not self._silent:
            self._emit(Text(self._held, self._logprob))
        self._held = ""


def _overlap(text: str) -> int:
    """How many of the last characters begin a call's opening tag."""
    return next((n for n in range(min(len(OPEN) - 1, len(text)), 0, -1) if OPEN.startswith(text[-n:])), 0)
