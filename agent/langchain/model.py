"""``ChatLookTwice``: a local vision-language model as LangChain's chat model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field, PrivateAttr

from ...memory import Memory
from ...tools import Tool, find_tools
from .. import budget
from ..backends import Backend, Settings, Token
from ..prompt import Message, Prompt, Words
from .album import Album, open_memory
from .errors import InvalidMessages, translated
from .messages import turns_of
from .replies import Reply
from .run import Run
from .shared import shared_backend
from .specs import as_choice, as_dict, as_spec

__all__ = ["ChatLookTwice"]

_LOOKING = ("zoom", "ocr")


class ChatLookTwice(BaseChatModel):
    """A LLaVA checkpoint on this machine that reads pictures where they stand in the messages.

    ``model`` is "pocket", a folder or a hub name whose weights are here; all instances of one share its weights.
    ``looks`` lets it zoom or read again by itself, up to so many times, when no tools are bound. ``memory`` (a `Memory`
    or a path) is where pictures are kept, once by hash, under the names of ``conversation``; without one they are kept
    as long as this process lives. ``timeout`` is in seconds; an answer that it ends is given as far as it came, with
    ``finish_reason`` "timeout". ``max_retries`` is taken for the sake of code that sets it: a local model doesn't fail
    by chance.

    Raises LangChain's own ModelInvalidRequestError (also a ValueError), ContextOverflowError and ModelNotFoundError.
    """

    model: str = "pocket"
    temperature: float = 0.0
    max_tokens: int = 512
    top_p: float = 1.0
    seed: int | None = None
    stop: list[str] | None = None
    timeout: float | None = None
    max_retries: int = 0
    looks: int = Field(default=0, ge=0)
    streaming: bool = False
    memory: Any = Field(default=None, exclude=True, repr=False)
    conversation: str = "langchain"
    device: str | None = None
    dtype: str | None = None
    quantize: str | None = None
    backend: Any = Field(default=None, exclude=True, repr=False)
    """Another `Backend`, such as a script for tests; by default the checkpoint's own."""
    _album: Album | None = PrivateAttr(default=None)
    _guard: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def model_post_init(self, context: Any) -> None:
        """Refuse what can't be before anything is asked."""
        super().model_post_init(context)
        with translated():
            self._settings(None)
            if not isinstance(self.memory, Memory | str | None) and not hasattr(self.memory, "__fspath__"):
                raise InvalidMessages(f"memory {self.memory!r} can't be used; give a Memory, a path, or None")

    @property
    def _llm_type(self) -> str:
        return "looktwice"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "temperature": self.temperature, "max_tokens": self.max_tokens, "seed": self.seed}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """It is: by its plain settings, without weights, pictures or memory."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where it is imported from."""
        return ["looktwice", "agent", "langchain"]

    @property
    def album(self) -> Album:
        """The pictures that the messages' ``file_id`` may name."""
        with self._guard:
            if self._album is None:
                with translated():
                    self._album = Album(open_memory(self.memory), self.conversation)
            return self._album

    @property
    def engine(self) -> Backend:
        """What answers; shared with all instances of the same checkpoint. Raises ModelNotFoundError."""
        with self._guard:
            if self.backend is None:
                with translated():
                    self.backend = shared_backend(
                        self.model, device=self.device, dtype=self.dtype, quantize=self.quantize
                    )
            return self.backend

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools; calls are bound by a grammar of their schemas, so that each parses and names real pictures.

        ``tool_choice``: "auto", "any" (or "required", True), "none", or a tool's name. Raises ModelInvalidRequestError
        for another.
        """
        plain = [as_dict(tool) for tool in tools]
        return self.bind(tools=plain, tool_choice=as_choice(tool_choice, plain), **kwargs)

    def get_num_tokens(self, text: str) -> int:
        """The tokens of a text for this model."""
        prompt = Prompt((Message("user", (Words(text),)),))
        return sum(row.tokens for row in self.engine.rows(prompt) if row.kind == "text")

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None, **_: Any
    ) -> int:
        """The exact length of the prompt that these messages make, with pictures and ``tools``; needs no weights."""
        with translated():
            plain = [as_dict(tool) for tool in tools or ()]
            run = Run(self.engine, self.album, turns_of(messages, self.album), [as_spec(tool) for tool in plain])
            return sum(row.tokens for row in self.engine.rows(run.prompt()))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        reply = Reply()
        with translated():
            for token in self._run(messages, stop, kwargs, reply).steps():
                if run_manager is not None:
                    run_manager.on_llm_new_token(token.text)
        return ChatResult(generations=[ChatGeneration(message=reply.message())])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        reply = Reply()
        with translated():
            for token in self._run(messages, stop, kwargs, reply).steps():
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=token.text))
                if run_manager is not None:
                    run_manager.on_llm_new_token(token.text, chunk=chunk)
                yield chunk
        last = ChatGenerationChunk(message=reply.last_chunk())
        if run_manager is not None:
            run_manager.on_llm_new_token("", chunk=last)
        yield last

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        reply = Reply()
        async for token in self._afollow(messages, stop, kwargs, reply):
            if run_manager is not None:
                await run_manager.on_llm_new_token(token.text)
        return ChatResult(generations=[ChatGeneration(message=reply.message())])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        reply = Reply()
        async for token in self._afollow(messages, stop, kwargs, reply):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=token.text))
            if run_manager is not None:
                await run_manager.on_llm_new_token(token.text, chunk=chunk)
            yield chunk
        last = ChatGenerationChunk(message=reply.last_chunk())
        if run_manager is not None:
            await run_manager.on_llm_new_token("", chunk=last)
        yield last

    async def _afollow(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any], reply: Reply
    ) -> AsyncIterator[Token]:
        """Tokens without blocking the event loop; a task that is cancelled ends the answer within one token."""
        loop, heard, cancel = (
            asyncio.get_running_loop(),
            asyncio.Queue[Token | BaseException | None](),
            threading.Event(),
        )

        def tell(item: Token | BaseException | None) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, item)

        def work() -> None:
            try:
                with translated():
                    for token in self._run(messages, stop, kwargs, reply, cancel).steps():
                        tell(token)
                tell(None)
            except BaseException as error:  # carried over to the loop
                tell(error)

        thread = threading.Thread(target=work, name="looktwice-langchain", daemon=True)
        thread.start()
        try:
            while (item := await heard.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            cancel.set()
            await asyncio.to_thread(thread.join)

    def _run(
        self,
        messages: Sequence[BaseMessage],
        stop: list[str] | None,
        kwargs: Mapping[str, Any],
        reply: Reply,
        cancel: threading.Event | None = None,
    ) -> Run:
        """One call of the model, ready to go."""
        plain: Sequence[Mapping[str, Any]] = kwargs.get("tools") or ()
        choice = as_choice(kwargs.get("tool_choice"), plain)
        settings = self._settings(stop, **kwargs)
        if settings.stop and choice not in ("auto", "none"):
            raise InvalidMessages(
                f"stop {list(settings.stop)!r} can't be used with tool_choice {choice!r}: it could cut the call; "
                "leave one of them out"
            )
        own = find_tools(_LOOKING) if self.looks and not plain else list[Tool]()
        specs = [as_spec(tool) for tool in plain] or [tool.spec for tool in own]
        engine = self.engine
        if kwargs.get("model") not in (None, self.model):
            engine = shared_backend(kwargs["model"], device=self.device, dtype=self.dtype, quantize=self.quantize)
        reply.model = engine.model
        run = Run(
            engine,
            self.album,
            turns_of(messages, self.album),
            specs,
            choice=choice,
            settings=settings,
            own=own,
            looks=self.looks if own else 0,
            reply=reply,
            cancel=cancel or threading.Event(),
        )
        budget.require_fit(engine.rows(run.prompt()), engine.context, settings.max_new_tokens)
        return run

    def _settings(self, stop: list[str] | None, **given: Any) -> Settings:
        """How to generate: this model's own settings, and what a call gives instead."""
        stop = stop if stop is not None else given.get("stop")
        return Settings(
            max_new_tokens=given.get("max_tokens") or self.max_tokens,
            temperature=self._or(given, "temperature"),
            top_p=self._or(given, "top_p"),
            seed=self._or(given, "seed"),
            stop=tuple(self.stop or ()) if stop is None else tuple(stop),
            timeout=self._or(given, "timeout"),
        )

    def _or(self, given: Mapping[str, Any], name: str) -> Any:
        return given[name] if given.get(name) is not None else getattr(self, name)

    def _resolve_model_profile(self) -> ModelProfile | None:
        return ModelProfile(
            name=self.model,
            open_weights=True,
            text_inputs=True,
            image_inputs=True,
            image_url_inputs=False,
            pdf_inputs=False,
            audio_inputs=False,
            video_inputs=False,
            image_tool_message=True,
            pdf_tool_message=False,
            text_outputs=True,
            image_outputs=False,
            audio_outputs=False,
            video_outputs=False,
            reasoning_output=False,
            tool_calling=True,
            tool_choice=True,
            structured_output=True,
        )
