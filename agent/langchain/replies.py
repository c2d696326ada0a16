"""What the model said as LangChain's message: words, calls, what it cost, and how sure the model was."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, InvalidToolCall
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.messages.tool import ToolCall, ToolCallChunk

from ...memory.parts import ToolCallPart
from ..answer import Look, Usage
from ..backends import Done
from ..calls import OPEN, Malformed
from .errors import CutShort
from .messages import OWN

__all__ = ["Reply"]


class Reply:
    """Filled step by step, read once it is whole. The usage sums all steps, the rest is the last step's."""

    def __init__(self) -> None:
        self.model = ""
        self.looks: list[Look] = []
        self._usage = Usage()
        self._done: Done | None = None
        self.answer_tool: str | None = None
        """The tool whose arguments are the answer itself, where that has to be JSON."""
        self._call: ToolCallPart | Malformed | None = None

    @property
    def call(self) -> ToolCallPart | Malformed | None:
        """The call that the model made, unless it is its answer."""
        return None if self._answers() else self._call

    def took(self, done: Done, call: ToolCallPart | Malformed | None) -> None:
        """Take in the end of a step."""
        self._usage += done.usage
        self._done, self._call = done, call

    @property
    def words(self) -> str:
        """What the model said beside its call, as it was streamed; or the answer as JSON."""
        if isinstance(self._call, ToolCallPart) and self._answers():
            return json.dumps(dict(self._call.arguments), ensure_ascii=False)
        text = self._done.text if self._done is not None else ""
        return text.partition(OPEN)[0] if self._call is not None else text

    def require_whole(self, choice: str) -> None:
        """Raise CutShort if a call that was demanded did not come to its end."""
        if not isinstance(self._call, ToolCallPart) and self._done is not None and self._done.finish != "stop":
            raise CutShort(
                f"the answer was cut ({self._done.finish}) before the call of {choice!r} was whole; "
                "raise max_tokens or the timeout"
            )

    def _answers(self) -> bool:
        return isinstance(self._call, ToolCallPart) and self._call.tool == self.answer_tool

    def _raw(self) -> str:
        """What was written of a call that can't be read, its tag too, so that nobody takes a part of it for JSON."""
        _, tag, rest = self._done.text.partition(OPEN) if self._done is not None else ("", "", "")
        return tag + rest

    def message(self) -> AIMessage:
        """The whole message."""
        call, calls, broken = self.call, list[ToolCall](), list[InvalidToolCall]()
        if isinstance(call, ToolCallPart):
            calls.append(ToolCall(name=call.tool, args=dict(call.arguments), id=call.id, type="tool_call"))
        elif call is not None:
            raw = self._raw()
            broken.append(InvalidToolCall(name="", args=raw, id=None, error=call.why, type="invalid_tool_call"))
        return AIMessage(
            self.words,
            tool_calls=calls,
            invalid_tool_calls=broken,
            usage_metadata=self._usage_metadata(),
            response_metadata=self._metadata(),
        )

    def last_chunk(self) -> AIMessageChunk:
        """The end of a stream whose words were sent before: the call, the cost and the rest."""
        call, chunks = self.call, list[ToolCallChunk]()
        if isinstance(call, ToolCallPart):
            arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
            chunks.append(ToolCallChunk(name=call.tool, args=arguments, id=call.id, index=0, type="tool_call_chunk"))
        elif call is not None:
            chunks.append(ToolCallChunk(name="", args=self._raw(), id=None, index=0, type="tool_call_chunk"))
        return AIMessageChunk(
            content=self.words if self._answers() else "",
            tool_call_chunks=chunks,
            usage_metadata=self._usage_metadata(),
            response_metadata=self._metadata(),
            chunk_position="last",
        )

    def _usage_metadata(self) -> UsageMetadata:
        usage = self._usage
        details: Mapping[str, int] = {"cache_read": usage.reused, "image": usage.image}
        return UsageMetadata(
            input_tokens=usage.prompt,
            output_tokens=usage.output,
            total_tokens=usage.prompt + usage.output,
            input_token_details=InputTokenDetails(**details),
        )

    def _metadata(self) -> dict[str, Any]:
        done = self._done
        metadata: dict[str, Any] = {"model_name": self.model, "model_provider": "looktwice"}
        if done is None:
            return metadata
        metadata["finish_reason"] = "tool_calls" if isinstance(self.call, ToolCallPart) else done.finish
        own: dict[str, Any] = {}
        if done.logprobs:
            metadata["logprobs"] = {"content": [{"logprob": round(logprob, 6)} for logprob in done.logprobs]}
            own["confidence"] = round(math.exp(sum(done.logprobs) / len(done.logprobs)), 4)
        if done.ids is not None and not self._answers():
            own |= {"ids": list(done.ids), "tokenizer": done.tokenizer}
        if self.looks:
            own["looks"] = [asdict(look) for look in self.looks]
        return metadata | ({OWN: own} if own else {})
