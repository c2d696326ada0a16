"""What a server's stream says: tokens, a call, the end and the cost, read from chunk to chunk."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...answer import Finish, Usage
from ...calls import CLOSE, OPEN
from ..backend import Token

__all__ = ["Reply"]


@dataclass(slots=True)
class Reply:
    """One reply as far as it came. ``top`` is how many of the likeliest tokens are handed on."""

    top: int = 0
    text: str = ""
    finish: Finish | None = None
    logprobs: list[float] = field(default_factory=list[float])
    usage: Any = None
    pieces: int = 0
    _name: str = ""
    _arguments: str = ""
    _call: int | None = None

    def hear(self, chunk: Any) -> Iterator[Token]:
        """The tokens of a chunk; everything else is kept."""
        self.usage = getattr(chunk, "usage", None) or self.usage
        for choice in (chunk.choices or ())[:1]:
            delta = choice.delta
            self._hear_calls(getattr(delta, "tool_calls", None) or ())
            content = getattr(delta, "content", None) or ""
            listed = getattr(getattr(choice, "logprobs", None), "content", None) or ()
            if content:
                self.text += content
                yield from self._tokens(content, listed)
            if choice.finish_reason:
                self.finish = "length" if choice.finish_reason == "length" else "stop"

    @property
    def call(self) -> str:
        """The first call in the form that the loop reads, or nothing; arguments that are no JSON stay as they are."""
        if not self._name:
            return ""
        return f'{OPEN}{{"name":{json.dumps(self._name)},"arguments":{self._arguments.strip() or "{}"}}}{CLOSE}'

    def cost(self, prompt: int, image: int) -> Usage:
        """The server's counts; where it tells none, the estimates ``prompt`` and ``image`` of this very prompt."""
        if self.usage is None:
            return Usage(prompt=prompt, new=prompt, image=image, output=self.pieces)
        details = getattr(self.usage, "prompt_tokens_details", None)
        cached = getattr(details, "cached_tokens", None) or 0
        total = self.usage.prompt_tokens or 0
        told = getattr(details, "image_tokens", None)
        return Usage(
            prompt=total,
            reused=min(cached, total),
            new=total - min(cached, total),
            image=min(image if told is None else told, total),
            output=self.usage.completion_tokens or 0,
        )

    def _hear_calls(self, deltas: Sequence[Any]) -> None:
        for delta in deltas:  # one call at a time: what a server adds to it is left out
            self._call = delta.index if self._call is None else self._call
            if delta.index == self._call and delta.function is not None:
                self._name += delta.function.name or ""
                self._arguments += delta.function.arguments or ""

    def _tokens(self, content: str, listed: Sequence[Any]) -> Iterator[Token]:
        self.pieces += max(len(listed), 1)
        self.logprobs += [each.logprob for each in listed]
        if "".join(each.token for each in listed) == content:
            for each in listed:
                yield Token(each.token, each.logprob, _entropy(each), self._likeliest(each))
        elif listed:  # the pieces of a letter that several tokens spell
            likely = min(each.logprob for each in listed)
            yield Token(content, likely, max(map(_entropy, listed)))
        else:
            yield Token(content)

    def _likeliest(self, each: Any) -> tuple[tuple[str, float], ...]:
        return tuple((top.token, top.logprob) for top in (each.top_logprobs or ())[: self.top])


def _entropy(each: Any) -> float:
    """The entropy in nats of the tokens that are told, with the rest as one more: no more than the true one."""
    known = {top.token: top.logprob for top in each.top_logprobs or ()} | {each.token: each.logprob}
    shares = [math.exp(min(logprob, 0.0)) for logprob in known.values()]
    rest = max(1 - math.fsum(shares), 0.0)
    return abs(math.fsum(-share * math.log(share) for share in (*shares, rest) if share > 0))
