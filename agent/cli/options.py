"""The options that several commands share, and what they open."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from ...errors import StoreError
from .output import Lines

if TYPE_CHECKING:
    from ...memory import Memory, Picture
    from ...tools import Tool
    from ..agent import Agent
    from ..backends import Backend, Decoding
    from ..budget import OldTurns
    from ..chat import Chat, Image
    from ..strategy import Strategy
    from ..toolbox import ToolLike

_F = TypeVar("_F", bound=Callable[..., Any])


class LoadingOptions(TypedDict):
    """How a model is loaded."""

    device: str | None
    dtype: str | None
    quantize: str | None
    decoding: Decoding | None
    chat_format: str | None
    cache: str | None
    base_url: str | None


class ModelOptions(LoadingOptions):
    """Which model answers, and how it is loaded."""

    model: str


class AgentOptions(ModelOptions):
    """What is asked of the agent."""

    db: str | None
    tools: str | None
    mcp: tuple[str, ...]
    looks: int
    check: bool | None
    look_again: bool | None
    strategy: Strategy
    budget: int | None
    old_turns: OldTurns
    system: str | None
    lang: str


class SettingOptions(TypedDict):
    """How the model writes; None leaves it to the agent."""

    max_tokens: int | None
    temperature: float | None
    seed: int | None
    timeout: float | None


db = click.option("--db", envvar="LOOKTWICE_DB", metavar="FILE", help="The database. [env: LOOKTWICE_DB]")
chat = click.option("--chat", envvar="LOOKTWICE_CHAT", metavar="NAME", help="The conversation. [env: LOOKTWICE_CHAT]")
the_chat = click.option(
    "--chat", envvar="LOOKTWICE_CHAT", metavar="NAME", required=True, help="The conversation. [env: LOOKTWICE_CHAT]"
)
only_chat = click.option("--chat", metavar="NAME", help="Only this conversation.")
json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
plain = click.option("--plain", is_flag=True, help="Labelled lines, no colour. [also: NO_COLOR, ACCESSIBLE]")
lang = click.option(
    "--lang",
    envvar="LOOKTWICE_LANG",
    default="en",
    show_default=True,
    metavar="LANG",
    help="What looktwice itself says in: en, de, fr or es. [env: LOOKTWICE_LANG]",
)
cache = click.option(
    "--cache",
    envvar="LOOKTWICE_CACHE",
    metavar="DIR",
    help="A folder that keeps what was computed for the next time. [env: LOOKTWICE_CACHE]",
)

_LOADING = (
    click.option("--device", envvar="LOOKTWICE_DEVICE", help="Such as cuda, mps, cpu. [env: LOOKTWICE_DEVICE]"),
    click.option("--dtype", metavar="NAME", help="Such as float32 or bfloat16; else what suits the device."),
    click.option(
        "--quantize", type=click.Choice(["4bit", "8bit"]), help="Load smaller weights; needs the extra quantize."
    ),
    click.option(
        "--decoding",
        type=click.Choice(["auto", "eager", "compiled", "lookup"]),
        help="How words are computed; else lookup on the CPU (fast where they repeat what was read), eager on a GPU.",
    ),
    click.option("--chat-format", metavar="FAMILY", help="chatml, llama3, mistral or vicuna; else recognised."),
    click.option(
        "--base-url",
        metavar="URL",
        help="The server of a model openai:NAME; its key is in OPENAI_API_KEY. [env: LOOKTWICE_BASE_URL]",
    ),
    cache,
)
_MODEL = (
    click.option(
        "--model",
        envvar="LOOKTWICE_MODEL",
        default="pocket",
        show_default=True,
        metavar="NAME",
        help="A model's name or folder. [env: LOOKTWICE_MODEL]",
    ),
    *_LOADING,
)
_AGENT = (
    db,
    *_MODEL,
    click.option(
        "--tools",
        metavar="NAMES",
        help="Tools that the model may call, such as zoom,ocr, or none; else those of the last question.",
    ),
    click.option(
        "--mcp",
        multiple=True,
        metavar="COMMAND",
        help="A command or URL of an MCP server whose tools it may call, too.",
    ),
    click.option(
        "--looks", type=click.IntRange(min=0), default=3, show_default=True, help="How often it may look again."
    ),
    click.option(
        "--check/--no-check",
        default=None,
        help="Hold the answer against the text in the pictures; else where the tool ocr is on offer.",
    ),
    click.option(
        "--look-again/--no-look-again",
        default=None,
        help="Follow a doubtful answer with a closer look; else where the tool zoom is on offer.",
    ),
    click.option(
        "--strategy",
        type=click.Choice(["auto", "interleave", "each", "sheet"]),
        default="auto",
        show_default=True,
        help="How several pictures are shown: all, one by one, or on one sheet.",
    ),
    click.option(
        "--budget",
        type=click.IntRange(min=1),
        metavar="TOKENS",
        help="The most that all pictures may take; else what the model has room for.",
    ),
    click.option(
        "--old-turns",
        type=click.Choice(["keep", "drop", "summarize"]),
        default="keep",
        show_default=True,
        help="What becomes of the oldest turns when a question doesn't fit: keep refuses it.",
    ),
    click.option("--system", metavar="TEXT", help="Instructions for the model."),
    lang,
)
_SETTINGS = (
    click.option(
        "--max-tokens", type=click.IntRange(min=1), metavar="N", help="The longest answer, in tokens; else 512."
    ),
    click.option("--temperature", type=click.FloatRange(min=0), metavar="T", help="0 always takes the likeliest word."),
    click.option("--seed", type=int, metavar="N", help="Makes a temperature over 0 repeatable."),
    click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="The longest wait."),
)


def loading_options(command: _F) -> _F:
    """Give a command the options of ``LoadingOptions``."""
    return reduce(lambda wrapped, option: option(wrapped), reversed(_LOADING), command)


def model_options(command: _F) -> _F:
    """Give a command the options of ``ModelOptions``."""
    return reduce(lambda wrapped, option: option(wrapped), reversed(_MODEL), command)


def agent_options(command: _F) -> _F:
    """Give a command the options of ``AgentOptions``."""
    return reduce(lambda wrapped, option: option(wrapped), reversed(_AGENT), command)


def setting_options(command: _F) -> _F:
    """Give a command the options of ``SettingOptions``."""
    return reduce(lambda wrapped, option: option(wrapped), reversed(_SETTINGS), command)


def settings(given: SettingOptions) -> dict[str, Any]:
    """The options that were given, under the names that ``Chat.ask`` takes."""
    named = {"max_new_tokens": given["max_tokens"], **{k: given[k] for k in ("temperature", "seed", "timeout")}}
    return {name: value for name, value in named.items() if value is not None}


def open_agent(given: AgentOptions, lines: Lines) -> Agent:
    """An agent over the chosen database. The model is found first, so that without one nothing is made."""
    from ..words import words
    from .follow import LOADING, Progress

    words(given["lang"])  # says it at once if there are none
    try:
        with Progress(lines, LOADING):
            agent = _agent(given)
    except KeyboardInterrupt:
        lines.tell("status", "stopped; nothing was asked")
        sys.exit(130)
    if agent.memory.is_new and given["db"] is None:
        lines.tell("status", f"conversations are kept in {agent.memory.path}")
    return agent


def _agent(given: AgentOptions) -> Agent:
    from ..agent import Agent

    return Agent(
        open_model(given),
        memory=given["db"],
        tools=_tools(given),
        looks=given["looks"],
        check=given["check"],
        look_again=given["look_again"],
        strategy=given["strategy"],
        budget=given["budget"],
        old_turns=given["old_turns"],
        system=given["system"],
        lang=given["lang"],
    )


def _tools(given: AgentOptions) -> list[ToolLike] | None:
    named = named_tools(given["tools"])
    if not given["mcp"]:
        return None if named is None else [*named]
    from ..mcp import mcp_tools

    return [*(named or ()), *(mcp_tools(server) for server in given["mcp"])]


def open_model(given: ModelOptions) -> Backend:
    """The chosen model; its weights are loaded at the first question. Raises ModelError if there is none."""
    return load_model(given["model"], given)


def load_model(model: str, given: LoadingOptions, *, prefix_bytes: int = 4 << 30) -> Backend:
    """A model by its name; its weights are loaded at the first question. Raises ModelError if there is none.

    ``prefix_bytes`` is the most that it keeps in memory of what was computed.
    """
    from ..backends import REMOTE, open_model

    if model.startswith(REMOTE):  # these two may come from the environment, for other models
        given = {**given, "device": None, "cache": None}
    backend = open_model(
        model,
        base_url=given["base_url"],
        device=given["device"],
        dtype=given["dtype"],
        quantize=given["quantize"],
        decoding=given["decoding"],
        chat_format=given["chat_format"],
        cache=given["cache"],
        prefix_bytes=prefix_bytes,
    )
    if model.startswith(REMOTE):
        getattr(backend, "load", lambda: None)()  # a server that isn't there is told before anything is kept
    return backend


def named_tools(given: str | None) -> list[Tool] | None:
    """The tools that were named. A module in the current folder is found, as ``python -m`` does."""
    from ...tools import find_tools

    if given is None:
        return None
    names = [name.strip() for name in given.split(",") if name.strip() not in ("", "none")]
    if not any(":" in name for name in names):
        return find_tools(names)
    sys.path.insert(0, "")
    try:
        return find_tools(names)
    finally:
        sys.path.remove("")


@contextmanager
def opened_chat(agent: Agent, name: str | None) -> Generator[Chat]:
    """A conversation, made if there is none; one that was made and stayed empty is deleted again."""
    before = {conversation.name for conversation in agent.memory.conversations.list()}
    opened = agent.chat(name)
    try:
        yield opened
    finally:
        if opened.name not in before and not opened.turns and not opened.images:
            opened.delete()


def open_memory(path: str | None) -> Memory:
    """The chosen database, which must be there already. Raises StoreError if it isn't."""
    from ...memory import Memory

    require_database(path)
    return Memory(path)


def database(path: str | None) -> str:
    """Where conversations are kept: the option, else LOOKTWICE_DB, else the user's data directory."""
    from platformdirs import user_data_dir

    given = path if path is not None else os.environ.get("LOOKTWICE_DB")
    return os.path.expanduser(given or os.path.join(user_data_dir("looktwice", appauthor=False), "looktwice.db"))


def require_database(path: str | None) -> None:
    """Raises StoreError if the chosen database isn't there yet."""
    found = database(path)
    if found != ":memory:" and not Path(found).exists():
        raise StoreError(f"no database at {found!r}; the first looktwice ask makes one, or name another with --db")


def read_picture(spec: str) -> tuple[str | None, Picture]:
    """The name, if one is given, and the picture of ``NAME=FILE`` or ``FILE``, checked before anything is kept.

    A file whose own name has an equals sign is taken as a file. Raises PictureRejected and InvalidInput.
    """
    from ...memory import Picture, check_name

    name, equals, path = spec.partition("=")
    if not equals or os.path.exists(spec):
        return None, Picture.load(spec)
    if not name or not path:
        raise click.UsageError(f"a picture {spec!r} can't be read; write NAME=FILE, or FILE")
    return check_name(name), Picture.load(path)


def new_pictures(chat: Chat, given: Iterable[tuple[str | None, Picture]]) -> list[Image]:
    """Those that the conversation doesn't have under that name: a command that is run again shows nothing twice."""
    from ...memory import fold
    from ..chat import Image

    names = {(picture.key, fold(picture.name)) for picture in chat.images if not picture.forgotten}
    keys = {key for key, _ in names}
    return [
        Image(picture, name)
        for name, picture in given
        if picture.key not in keys or (name is not None and (picture.key, fold(name)) not in names)
    ]
