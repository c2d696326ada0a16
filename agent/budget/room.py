"""Whether a prompt leaves room for its answer."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import PromptTooLong
from ..backends.backend import Row

ROOM = 128  # tokens kept free for an answer, unless fewer were asked for


def fits(rows: Sequence[Row], context: int, max_new_tokens: int) -> bool:
    """Whether a prompt of these rows leaves room for an answer."""
    return sum(row.tokens for row in rows) + min(ROOM, max_new_tokens) <= context


def require_fit(rows: Sequence[Row], context: int, max_new_tokens: int) -> None:
    """Raise PromptTooLong, with the count, the limit and what to drop, for a prompt that doesn't fit."""
    if fits(rows, context, max_new_tokens):
        return
    total = sum(row.tokens for row in rows)
    costly = sorted((row for row in rows if row.image), key=lambda row: -row.tokens)[:3]
    named = ", ".join(f"{row.image} ({row.tokens})" for row in costly)
    advice = f"ask about fewer pictures in a new conversation; the costliest here: {named}" if named else "shorten it"
    room = min(ROOM, max_new_tokens)
    raise PromptTooLong(
        f"the prompt has {total} tokens and the model takes {context} with {room} for the answer; {advice}"
    )
