"""``looktwice chat``: a conversation, line by line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Unpack

import click

from . import options
from .output import Lines, is_plain
from .speaking import SpeechOptions, opened_voice, speech_options

_HISTORY = 1000


class ChatOptions(options.AgentOptions, options.SettingOptions, SpeechOptions):
    """Everything that ``chat`` takes."""

    images: tuple[str, ...]
    chat: str | None
    plain: bool


@click.command(short_help="Talk about pictures, line by line.")
@click.option("-i", "--image", "images", multiple=True, metavar="[NAME=]FILE", help="A picture; repeat for several.")
@options.chat
@options.agent_options
@options.setting_options
@speech_options
@options.plain
def chat(**given: Unpack[ChatOptions]) -> None:
    """Talk about pictures. Lines are questions, or commands that begin with a slash: /help lists them.

    Ctrl-C stops an answer and keeps it; /quit or the end of input ends the conversation, which stays kept. On a
    terminal the lines typed are remembered beside the database, in a file that ends in .history.
    """
    from .repl import Repl

    pictures = [options.read_picture(spec) for spec in given["images"]]
    lines = Lines(is_plain(given["plain"]), given["lang"])
    with (
        opened_voice(given, given["lang"], lines) as voice,
        options.open_agent(given, lines) as agent,
        options.opened_chat(agent, given["chat"]) as opened,
    ):
        repl = Repl(opened, lines, options.settings(given), echo=not sys.stdin.isatty(), voice=voice)
        repl.begin(options.new_pictures(opened, pictures))
        if sys.stdin.isatty() and not lines.plain:  # line editing redraws the line, with escape codes
            _remember_lines(Path(agent.memory.path))
        failed = repl.run()
    sys.exit(1 if failed and not sys.stdin.isatty() else 0)


def _remember_lines(database: Path) -> None:
    """Line editing, with the lines of earlier sessions kept beside the database, readable by its owner alone."""
    try:
        import readline
    except ImportError:  # a Python without it reads plain lines
        return
    import atexit

    if database.name == ":memory:":
        return
    history = database.with_name(f"{database.name}.history")
    history.touch(mode=0o600)
    readline.read_history_file(history)
    readline.set_history_length(_HISTORY)
    atexit.register(readline.write_history_file, history)
