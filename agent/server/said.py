"""The token ids of answers that were given, found again by their words.

Stateless clients send an answer back as text, and encoding that anew may give other ids than the model wrote, where
what was computed before could no longer be reused. Ids are used only where they decode to the very text (the encoder
sees to that), so whoever sends it.
"""

from __future__ import annotations

import hashlib
import threading
from array import array
from collections import OrderedDict

from ...memory.parts import TextPart, ToolCallPart, Turn
from ..backends import Done
from ..prompt import call_json

__all__ = ["Said"]

_ANSWERS = 2048
_LONGEST = 4096  # tokens of an answer that is remembered


class Said:
    """The answers of one model, as many as were used last."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, tuple[array[int], str]] = OrderedDict()
        self._guard = threading.Lock()

    def remember(self, words: str, call: ToolCallPart | None, done: Done) -> None:
        """Keep the ids of an answer under its words and its call."""
        if not done.ids or not done.tokenizer or len(done.ids) > _LONGEST:
            return
        with self._guard:
            key = _key(words, call)
            self._ids[key] = (array("i", done.ids), done.tokenizer)
            self._ids.move_to_end(key)
            while len(self._ids) > _ANSWERS:
                self._ids.popitem(last=False)

    def with_ids(self, turn: Turn) -> Turn:
        """An assistant's turn with the ids that the model wrote, if it was this one."""
        words = "\n".join(part.text for part in turn.parts if isinstance(part, TextPart))
        with self._guard:
            found = self._ids.get(_key(words, turn.calls[0] if turn.calls else None))
        return turn if found is None else turn.replace(tokens=tuple(found[0]), tokenizer=found[1])


def _key(words: str, call: ToolCallPart | None) -> str:
    written = f"{words.strip()}\0{call_json(call) if call else ''}"
    return hashlib.sha256(written.encode(errors="replace")).hexdigest()
