"""What clients send: the body of ``/v1/chat/completions``, checked by pydantic and held to the caps.

Fields that change nothing here (``user``, ``store`` ...) are left aside; those that would change the answer, and can't
here, are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from .caps import Caps
from .refusal import Refused

__all__ = ["Asked", "ImageBlock", "Message", "TextBlock", "Wishes"]


class _Given(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class TextBlock(_Given):
    """Words."""

    type: Literal["text"]
    text: str


class _ImageUrl(_Given):
    url: str


class ImageBlock(_Given):
    """A picture as a data URL. ``name`` is ours: how the picture is spoken of; by default it gets one."""

    type: Literal["image_url"]
    image_url: _ImageUrl
    name: str | None = None


class _Refusal(_Given):
    type: Literal["refusal"]
    refusal: str


Block: TypeAlias = Annotated[TextBlock | ImageBlock | _Refusal, Field(discriminator="type")]


class _Written(_Given):
    name: str
    arguments: str


class _Call(_Given):
    id: str
    type: Literal["function"] = "function"
    function: _Written


class Message(_Given):
    """One message. ``tool_calls`` are an assistant's, ``tool_call_id`` is the call that a tool's message answers."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Block] | None = None
    name: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None

    @property
    def blocks(self) -> list[TextBlock | ImageBlock]:
        """The content block by block; a text alone is one."""
        if isinstance(self.content, str):
            return [TextBlock(type="text", text=self.content)] if self.content else []
        return [_plain(block) for block in self.content or ()]


def _plain(block: TextBlock | ImageBlock | _Refusal) -> TextBlock | ImageBlock:
    return TextBlock(type="text", text=block.refusal) if isinstance(block, _Refusal) else block


class _StreamOptions(_Given):
    include_usage: bool = False


class Wishes(BaseModel):
    """Our extension ``looktwice``: second looks, for this request. ``chat`` is not here: it comes by header."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tools: list[str] = []
    looks: int | None = Field(default=None, ge=0)
    check: bool | None = None
    look_again: bool | None = None
    strategy: Literal["auto", "interleave", "each", "sheet"] | None = None


class Asked(_Given):
    """A request for an answer. Names and meanings are OpenAI's, but for ``looktwice``."""

    model: str
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=5)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    looktwice: Wishes | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    modalities: list[str] | None = None
    functions: list[Any] | None = None

    @property
    def stops(self) -> list[str]:
        """The words that end an answer."""
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())

    @property
    def longest(self) -> int | None:
        """The most tokens of an answer, by its new name or its old one."""
        return self.max_completion_tokens or self.max_tokens

    def require_caps(self, caps: Caps) -> None:
        """Raise Refused for the first thing of which there is too much, or that can't be done here."""
        for name, count, most in self._counts(caps):
            if count > most:
                raise Refused(f"{name} is {count} here; this server takes {most} at most", param=name)
        for number, tool in enumerate(self.tools or ()):
            _require_small(f"tools.{number}", tool, caps)
        _require_small("response_format", self.response_format, caps)
        if self.top_logprobs and not self.logprobs:
            raise Refused("top_logprobs needs logprobs: true", param="top_logprobs")
        for name in ("frequency_penalty", "presence_penalty", "logit_bias", "functions"):
            if getattr(self, name):
                raise Refused(f"{name} is not supported; leave it out", param=name, code="unsupported_parameter")
        if set(self.modalities or ()) - {"text"}:
            raise Refused("answers are text alone", param="modalities", code="unsupported_parameter")

    def _counts(self, caps: Caps) -> Iterator[tuple[str, int, int]]:
        pictures = sum(
            isinstance(block, ImageBlock)
            for message in self.messages
            if isinstance(message.content, list)
            for block in message.content
        )
        yield "messages", len(self.messages), caps.messages
        yield "pictures", pictures, caps.pictures
        yield "tools", len(self.tools or ()), caps.tools
        yield "n", self.n or 1, caps.choices
        yield "stop", len(self.stops), caps.stops
        yield "the length of stop", max(map(len, self.stops), default=0), caps.stop
        yield "max_tokens", self.longest or 1, caps.max_tokens
        yield "looktwice.looks", (self.looktwice and self.looktwice.looks) or 0, caps.looks


def _require_small(name: str, schema: object, caps: Caps) -> None:
    size = len(json.dumps(schema))
    if size > caps.schema:
        raise Refused(f"{name} has {size} characters; this server takes {caps.schema} at most", param=name)
