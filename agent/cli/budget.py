"""``looktwice budget``: how much of each picture the model sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Unpack

import click

from ..answer import Budgeted
from . import options
from .output import Lines, say, say_json, say_table

_HEADS = ("picture", "turn", "tier", "tokens", "why")


class BudgetOptions(options.AgentOptions):
    """Everything that ``budget`` takes beside the question."""

    chat: str
    as_json: bool


@click.command(short_help="Say how much of each picture the model sees, and why.")
@click.argument("question", required=False)
@options.the_chat
@options.agent_options
@options.json
def budget(question: str | None, **given: Unpack[BudgetOptions]) -> None:
    """Say how much of each picture the model sees: in full, as a thumbnail, in words or by name, and why.

    With QUESTION as it would be for that question, else for the conversation as it stands. Tokens are exact; no weights
    are loaded and nothing is kept.
    """
    options.require_database(given["db"])
    with options.open_agent(given, Lines(plain=True)) as agent:
        agent.memory.conversations.get(given["chat"])
        chat = agent.chat(given["chat"])
        rows = chat.prompt(question)
        pictures = chat.budget(question)
        total, context = sum(row.tokens for row in rows), agent.backend.context
        if given["as_json"]:
            counted = {"model": agent.backend.model, "tokens": total, "context": context}
            say_json({**counted, "pictures": [asdict(picture) for picture in pictures]})
            return
        say_table([(p.name, p.turn, p.tier, p.tokens, p.why) for p in pictures], heads=_HEADS)
        say(", ".join(_totals(pictures, total, context)))
        pixels, limit = sum(row.tokens for row in rows if row.image), given["budget"]
        if limit is not None and pixels > limit:
            say(f"no less can be shown for this question: {pixels} tokens are over the budget of {limit}")


def _totals(pictures: list[Budgeted], total: int, context: int) -> Iterator[str]:
    shown = sum(picture.tokens for picture in pictures)
    yield f"{shown} tokens of pictures"
    yield f"{total - shown} of words"
    yield f"{context - total} of {context} free"
