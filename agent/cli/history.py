"""``looktwice log``, ``search``, ``fork`` and ``delete``: what was said."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from . import options
from .cache import uncache
from .output import Lines, say, say_json, say_table, when

if TYPE_CHECKING:
    from ...memory import Memory
    from ...memory.parts import Part, Turn

_SPEAKER = {"user": "you", "assistant": "assistant", "tool": "tool", "system": "instructions"}


@click.command(short_help="List conversations, or the turns of one.")
@options.chat
@click.option("--all", "every", is_flag=True, help="List the conversations, even if LOOKTWICE_CHAT names one.")
@click.option("-n", "--last", type=click.IntRange(min=1), metavar="N", help="Only the last N.")
@options.db
@options.json
def log(chat: str | None, every: bool, last: int | None, db: str | None, as_json: bool) -> None:
    """List the conversations, last changed first; with --chat, the turns of one, first turn first."""
    with options.open_memory(db) as memory:
        if chat is None or every:
            _conversations(memory, last, as_json)
        else:
            _turns(memory, chat, last, as_json)


@click.command(short_help="Find words in questions, answers, pictures' names and texts.")
@click.argument("words", nargs=-1, required=True)
@options.only_chat
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The most that is shown."
)
@options.db
@options.json
def search(words: tuple[str, ...], chat: str | None, limit: int, db: str | None, as_json: bool) -> None:
    """Find all WORDS in questions, answers, and the names, captions and texts of pictures. Newest first."""
    with options.open_memory(db) as memory:
        hits = memory.search(" ".join(words), conversation=chat, limit=limit)
    if as_json:
        say_json([asdict(hit) for hit in hits])
        return
    if not hits:
        Lines().tell("status", f"nothing holds {' '.join(words)!r}")
    for hit in hits:
        place = (
            f"{hit.conversation}, {f'picture {hit.picture}' if hit.picture else _SPEAKER.get(hit.role or '', hit.kind)}"
        )
        say(f"{when(hit.created)}  {place}: {' '.join(hit.snippet.split())}")


@click.command(short_help="Begin a new conversation that shares the turns so far.")
@options.the_chat
@click.option("--at", type=int, metavar="TURN", help="The last turn to share, as log shows it; else the last one.")
@click.option("--name", metavar="NAME", help="The new conversation's name; else the old one with a number.")
@options.db
@options.json
def fork(chat: str, at: int | None, name: str | None, db: str | None, as_json: bool) -> None:
    """Begin a new conversation that shares the turns of --chat so far."""
    with options.open_memory(db) as memory:
        made = memory.conversations.fork(chat, name=name, **({} if at is None else {"at": at}))
    if as_json:
        say_json(made._asdict())
    else:
        say(made.name)


@click.command(short_help="Delete a conversation with its turns and pictures.")
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Don't ask first.")
@options.db
@options.cache
@options.json
def delete(name: str, yes: bool, db: str | None, cache: str | None, as_json: bool) -> None:
    """Delete the conversation NAME: its turns, and the pictures that no other conversation has.

    What a cache folder has of these pictures goes as well. Turns that a fork shares stay with the fork. This can't be
    undone; export it first to keep a copy.
    """
    with options.open_memory(db) as memory:
        conversation = memory.conversations.get(name)
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError("deleting asks first, and there is no terminal to ask at; give --yes")
            turns, pictures = len(memory.turns.all(conversation)), len(memory.pictures.all(conversation))
            click.confirm(f"delete {name!r} with {turns} turns and {pictures} pictures?", abort=True, err=True)
        had = {picture.key for picture in memory.pictures.all(conversation)}
        memory.conversations.delete(conversation)
        others = (memory.pictures.all(other) for other in memory.conversations.list())
        uncache(cache, had - {picture.key for found in others for picture in found if not picture.forgotten})
    if as_json:
        say_json({"deleted": name})
    else:
        say(f"deleted: {name}")


def _conversations(memory: Memory, last: int | None, as_json: bool) -> None:
    found = memory.conversations.list(last)
    if as_json:
        say_json([conversation._asdict() for conversation in found])
    else:
        say_table([(item.name, when(item.updated)) for item in found], heads=("conversation", "last changed"))


def _turns(memory: Memory, chat: str, last: int | None, as_json: bool) -> None:
    turns = memory.turns.branch(memory.conversations.get(chat).head, last=last)
    if as_json:
        say_json([_plain(turn) for turn in turns])
        return
    for turn in turns:
        mark = "" if turn.status == "complete" else f" ({turn.status})"
        words = " ".join(" ".join(map(_shown, turn.parts)).split())
        say(f"{turn.id}  {when(turn.created)}  {_SPEAKER[turn.role]}{mark}: {words}")


def _plain(turn: Turn) -> dict[str, Any]:
    from ...memory.parts import dump

    return {
        "id": turn.id,
        "parent": turn.parent,
        "role": turn.role,
        "status": turn.status,
        "model": turn.model,
        "created": turn.created,
        "parts": [dump(part) for part in turn.parts],
        "meta": dict(turn.meta),
    }


def _shown(part: Part) -> str:
    from ...memory.parts import ImagePart, TextPart, ToolCallPart, ToolResultPart
    from .follow import described

    match part:
        case TextPart(text):
            return text
        case ImagePart(name):
            return f"[{name}]"
        case ToolCallPart():
            return described(part)
        case ToolResultPart(text=text, tool=tool, error=error):
            return f"{tool} {'failed' if error else 'brought'}: {text}"
        case _:
            return f"[tools: {', '.join(spec.name for spec in part.tools) or 'none'}]"
