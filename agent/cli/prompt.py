"""``looktwice prompt``: what the model would read, and what it costs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Unpack

import click

from . import options
from .output import Lines, say, say_json, say_table

_HEADS = ("kind", "tokens", "picture", "tier", "text")
_SHORT = 60


class PromptOptions(options.AgentOptions):
    """Everything that ``prompt`` takes beside the question."""

    images: tuple[str, ...]
    chat: str
    show: bool
    as_json: bool


@click.command(short_help="Count or show the prompt that the model would get.")
@click.argument("question", required=False)
@options.the_chat
@click.option("--show", is_flag=True, help="Print each part whole.")
@options.agent_options
@options.json
def prompt(question: str | None, **given: Unpack[PromptOptions]) -> None:
    """Count the prompt that the model would get for QUESTION, or for the conversation as it stands.

    Tokens are exact, part by part; no weights are loaded and nothing is kept.
    """
    options.require_database(given["db"])
    with options.open_agent(given, Lines(plain=True)) as agent:
        agent.memory.conversations.get(given["chat"])
        rows = agent.chat(given["chat"]).prompt(question)
        total = sum(row.tokens for row in rows)
        if given["as_json"]:
            say_json({"model": agent.backend.model, "tokens": total, "rows": [asdict(row) for row in rows]})
            return
        shown = [
            (row.kind, row.tokens, row.image or "", row.tier or "", _text(row.text, given["show"])) for row in rows
        ]
        say_table(shown, heads=_HEADS)
        say(f"{total} tokens of {agent.backend.context}")


def _text(text: str, whole: bool) -> str:
    written = repr(text)
    return written if whole or len(written) <= _SHORT else f"{written[: _SHORT - 3]}..."
