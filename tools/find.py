"""Tools by what a user writes: built-in names, installed ones, ``package.module:function``, functions."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ..errors import InvalidInput, LookTwiceError, MissingExtra, UnknownName
from .result import one_line
from .tool import Tool

__all__ = ["ENTRY_POINTS", "available_tools", "find_tools", "installed_tools"]

ENTRY_POINTS = "looktwice.tools"
"""The group of entry points in which an installed package offers tools."""

_BUILT_IN = {"ocr": f"{__package__}.ocr.tool:ocr", "zoom": f"{__package__}.zoom:zoom"}


def find_tools(wanted: Iterable[str | Tool | Callable[..., Any]]) -> list[Tool]:
    """The tools that are wanted, each once, in order.

    A text is a built-in name (``zoom``, ``ocr``), the name of an entry point in the group ``looktwice.tools``, or
    ``package.module:function``; a plain function becomes a tool. Raises UnknownName, offering what exists, and
    InvalidInput for what can't be a tool and for two tools of one name.
    """
    if isinstance(wanted, str):
        raise InvalidInput(f"{wanted!r} is one text; give a list of tools, as in {wanted.split(',')!r}")
    found: dict[str, Tool] = {}
    for item in wanted:
        made = _found(item)
        if found.setdefault(made.name, made).function is not made.function:
            raise InvalidInput(f"two tools are named {made.name!r}; give one of them another name: tool(f, name='...')")
    return list(found.values())


def installed_tools(names: Iterable[str]) -> list[Tool]:
    """Those of the tools that are built in or installed; others are left out, and nothing else is ever imported.

    For names that come out of a stored conversation, which may be a stranger's.
    """
    several = list(names)
    known = {*_BUILT_IN, *_installed()} if several else set[str]()  # to look what is installed takes a millisecond
    return find_tools([name for name in several if name in known])


def available_tools() -> dict[str, Tool | str]:
    """Every tool that goes by a name here, or one line on why it can't be used."""
    return {name: _tool_or_reason(name) for name in sorted({*_BUILT_IN, *_installed()})}


def _tool_or_reason(name: str) -> Tool | str:
    try:
        if name == "ocr" and not importlib.util.find_spec("rapidocr"):
            raise MissingExtra("the text reader rapidocr", "ocr")
        return _named(name)
    except LookTwiceError as error:
        return str(error)


def _found(item: str | Tool | Callable[..., Any]) -> Tool:
    if isinstance(item, str):
        return _named(item.strip())
    return _as_tool(item, repr(item))


def _named(name: str) -> Tool:
    if name in _BUILT_IN:
        return _load(name, EntryPoint(name, _BUILT_IN[name], ENTRY_POINTS))
    if ":" in name:
        return _load(name, EntryPoint(name, name, ENTRY_POINTS))
    installed = _installed()
    if name not in installed:
        raise UnknownName("tool", name, {*_BUILT_IN, *installed}, hint="your own: 'package.module:function'")
    return _load(name, installed[name])


def _installed() -> dict[str, EntryPoint]:
    """The entry points by name; a built-in name can't be taken over by an installed package."""
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS) if entry.name not in _BUILT_IN}


def _load(name: str, entry: EntryPoint) -> Tool:
    try:
        loaded = entry.load()
    except LookTwiceError:
        raise
    except ModuleNotFoundError as error:
        own = f"{entry.module}.".startswith(f"{error.name}.")
        advice = "run it from its folder or install it" if own else f"install {error.name!r}"
        raise InvalidInput(f"tool {name!r} can't be loaded: ModuleNotFoundError: {error}; {advice}") from error
    except Exception as error:  # whatever a module does while it is imported
        raise InvalidInput(
            f"tool {name!r} can't be loaded: {one_line(f'{type(error).__name__}: {error}')}; check {entry.value!r}"
        ) from error
    return _as_tool(loaded, name)


def _as_tool(item: object, shown: str) -> Tool:
    if isinstance(item, Tool):
        return item
    if isinstance(item, type) or not callable(item):
        raise InvalidInput(f"{shown} is {type(item).__name__!r}, not a tool; give a name, a function or a Tool")
    return Tool(item)
