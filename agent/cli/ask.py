"""``looktwice ask``: one question, one answer."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Unpack

import click

from ...errors import InvalidInput
from . import options
from .cautions import Cautions
from .output import NOT_TEXT, Lines, is_plain, say, say_json
from .speaking import SpeechOptions, opened_voice, speech_options

if TYPE_CHECKING:
    from ..chat import Chat, Image
    from ..events import Event

_LAST = 60  # characters of an answer that goes on


class AskOptions(options.AgentOptions, options.SettingOptions, SpeechOptions):
    """Everything that ``ask`` takes beside the question."""

    images: tuple[str, ...]
    chat: str | None
    as_json: bool
    plain: bool
    go_on: bool
    retry: bool
    tool_choice: str


@click.command(short_help="Ask about pictures and print the answer.")
@click.argument("question", required=False)
@click.option("-i", "--image", "images", multiple=True, metavar="[NAME=]FILE", help="A picture; repeat for several.")
@options.chat
@click.option("--go-on", is_flag=True, help="Finish the answer that broke off, instead of a new question.")
@click.option("--retry", is_flag=True, help="Answer the last question again, instead of a new one.")
@options.agent_options
@click.option(
    "--tool-choice",
    default="auto",
    show_default=True,
    metavar="auto|none|NAME",
    help="Whether the model chooses to look, may not, or first has to with the tool NAME.",
)
@options.setting_options
@speech_options
@options.json
@options.plain
def ask(question: str | None, **given: Unpack[AskOptions]) -> None:
    """Ask QUESTION about pictures and print the answer.

    Write a picture's name with an @: "Does the total on @bill match @menu?" A question of - is read from standard
    input. The answer goes to standard output, looks and progress to standard error.

    Exit status: 0 answered, 1 refused or failed, 2 not understood, 130 interrupted.
    """
    from .follow import ended, follow, stopped_by_interrupt

    asked = _question(question, given)
    pictures = [options.read_picture(spec) for spec in given["images"]]
    lines = Lines(is_plain(given["plain"]), given["lang"])
    with (
        opened_voice(given, given["lang"], lines) as voice,
        options.open_agent(given, lines) as agent,
        options.opened_chat(agent, given["chat"]) as chat,
    ):
        kept, cautions = _begin(chat, asked, given, lines), Cautions(chat, given["lang"], lines)
        asked = cautions.ask(asked) if asked is not None else None
        with stopped_by_interrupt() as cancel:
            shown = options.new_pictures(chat, pictures)
            wanted = {**options.settings(given), "tool_choice": given["tool_choice"], "cancel": cancel}
            if voice is not None:
                voice.begin(cancel)
            events = cautions.seen(_events(chat, asked, shown, given, wanted), shown)
            answer = follow(events, lines, quiet=given["as_json"], voice=voice)
            cautions.hear(asked or "", answer.text)
            if kept and answer.finish == "stop" and answer.text.strip() == kept.strip():
                lines.tell("status", "the answer was whole already")
                if not given["as_json"]:
                    say(answer.text)
            if given["as_json"]:
                say_json(answer.to_json())
            if given["chat"] is None:
                lines.tell("status", f"kept as conversation {chat.name!r} in {agent.memory.path}")
            if voice is not None:
                voice.end()
    sys.exit(ended(answer, lines))


def _question(question: str | None, given: AskOptions) -> str | None:
    from ..question import Question

    instead = given["go_on"] or given["retry"]
    if instead and (question is not None or given["images"] or (given["go_on"] and given["retry"])):
        raise click.UsageError("--go-on and --retry take the place of a question and its pictures; give one of them")
    if instead and given["chat"] is None:
        raise click.UsageError("--go-on and --retry need a conversation; add --chat NAME")
    if question is None and not instead:
        raise click.UsageError("a question is missing; write it in quotes, or - to read it from standard input")
    asked = _input() if question == "-" else question
    if asked is not None:
        Question.of(asked)  # an empty one is refused before a model is looked for
    return asked


def _input() -> str:
    try:
        return sys.stdin.read().strip()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the input is not {sys.stdin.encoding.upper()}; {NOT_TEXT}") from error


def _begin(chat: Chat, asked: str | None, given: AskOptions, lines: Lines) -> str:
    """Say what the conversation ends with; the words of the answer that goes on."""
    from .follow import described, waiting

    call, last = waiting(chat), chat.unfinished
    if call is not None:
        lines.tell("status", f"{described(call.call)} waits: looktwice approve {call.id}, with --deny to refuse it")
    elif asked is not None and last is not None:
        lines.tell("status", "the last question has no whole answer; --go-on would finish it")
    elif given["go_on"] and last is not None and last.role == "assistant" and last.text and not last.calls:
        lines.tell("status", f"going on after: {'...' * (len(last.text) > _LAST)}{last.text[-_LAST:]}")
        return last.text
    return ""


def _events(
    chat: Chat, question: str | None, pictures: list[Image], given: AskOptions, wanted: dict[str, Any]
) -> Generator[Event]:
    if question is not None:
        return chat.stream([*pictures, question], **wanted)
    return chat.stream_go_on(**wanted) if given["go_on"] else chat.stream_retry(**wanted)
