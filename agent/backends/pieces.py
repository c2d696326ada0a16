"""The words of an answer, token by token as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenizers.decoders import DecodeStream

__all__ = ["Pieces"]


class Pieces:
    """What each token adds to a text. A character whose bytes are spread over several tokens comes with the last one.

    ``tokenizer`` is one of the tokenizers library; ``before`` are the ids of a text that goes on.
    """

    def __init__(self, tokenizer: Any, before: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._stream = self._begun(before)
        self._pending: list[int] = []

    def add(self, token: int) -> str:
        """The piece of text that a token brings; it may be empty."""
        self._pending.append(token)
        try:
            piece: str | None = self._stream.step(self._tokenizer, token)
        except Exception:  # the bytes that waited are no character, and this is all that the library says of it
            piece = self._tokenizer.decode(self._pending, skip_special_tokens=False)
            self._stream = self._begun([token])
        if piece:
            self._pending.clear()
        return piece or ""

    def _begun(self, ids: Sequence[int]) -> DecodeStream:
        return DecodeStream(ids=list(ids), skip_special_tokens=False)
