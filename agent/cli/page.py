"""``looktwice page``: a conversation to read in a browser."""

from __future__ import annotations

import click

from ...errors import InvalidInput
from . import options
from .output import say
from .transfer import new_file


@click.command(short_help="Write a conversation as one HTML page.")
@options.the_chat
@click.option("-o", "--output", metavar="FILE", help="The file, or - for standard output; else the name with .html.")
@click.option("--lang", default="en", show_default=True, help="The language of the conversation's words.")
@options.db
def page(chat: str, output: str | None, lang: str, db: str | None) -> None:
    """Write a conversation as one HTML page, with its pictures inside and the boxes that were looked at."""
    from ..page import render

    with options.open_memory(db) as memory:
        name = memory.conversations.get(chat).name
        target = None if output == "-" else new_file(output, name, ".html")
        text = render(memory, name, lang=lang)
    if target is None:
        say(text, end="")
        return
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"can't write {str(target)!r}: {error.strerror}; choose another file with -o") from error
    say(str(target))
