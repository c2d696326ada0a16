"""One pass of the model over the messages of a stateless client: words, a call of its functions, or JSON."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import llguidance

from ...memory.parts import ToolCallPart, ToolsPart, ToolSpec, Turn
from ..answer import Finish
from ..backends import Backend, Done, Settings, Token
from ..budget.room import require_fit
from ..calls import OPEN, Offer, read
from ..functions import answer_function, as_choice, as_spec, with_whole_schema
from ..prompt import Prompt, compose
from ..speech import spoken
from .asked import Asked
from .caps import Caps
from .messages import turns_of
from .pictures import Album, Seen
from .refusal import Refused
from .said import Said
from .work import Choice, Ending, Tell

__all__ = ["Completion", "settings_of"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Completion:
    """Messages as a prompt. ``answer_tool`` is the function whose arguments are the answer, where it has to be JSON."""

    model: str
    choices: int
    backend: Backend
    prompt: Prompt
    settings: Settings
    offer: Offer | None
    answer_tool: str | None
    album: Album
    said: Said

    @classmethod
    def of(cls, asked: Asked, backend: Backend, *, seen: Seen, said: Said, caps: Caps) -> Completion:
        """Read the messages, decode the pictures, compose. Raises Refused and `InvalidInput`."""
        album = Album(seen)
        turns = turns_of(asked.messages, album, said)
        specs, choice, answer_tool = _functions(asked)
        offer = Offer(specs, album.names(), choice) if specs else None
        _require_grammar(offer)
        prompt = compose(_announced(turns, specs), album.images(), style=backend.style)
        settings = settings_of(asked, caps)
        require_fit(backend.rows(prompt), backend.context, settings.max_new_tokens)
        return cls(asked.model, asked.n or 1, backend, prompt, settings, offer, answer_tool, album, said)

    def run(self, number: int, tell: Tell, cancel: threading.Event) -> Choice:
        """Generate; with several choices, each from a seed of its own."""
        settings = self.settings
        if number and settings.seed is not None:
            settings = replace(settings, seed=settings.seed + number)
        tokens: list[Token] = []
        words = spoken(self.backend, self.prompt, settings, pixels=self.album.pixels, offer=self.offer, cancel=cancel)
        while True:
            try:
                token = next(words)
            except StopIteration as end:
                return self._choice(end.value, tuple(tokens))
            tokens.append(token)
            tell(token)

    def _choice(self, done: Done, tokens: tuple[Token, ...]) -> Choice:
        is_open = self.offer is not None and self.offer.is_open
        taken = read(done.text) if is_open else None
        call = taken.call if taken else None
        text = done.text.partition(OPEN)[0] if is_open else done.text
        own = {} if done.finish in ("stop", "length") else {"finish": done.finish}
        if not isinstance(call, ToolCallPart):
            self.said.remember(text, None, done)
            return Choice(text, _ending(done.finish), done.usage, tokens=tokens, own=own)
        if call.tool == self.answer_tool:
            answer = json.dumps(dict(call.arguments), ensure_ascii=False)
            return Choice(answer, "stop", done.usage, own=own)
        self.said.remember(text, call, done)
        return Choice(text, "tool_calls", done.usage, call=call, tokens=tokens, own=own)


def settings_of(asked: Asked, caps: Caps) -> Settings:
    """How to generate; greedy, unless a temperature is given. Raises InvalidInput."""
    given = {
        "max_new_tokens": asked.longest,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "seed": asked.seed,
        "top_logprobs": asked.top_logprobs,
    }
    known = {name: value for name, value in given.items() if value is not None}
    return Settings.of(**known, stop=asked.stops, timeout=caps.answer)


def _functions(asked: Asked) -> tuple[tuple[ToolSpec, ...], str, str | None]:
    """What may be called, how it is chosen, and the function that stands for an answer in JSON."""
    plain = [with_whole_schema(tool) for tool in asked.tools or ()]
    choice, name = as_choice(asked.tool_choice, plain), None
    form = answer_function(asked.response_format)
    if form is not None:  # the model answers by calling it, or calls another function first
        plain, name = [*plain, form], str(form["function"]["name"])
        choice = name if len(plain) == 1 or choice == "none" else "any" if choice == "auto" else choice
    _require_names(plain)
    if asked.stops and choice not in ("auto", "none"):
        raise Refused("stop can't be used where a call or JSON is demanded: it could cut it", param="stop")
    return tuple(map(as_spec, plain)), choice, name


def _require_names(plain: Sequence[Mapping[str, Any]]) -> None:
    names: list[str] = [tool["function"]["name"] for tool in plain]
    for name in names:
        if not _NAME.fullmatch(name) or names.count(name) > 1:
            told = f"{name[:80]!r} can't name a tool, or names two; use letters, digits, '_' and '-', 64 at most"
            raise Refused(told, param="tools")


def _require_grammar(offer: Offer | None) -> None:
    """Raise Refused for schemas that can't bound an answer."""
    if offer is None or not offer.is_open:
        return
    problem = llguidance.LLMatcher.validate_grammar(offer.grammar())
    if problem:
        told = " ".join(problem.split())[:200]
        raise Refused(f"a schema can't be made into a grammar ({told}); simplify it", param="tools")


def _announced(turns: Sequence[Turn], specs: tuple[ToolSpec, ...]) -> list[Turn]:
    """The turns with the functions announced at their head, after the system's words."""
    if not specs:
        return list(turns)
    first = turns[0]
    if first.role == "system":
        return [first.replace(parts=(*first.parts, ToolsPart(specs))), *turns[1:]]
    return [Turn("system", (ToolsPart(specs),)), *turns]


def _ending(finish: Finish) -> Ending:
    return "stop" if finish == "stop" else "length"
