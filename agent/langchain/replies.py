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
from ..calls import Malformed
from .messages import OWN

__all__ = ["Reply"]


class Reply:
    """Filled step by step, read once it is whole. The usage sums all steps, the rest is the last step's."""

    def __init__(self) -> None:
        self.model = ""
        self.looks: list[Look] = []
        self._usage = Usage()
        self._done: Done | None = None
        self._words = ""
        self._call: ToolCallPart | Malformed | None = None

    def took(self, done: Done, call: ToolCallPart | Malformed | None, *, words: str) -> None:
        """Take in the end of a step."""
        self._usage += done.usage
        self._done, self._call, self._words = done, call, words

    def message(self) -> AIMessage:
        """The whole message."""
        call, calls, broken = self._call, list[ToolCall](), list[InvalidToolCall]()
        if isinstance(call, ToolCallPart):
            calls.append(ToolCall(name=call.tool, args=dict(call.arguments), id=call.id, type="tool_call"))
        elif call is not None:
            broken.append(InvalidToolCall(name=None, args=None, id=None, error=call.why, type="invalid_tool_call"))
        return AIMessage(
            self._words,
            tool_calls=calls,
            invalid_tool_calls=broken,
            usage_metadata=self._usage_metadata(),
            response_metadata=self._metadata(),
        )

    def last_chunk(self) -> AIMessageChunk:
        """The end of a stream whose words were sent before: the call, the cost and the rest."""
        call, chunks = self._call, list[ToolCallChunk]()
        if isinstance(call, ToolCallPart):
            arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
            chunks.append(ToolCallChunk(name=call.tool, args=arguments, id=call.id, index=0, type="tool_call_chunk"))
        return AIMessageChunk(
            content="",
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
        metadata["finish_reason"] = "tool_calls" if isinstance(self._call, ToolCallPart) else done.finish
        own: dict[str, Any] = {}
        if done.logprobs:
            metadata["logprobs"] = {"content": [{"logprob": round(logprob, 6)} for logprob in done.logprobs]}
            own["confidence"] = round(math.exp(sum(done.logprobs) / len(done.logprobs)), 4)
        if done.ids is not None:  # what the model said in its own tokens, so that the next call need not compute them
            own |= {"ids": list(done.ids), "tokenizer": done.tokenizer}
        if self.looks:
            own["looks"] = [asdict(look) for look in self.looks]
        return metadata | ({OWN: own} if own else {})
