"""What a server is asked: the fields of a request, without those that it is known not to take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...calls import OWN, Offer
from ..backend import Settings
from .facts import Facts

__all__ = ["Request"]

_LEAST_TOP = 5  # likeliest tokens that are asked for in any case: an entropy is worked out from them
_SIGNS: Mapping[str, str] = {
    "tools": r"\btools?\b|tool[_ -]choice|tool-call-parser|--jinja",
    "logprobs": r"logprobs",
    "stream_options": r"stream_options|include_usage",
    "seed": r"\bseed\b",
    "stop": r"['\"`]stop['\"`]|\bstop (?:sequence|word|string)s?\b|\bstop: ",
    "temperature": r"\btemperature\b",
    "top_p": r"\btop_p\b",
    "max_tokens": r"max_completion_tokens|['\"`]max_tokens['\"`]",
}
"""How a server's error speaks of a field that it doesn't take."""


@dataclass(slots=True)
class Request:
    """One request on its way: what to ask for, and what was left out because the server refused it."""

    model: str
    settings: Settings
    offer: Offer | None
    facts: Facts
    dropped: set[str] = field(default_factory=set[str])

    def has(self, name: str) -> bool:
        """Whether a field may be sent."""
        return name not in self.facts.missing and name not in self.dropped

    @property
    def by_fields(self) -> bool:
        """Whether tools go by fields of their own."""
        return self.facts.tools and self.has("tools")

    def fields(self, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Everything as keywords of the client's ``create``; where nothing is said, a server chooses for itself."""
        wanted = {"model": self.model, "messages": list(messages), "stream": True}
        return wanted | {name: value for name, value in self._optional() if value is not None}

    def refused(self, message: str) -> set[str]:
        """Leave out what the error speaks of; what that was."""
        found = {name for name, sign in _SIGNS.items() if name in self._sent() and re.search(sign, message, re.I)}
        self.dropped |= found
        return found

    def bare(self) -> set[str]:
        """Leave out all that can be left out; what that was."""
        found = self._sent() - {"max_tokens"}
        self.dropped |= found
        return found

    def _sent(self) -> set[str]:
        names = {name for name, value in self._optional() if value is not None}
        return {"logprobs" if name == "top_logprobs" else name for name in names} & _SIGNS.keys()

    def _optional(self) -> Iterator[tuple[str, Any]]:
        settings = self.settings
        most = "max_tokens" if self.has("max_tokens") else "max_completion_tokens"
        yield most, settings.max_new_tokens
        yield "temperature", settings.temperature if self.has("temperature") else None
        yield "top_p", settings.top_p if settings.top_p != 1 and self.has("top_p") else None
        yield "seed", settings.seed if self.has("seed") else None
        yield "stop", list(settings.stop) if settings.stop and self.has("stop") else None
        yield "stream_options", {"include_usage": True} if self.has("stream_options") else None
        if self.has("logprobs"):
            yield "logprobs", True
            yield "top_logprobs", max(settings.top_logprobs, _LEAST_TOP)
        if self.offer is not None and self.offer.tools and self.by_fields:
            yield "tools", [self._tool(tool) for tool in self.offer.tools]
            yield "tool_choice", _choice(self.offer.choice)

    def _tool(self, tool: Any) -> dict[str, Any]:
        """A tool in OpenAI's shape. The names that exist are not in it: they change, and what stands first must not."""
        function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
        own = {"pictures": list(tool.pictures), "boxes": list(tool.boxes)}
        return {"type": "function", "function": function, **({OWN: own} if self.facts.dialect == "looktwice" else {})}


def _choice(choice: str) -> Any:
    if choice in ("auto", "none"):
        return choice
    return "required" if choice == "any" else {"type": "function", "function": {"name": choice}}
