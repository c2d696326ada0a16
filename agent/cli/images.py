"""``looktwice images`` and ``looktwice forget``: the pictures of a conversation."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from . import options
from .cache import uncache
from .output import Lines, say, say_json, say_table

if TYPE_CHECKING:
    from ...memory import Memory, NamedPicture

_HEADS = ("name", "size", "from", "kept as", "words")


@click.command(short_help="List the pictures of a conversation.")
@options.chat
@click.option("--like", metavar="FILE", help="Find pictures that look like this one, in every conversation.")
@options.db
@options.json
def images(chat: str | None, like: str | None, db: str | None, as_json: bool) -> None:
    """List the pictures of a conversation, or find those that look like FILE."""
    if chat is None and like is None:
        raise click.UsageError("name a conversation with --chat, or a picture with --like")
    with options.open_memory(db) as memory:
        if like is not None:
            _alike(memory, like, as_json)
        elif chat is not None:
            _list(memory, chat, as_json)


@click.command(short_help="Remove a picture and its crops from a conversation.")
@click.argument("name")
@options.the_chat
@options.db
@options.cache
@options.json
def forget(name: str, chat: str, db: str | None, cache: str | None, as_json: bool) -> None:
    """Remove the picture NAME and the crops made from it.

    Its bytes are deleted when no other conversation has it; what a cache folder has of it, always. What was said and
    read about it stays in the turns of the conversation. This can't be undone.
    """
    wanted, lines = name.removeprefix("@"), Lines()
    with options.open_memory(db) as memory:
        gone = memory.pictures.forget(chat, wanted)
        elsewhere = _elsewhere(memory, chat, gone)
        uncache(cache, memory.pictures.family(chat, wanted))
    if as_json:
        say_json({"forgotten": gone, "elsewhere": elsewhere})
    elif gone:
        say(f"forgotten: {', '.join(gone)}")
    if not gone:
        lines.tell("status", f"{wanted!r} was forgotten already")
        return
    if elsewhere:
        lines.tell(
            "status", f"the bytes stay: also in {', '.join(map(repr, elsewhere))}; forget the picture there, too"
        )
    lines.tell("status", f"what was said and read about it stays in the turns of {chat!r} until that is deleted")


def _elsewhere(memory: Memory, chat: str, gone: list[str]) -> list[str]:
    """The other conversations that still have one of these pictures, or a crop of it."""
    here = memory.conversations.get(chat)
    keys = {picture.key for picture in memory.pictures.all(here) if picture.name in gone}
    return [
        other.name
        for other in memory.conversations.list()
        if other.id != here.id and any({p.key, p.parent} & keys and not p.forgotten for p in memory.pictures.all(other))
    ]


def _list(memory: Memory, chat: str, as_json: bool) -> None:
    pictures = memory.pictures.all(chat)
    by_key = {picture.key: picture.name for picture in pictures}
    if as_json:
        say_json([_plain(picture, by_key) for picture in pictures])
    else:
        say_table([_row(picture, by_key) for picture in pictures], heads=_HEADS)


def _row(picture: NamedPicture, by_key: dict[str, str]) -> tuple[str, ...]:
    origin = by_key.get(picture.parent or "", "")
    kept = "forgotten" if picture.forgotten else "recipe" if picture.recipe else f"{picture.mime}, {picture.size} bytes"
    return (picture.name, f"{picture.width}x{picture.height}", origin, kept, picture.alt or picture.caption or "")


def _plain(picture: NamedPicture, by_key: dict[str, str]) -> dict[str, Any]:
    """A picture as JSON; ``parent`` is the name of the one it was cut from and ``box`` where, in that one's pixels."""
    recipe = asdict(picture.recipe) if picture.recipe else {}
    return {
        "name": picture.name,
        "key": picture.key,
        "width": picture.width,
        "height": picture.height,
        "mime": picture.mime,
        "bytes": picture.size,
        "parent": by_key.get(picture.parent or ""),
        "box": recipe.get("box"),
        "tool": picture.tool,
        "turn": picture.turn,
        "alt": picture.alt,
        "caption": picture.caption,
        "forgotten": picture.forgotten,
        "created": picture.created,
    }


def _alike(memory: Memory, file: str, as_json: bool) -> None:
    from ...memory import Picture

    found = memory.similar(Picture.load(file))
    if as_json:
        say_json([asdict(hit) for hit in found])
    else:
        heads = ("conversation", "picture", "bits that differ")
        say_table([(hit.conversation, hit.name, hit.distance) for hit in found], heads=heads)
