"""``looktwice describe``: pictures in words."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Unpack

import click

from . import options
from .output import Lines, is_plain, say, say_json
from .speaking import SpeechOptions, opened_voice, speech_options

if TYPE_CHECKING:
    from ..access.describing.prompts import Prompts
    from ..agent import Agent
    from ..chat import Chat


class DescribeOptions(options.AgentOptions, options.SettingOptions, SpeechOptions):
    """Everything that ``describe`` takes beside the pictures."""

    length: Literal["alt", "social", "long"]
    long: bool
    about: str
    prompt: str | None
    prompts: str | None
    show_prompts: bool
    part: str
    anyway: bool
    chat: str | None
    as_json: bool
    plain: bool


@click.command(short_help="Describe pictures for somebody who can't see them.")
@click.argument("pictures", nargs=-1, metavar="[NAME=]PICTURE...")
@click.option(
    "--length",
    type=click.Choice(["alt", "social", "long"]),
    default="alt",
    show_default=True,
    help="A title of at most 125 characters, a paragraph of at most 1000, or everything in sections.",
)
@click.option("--long", is_flag=True, help="The same as --length long.")
@click.option("--about", default="", metavar="QUESTION", help="A question to answer first, and to attend to.")
@click.option("--prompt", metavar="TEXT", help='What to ask of each picture instead; "" asks nothing.')
@click.option(
    "--prompts",
    envvar="LOOKTWICE_PROMPTS",
    metavar="FILE",
    help="A file with other prompts, as --show-prompts prints it. [env: LOOKTWICE_PROMPTS]",
)
@click.option("--show-prompts", is_flag=True, help="Print the prompts as a file to edit, and ask nothing.")
@click.option("--part", default="", metavar="PLACE", help='Only a part, such as "top right" or "2 o\'clock".')
@click.option("--anyway", is_flag=True, help="Also have empty and blurred pictures described.")
@options.chat
@options.agent_options
@options.setting_options
@speech_options
@options.json
@options.plain
def describe(pictures: tuple[str, ...], **given: Unpack[DescribeOptions]) -> None:
    """Describe each PICTURE: a first sentence that works as a title, and more with --length.

    A picture that is black, blank or blurred is said to be so, with advice how to take a better one, and no model is
    asked. Nothing is kept, unless --chat names a conversation: then questions may follow with looktwice ask or chat.

    Exit status: 0 described, 1 refused, failed, or some picture shows nothing, 2 not understood, 130 interrupted.
    """
    from ..access.describing.prompts import Prompts

    lang = given["lang"]
    prompts = Prompts.read(given["prompts"], lang) if given["prompts"] else None
    if given["show_prompts"]:
        say((prompts or Prompts.spoken(lang)).to_toml(), end="")
        return
    if not pictures:
        raise click.UsageError("a picture is missing; name one or more files")
    sys.exit(_describe(pictures, prompts, given))


def _describe(pictures: tuple[str, ...], prompts: Prompts | None, given: DescribeOptions) -> int:
    from ..access.describing.telling import Describer
    from ..chat import Image
    from ..words import words
    from .follow import stopped_by_interrupt
    from .telling import shown

    read = [options.read_picture(spec) for spec in pictures]
    lines = Lines(is_plain(given["plain"]), given["lang"])
    if given["chat"] is None:
        given["db"] = ":memory:"
    with (
        opened_voice(given, given["lang"], lines) as voice,
        options.open_agent(given, lines) as agent,
        _kept_chat(agent, given["chat"]) as chat,
        stopped_by_interrupt() as cancel,
    ):
        describer = Describer(
            agent,
            length="long" if given["long"] else given["length"],
            about=given["about"],
            prompt=given["prompt"],
            prompts=prompts,
            lang=given["lang"],
            chat=chat,
            part=given["part"],
            anyway=given["anyway"],
            settings=options.settings(given),
            cancel=cancel,
        )
        telling = describer.tell([Image(picture, name) for name, picture in read])
        if voice is not None:
            voice.begin(cancel)
        made = shown(telling, lines, quiet=given["as_json"], hear=None if voice is None else voice.hear)
        if voice is not None:
            voice.end()
    if given["as_json"]:
        say_json([description.to_json() for description in made])
    if describer.finish == "cancelled":
        lines.tell("status", words(given["lang"])("stopped"))
        return 130
    if describer.finish == "timeout":
        lines.tell("error", words(given["lang"])("the time was over; give a longer --timeout"))
    return 0 if describer.finish == "stop" and all(description.title for description in made) else 1


@contextmanager
def _kept_chat(agent: Agent, name: str | None) -> Generator[Chat | None]:
    """The conversation that was named, if any."""
    if name is None:
        yield None
        return
    with options.opened_chat(agent, name) as chat:
        yield chat
