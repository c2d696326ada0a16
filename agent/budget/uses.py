"""What a question speaks of, and how long ago each picture was last of interest."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from ...memory import fold, mentions
from ...memory.parts import ToolCallPart, Turn

_LONG_ENOUGH = 3  # letters of a name that counts without its @; shorter ones are words of their own too often


def spoken_of(text: str, names: Collection[str]) -> set[str]:
    """The folded ``names`` that a text mentions with an @, or as a word of its own if they are long enough."""
    found = {fold(name) for name in mentions(text)} & set(names)
    folded = fold(text)
    bare = [name for name in names if len(name) >= _LONG_ENOUGH and name in folded]
    return found | {name for name in bare if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", folded)}


def ages(turns: Sequence[Turn], names: Collection[str]) -> dict[str, int]:
    """How many questions ago each folded name was last spoken of, looked at, or shown; 0 is the last question.

    What a question shows without speaking of it, while it speaks of others, counts as one question older.
    """
    age, found = 0, dict[str, int]()
    for turn in reversed(turns):
        spoken = spoken_of(turn.text, names) if turn.role == "user" else set[str]()
        for name in (*spoken, *_looked_at(turn)):
            found[name] = min(found.get(name, age), age)
        for name in map(fold, turn.images):
            found.setdefault(name, age + bool(spoken))
        age += turn.role == "user"
    return found


def _looked_at(turn: Turn) -> Iterable[str]:
    for part in turn.parts:
        if isinstance(part, ToolCallPart):
            yield from (fold(value) for value in part.arguments.values() if isinstance(value, str))
