"""The program ``looktwice``: finds a command, and turns every failure into one line and an exit status."""

from __future__ import annotations

import contextlib
import copy
import errno
import functools
import importlib
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from ...errors import LookTwiceError
from .output import Lines, answers_apart, printable

# name: (module, what the command does); the line is shown without importing the module, a test compares it
COMMANDS = {
    "alt": ("alt", "Check, suggest, review and write alternative texts of documents."),
    "approve": ("approve", "List calls that wait for an approval, or decide one and go on."),
    "ask": ("ask", "Ask about pictures and print the answer."),
    "batch": ("batch", "Ask one question about many pictures, and keep the answers in a file."),
    "cache": ("cache", "List, check or clear what a cache folder keeps."),
    "budget": ("budget", "Say how much of each picture the model sees, and why."),
    "calibrate": ("calibrate", "Fit when an answer of a model is doubtful."),
    "chat": ("chat", "Talk about pictures, line by line."),
    "check": ("check", "Say what is wrong with pictures: dark, blurred, text cut off."),
    "compare": ("compare", "Say what differs between two pictures of the same thing."),
    "delete": ("history", "Delete a conversation with its turns and pictures."),
    "describe": ("describe", "Describe pictures for somebody who can't see them."),
    "doctor": ("doctor", "Say what is installed, what is missing and how to get it."),
    "eval": ("eval", "Measure whether looking again helps, and what it costs."),
    "export": ("transfer", "Write a conversation with its pictures to one zip file."),
    "forget": ("images", "Remove a picture and its crops from a conversation."),
    "fork": ("history", "Begin a new conversation that shares the turns so far."),
    "images": ("images", "List the pictures of a conversation."),
    "import": ("transfer", "Read a conversation from a zip file that export wrote."),
    "log": ("history", "List conversations, or the turns of one."),
    "mcp": ("mcp", "Serve conversations and tools to MCP clients."),
    "models": ("models", "List the models that are known by name."),
    "page": ("page", "Write a conversation as one HTML page."),
    "prompt": ("prompt", "Count or show the prompt that the model would get."),
    "read": ("read", "Read all text of pictures in order, without a model."),
    "search": ("history", "Find words in questions, answers, pictures' names and texts."),
    "serve": ("serve", "Serve models over HTTP, in OpenAI's interface."),
    "tools": ("tools", "List the tools that a model may be given."),
    "verify": ("transfer", "Check every picture and every turn that is kept."),
}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class Program(click.Group):
    """A group that imports a command when it is used, and ends each failure in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[cmd_name][0]}", __package__)
        return _apart(getattr(module, "import_" if cmd_name == "import" else cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def main(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run a command line and exit: 0 done, 1 refused or failed, 2 not understood, 130 interrupted."""
        _open_streams()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            sys.exit(self._run(args, prog_name or "looktwice", extra))
        finally:
            _drop_unwritten()

    def _run(self, args: Sequence[str] | None, prog_name: str, extra: dict[str, Any]) -> int:
        try:
            extra["standalone_mode"] = False
            status: object = super().main(args, prog_name, **extra)
            return status if isinstance(status, int) else 0
        except click.Abort:
            _line("status: stopped")
            return 130
        except click.ClickException as error:
            return _usage(error)
        except LookTwiceError as error:
            return _failed(str(error))
        except OSError as error:
            return _failed(_unwritable(error) if error.errno in _NO_ROOM else _internal(error))
        except Exception as error:
            return _failed(_internal(error))


class _Told(logging.Handler):
    """What the library logs, as lines like any other."""

    def emit(self, record: logging.LogRecord) -> None:
        Lines().tell("status", record.getMessage())


def _apart(command: click.Command) -> click.Command:
    """The command, or each command of a group, with standard output for its answers alone."""
    command = copy.copy(command)
    if isinstance(command, click.Group):
        command.commands = {name: _apart(each) for name, each in command.commands.items()}
    elif command.callback is not None:
        command.callback = _running_apart(command.callback)
    return command


def _running_apart(callback: Callable[..., Any]) -> Callable[..., Any]:
    """What a command does, with standard output for its answers alone and warnings in labelled lines."""

    @functools.wraps(callback)
    def run(*arguments: Any, **more: Any) -> Any:
        logger, told = logging.getLogger("looktwice"), _Told(logging.WARNING)
        logger.addHandler(told)
        try:
            with answers_apart():
                return callback(*arguments, **more)
        finally:
            logger.removeHandler(told)

    return run


def _open_streams() -> None:
    """A stream that whoever started the program has closed leads nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _drop_unwritten() -> None:
    """What could not be written is not tried again when Python ends, which would change the exit status."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _unwritable(error: OSError) -> str:
    return f"can't write the output ({error.strerror}); what was asked is kept, see: looktwice log"


def _internal(error: Exception) -> str:
    shown = f"internal error {type(error).__name__}: {error}"
    return f"{shown}; set LOOKTWICE_DEBUG=1 to see where, and please report it"


def _usage(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    context = error.ctx if isinstance(error, click.UsageError) else None
    advice = f"; see: {context.command_path} --help" if context else ""
    _line(f"error: {error.format_message().rstrip('.')}{advice}")
    return error.exit_code


def _failed(message: str) -> int:
    if os.environ.get("LOOKTWICE_DEBUG"):
        traceback.print_exc()
    _line(f"error: {message}")
    return 1


def _line(message: str) -> None:
    with contextlib.suppress(OSError):  # where standard error is full, too, the exit status has to do
        click.echo(printable(" ".join(message.split())), err=True)


@click.command(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="looktwice", message="%(prog)s %(version)s")
def main() -> None:
    """Talk about pictures with a model that may look again before it answers.

    Pictures get names, and questions use them: "Does the total on @bill match @menu?" Everything is kept in one
    SQLite file, so that a conversation goes on tomorrow, without the picture files.
    """
