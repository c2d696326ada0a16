"""Names that pictures go by in training, and those that are kept for the evaluation."""

from __future__ import annotations

import random

__all__ = ["HELD_OUT_NAMES", "NAMES", "names"]

_COMMON = """
after alpha article back banner before beta bill board book box car card cat chart city copy cover day desk dinner dog
door draft end final first flat front gamma garden green home house item kitchen label left letter list logo lunch main
map menu new night north note old one order page paper park photo picture plan poster price receipt red right road room
sample scan second shelf shop side sign south start street table tag test ticket top tree two view wall
"""
NAMES = tuple(_COMMON.split())
HELD_OUT_NAMES = (
    "beach",
    "drawing",
    "flyer",
    "hall",
    "invoice",
    "left2",
    "mug",
    "office",
    "pic",
    "q",
    "station",
    "trip",
)


def names(rng: random.Random, count: int) -> list[str]:
    """Different names for pictures: words, letters, numbered words, syllables, and any letters and digits."""
    if count > 1 and rng.random() < 0.25:
        stem = rng.choice(("photo", "image", "page", "scan", "p", "card", "wall"))
        return [f"{stem}{number}" for number in rng.sample(range(1, 10), count)]
    found: list[str] = []
    while len(found) < count:
        name = _name(rng)
        if name not in found and name not in HELD_OUT_NAMES:
            found.append(name)
    return found


def _name(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(NAMES)
    if kind < 0.6:
        return rng.choice("abcdefghijklmnopqrstuvwxyz")
    if kind < 0.72:
        return rng.choice(("photo", "image", "page", "img", "scan", "p", "a", "shot")) + str(rng.randint(1, 9))
    if kind < 0.87:
        syllables = [rng.choice("bcdfghklmnprstvw") + rng.choice("aeiou") for _ in range(rng.randint(1, 3))]
        return "".join(syllables) + rng.choice(("", "", "n", "r", "t", "s"))
    rest = rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=rng.randint(1, 4))
    return rng.choice("abcdefghijklmnopqrstuvwxyz") + "".join(rest)
