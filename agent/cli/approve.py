"""``looktwice approve``: calls that change something wait for a person."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Unpack

import click

from . import options
from .output import Lines, is_plain, say, say_json, say_table, when

if TYPE_CHECKING:
    from ...memory import Approval

_HEADS = ("id", "conversation", "asked", "call", "why")


class ApproveOptions(options.AgentOptions, options.SettingOptions):
    """Everything that ``approve`` takes beside the call's number."""

    deny: bool
    note: str
    as_json: bool
    plain: bool


@click.command(short_help="List calls that wait for an approval, or decide one and go on.")
@click.argument("number", type=int, metavar="[ID]", required=False)
@click.option("--deny", is_flag=True, help="Refuse the call; the model is told.")
@click.option("--note", default="", metavar="TEXT", help="What the model is told beside the decision.")
@options.agent_options
@options.setting_options
@options.json
@options.plain
def approve(number: int | None, **given: Unpack[ApproveOptions]) -> None:
    """List the calls that wait, or approve (--deny: refuse) the call ID and print the answer that it leads to.

    The tool has to be named with --tools again, and the model with --model.
    """
    if number is None:
        if given["deny"]:
            raise click.UsageError("say which call to refuse: its number stands in the list")
        _list(given["db"], given["as_json"])
    else:
        sys.exit(_decide(number, given))


def _list(db: str | None, as_json: bool) -> None:
    from .follow import described

    with options.open_memory(db) as memory:
        pending = memory.approvals.pending()
    if as_json:
        say_json([_plain(item) for item in pending])
    elif pending:
        rows = [(item.id, item.conversation, when(item.created), described(item.call), item.reason) for item in pending]
        say_table(rows, heads=_HEADS)
    else:
        say("no call waits")


def _plain(item: Approval) -> dict[str, Any]:
    plain = asdict(item)
    del plain["state"]
    return plain


def _decide(number: int, given: ApproveOptions) -> int:
    from .follow import ended, follow, stopped_by_interrupt, tool_advised

    options.require_database(given["db"])
    lines = Lines(is_plain(given["plain"]))
    with options.open_agent(given, lines) as agent:
        chat = agent.chat(agent.memory.approvals.get(number).conversation)
        with stopped_by_interrupt() as cancel, tool_advised():
            settings = {**options.settings(given), "cancel": cancel}
            events = chat.stream_decide(number, not given["deny"], note=given["note"], **settings)
            answer = follow(events, lines, quiet=given["as_json"])
    if given["as_json"]:
        say_json(answer.to_json())
    return ended(answer, lines)
