"""looktwice in LangChain: as a chat model, as tools, and as the memory of both.

    from looktwice.agent.langchain import ChatLookTwice, as_langchain_tools

Needs langchain-core, which comes with looktwice. Nothing here imports torch until a model answers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .history import LookTwiceChatMessageHistory
    from .model import ChatLookTwice
    from .store import PictureStore
    from .tools import as_langchain_tools, from_langchain_tool

__all__ = [
    "ChatLookTwice",
    "LookTwiceChatMessageHistory",
    "PictureStore",
    "as_langchain_tools",
    "from_langchain_tool",
]

_HOMES = {
    "ChatLookTwice": "model",
    "LookTwiceChatMessageHistory": "history",
    "PictureStore": "store",
    "as_langchain_tools": "tools",
    "from_langchain_tool": "tools",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
