"""What a prompt will cost at a server, which tells only afterwards: an estimate, and one that learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...answer import Usage
from ...prompt import Prompt, Segment, Shown, Tag, Words, Written
from ..backend import Row
from .facts import Facts

__all__ = ["learn", "rows"]

_BYTES_A_TOKEN = 4
_TURN = 4  # tokens around a message
_MOST = {"full": 2928, "thumbnail": 577}  # what LLaVA-NeXT takes at most
_SHARE = 8  # before anything is known, a picture isn't taken to fill more than such a part of the context


def rows(prompt: Prompt, facts: Facts) -> Iterator[Row]:
    """The prompt row by row, with tokens as they are likely to be counted."""
    for message in prompt.messages:
        yield Row("format", message.role, _TURN)
        for segment in message.segments:
            yield _row(segment, facts)


def learn(facts: Facts, counted: Sequence[Row], usage: Usage, *, is_exact: bool) -> None:
    """Take what pictures cost from an answer. ``is_exact``: ``usage.image`` is the server's own count."""
    pictures = sum(row.tokens for row in counted if row.image)
    if not pictures or not usage.prompt:
        return
    words = sum(row.tokens for row in counted if not row.image)
    cost = usage.image if is_exact else usage.prompt - words
    before = facts.picture or _first(facts)
    facts.picture = max(cost, 1) / pictures * before


def _row(segment: Segment, facts: Facts) -> Row:
    match segment:
        case Shown(name, key, _, tier):
            share = facts.picture or _first(facts)
            return Row("image", "", max(1, round(_MOST.get(tier, 1) * share)), name, tier, key)
        case Words(text):
            return Row("text", text, _tokens(text))
        case Tag(text):
            return Row("format", text, _tokens(text))
        case Written(written):
            text = "".join(part.text for part in written)
            return Row("answer", text, _tokens(text))


def _first(facts: Facts) -> float:
    return min(1.0, facts.context / _SHARE / _MOST["full"])


def _tokens(text: str) -> int:
    return -(-len(text.encode(errors="replace")) // _BYTES_A_TOKEN)
