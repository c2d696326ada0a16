"""``looktwice tools``: what a model may be given to look with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import options
from .output import say, say_json

if TYPE_CHECKING:
    from ...tools import Tool


@click.command(short_help="List the tools that a model may be given.")
@options.json
def tools(as_json: bool) -> None:
    """List the tools that go by a name here. Your own goes by package.module:function."""
    from ...tools import available_tools

    found = available_tools()
    if as_json:
        say_json([_plain(name, tool) for name, tool in found.items()])
        return
    for name, tool in found.items():
        if isinstance(tool, str):
            say(f"{name}: can't be used: {tool}")
        else:
            acts = " It acts, and waits for an approval." if tool.acts else ""
            say(f"{name}({', '.join(tool.parameters.get('properties', {}))}): {tool.description}{acts}")


def _plain(name: str, tool: Tool | str) -> dict[str, Any]:
    if isinstance(tool, str):
        return {"name": name, "problem": tool}
    spec = tool.spec
    return {"name": name, "description": spec.description, "parameters": dict(spec.parameters), "acts": spec.acts}
