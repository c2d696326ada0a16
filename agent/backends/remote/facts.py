"""What is known of a server: found out once, and remembered as long as the process lives."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

__all__ = ["Dialect", "Facts", "facts_of"]

Dialect: TypeAlias = Literal["looktwice", "vllm", "sglang", "plain"]
"""How a server is spoken to beyond OpenAI's words: ours takes names of pictures, vLLM ids of pictures that it has
already, SGLang a word on each picture where there are several."""

_OWNERS: Mapping[str, Dialect] = {"looktwice": "looktwice", "vllm": "vllm", "sglang": "sglang"}
_WITH_TOOLS = {"looktwice", "vllm", "sglang", "llamacpp", "library", "openai", "openai-internal", "system"}
_UNKNOWN_CONTEXT = 32768


@dataclass(slots=True)
class Facts:
    """One model of one server.

    ``context`` in tokens, as far as it tells; ``missing`` are the fields that it doesn't take; ``models`` the names
    that it has. ``picture`` is the share that pictures took of the most that LLaVA-NeXT takes, once it is known.
    """

    dialect: Dialect = "plain"
    context: int = _UNKNOWN_CONTEXT
    tools: bool = False
    missing: set[str] = field(default_factory=set[str])
    models: tuple[str, ...] = ()
    picture: float | None = None
    is_known: bool = False
    guard: threading.Lock = field(default_factory=threading.Lock)
    _told: set[str] = field(default_factory=set[str])

    def learn(self, listed: Iterable[Mapping[str, Any]], model: str) -> None:
        """Read what ``/v1/models`` lists: who owns a model tells which server it is."""
        plain = {str(item.get("id")): item for item in listed}
        self.models, self.is_known = tuple(plain), True
        own: Mapping[str, Any] = plain.get(model) or next(iter(plain.values()), dict[str, Any]())
        owner = str(own.get("owned_by"))
        self.dialect = _OWNERS.get(owner, "plain")
        self.tools = owner in _WITH_TOOLS
        self.context = _context(own) or self.context

    def first_time(self, told: str) -> bool:
        """Whether nobody was told this yet; asking counts as telling."""
        with self.guard:
            new = told not in self._told
            self._told.add(told)
            return new


def _context(model: Mapping[str, Any]) -> int | None:
    """The context that vLLM and SGLang, llama.cpp, or our own server tells."""
    inner = (model, *(model.get(name) for name in ("looktwice", "meta")))
    for part in inner:
        if isinstance(part, Mapping):
            told = cast("Mapping[str, Any]", part)
            for name in ("max_model_len", "context", "n_ctx", "n_ctx_train"):
                if isinstance(number := told.get(name), int) and number > 0:
                    return number
    return None


_known: dict[tuple[object, ...], Facts] = {}
_guard = threading.Lock()


def facts_of(*server: object) -> Facts:
    """What this process knows of a server and a model; the same object for all that ask it."""
    with _guard:
        return _known.setdefault(server, Facts())
