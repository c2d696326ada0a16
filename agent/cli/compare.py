"""``looktwice compare``: what differs between two pictures of the same thing."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..words import later
from . import options
from .output import Lines, say, say_json

if TYPE_CHECKING:
    from ..access.comparing import Comparison


@click.command(short_help="Say what differs between two pictures of the same thing.")
@click.argument("first")
@click.argument("second")
@click.option("--no-text", is_flag=True, help="Don't read the text; faster.")
@click.option("--model", envvar="LOOKTWICE_COMPARE_MODEL", metavar="NAME", help="Ask this model about each difference.")
@click.option("--device", envvar="LOOKTWICE_DEVICE", help="Where the model computes. [env: LOOKTWICE_DEVICE]")
@options.lang
@options.json
def compare(
    first: str, second: str, no_text: bool, model: str | None, device: str | None, lang: str, as_json: bool
) -> None:
    """Say what differs between the pictures FIRST and SECOND, and where. No model is asked without --model.

    SECOND is laid over FIRST: another size, a small shift or turn, brightness and encoding are no difference.
    """
    from ..access.comparing import compare as compared
    from .follow import Progress

    lines = Lines()
    with Progress(lines, later("comparing")):
        found = compared(first, second, engine=_reader(lines, no_text=no_text), lang=lang)
        if model is not None and found.differences:
            found = _told(found, first, second, model, device)
    if as_json:
        say_json(_as_json(found))
    else:
        for line in str(found).splitlines():
            say(line)


def _reader(lines: Lines, *, no_text: bool) -> Any:
    if no_text:
        return None
    if importlib.util.find_spec("rapidocr") is None:
        lines.tell("status", "text is not compared; to get that: pip install 'looktwice[ocr]'")
        return None
    from ...tools.ocr.rapid import default_engine

    return default_engine()


def _told(found: Comparison, first: str, second: str, model: str, device: str | None) -> Comparison:
    from ..access.comparing.model import told_by_model
    from ..agent import Agent

    with Agent(model, memory=":memory:", tools=(), device=device) as agent:
        return told_by_model(found, first, second, agent)


def _as_json(found: Comparison) -> dict[str, Any]:
    return {"same": found.same, **asdict(found)}
