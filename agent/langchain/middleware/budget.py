"""Old pictures become words before the model is called, until the request fits."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage
from langchain_core.messages.utils import count_tokens_approximately

from ....errors import InvalidInput
from ....memory import Memory, fold, mentions
from ....tools.tiling import PUBLIC
from ..album import Album, open_memory
from ..model import ChatLookTwice
from .reply import noted
from .standing import Standing, album_of, replaced, standing_in

__all__ = ["Lowered", "PictureBudget"]

logger = logging.getLogger(__name__)
_MOST = max(PUBLIC.count((width, height)) for height, width in PUBLIC.pinpoints)  # where the size can't be known


@dataclass(frozen=True, slots=True)
class Lowered:
    """What the budget did to one request: the pictures that became words, and its tokens before and after."""

    names: tuple[str, ...]
    before: int
    after: int
    max_tokens: int

    @property
    def fits(self) -> bool:
        """Whether that was enough."""
        return self.after <= self.max_tokens

    def __str__(self) -> str:
        if not self.names:
            return f"no picture may be shown as words: {self.before} tokens are over the {self.max_tokens} allowed"
        end = "" if self.fits else f", which is over the {self.max_tokens} allowed; nothing more may be lowered"
        return f"{', '.join(self.names)} shown as words: {self.before} tokens became {self.after}{end}"


class PictureBudget(AgentMiddleware[AgentState[Any], Any, Any]):
    """Shows old pictures as words, oldest first, until the request (tools included) fits ``max_tokens``.

    Never lowered: the ``keep_last`` newest pictures, what the last human message mentions as ``@name``, and what the
    model has not seen yet. The stored messages stay as they are; what was lowered is logged, told to ``on_lowered``,
    and kept in the answer's ``response_metadata["looktwice"]["lowered"]``.

    A `ChatLookTwice` counts exactly; for another vendor's model pictures are counted as the public LLaVA-NeXT takes
    them (one whose size can't be known as the most that a picture takes) and text as LangChain guesses it. ``model``
    counts in place of the one that is called. ``memory`` and ``conversation`` are where a model of another vendor has
    its pictures named.
    """

    def __init__(
        self,
        max_tokens: int,
        *,
        model: BaseChatModel | None = None,
        keep_last: int = 1,
        on_lowered: Callable[[Lowered], object] | None = None,
        memory: Memory | str | os.PathLike[str] | None = None,
        conversation: str = "langchain",
    ) -> None:
        super().__init__()
        if max_tokens < 1 or keep_last < 0:
            raise InvalidInput(f"max_tokens {max_tokens!r}, keep_last {keep_last!r} can't be used; give 1, 0 or more")
        self.max_tokens = max_tokens
        self.model = model
        self.keep_last = keep_last
        self.on_lowered = on_lowered
        self._album = Album(open_memory(memory), conversation)

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Call the model with what fits."""
        request, lowered = self._fitted(request)
        return _told(handler(request), lowered)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """The same, counting off the event loop."""
        request, lowered = await asyncio.to_thread(self._fitted, request)
        return _told(await handler(request), lowered)

    def _fitted(self, request: ModelRequest[Any]) -> tuple[ModelRequest[Any], Lowered | None]:
        counter = self.model or request.model
        pictures = standing_in(request.messages, album_of(counter, album_of(request.model, self._album)))
        before = after = self._count(counter, request, request.messages, pictures)
        if before <= self.max_tokens:
            return request, None
        gone: list[Standing] = []
        messages = request.messages
        for picture in _candidates(request.messages, pictures, self.keep_last):
            gone.append(picture)
            messages = replaced(request.messages, gone)
            after = self._count(counter, request, messages, [p for p in pictures if p not in gone])
            if after <= self.max_tokens:
                break
        lowered = Lowered(tuple(picture.name for picture in gone), before, after, self.max_tokens)
        self._tell(lowered)
        return request.override(messages=messages), lowered

    def _tell(self, lowered: Lowered) -> None:
        logger.log(logging.INFO if lowered.fits else logging.WARNING, "%s", lowered)
        if self.on_lowered is not None:
            self.on_lowered(lowered)

    def _count(
        self,
        counter: BaseChatModel,
        request: ModelRequest[Any],
        messages: Sequence[AnyMessage],
        pictures: Sequence[Standing],
    ) -> int:
        whole: list[BaseMessage] = [*([request.system_message] if request.system_message else []), *messages]
        if isinstance(counter, ChatLookTwice):
            return counter.get_num_tokens_from_messages(whole, request.tools)
        sizes = [(p.picture.width, p.picture.height) if p.picture else None for p in pictures]
        words = [*whole[: len(whole) - len(messages)], *replaced(messages, pictures)]
        text = count_tokens_approximately(words, tools=request.tools)
        return text + sum(PUBLIC.count(size) if size else _MOST for size in sizes)


def _candidates(messages: Sequence[AnyMessage], pictures: Sequence[Standing], keep_last: int) -> list[Standing]:
    """What may be lowered, oldest first."""
    answered = max((number for number, message in enumerate(messages) if isinstance(message, AIMessage)), default=-1)
    question = next((message for message in reversed(messages) if isinstance(message, HumanMessage)), None)
    wanted = {fold(name) for name in mentions(question.text)} if question else set[str]()
    newest = {fold(picture.name): picture for picture in pictures}
    kept = [*pictures[len(pictures) - keep_last :], *(newest[name] for name in wanted & newest.keys())]
    return [picture for picture in pictures if picture.message < answered and picture not in kept]


def _told(response: ModelResponse[Any], lowered: Lowered | None) -> ModelResponse[Any]:
    return noted(response, lowered=list(lowered.names)) if lowered and lowered.names else response
