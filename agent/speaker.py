"""One step of the model: compose, offer calls, generate, and read what came, all through the hooks.

What is being said is saved every second; what a person hears is words alone, never a call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..errors import ModelError, PromptTooLong
from ..memory import fold
from ..memory.parts import ToolCallPart, Turn
from ..tools import Tool
from .answer import Budgeted, Usage
from .backends.backend import Backend, Done, Row, Token
from .budget import Fitted, Fitter, Tiers
from .budget.notices import changes
from .budget.summary import summary
from .calls import OPEN, Malformed, Offer, read
from .events import Emit, Notice, Text
from .follow import unheard
from .hooks import Cancel, Hooks, ModelRequest
from .journal import Journal
from .prompt import Place, Prompt, Style
from .speech import Speech
from .strategy import about, alone
from .toolbox import Toolbox

SAVE_EVERY = 1.0  # seconds between two savings of an answer that is still being written


@dataclass(frozen=True, slots=True)
class Said:
    """What the model said: words, and the call at their end if there is one.

    ``tools`` were on offer; ``reason`` is why a hook ended the step, if one did. ``tokens`` are those of the words, if
    the words are what the model wrote in this step.
    """

    done: Done
    words: str
    call: ToolCallPart | Malformed | None = None
    tools: tuple[Tool, ...] = ()
    reason: str = ""
    tokens: tuple[Token, ...] = ()


class Speaker:
    """The model of one ask."""

    def __init__(
        self,
        backend: Backend,
        hooks: Hooks,
        journal: Journal,
        toolbox: Toolbox,
        fitter: Fitter,
        *,
        tiers: Tiers,
        emit: Emit,
        cancel: threading.Event,
    ) -> None:
        self._backend = backend
        self._hooks = hooks
        self._journal = journal
        self._toolbox = toolbox
        self._fitter = fitter
        self._tiers = tiers
        self._emit = emit
        self._cancel = cancel
        self._before: Turn | None = None  # the partial answer that goes on
        self._request: ModelRequest | None = None
        self._done: Done | None = None
        self._tokens: list[Token] = []
        self._aside = False
        self.prompt: Prompt | None = None
        """What the model was last asked."""

    def go_on(self, partial: Turn) -> None:
        """Let the next step go on with an answer that broke off; an empty one is begun anew."""
        self._before = partial if partial.text else None

    @property
    def style(self) -> Style:
        """What the model expects of a prompt."""
        return self._backend.style

    def show_alone(self, turns: Sequence[Turn], name: str | None) -> None:
        """Show one picture of the branch from here on, or none; the others stand there by name."""
        self._tiers = alone(turns, self._toolbox.images(), self._tiers, name, why="asked about one by one")

    def aside(self, request: ModelRequest, name: str) -> str:
        """What the model says of one picture alone: not heard by anyone, and not kept by itself."""
        before, self._aside = self._tiers, True
        self.show_alone(request.turns, name)
        try:
            turns = tuple(about(request.turns, name))
            return " ".join(self.say(request.replace(turns=turns, tools=(), tool_choice="none")).words.split())
        finally:
            self._tiers, self._aside = before, False

    def too_long(self, turns: Sequence[Turn], max_new_tokens: int) -> str | None:
        """Why these turns can't be made to fit; None if they can."""
        try:
            self._fitter.require(self._fitted(turns, max_new_tokens), max_new_tokens)
        except PromptTooLong as error:
            return str(error)
        return None

    def seen(self, turns: Sequence[Turn]) -> list[Row]:
        """The pictures of the prompt as it was shown, in order."""
        return [row for row in self._fitter.composed(turns, self._toolbox.images(), self._tiers).rows if row.image]

    def budget(self, turns: Sequence[Turn]) -> tuple[Budgeted, ...]:
        """Every picture of the branch as it stood in the prompt."""
        images = self._toolbox.images()
        return tuple(self._fitter.budget(self._fitter.composed(turns, images, self._tiers), turns, images))

    @property
    def tiers(self) -> Tiers:
        """What the last prompt showed."""
        return self._tiers

    def say(self, request: ModelRequest) -> Said:
        """One step. A hook's ``Cancel`` ends it with what was said so far."""
        self._request, self._done, self._tokens = request, None, []
        try:
            done = self._hooks.model(request, self._generate)
        except Cancel as cancel:
            return self._stopped(str(cancel))
        if self._done is not None and done.text != self._done.text:  # a hook's words: the model's ids say others
            done = replace(done, ids=None, tokenizer=None)
        self._before = None
        is_known = self._done is None or bool(self._done.logprobs)  # without them nothing is said of how sure it was
        return replace(self._read(done), tokens=tuple(self._tokens) if is_known else ())

    def _read(self, done: Done) -> Said:
        request = self._request
        tools = request.tools if request is not None and request.tool_choice != "none" else ()
        if done.finish in ("cancelled", "timeout"):
            words, tag, _ = done.text.partition(OPEN) if tools else (done.text, "", "")
            return Said(replace(done, text=words, ids=None, tokenizer=None) if tag else done, words)
        if not tools:
            return Said(done, done.text.strip())
        taken = read(done.text)
        if done.finish == "length" and isinstance(taken.call, Malformed):
            limit = request.settings.max_new_tokens if request else 0
            return Said(done, taken.words, Malformed(f"the call was cut at max_new_tokens={limit}"), tools)
        return Said(done, taken.words, taken.call, tools)

    def _stopped(self, reason: str) -> Said:
        kept = self._before or self._journal.open
        ids = tuple(kept.tokens) if kept and kept.tokens else None
        done = Done(kept.text if kept else "", "cancelled", Usage(), ids, kept.tokenizer if kept and ids else None)
        return Said(done, done.text, reason=reason)

    def _generate(self, request: ModelRequest) -> Done:
        """The handler at the innermost of the hooks; they may call it with another request, and more than once."""
        self._request = request
        self.prompt = prompt = self._fit(request).prompt
        self._journal.passed()
        offer = self._offer(request)
        hide = offer is not None and offer.is_open
        speech, emit = Speech(hide_calls=hide), unheard if self._aside else self._emit
        stream = self._backend.generate(
            prompt,
            request.settings,
            pixels=self._journal.memory.pictures.pixels,
            offer=offer,
            cancel=self._cancel,
        )
        said, saved, self._tokens = self._before.text if self._before else "", time.monotonic(), []
        try:
            for item in stream:
                if isinstance(item, Done):
                    _speak(speech.end(), emit)
                    self._journal.usage += item.usage
                    self._tell(item.notices)
                    self._done = _joined(self._before, item)
                    return self._done
                self._journal.first_word()
                said += item.text
                self._tokens.append(item)
                _speak(speech.say(item), emit)
                if time.monotonic() - saved > SAVE_EVERY:
                    self._save(said, hide)
                    saved = time.monotonic()
            raise ModelError(f"the backend {self._backend.model!r} ended without a Done; its generate must yield one")
        except BaseException:
            self._save(said, hide)
            raise
        finally:
            stream.close()

    def _tell(self, notices: Iterable[str]) -> None:
        for told in notices:
            self._journal.notices.append(told)
            self._emit(Notice(told))

    def _fit(self, request: ModelRequest) -> Fitted:
        """The prompt of a request; what it shows less of than the last one did is told."""
        room, before = request.settings.max_new_tokens, self._tiers
        fitted = self._fitter.require(self._fitted(request.turns, room), room)
        if self._fitter.limits.old_turns == "summarize" and fitted.tiers.left_out != before.left_out:
            self._tiers = summary(self._backend, fitted.tiers, before, request.turns, self._cancel)
            fitted = self._fitter.require(self._fitted(request.turns, room), room)
        self._tiers = fitted.tiers
        is_told = not self._aside and self._tiers != before
        self._tell(changes(before, self._tiers, self._names(request.turns)) if is_told else ())
        return fitted

    def _fitted(self, turns: Sequence[Turn], max_new_tokens: int) -> Fitted:
        branch = [*turns, self._before] if self._before else turns
        images, is_open = self._toolbox.images(), self._before is not None
        return self._fitter.fit(branch, images, self._tiers, max_new_tokens=max_new_tokens, open_answer=is_open)

    def _names(self, turns: Sequence[Turn]) -> dict[Place, str]:
        return {(turn.id, fold(name)): name for turn in turns for name in turn.images}

    def _save(self, said: str, hide: bool) -> None:
        if self._aside:
            return
        self._journal.save(said.partition(OPEN)[0] if hide else said)

    def _offer(self, request: ModelRequest) -> Offer | None:
        if not request.tools:
            return None
        names = tuple(p.name for p in self._toolbox.images().values() if not p.forgotten)
        return Offer(tuple(tool.spec for tool in request.tools), names, request.tool_choice)


def _speak(tokens: Iterable[Token], emit: Emit) -> None:
    for token in tokens:
        if token.text:
            emit(Text(token.text, token.logprob))


def _joined(before: Turn | None, done: Done) -> Done:
    """The whole answer, where this one went on from a partial one."""
    if before is None:
        return done
    ids = before.tokens if before.tokenizer == done.tokenizer else None
    joined = (*ids, *done.ids) if ids and done.ids else None
    return replace(done, text=before.text + done.text, ids=joined, tokenizer=done.tokenizer if joined else None)
