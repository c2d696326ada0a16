"""``looktwice mcp``: conversations, pictures and tools for MCP clients."""

from __future__ import annotations

import contextlib
from typing import Unpack

import click

from . import options
from .output import Lines, answers


class McpOptions(options.AgentOptions):
    """Everything that ``mcp`` takes."""

    http: int | None
    roots: tuple[str, ...]


@click.command(short_help="Serve conversations and tools to MCP clients.")
@click.option("--http", type=click.IntRange(0, 65535), metavar="PORT", help="Serve on 127.0.0.1 instead of a pipe.")
@click.option("--root", "roots", multiple=True, metavar="DIR", help="A folder whose pictures a client may name.")
@options.agent_options
def mcp(**given: Unpack[McpOptions]) -> None:
    """Serve conversations, pictures and tools to clients of the Model Context Protocol.

    The client at standard input and output is served, or with --http any on this machine, at /mcp. Pictures come as
    data URLs; over standard input also as files below --root.
    """
    from ..mcp import Sources, build, serve_stdio

    if given["http"] is not None and given["roots"]:
        raise click.UsageError("--root is for standard input and output: over HTTP no file is read")
    sources, lines = Sources(given["roots"]), Lines()
    with options.open_agent(given, lines) as agent:
        server = build(agent, sources=sources, tools=agent.tools)
        if given["http"] is not None:
            _serve_http(server, given["http"], lines)
            return
        with contextlib.redirect_stdout(answers()):  # the client's, and nobody else's
            import anyio

            anyio.run(serve_stdio, server)


def _serve_http(server: object, port: int, lines: Lines) -> None:
    from ..mcp import serve_http
    from ..server import bound

    with bound("127.0.0.1", port) as listener:
        web = serve_http(server)  # pyright: ignore[reportArgumentType]
        listener.listen()  # who reads the address may connect at once
        lines.tell("status", f"http://127.0.0.1:{listener.getsockname()[1]}/mcp answers MCP clients; Ctrl-C ends it")
        web.run(sockets=[listener])
