"""looktwice: conversations about several named pictures, with a model that may look again before it answers.

Names are imported when they are first used, so that ``import looktwice`` stays light: torch and transformers
come in only when a model is loaded.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING

from .errors import LookTwiceError

if TYPE_CHECKING:
    from .agent.agent import Agent
    from .agent.answer import Answer
    from .agent.backends.scripted import ScriptedBackend
    from .agent.chat import Chat, Image
    from .agent.hooks import Hook
    from .memory import Memory
    from .tools import Tool, tool

__all__ = [
    "Agent",
    "Answer",
    "Chat",
    "Hook",
    "Image",
    "LookTwiceError",
    "Memory",
    "ScriptedBackend",
    "Tool",
    "__version__",
    "tool",
]

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # a library prints nothing by itself

_ROOMS = {
    "Agent": ".agent.agent",
    "Answer": ".agent.answer",
    "Chat": ".agent.chat",
    "Hook": ".agent.hooks",
    "Image": ".agent.chat",
    "Memory": ".memory",
    "ScriptedBackend": ".agent.backends.scripted",
    "Tool": ".tools",
    "tool": ".tools",
}


def __getattr__(name: str) -> object:
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(room, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
