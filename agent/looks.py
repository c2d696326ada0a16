"""The loop: the model, a call, its result, the model again, until it answers in words."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import LookTwiceError
from ..memory import Conversation, Memory, NamedPicture, fold
from ..memory.parts import Part, TextPart, ToolCallPart, ToolResultPart, Turn
from ..tools import Tool, ToolResult
from .answer import Answer, Look, SeenImage, Usage
from .apart import put_apart
from .backends.backend import Backend, Done, Settings
from .budget import Fitter, Tiers
from .calls import Malformed
from .checks.addressed import is_addressed
from .checks.checker import Checker
from .checks.counting import Counter, with_counts
from .checks.reader import Reader
from .events import Answered, Called, Checked, Emit, Notice, Paused, Returned
from .hooks import Cancel, Hooks, ModelRequest, Pause
from .journal import Journal, result_turn, seen_image, since_question
from .second_look import Again, SecondLook, Standing
from .sight import Sight
from .speaker import Said, Speaker
from .strategy import STRATEGIES, Strategy
from .toolbox import Toolbox
from .trigger import Calibration
from .where import Where

_CUT = " (cut: the context is full)"
_KEPT_SETTINGS = ("max_new_tokens", "temperature", "top_p", "seed", "stop", "timeout")


@dataclass(frozen=True, slots=True)
class Plan:
    """What an ask may do. ``looks`` are the calls left, ``choice`` whether one is wanted, or which.

    ``check``: hold the answer's claims against the pictures. ``look_again``: a doubtful answer brings a second
    look about, as ``calibration`` has it. ``strategy``: how a question about several pictures is put.
    """

    looks: int
    tools: tuple[Tool, ...]
    settings: Settings
    choice: str = "auto"
    check: bool = False
    look_again: bool = False
    calibration: Calibration | None = None
    strategy: Strategy = "auto"

    def to_json(self) -> dict[str, Any]:
        """What another process needs to go on after a pause."""
        settings = {name: getattr(self.settings, name) for name in _KEPT_SETTINGS}
        tools = [tool.name for tool in self.tools]
        return {
            "looks": self.looks,
            "tools": tools,
            "settings": settings,
            "check": self.check,
            "look_again": self.look_again,
        }


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
        images: Mapping[str, NamedPicture],
        tiers: Tiers,
        emit: Emit,
        cancel: threading.Event,
        reader: Reader,
        fitter: Fitter,
        lang: str = "en",
    ) -> None:
        """``turns`` is the branch up to what is to be answered; ``emit`` hears what happens; ``cancel`` ends it.

        ``images`` are the conversation's pictures by folded name, ``tiers`` how the last prompt showed them.

        ``reader`` reads pictures for checks; ``fitter`` makes prompts fit; ``lang`` is the language of hedges.
        """
        self.backend = backend
        self.hooks = hooks
        self.plan = plan
        self.journal = Journal(memory, conversation, backend.model, turns)
        self._emit = emit
        self._cancel = cancel
        self._left = plan.looks
        self._over = False
        self._results: dict[str, tuple[ToolResult, tuple[str, ...]]] = {}
        self._toolbox = Toolbox(memory, conversation, images, hooks, cancel)
        self._speaker = Speaker(
            backend, hooks, self.journal, self._toolbox, fitter, tiers=tiers, emit=emit, cancel=cancel
        )
        checker = Checker(memory, reader, self._toolbox.images, plan.tools, self._seconds_left)
        self._checker = checker if plan.check else None
        speaker, passed = self._speaker, self.journal.passed
        sight = Sight(backend, memory, lambda: speaker.prompt, passed=passed, notice=self._notice)
        where = Where(checker, sight, speaker, reads=plan.check)
        calibration = plan.calibration if plan.look_again else None
        self._second = SecondLook(self._checker, where, calibration, emit, self._notice)
        self._demanded = ""
        self._lang = lang

    def answer(self) -> Answer:
        """Model, call, tool, model again, at most ``looks`` times; the last step always answers in words."""
        if self.journal.turns[-1].role == "user":
            self._put_apart()
        while True:
            try:
                said = self._speaker.say(self._request())
            except LookTwiceError as error:
                if self._second.first is None:
                    raise
                return self._finish(self._second.give_up(str(error)))
            call, tools, done, parts = said.call, said.tools, said.done, _spoken(said)
            if call is None:
                judged = self._judged(said)
                if isinstance(judged, Standing):
                    return self._finish(judged)
                if judged.call is None:
                    continue
                call, tools, done, parts = judged.call, self.plan.tools, Done("", "stop", Usage()), [judged.call]
            turn = self.journal.said(done, parts)
            try:
                self.look(call, turn, tools)
            except Pause as pause:
                assert isinstance(call, ToolCallPart)
                if self._second.first is None or call.tool != "zoom":
                    return self._pause(turn, call, str(pause))
                self._keep_result(call, ToolResult.failed("it was not run: a hook wants an approval first"))
                return self._finish(self._second.give_up("a hook wants an approval for it"))

    def go_on(self) -> Answer:
        """Finish what the branch ends with: a question, a result, or an answer that goes on where it broke off."""
        self._recall()
        self._left = max(0, self._left - len(self.journal.looks))
        last = self.journal.turns[-1]
        if last.role == "assistant" and last.calls:
            told = f"{last.calls[0].tool} was interrupted; it is not known whether it ran"  # and may have acted
            self._keep_result(last.calls[0], ToolResult.failed(told))
        elif last.role == "assistant":
            self._speaker.go_on(self.journal.reopen())
        return self.answer()

    def decide(self, call: ToolCallPart, *, approved: bool, note: str) -> Answer:
        """Go on after a person's decision on the call that the branch ends with."""
        self._recall()
        turn = self.journal.turns[-1]
        if not approved:
            told = f"the call was not approved{': ' + note if note else ''}"
            self._keep_result(call, ToolResult.failed(told))
            return self.answer()
        try:
            self.look(call, turn, self.plan.tools, approved=True)
        except Pause as pause:
            return self._pause(turn, call, str(pause))
        return self.answer()

    def look(
        self, call: ToolCallPart | Malformed, turn: Turn, tools: Sequence[Tool], *, approved: bool = False
    ) -> None:
        """Run the call that ``turn`` holds and keep its result. Raises Pause when it needs an approval first."""
        if isinstance(call, Malformed):
            self._keep_result(ToolCallPart("", "?", {}), ToolResult(text=call.why, error=True))
            return
        self._emit(Called(call))
        began = time.monotonic()
        same = _same(call)
        if same in self._results:  # asked the same again: the earlier result, and no more looking
            self._over = True
        else:
            left = self._seconds_left()
            result = self._toolbox.run(call, tools, self.journal.looks, approved=approved, seconds=left)
            self._results[same] = self._registered(call, result, turn)
        self._keep_result(call, *self._results[same], seconds=time.monotonic() - began)

    def _put_apart(self) -> None:
        """Keep what the strategy has done before the first answer, if anything."""
        began = time.monotonic()
        apart = put_apart(
            self.plan.strategy, self._speaker, self.journal, self._toolbox, request=self._request, emit=self._emit
        )
        if apart is None:
            return
        call, result = apart
        turn = self.journal.said(Done("", "stop", Usage()), [call])
        self._left += 1  # it is no look of the model's own
        self._keep_result(call, *self._registered(call, result, turn), seconds=time.monotonic() - began)

    def _request(self) -> ModelRequest:
        left = self._seconds_left()
        last = self._left <= 0 or self._over or (left is not None and left <= 0)
        looked = any(look.tool not in STRATEGIES for look in self.journal.looks)
        choice = "auto" if looked else self.plan.choice
        choice, self._demanded = "none" if last else self._demanded or choice, ""
        settings = replace(self.plan.settings, timeout=None if left is None else max(left, 0.001))
        name, turns = self.journal.conversation.name, tuple(self.journal.turns)
        return ModelRequest(name, turns, self.plan.tools, settings, 0 if last else self._left, choice)

    def _recall(self) -> None:
        """The looks that this question has had already, in this process or another."""
        calls: dict[str, ToolCallPart] = {}
        for turn in since_question(self.journal.turns):
            calls |= {call.id: call for call in turn.calls}
            for part in turn.parts:
                if isinstance(part, ToolResultPart) and part.id in calls:
                    call = calls[part.id]
                    look = Look(call.tool, dict(call.arguments), part.text, turn.images, part.error)
                    self.journal.looks.append(look)
                    self._results[_same(call)] = (ToolResult(part.text, part.data, error=part.error), turn.images)

    def _registered(self, call: ToolCallPart, result: ToolResult, turn: Turn) -> tuple[ToolResult, tuple[str, ...]]:
        """A result with the names of its pictures; one that can't be kept is told to the model, like any failure."""
        try:
            return result, self._toolbox.register(call, result, turn)
        except LookTwiceError as error:
            return ToolResult.failed(f"what {call.tool} brought can't be kept: {error}"), ()

    def _keep_result(
        self, call: ToolCallPart, result: ToolResult, images: tuple[str, ...] = (), *, seconds: float = 0.0
    ) -> None:
        self._left -= 1
        turn = result_turn(call, result, images)
        why = self._too_long(turn)
        if images and why:
            told = "There is no room left to show the picture; answer from what you have seen."
            result, turn = self._shortened(call, replace(result, text=f"{told}\n{result.text}".strip()))
            self._notice(f"{', '.join(images)} could not be shown: {why}")
        elif why:
            result, turn = self._shortened(call, result)
            self._notice(f"what {call.tool} brought was cut: {why}")
        look = self.journal.looked(call, turn, seconds)
        self._emit(Returned(call, look.text, look.images, look.error, look.seconds))

    def _shortened(self, call: ToolCallPart, result: ToolResult) -> tuple[ToolResult, Turn]:
        """A result without pictures, its text halved until it fits; the model has to answer now."""
        self._over = True
        turn = result_turn(call, result, ())
        while result.text and self._too_long(turn):
            half = result.text.removesuffix(_CUT)[: len(result.text) // 2].rstrip()
            result = replace(result, text=f"{half}{_CUT}" if len(half) > len(_CUT) else "")
            turn = result_turn(call, result, ())
        return result, turn

    def _too_long(self, turn: Turn) -> str | None:
        return self._speaker.too_long([*self.journal.turns, turn], self.plan.settings.max_new_tokens)

    def _judged(self, said: Said) -> Standing | Again:
        """The answer that stands, or the second look that comes before it."""
        left = self._seconds_left()
        can_zoom = self._left > 0 and not self._over and (left is None or left > 0)
        can_zoom = can_zoom and any(tool.name == "zoom" for tool in self.plan.tools)
        judged = self._second.judge(said, self.journal.turns, can_zoom=can_zoom)
        if isinstance(judged, Again) and judged.call is None:
            self._demanded = judged.tool
        return self._counted(judged) if isinstance(judged, Standing) else judged

    def _counted(self, standing: Standing) -> Standing:
        """The answer that stands, its counts counted again: one look, of which nothing is kept but what it found."""
        left, said = self._seconds_left(), standing.said
        if self._checker is None or said.done.finish != "stop" or self._left <= 0 or (left is not None and left <= 0):
            return standing
        found = self._checker.counts(said.words, said.tokens, self.journal.turns, self._lang)
        if found is None:
            return standing
        began, settings = time.monotonic(), replace(self.plan.settings, timeout=left)
        stored, passed = self.journal.memory.pictures, self.journal.passed
        counter = Counter(self.backend, stored.pixels, settings, self._cancel, passed=passed)
        evidence = counter.evidence(*found)
        self.journal.counted(evidence, counter.usage, time.monotonic() - began)
        self._emit(Checked(tuple(evidence)))
        return replace(standing, evidence=with_counts(standing.evidence, evidence))

    def _finish(self, standing: Standing) -> Answer:
        """Keep the answer, then let the hooks change it: whatever they do, it is not lost."""
        said = standing.said
        for notice in (*_notices(said, self.plan.settings), *self._addressed()):
            self._notice(notice)
        answer = self.journal.answer(said.done, said.words, said.done.finish, self._seen())
        budget = self._speaker.budget(self.journal.turns)
        left_out = self._speaker.tiers.left_out
        answer = replace(answer, budget=budget, left_out=left_out)
        judged = replace(answer, evidence=standing.evidence, signals=standing.signals, lang=self._lang)
        answer = self.journal.finish(said.done, judged)
        if self.journal.memory.conversations.get(self.journal.conversation).head != answer.turn:
            self._notice(f"the conversation went on elsewhere meanwhile; this answer is turn {answer.turn} beside it")
        changed = replace(answer, notices=tuple(self.journal.notices))
        try:
            changed = self.hooks.after_agent(changed)
        except Cancel as cancel:
            self._notice(f"a hook refused the answer: {cancel}")
            changed = replace(changed, text="", notices=tuple(self.journal.notices))
        if changed != answer:
            self.journal.amend(changed)
        self._emit(Answered(changed))
        return changed

    def _addressed(self) -> Iterator[str]:
        """What was read that speaks to an assistant: it is text like any other, and the person should know of it."""
        names = set(self._checker.addressed if self._checker else ())
        names |= {str(look.arguments.get("image")) for look in self.journal.looks if is_addressed(look.text)}
        for name in sorted(names):
            yield f"the picture {name} holds text addressed to an assistant; it was read, not followed"

    def _pause(self, turn: Turn, call: ToolCallPart, reason: str) -> Answer:
        memory, plan = self.journal.memory, replace(self.plan, looks=self._left)
        with memory.atomic():
            memory.turns.update(turn.id, status="paused")
            approval = memory.approvals.ask(
                self.journal.conversation, turn.id, call, reason=reason, state=plan.to_json()
            )
        self._notice(
            f"{call.tool} waits for an approval: looktwice approve {approval.id}, with the same --db and --tools"
        )
        self._emit(Paused(approval))
        done = Done("", "paused", Usage())
        answer = replace(self.journal.answer(done, turn.text, "paused", self._seen()), turn=turn.id)
        self._emit(Answered(answer))
        return answer

    def _seen(self) -> list[SeenImage]:
        """What stands in the prompt as pictures, each once."""
        images = self._toolbox.images()
        shown = {fold(row.image): row for row in self._speaker.seen(self.journal.turns) if row.image}
        return [seen_image(self.journal.memory, images[name], row) for name, row in shown.items()]

    def _notice(self, text: str) -> None:
        self.journal.notices.append(text)
        self._emit(Notice(text))

    def _seconds_left(self) -> float | None:
        whole = self.plan.settings.timeout
        return None if whole is None else whole - self.journal.seconds


def _spoken(said: Said) -> list[Part]:
    """The parts of a turn that ends in a call: its words, and the call; one that is malformed stays as it was."""
    if isinstance(said.call, ToolCallPart):
        return [*([TextPart(said.words)] if said.words else []), said.call]
    return [TextPart(said.done.text)]


def _same(call: ToolCallPart) -> str:
    return json.dumps([call.tool, dict(call.arguments)], sort_keys=True)


def _notices(said: Said, settings: Settings) -> Iterator[str]:
    """What the person should know of how an answer ended."""
    done = said.done
    if said.reason:
        yield said.reason
    if done.finish == "length" and done.usage.output < settings.max_new_tokens:
        yield "the answer was cut: the model's context is full; ask in a new conversation or a fork"
    elif done.finish == "length":
        yield f"the answer was cut at max_new_tokens={settings.max_new_tokens}; give more, or go on"
    if not said.words and done.finish == "stop":
        yield "the model gave no words; ask in another way"
