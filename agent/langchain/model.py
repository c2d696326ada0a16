"""``ChatLookTwice``: a local vision-language model as LangChain's chat model."""

from __future__ import annotations

import threading
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field, PrivateAttr

from ...memory import Memory
from ...memory.parts import ToolSpec, Turn
from ...tools import Tool, find_tools
from .. import budget
from ..backends import Backend, Settings, Token
from ..follow import afollowed
from ..functions import answer_function, as_choice, as_spec
from ..prompt import Message, Prompt, Words
from .album import Album, open_memory
from .errors import InvalidMessages, translated
from .messages import turns_in, turns_of
from .profile import profile_of
from .replies import Reply
from .run import Run
from .shared import shared_backend
from .sheet import Sheet
from .specs import as_dict

__all__ = ["ChatLookTwice"]

_LOOKING = ("zoom", "ocr")


class ChatLookTwice(BaseChatModel):
    """A LLaVA checkpoint on this machine that reads pictures where they stand in the messages.

    ``model`` is "pocket", a folder or a hub name whose weights are here; all instances of one share its weights.
    ``looks`` lets it zoom or read again by itself, up to so many times, when no tools are bound. ``memory`` (a `Memory`
    or a path) is where pictures are kept, once by hash; without one they are kept as long as this process lives. A name
    means a picture of the same list of messages; as a ``file_id`` it may also name one of ``conversation``, so whoever
    may write messages may see all pictures of that (by default one of this instance's own, or "langchain" in a memory
    that is given). ``timeout`` is in seconds; an answer that it ends is given as far as it came, with ``finish_reason``
    "timeout". ``max_retries`` is taken for the sake of code that sets it: a local model doesn't fail by chance. None
    for any setting is its default.

    A call raises LangChain's ModelInvalidRequestError (also a ValueError), ContextOverflowError, ModelNotFoundError or
    another ModelError; making an instance raises pydantic's ValidationError (a ValueError).
    """

    model: str = "pocket"
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: list[str] | None = None
    timeout: float | None = None
    max_retries: int | None = None
    looks: int = Field(default=0, ge=0)
    streaming: bool = False
    memory: Any = Field(default=None, exclude=True, repr=False)
    conversation: str | None = None
    device: str | None = None
    dtype: str | None = None
    quantize: str | None = None
    backend: Any = Field(default=None, exclude=True, repr=False)
    """Another `Backend`, such as a script for tests; by default the checkpoint's own."""
    # What is opened when it is needed, with what it was opened for: fields may change, or be copied, after that.
    _album: tuple[Any, Album] | None = PrivateAttr(default=None)
    _engines: dict[Any, Backend] = PrivateAttr(default_factory=dict[Any, Backend])
    _own_conversation: str = PrivateAttr(default_factory=lambda: f"langchain-{uuid.uuid4().hex[:12]}")

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
        """Where the pictures of messages are kept, and found again by a ``file_id``."""
        conversation = self.conversation or (self._own_conversation if self.memory is None else "langchain")
        wanted = (self.memory, conversation)
        with _guard:
            if self._album is None or self._album[0] != wanted:
                with translated():
                    self._album = (wanted, Album(open_memory(self.memory), conversation))
            return self._album[1]

    @property
    def engine(self) -> Backend:
        """What answers; shared with all instances of the same checkpoint. Raises ModelNotFoundError."""
        return self._engine(self.model)

    def _engine(self, model: str) -> Backend:
        if self.backend is not None and model == self.model:
            return self.backend
        wanted = (model, self.device, self.dtype, self.quantize)
        with _guard:
            if wanted not in self._engines:
                with translated():
                    made = shared_backend(model, device=self.device, dtype=self.dtype, quantize=self.quantize)
                self._engines[wanted] = made
            return self._engines[wanted]

    def __getstate__(self) -> dict[Any, Any]:
        """Settings alone: what was opened is opened again where it is needed."""
        state = super().__getstate__()
        private: dict[str, Any] = {"_album": None, "_engines": {}, "_own_conversation": self._own_conversation}
        return state | {"__pydantic_private__": private}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> ChatLookTwice:
        """A copy that shares weights and memory."""
        return self.model_copy()

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
        with translated():
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
            sheet = Sheet(self.album)
            specs = self._offered([as_dict(tool) for tool in tools or ()])[0]
            run = Run(self.engine, sheet, _counted(messages, sheet), specs)
            return sum(row.tokens for row in self.engine.rows(run.prompt()))

    def get_token_ids(self, text: str) -> list[int]:
        """The tokens of a text. Raises NotImplementedError for a backend without a tokenizer of its own."""
        checkpoint = getattr(self.engine, "checkpoint", None)
        if checkpoint is None:
            raise NotImplementedError(
                f"the backend {self.engine.model!r} tells no token ids; count with get_num_tokens"
            )
        return list(checkpoint.encoder.encode_run(text, first=True))

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

    def _afollow(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any], reply: Reply
    ) -> AsyncGenerator[Token]:
        """Tokens without blocking the event loop; a task that is cancelled ends the answer within one token."""
        cancel = threading.Event()

        def run(tell: Callable[[Token], object]) -> None:
            with translated():
                for token in self._run(messages, stop, kwargs, reply, cancel).steps():
                    tell(token)

        return afollowed(run, cancel)

    def _run(
        self,
        messages: Sequence[BaseMessage],
        stop: list[str] | None,
        kwargs: Mapping[str, Any],
        reply: Reply,
        cancel: threading.Event | None = None,
    ) -> Run:
        """One call of the model, ready to go."""
        plain = [as_dict(tool) for tool in kwargs.get("tools") or ()]
        choice = as_choice(kwargs.get("tool_choice"), plain)
        form = answer_function(kwargs.get("response_format"))
        if form is not None:  # the model answers by calling it, or calls another tool first
            plain = [*plain, form]
            reply.answer_tool = name = str(form["function"]["name"])
            choice = name if len(plain) == 1 else "any"
        settings = self._settings(stop, **kwargs)
        if settings.stop and choice not in ("auto", "none"):
            raise InvalidMessages(
                f"stop {list(settings.stop)!r} can't be used with tool_choice {choice!r}: it could cut the call; "
                "leave one of them out"
            )
        engine = self._engine(kwargs.get("model") or self.model)
        reply.model = engine.model
        sheet = Sheet(self.album)
        specs, own = self._offered(plain)
        run = Run(
            engine,
            sheet,
            turns_of(messages, sheet),
            specs,
            choice=choice,
            settings=settings,
            own=own,
            looks=self.looks if own else 0,
            reply=reply,
            cancel=cancel or threading.Event(),
        )
        offer = run.offer()
        if choice not in ("auto", "none") and (offer is None or not offer.is_open):
            raise InvalidMessages(
                f"tool_choice {choice!r} can't be met: "
                + ("the messages hold no picture to call it on" if specs else "no tools are bound")
            )
        budget.require_fit(engine.rows(run.prompt()), engine.context, settings.max_new_tokens)
        return run

    def _offered(self, plain: Sequence[Mapping[str, Any]]) -> tuple[list[ToolSpec], list[Tool]]:
        """The tools on offer, and those of them that the model uses by itself."""
        own = find_tools(_LOOKING) if self.looks and not plain else list[Tool]()
        return [as_spec(tool) for tool in plain] or [tool.spec for tool in own], own

    def _settings(self, stop: list[str] | str | None, **given: Any) -> Settings:
        """How to generate: what a call gives, else this model's own settings, else the defaults."""
        names = {"max_tokens": "max_new_tokens", **{name: name for name in ("temperature", "top_p", "seed", "timeout")}}
        chosen = {
            ours: value
            for theirs, ours in names.items()
            if (value := given[theirs] if given.get(theirs) is not None else getattr(self, theirs)) is not None
        }
        words = next((words for words in (stop, given.get("stop"), self.stop) if words is not None), ())
        return Settings.of(**chosen, stop=words)

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """What a cached answer belongs to: its pictures' names mean something in one memory alone."""
        where = f"{self.album.memory.path} {id(self.album.memory)} {self.album.conversation.name}"
        return f"{super()._get_llm_string(stop, **kwargs)} {where} {id(self.backend) if self.backend else ''}"

    def _resolve_model_profile(self) -> ModelProfile | None:
        return profile_of(self.model)


def _counted(messages: Sequence[BaseMessage], sheet: Sheet) -> list[Turn]:
    """The turns of messages that may be a part of a dialogue, in any order: LangChain counts such while it trims."""
    try:
        return turns_of(messages, sheet)
    except InvalidMessages:
        return [turn for message in messages for turn in turns_in(message, sheet)]


_guard = threading.Lock()
