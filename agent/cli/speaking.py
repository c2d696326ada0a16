"""The options that have what is printed spoken as well, and the voice that they ask for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from .output import Lines

if TYPE_CHECKING:
    from ..access.voice import Voice

_F = TypeVar("_F", bound=Callable[..., Any])


class SpeechOptions(TypedDict):
    """Whether and how to speak."""

    speak: bool
    speak_to: str | None
    rate: int | None
    voice: str | None


_OPTIONS = (
    click.option("--speak", is_flag=True, help="Say it aloud as it comes, with spd-say or espeak-ng; Ctrl-C stops."),
    click.option("--speak-to", metavar="FILE.wav", help="Write it as sound, with espeak-ng."),
    click.option("--rate", type=click.IntRange(80, 450), metavar="N", help="Words a minute; else 175."),
    click.option("--voice", metavar="NAME", help="A voice of that program; else one for --lang."),
)


def speech_options(command: _F) -> _F:
    """Give a command the options of ``SpeechOptions``; it needs ``--lang`` as well."""
    return reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), command)


@contextmanager
def opened_voice(given: SpeechOptions, lang: str, lines: Lines) -> Generator[Voice | None]:
    """The voice that was asked for, if any; its file is finished at the end, and said.

    Raises SpeechError where no program speaks: before anything is asked.
    """
    if not given["speak"] and given["speak_to"] is None:
        if given["rate"] or given["voice"]:
            raise click.UsageError("--rate and --voice go with --speak or --speak-to FILE.wav")
        yield None
        return
    from ..access.voice import Manner, Voice

    manner = Manner(language=lang, voice=given["voice"], **({"rate": given["rate"]} if given["rate"] else {}))
    voice = Voice(manner, aloud=given["speak"], file=given["speak_to"])
    try:
        yield voice
    except BaseException:
        voice.drop()
        raise
    if voice.close():
        lines.tell("status", f"spoken to {given['speak_to']}")
    elif given["speak_to"] is not None:
        lines.tell("status", f"nothing was said, so {given['speak_to']} was not written")


def spoken(voice: Voice | None, said: Iterable[str], stopped: threading.Event) -> Iterator[str]:
    """Lines that are printed whole: each is handed on, and spoken; ends when the last one was heard."""
    if voice is not None:
        voice.begin(stopped)
    for line in said:
        if stopped.is_set():
            return
        if voice is not None:
            voice.hear(f"{line}\n")
        yield line
    if voice is not None:
        voice.end()
