"""What a server takes, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Caps"]


@dataclass(frozen=True, slots=True)
class Caps:
    """The most of everything that one request may hold, cost or last; what is over is refused, saying the cap.

    ``body`` is in bytes, ``question`` (of the page's form) as well, ``schema`` in characters of JSON for
    each tool, ``stop`` in characters; a picture's own limits are those of
    `looktwice.memory`. ``waiting`` is how many requests may be read, wait or be answered at once, ``answer`` how many
    seconds one has for that, ``headers``, ``reading`` and ``sending`` how many a client has for its headers, its body,
    and to take in one piece of the answer. ``ending`` is what running answers get when the server stops.
    """

    body: int = 40_000_000
    messages: int = 1000
    question: int = 100_000
    pictures: int = 32
    tools: int = 32
    schema: int = 32_000
    stops: int = 16
    stop: int = 200
    choices: int = 4
    max_tokens: int = 4096
    looks: int = 10
    waiting: int = 64
    answer: float = 600.0
    headers: float = 10.0
    reading: float = 120.0
    sending: float = 30.0
    ending: float = 20.0
