"""The agent: a model, a memory, tools and hooks, for any number of conversations and threads."""

from __future__ import annotations

import copy
import os
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ..errors import InvalidInput, StoreError
from ..memory import Conversation, Memory
from .backends import Backend, Decoding, open_model
from .budget import Costs, Limits, OldTurns, Policy, least_recent_first
from .chat import Chat
from .checks.reader import Reader
from .hooks import Hook, Hooks
from .strategy import Strategy, checked
from .toolbox import ToolLike, offered
from .trigger import UNCALIBRATED, Calibration

if TYPE_CHECKING:
    from .langchain.runnable import AskRunnable


@dataclass(slots=True)
class _Turn:
    """Whose turn it is to ask in a conversation: the thread that is being answered, and how many are here or wait."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    owner: int | None = None
    present: int = 0


class Agent:
    """Answers questions about named pictures, and may look again before it does.

    ``model`` is "pocket" (ships with the package), the folder of a saved checkpoint, a hub name whose weights are on
    this machine, "openai:NAME" for a model behind the server at ``base_url``, or a `Backend`. ``memory`` is a path,
    ``":memory:"``, a `Memory`, or None for ``LOOKTWICE_DB`` or the user's data directory. ``tools`` are names ("zoom",
    "ocr"), `Tool` objects or plain functions, or LangChain's tools; without any, a conversation keeps those that it was
    last asked with, and ``()`` takes them back.
    ``looks`` is how often it may call one before it must answer. ``check`` holds what an answer claims against the text
    in its pictures (quoted texts, codes, amounts, dates, times): always, never, or where the tool "ocr" is on offer
    (None); what fails is hedged in the language ``lang`` ("en", "de", "fr", "es"). ``look_again`` follows a doubtful
    answer with a zoom and a second answer: always, never, or where the tool "zoom" is on offer (None).
    ``strategy`` is how a question about several pictures is put: "interleave" shows them all where they stand, "each"
    asks it of each picture alone and answers from what was said, "sheet" shows them on one picture; "auto" asks one by
    one where the question is about several and the checkpoint was trained on one picture at a time.
    ``budget`` is how many tokens all pictures of a prompt may take (None: what the model's context leaves); ``policy``
    decides what is shown with less detail where they take more. ``old_turns`` says what happens when there are too many
    words: "keep" refuses the question, "drop" leaves the oldest turns out of the prompt, "summarize" has the model sum
    them up first.
    ``system`` are your standing instructions. ``device``, ``dtype``, ``quantize`` and ``decoding`` are for checkpoints;
    ``chat_format`` names a family where it can't be recognised, ``cache`` a folder where what they computed lasts
    (it holds what pictures and words were turned into). Weights are loaded at the first question, or never if
    none is asked.
    """

    def __init__(
        self,
        model: str | Backend = "pocket",
        *,
        memory: str | os.PathLike[str] | Memory | None = None,
        tools: Iterable[ToolLike] | None = None,
        hooks: Iterable[Hook] = (),
        looks: int = 3,
        check: bool | None = None,
        look_again: bool | None = None,
        lang: str = "en",
        strategy: Strategy = "auto",
        budget: int | None = None,
        policy: Policy = least_recent_first,
        old_turns: OldTurns = "keep",
        system: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        quantize: str | None = None,
        decoding: Decoding | None = None,
        chat_format: str | None = None,
        cache: str | os.PathLike[str] | None = None,
        base_url: str | None = None,
    ) -> None:
        if looks < 0:
            raise InvalidInput(f"looks {looks!r} can't be used; give 0 or more")
        self.tools = None if tools is None else offered(tools)
        self.hooks = Hooks(tuple(hooks))
        self.looks = looks
        self.check = check
        self.look_again = look_again
        self.lang = lang
        self.strategy = checked(strategy)
        self.limits = Limits(budget, policy, old_turns)
        self.reader = Reader()
        self.system = system
        self._named = model if isinstance(model, str) else None
        self._options: dict[str, Any] = {"device": device, "dtype": dtype, "quantize": quantize, "decoding": decoding}
        self._options |= {"chat_format": chat_format, "cache": cache, "base_url": base_url}
        self._backend = None if isinstance(model, str) else model
        self._costs: Costs | None = None
        self._own_memory = not isinstance(memory, Memory)
        self.memory = memory if isinstance(memory, Memory) else Memory(memory)
        self._guard = threading.Lock()
        self._turns: dict[int, _Turn] = {}

    @property
    def backend(self) -> Backend:
        """What answers; opened when it is first needed. Raises ModelError if it can't be."""
        with self._guard:
            if self._backend is None:
                assert self._named is not None
                self._backend = open_model(self._named, **self._options)
            return self._backend

    @property
    def costs(self) -> Costs:
        """What counts pictures for the backend."""
        backend = self.backend
        with self._guard:
            if self._costs is None:
                self._costs = Costs(backend)
            return self._costs

    def calibration(self) -> Calibration:
        """When an answer of this model is doubtful: as measured here, as the checkpoint says, or by default."""
        stored = self.memory.calibrations.get(self.backend.model)
        if stored is None:
            return getattr(self.backend, "calibration", None) or UNCALIBRATED
        try:
            return Calibration.model_validate(stored)
        except ValidationError as error:
            told = f"the calibration of {self.backend.model!r} can't be used; make it again: looktwice calibrate"
            raise StoreError(told) from error

    def chat(self, name: str | None = None) -> Chat:
        """The conversation of that name, created or resumed with all its pictures; without one, a new one."""
        if name is not None:
            return Chat(self, self.memory.conversations.open(name))
        stem = time.strftime("chat-%Y%m%d-%H%M%S")
        with self.memory.atomic():
            taken = {conversation.name for conversation in self.memory.conversations.list()}
            free = next(n for n in (stem, *(f"{stem}-{i}" for i in range(2, len(taken) + 3))) if n not in taken)
            return Chat(self, self.memory.conversations.create(free))

    def with_memory(self, memory: Memory) -> Agent:
        """The same agent over another memory, which stays its owner's; the model is shared."""
        other = copy.copy(self)
        other._backend, other._own_memory, other.memory = self.backend, False, memory
        other._guard, other._turns = threading.Lock(), {}
        return other

    def uncompute(self, keys: Iterable[str]) -> None:
        """Drop what the model has computed from the pictures with these keys, wherever that is kept for reuse."""
        opened = self._backend if self._options["cache"] is None else self.backend
        forget = getattr(opened, "forget", None)
        if forget is not None:
            forget(keys)

    def as_runnable(self, *, chat: str | None = None) -> AskRunnable:
        """The agent as a Runnable of LangChain's: ``{"images": ..., "question": ...}`` -> Answer."""
        from .langchain.runnable import as_runnable

        return as_runnable(self, chat=chat)

    @contextmanager
    def turn_of(self, conversation: Conversation) -> Generator[None]:
        """Lets one ask at a time into a conversation. Raises InvalidInput for one that would wait for itself."""
        with self._guard:
            turn = self._turns.setdefault(conversation.id, _Turn())
            if turn.owner == threading.get_ident():
                told = "is being answered; a hook can't ask in it, but in a fork of it"
                raise InvalidInput(f"{conversation.name!r} {told}")
            turn.present += 1
        try:
            with turn.lock:
                turn.owner = threading.get_ident()
                try:
                    yield
                finally:
                    turn.owner = None
        finally:
            with self._guard:
                turn.present -= 1
                if not turn.present:  # or there would be a lock for every conversation that was ever asked in
                    del self._turns[conversation.id]

    def close(self) -> None:
        """Give the weights back, and the memory if this agent opened it."""
        if self._backend is not None:
            self._backend.close()
        if self._own_memory:
            self.memory.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
