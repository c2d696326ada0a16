"""The loop: the model, a call, its result, the model again, until it answers in words."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import LookTwiceError
from ..memory import Conversation, Memory, fold
from ..memory.parts import TextPart, ToolCallPart, Turn
from ..tools import Tool, ToolResult
from . import budget
from .answer import Answer, SeenImage, Usage
from .backends.backend import Backend, Done, Settings
from .calls import Malformed, Offer, Read, read
from .events import Answered, Called, Emit, Notice, Paused, Returned
from .hooks import Cancel, Hooks, ModelRequest, Pause
from .journal import Journal, result_turn, seen_image
from .prompt import Prompt, compose
from .speech import Speech
from .toolbox import Toolbox

SAVE_EVERY = 1.0  # seconds between two savings of an answer that is still being written
_KEPT_SETTINGS = ("max_new_tokens", "temperature", "top_p", "seed", "timeout")


@dataclass(frozen=True, slots=True)
class Plan:
    """What an ask may do. ``looks`` are the calls left, ``choice`` whether one is wanted, or which."""

    looks: int
    tools: tuple[Tool, ...]
    settings: Settings
    choice: str = "auto"

    def to_json(self) -> dict[str, Any]:
        """What another process needs to go on after a pause."""
        settings = {name: getattr(self.settings, name) for name in _KEPT_SETTINGS}
        return {"looks": self.looks, "tools": [tool.name for tool in self.tools], "settings": settings}


class Ask:
    """One question on its way to an answer."""

    def __init__(
        self,
        memory: Memory,
        conversation: Conversation,
        backend: Backend,
        hooks: Hooks,
        plan: Plan,
        *,
        turns: Sequence[Turn],
        emit: Emit,
        cancel: threading.Event,
    ) -> None:
        """``turns`` is the branch up to what is to be answered; ``emit`` hears what happens; ``cancel`` ends it."""
        self.backend = backend
        self.hooks = hooks
        self.plan = plan
        self.journal = Journal(memory, conversation, backend.model, turns)
        self._emit = emit
        self._cancel = cancel
        self._left = plan.looks
        self._over = False
        self._results: dict[str, tuple[ToolResult, tuple[str, ...]]] = {}
        self._toolbox = Toolbox(memory, conversation, plan.tools, hooks)

    def answer(self) -> Answer:
        """Model, call, tool, model again, at most ``looks`` times; the last step always answers in words."""
        while True:
            done, taken = self._step()
            if taken.call is None:
                return self._finish(done, taken.words)
            turn = self._keep_call(done, taken)
            try:
                self.look(taken.call, turn)
            except Pause as pause:
                return self._pause(turn, str(pause), done, taken)

    def go_on(self) -> Answer:
        """Go on with the partial answer at the end of the branch, word for word where it broke off."""
        self.journal.reopen()
        return self.answer()

    def look(self, call: ToolCallPart | Malformed, turn: Turn, *, approved: bool = False) -> None:
        """Run the call that ``turn`` holds and keep its result. Raises Pause when it needs an approval first."""
        self._left -= 1
        if isinstance(call, Malformed):
            self._keep_result(ToolCallPart("", "?", {}), ToolResult(text=call.why, error=True))
            return
        self._emit(Called(call))
        began = time.monotonic()
        same = json.dumps([call.tool, dict(call.arguments)], sort_keys=True)
        if same in self._results:  # asked the same again: the earlier result, and no more looking
            self._over = True
        else:
            result = self._toolbox.run(call, self.journal.looks, approved=approved, seconds=self._seconds_left())
            self._results[same] = self._registered(call, result, turn)
        self._keep_result(call, *self._results[same], seconds=time.monotonic() - began)

    def _registered(self, call: ToolCallPart, result: ToolResult, turn: Turn) -> tuple[ToolResult, tuple[str, ...]]:
        """A result with the names of its pictures; one that can't be kept is told to the model, like any failure."""
        try:
            return result, self._toolbox.register(call, result, turn)
        except LookTwiceError as error:
            return ToolResult.failed(f"what {call.tool} brought can't be kept: {error}"), ()

    def refused(self, call: ToolCallPart, note: str) -> None:
        """Tell the model that a person did not approve its call."""
        told = f"the call was not approved{': ' + note if note else ''}"
        self._keep_result(call, ToolResult(text=told, error=True))

    def unknown_outcome(self, call: ToolCallPart) -> None:
        """Tell the model that a call was interrupted; it is not run again, as it may have acted."""
        told = f"{call.tool} was interrupted; it is not known whether it ran"
        self._keep_result(call, ToolResult(text=told, error=True))

    def prompt(self, turns: Sequence[Turn]) -> Prompt:
        """The prompt of these turns, with the partial answer that goes on, if there is one."""
        partial = self.journal.open
        branch = [*turns, partial] if partial else turns
        return compose(branch, self._toolbox.images(), style=self.backend.style, open_answer=partial is not None)

    def _step(self) -> tuple[Done, Read]:
        """One answer of the model, through the hooks, read for a call."""
        left = self._seconds_left()
        last = self._left <= 0 or self._over or (left is not None and left <= 0)
        choice = "none" if last else "auto" if self.journal.looks else self.plan.choice
        turns, settings = tuple(self.journal.turns), self.plan.settings
        name = self.journal.conversation.name
        request = ModelRequest(name, turns, self.plan.tools, settings, 0 if last else self._left, choice)
        try:
            done = self.hooks.model(request, self._generate)
        except Cancel as cancel:
            done = Done(str(cancel), "cancelled", Usage())
        self.journal.usage += done.usage
        calls = bool(request.tools) and request.tool_choice != "none"
        if done.finish in ("cancelled", "timeout"):
            return done, Read(done.text)  # to go on from, to the letter
        return done, read(done.text) if calls else Read(done.text.strip())

    def _generate(self, request: ModelRequest) -> Done:
        prompt = self.prompt(request.turns)
        budget.require_fit(self.backend.rows(prompt), self.backend.context, request.settings.max_new_tokens)
        offer = self._offer(request)
        left = self._seconds_left()
        stream = self.backend.generate(
            prompt,
            replace(request.settings, timeout=None if left is None else max(left, 0.001)),
            pixels=self.journal.memory.pictures.pixels,
            offer=offer,
            cancel=self._cancel,
        )
        speech = Speech(self._emit, hide_calls=offer is not None and offer.is_open)
        before = self.journal.open
        said, saved = before.text if before else "", time.monotonic()
        try:
            for item in stream:
                if isinstance(item, Done):
                    speech.end()
                    return _joined(before, item)
                self.journal.first_word()
                said += item.text
                speech.say(item)
                if time.monotonic() - saved > SAVE_EVERY:
                    self.journal.save(said)
                    saved = time.monotonic()
        except BaseException:
            self.journal.save(said)
            raise
        finally:
            stream.close()
        raise RuntimeError(f"the backend {self.backend.model!r} ended without Done")

    def _offer(self, request: ModelRequest) -> Offer | None:
        if not request.tools:
            return None
        names = tuple(p.name for p in self._toolbox.images().values() if not p.forgotten)
        return Offer(tuple(tool.spec for tool in request.tools), names, request.tool_choice)

    def _keep_call(self, done: Done, taken: Read) -> Turn:
        if isinstance(taken.call, ToolCallPart):
            words = [TextPart(taken.words)] if taken.words else []
            return self.journal.said(done, [*words, taken.call])
        return self.journal.said(done, [TextPart(done.text)])

    def _keep_result(
        self, call: ToolCallPart, result: ToolResult, images: tuple[str, ...] = (), *, seconds: float = 0.0
    ) -> None:
        turn = result_turn(call, result, images)
        if images and not self._fits(turn):
            told = "There is no room left to show the picture; answer from what you have seen."
            turn = result_turn(call, replace(result, text=f"{result.text}\n{told}".strip()), ())
            self._notice(f"{', '.join(images)} could not be shown: the model's context is full")
            self._over = True
        look = self.journal.looked(call, turn, seconds)
        self._emit(Returned(call, look.text, look.images, look.error, look.seconds))

    def _fits(self, turn: Turn) -> bool:
        rows = self.backend.rows(self.prompt([*self.journal.turns, turn]))
        return budget.fits(rows, self.backend.context, self.plan.settings.max_new_tokens)

    def _finish(self, done: Done, words: str) -> Answer:
        if done.finish == "length":
            self._notice(
                f"the answer was cut at max_new_tokens={self.plan.settings.max_new_tokens}; give more, or go on"
            )
        if not words and done.finish == "stop":
            self._notice("the model gave no words; ask in another way")
        answer = self.hooks.after_agent(self.journal.answer(done, words, done.finish, self._seen()))
        answer = self.journal.finish(done, answer)
        if self.journal.memory.conversations.get(self.journal.conversation).head != answer.turn:
            self._notice(f"the conversation went on elsewhere meanwhile; this answer is turn {answer.turn} beside it")
            answer = replace(answer, notices=tuple(self.journal.notices))
        self._emit(Answered(answer))
        return answer

    def _pause(self, turn: Turn, reason: str, done: Done, taken: Read) -> Answer:
        assert isinstance(taken.call, ToolCallPart)
        memory, plan = self.journal.memory, replace(self.plan, looks=self._left + 1)  # the call is still to come
        with memory.atomic():
            memory.turns.update(turn.id, status="paused")
            approval = memory.approvals.ask(
                self.journal.conversation, turn.id, taken.call, reason=reason, state=plan.to_json()
            )
        self._notice(f"{taken.call.tool} waits for an approval: looktwice approve {approval.id}")
        self._emit(Paused(approval))
        answer = replace(self.journal.answer(done, taken.words, "paused", self._seen()), turn=turn.id)
        self._emit(Answered(answer))
        return answer

    def _seen(self) -> list[SeenImage]:
        """What stands in the prompt as pictures, each once."""
        images = self._toolbox.images()
        shown = {fold(row.image): row for row in self.backend.rows(self.prompt(self.journal.turns)) if row.image}
        return [seen_image(self.journal.memory, images[name], row) for name, row in shown.items()]

    def _notice(self, text: str) -> None:
        self.journal.notices.append(text)
        self._emit(Notice(text))

    def _seconds_left(self) -> float | None:
        whole = self.plan.settings.timeout
        return None if whole is None else whole - self.journal.seconds


def _joined(before: Turn | None, done: Done) -> Done:
    """The whole answer, where this one went on from a partial one."""
    if before is None or not before.text:
        return done
    ids = before.tokens if before.tokenizer == done.tokenizer else None
    joined = (*ids, *done.ids) if ids and done.ids else None
    return replace(done, text=before.text + done.text, ids=joined)
