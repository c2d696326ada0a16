"""``looktwice serve``: a server with OpenAI's interface."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from . import options
from .output import Lines

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from ...memory import Memory
    from ...tools import Tool
    from ..backends import Backend
    from ..server import Owners


class ServeOptions(options.LoadingOptions):
    """Everything that ``serve`` takes."""

    host: str
    port: int
    models: tuple[str, ...]
    db: str | None
    tools: str | None
    system: str | None
    lang: str
    tokens: str | None
    hosts: tuple[str, ...]
    origins: tuple[str, ...]
    waiting: int
    reuse_mb: int
    max_tokens: int
    log_requests: bool


@click.command(short_help="Serve models over HTTP, in OpenAI's interface.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to bind; others need a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option(
    "--model",
    "models",
    envvar="LOOKTWICE_MODEL",
    multiple=True,
    default=("pocket",),
    show_default=True,
    metavar="[NAME=]MODEL",
    help="A model, and the name that it is asked by; repeat for several. [env: LOOKTWICE_MODEL]",
)
@options.db
@options.loading_options
@click.option("--tools", metavar="NAMES", help="Tools that requests may ask for, or none; else zoom, ocr if it's here.")
@click.option("--system", metavar="TEXT", help="Instructions for the model in conversations that are kept.")
@options.lang
@click.option("--tokens", metavar="FILE", help="Lines of OWNER TOKEN. One alone: [env: LOOKTWICE_TOKEN]")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="A name by which the server is reached.")
@click.option("--allow-origin", "origins", multiple=True, metavar="URL", help="A page elsewhere that may ask (CORS).")
@click.option("--waiting", type=click.IntRange(min=1), default=64, show_default=True, help="The most requests at once.")
@click.option("--max-tokens", type=click.IntRange(min=1), default=4096, show_default=True, help="The longest answer.")
@click.option(
    "--reuse-mb", type=click.IntRange(min=0), default=4096, show_default=True, help="Memory for computed prefixes."
)
@click.option("--log-requests", is_flag=True, help="Tell of each request its path, status and seconds.")
def serve(**given: Unpack[ServeOptions]) -> None:
    """Serve models over HTTP in OpenAI's interface, for any of its clients, and with a page for people.

    Conversations are kept for those who name one; all other requests are answered and forgotten. Ctrl-C or SIGTERM
    lets running answers end.
    """
    from ...memory import Memory
    from ..server import Owners, Server, bound, require_token, use_few_arenas
    from ..words import words

    use_few_arenas()
    words(given["lang"])  # says it at once if there are none
    lines, owners = Lines(), Owners.read(given["tokens"])
    require_token(given["host"], owners)
    models, tools = dict(_model(spec, given) for spec in given["models"]), _tools(given["tools"])
    with bound(given["host"], given["port"]) as listener, Memory(given["db"]) as memory:
        if memory.is_new and given["db"] is None:
            lines.tell("status", f"conversations are kept in {memory.path}")
        server = Server(_app(given, owners, models, tools, memory))
        _load(lines, models.values())
        listener.listen()  # who reads the address may connect at once, and waits until the server accepts
        where = _address(listener.getsockname()[:2])
        lines.tell("status", f"{where}/ is the page, for a browser")
        lines.tell("status", _told(where, models, owners))
        _tell_requests(given["log_requests"])
        server.run(sockets=[listener])


def _app(
    given: ServeOptions, owners: Owners, models: Mapping[str, Backend], tools: Sequence[Tool], memory: Memory
) -> Starlette:
    from ..agent import Agent
    from ..server import Caps, create_app
    from ..server.web import web_routes

    def agent(model: Backend) -> Agent:
        return Agent(model, memory=memory, tools=(), system=given["system"], lang=given["lang"])

    return create_app(
        {name: agent(model) for name, model in models.items()},
        tools=tools,
        owners=owners,
        hosts=given["hosts"],
        origins=given["origins"],
        caps=Caps(waiting=given["waiting"], max_tokens=given["max_tokens"]),
        routes=web_routes(),
    )


def _load(lines: Lines, models: Iterable[Backend]) -> None:
    """Load the weights before anybody waits for them."""
    from .follow import LOADING, Progress

    with Progress(lines, LOADING):
        for model in models:
            getattr(model, "load", lambda: None)()


def _model(spec: str, given: ServeOptions) -> tuple[str, Backend]:
    """The name and the model of ``NAME=MODEL`` or ``MODEL``; a folder goes by its own name."""
    name, equals, model = spec.partition("=")
    if not equals or Path(spec).exists():
        name, model = Path(spec).name if Path(spec).is_dir() else spec, spec
    return name, options.load_model(model, given, prefix_bytes=given["reuse_mb"] << 20)


def _tools(named: str | None) -> list[Tool]:
    """The tools that were named, else those of ours that look and can be used here."""
    from ...tools import Tool, available_tools

    if named is not None:
        return options.named_tools(named) or []
    found = available_tools()
    return [tool for name in ("zoom", "ocr") if isinstance(tool := found.get(name), Tool)]


def _address(bound: tuple[str, int]) -> str:
    host, port = bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _told(where: str, names: Iterable[str], owners: Owners) -> str:
    token = "a token is needed" if owners else "no token is needed"
    return f"{where}/v1 answers for {', '.join(names)}; {token}; Ctrl-C ends it"


class _Requests(logging.Handler):
    """A line for each request; what is worse is told by the program anyway."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.INFO:
            Lines().tell("status", record.getMessage())


def _tell_requests(every: bool) -> None:
    logger = logging.getLogger("looktwice.agent.server")
    if every:
        logger.setLevel(logging.INFO)
        logger.addHandler(_Requests())
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
