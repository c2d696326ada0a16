"""Conversations with a scripted model, and tools for it to call."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import scenes

from looktwice import Agent, Chat, ScriptedBackend, tool
from looktwice.agent.prompt import Prompt


def call(name: str, **arguments: Any) -> str:
    return f'<tool_call>{{"name":"{name}","arguments":{json.dumps(arguments)}}}</tool_call>'


ZOOM = call("zoom", image="bill", box=[100, 100, 500, 500])


@tool
def shout(words: str) -> str:
    """Say words loudly."""
    return words.upper()


@tool(acts=True)
def pay(amount: int) -> str:
    """Pay an amount of money."""
    paid.append(amount)
    return f"paid {amount}"


paid: list[int] = []


def scripted(
    *script: str | Callable[[Prompt], str], tools: Any = ("zoom",), memory: Any = ":memory:", pace: float = 0.0
) -> tuple[Chat, ScriptedBackend]:
    backend = ScriptedBackend(script, pace=pace)
    chat = Agent(backend, memory=memory, tools=tools).chat("t")
    if not chat.images:
        chat.add(scenes.scene(("red", "circle", "top")), "bill")
    return chat, backend
