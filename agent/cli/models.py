"""``looktwice models``: what can answer."""

from __future__ import annotations

from dataclasses import asdict

import click

from . import options
from .output import say, say_json, say_table

_HEADS = ("model", "family", "context", "notes")


@click.command(short_help="List the models that are known by name.")
@options.json
def models(as_json: bool) -> None:
    """List the models that are known by name. Any other LLaVA checkpoint goes by its hub name or its folder.

    Nothing is ever downloaded: get a checkpoint with hf download NAME.
    """
    from ..models import MODELS

    if as_json:
        say_json([asdict(model) for model in MODELS])
        return
    say_table([(model.name, model.family, model.context, model.notes) for model in MODELS], heads=_HEADS)
    say("get one with: hf download NAME")
