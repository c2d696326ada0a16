"""``looktwice export``, ``import`` and ``verify``: a conversation's way out and in, and whether all is well."""

from __future__ import annotations

import os
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import click

from ...errors import InvalidInput
from ..words import later
from . import options
from .output import Lines, say, say_json


@click.command(short_help="Write a conversation with its pictures to one zip file.")
@options.the_chat
@click.option("-o", "--output", metavar="FILE", help="The file; else the conversation's name with .zip.")
@options.db
def export(chat: str, output: str | None, db: str | None) -> None:
    """Write a conversation, all its branches and its pictures, to one zip file that import reads again.

    Pictures are written as they were given, with whatever a camera wrote into them, such as the place.
    """
    from .follow import Progress

    with options.open_memory(db) as memory:
        target = new_file(output, memory.conversations.get(chat).name, ".zip")
        with Progress(Lines(), later("exporting")):
            memory.export(chat, target)
    say(str(target))


@click.command("import", short_help="Read a conversation from a zip file that export wrote.")
@click.argument("file")
@click.option("--name", metavar="NAME", help="Its name here; else the one it had.")
@options.db
@options.json
def import_(file: str, name: str | None, db: str | None, as_json: bool) -> None:
    """Read a conversation with its pictures from FILE."""
    from ...memory import Memory
    from .follow import Progress

    if not os.path.isfile(file):
        raise InvalidInput(f"no file {file!r}; give a zip file that looktwice export wrote")
    if not zipfile.is_zipfile(file):
        raise InvalidInput(f"{file!r} is not a zip file; give one that looktwice export wrote")
    with Memory(db) as memory, Progress(Lines(), later("importing")):
        made = memory.import_(file, name=name)
    if as_json:
        say_json(made._asdict())
    else:
        say(made.name)


@click.command(short_help="Check every picture and every turn that is kept.")
@options.db
@options.json
def verify(db: str | None, as_json: bool) -> None:
    """Read everything that is kept and check it. Exit status 1 if something is damaged; nothing is changed."""
    from .follow import Progress

    with options.open_memory(db) as memory, Progress(Lines(), later("checking")):
        damage = memory.verify()
    if as_json:
        say_json([asdict(item) for item in damage])
    for item in [] if as_json else damage:
        say(f"{item.table} row {item.row}: {item.problem}")
    if not as_json and not damage:
        say("everything is as it was kept")
    sys.exit(1 if damage else 0)


def new_file(given: str | None, name: str, suffix: str) -> Path:
    """The file that was given, or one named after a conversation that isn't there yet. Raises InvalidInput."""
    if given is not None:
        target = Path(given)
    else:
        safe = "".join(char if char.isalnum() or char in "-_." else "-" for char in name).strip(".") or "conversation"
        target = Path(f"{safe.encode()[:200].decode(errors='ignore')}{suffix}")
        if target.exists():
            raise InvalidInput(f"{str(target)!r} exists already; choose the file with -o")
    if target.is_dir() or not target.parent.is_dir():
        raise InvalidInput(f"can't write {str(target)!r}; give a file in a folder that exists")
    return target
