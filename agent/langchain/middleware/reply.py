"""What a middleware adds to the model's reply, and how it finds the answer in it."""

from __future__ import annotations

from typing import Any

from langchain.agents.middleware import ModelResponse
from langchain_core.messages import AIMessage, BaseMessage

from ..messages import OWN

__all__ = ["final_answer", "noted"]


def final_answer(response: ModelResponse[Any]) -> AIMessage | None:
    """The reply in words that ends the question; None while the model calls tools or fills in a schema."""
    last = response.result[-1] if response.result else None
    if not isinstance(last, AIMessage) or last.tool_calls or response.structured_response is not None:
        return None
    return last if last.text.strip() else None


def noted(response: ModelResponse[Any], **facts: Any) -> ModelResponse[Any]:
    """The response with facts under our key of the last AI message's ``response_metadata``."""
    places = [place for place, message in enumerate(response.result) if isinstance(message, AIMessage)]
    if not places:
        return response
    result: list[BaseMessage] = list(response.result)
    message = result[places[-1]]
    own: dict[str, Any] = {**(message.response_metadata.get(OWN) or {}), **facts}
    result[places[-1]] = message.model_copy(update={"response_metadata": {**message.response_metadata, OWN: own}})
    return ModelResponse(result, response.structured_response)
