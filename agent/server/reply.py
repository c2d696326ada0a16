"""Answers in OpenAI's shapes: a whole completion, and the chunks of a stream."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...memory.parts import ToolCallPart
from ..answer import Usage
from ..backends import Token
from .work import Choice

__all__ = ["Reply", "usage_json"]

_LEAST = -9999.0  # what OpenAI writes for minus infinity, which JSON can't


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a model: what all its parts carry."""

    model: str
    logprobs: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, choices: Sequence[Choice]) -> dict[str, Any]:
        """The body of a reply that isn't streamed."""
        plain = [self._choice(number, choice) for number, choice in enumerate(choices)]
        return {**self._head("chat.completion"), "choices": plain, "usage": usage_json(choices), **_own(choices)}

    def first(self, number: int) -> dict[str, Any]:
        """The chunk that opens a choice."""
        return self._chunk(number, {"role": "assistant", "content": ""})

    def words(self, number: int, token: Token) -> dict[str, Any]:
        """A chunk of words."""
        logprobs = {"content": [_logprob(token)], "refusal": None} if self.logprobs else None
        return self._chunk(number, {"content": token.text}, logprobs=logprobs)

    def happened(self, number: int, event: Mapping[str, Any]) -> dict[str, Any]:
        """A chunk without words that tells what happens meanwhile, in our own field."""
        return {**self._chunk(number, {}), "looktwice": dict(event)}

    def last(self, number: int, choice: Choice, sent: str) -> list[dict[str, Any]]:
        """What is left of a choice whose words were told as far as ``sent``, and its end."""
        rest = choice.text.removeprefix(sent)
        chunks = [self._chunk(number, {"content": rest})] if rest else []
        if choice.call is not None:
            chunks.append(self._chunk(number, {"tool_calls": [{"index": 0, **_call(choice.call)}]}))
        return [*chunks, {**self._chunk(number, {}, finish=choice.finish), **_own([choice])}]

    def usage(self, choices: Sequence[Choice]) -> dict[str, Any]:
        """The chunk that tells the cost, after all others."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage_json(choices)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _choice(self, number: int, choice: Choice) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
        if choice.call is not None:
            message |= {"content": choice.text or None, "tool_calls": [_call(choice.call)]}
        has_logprobs = self.logprobs and choice.tokens
        logprobs = {"content": [_logprob(token) for token in choice.tokens], "refusal": None} if has_logprobs else None
        return {"index": number, "message": message, "logprobs": logprobs, "finish_reason": choice.finish}

    def _chunk(
        self, number: int, delta: dict[str, Any], *, finish: str | None = None, logprobs: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        choice = {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}


def usage_json(choices: Sequence[Choice]) -> dict[str, Any]:
    """The cost: the prompt once, as far as it was computed or reused for the first choice, and the words of all."""
    prompt: Usage = choices[0].usage
    written = sum(choice.usage.output for choice in choices)
    return {
        "prompt_tokens": prompt.prompt,
        "completion_tokens": written,
        "total_tokens": prompt.prompt + written,
        "prompt_tokens_details": {"cached_tokens": prompt.reused, "image_tokens": prompt.image},
    }


def _own(choices: Sequence[Choice]) -> dict[str, Any]:
    """The extension field, of the first choice that has something to say."""
    own = next((dict(choice.own) for choice in choices if choice.own), None)
    return {} if own is None else {"looktwice": own}


def _call(call: ToolCallPart) -> dict[str, Any]:
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.tool, "arguments": arguments}}


def _logprob(token: Token) -> dict[str, Any]:
    top = [_likely(text, logprob) for text, logprob in token.top]
    return {**_likely(token.text, token.logprob), "top_logprobs": top}


def _likely(text: str, logprob: float) -> dict[str, Any]:
    encoded = list(text.encode(errors="replace"))
    return {"token": text, "logprob": max(round(logprob, 6), _LEAST), "bytes": encoded}
