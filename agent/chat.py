"""One conversation, as a person holds it: add pictures, ask, ask again, take back, fork."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..errors import InvalidInput, UnknownName
from ..memory import Approval, Conversation, Memory, NamedPicture, Picture, fold
from ..memory.parts import Turn
from ..tools import Tool, installed_tools
from .answer import Answer, Budgeted, Evidence
from .backends.backend import Row, Settings
from .budget import Fitted, Fitter, Tiers
from .checks.checker import Checker
from .events import Answered, Emit, Event, Notice, Started
from .follow import afollowed, followed, unheard
from .hooks import Cancel
from .looks import Ask, Plan
from .question import Asked, Image, Question, Source
from .standing import found_tools, standing_tools, standing_turn
from .strategy import checked
from .toolbox import ToolLike, offered

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["Chat", "Image"]

_ROOM = Settings().max_new_tokens
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The keywords of an ask, checked."""

    plan: Plan
    cancel: threading.Event
    names_tools: bool = False


class _Branch(NamedTuple):
    """What is to be answered: the turns up to it, the pictures by folded name, and how the last prompt showed them."""

    turns: list[Turn]
    images: dict[str, NamedPicture]
    tiers: Tiers


class Chat:
    """A conversation of an agent. Hold as many as you like; two threads may hold the same one.

    Every method that asks takes the same keywords: ``looks`` (calls at most), ``tools`` and ``tool_choice``
    ("auto", "none", or a tool's name), ``check`` (whether the answer's claims are held against the pictures),
    ``look_again`` (whether a doubtful answer is followed by a closer look), ``strategy`` (how several pictures are
    shown: "auto", "interleave", "each" or "sheet"; these three else as the agent has it), ``cancel`` (an event that
    stops the answer and keeps it), and those of `Settings`: ``max_new_tokens``, ``temperature``, ``top_p``,
    ``num_beams``, ``seed``, ``stop``, ``timeout``.
    """

    def __init__(self, agent: Agent, conversation: Conversation) -> None:
        self.agent = agent
        self.system = agent.system
        """The developer's instructions for what is asked from here on; the agent's, unless others are set."""
        self._id = conversation

    @property
    def memory(self) -> Memory:
        """Where the conversation is kept."""
        return self.agent.memory

    @property
    def conversation(self) -> Conversation:
        """The conversation as it is stored now, whatever its name has become."""
        return self.memory.conversations.get(self._id)

    @property
    def name(self) -> str:
        """The conversation's name."""
        return self.conversation.name

    @property
    def images(self) -> list[NamedPicture]:
        """The pictures of the conversation, crops among them, in the order they came."""
        return self.memory.pictures.all(self._id)

    @property
    def turns(self) -> list[Turn]:
        """The current branch, oldest turn first."""
        return self.memory.turns.branch(self.conversation.head)

    @property
    def unfinished(self) -> Turn | None:
        """What the branch ends with, if that is no finished answer: a question, a result, a broken answer."""
        last = self.memory.turns.branch(self.conversation.head, last=1)
        if not last or last[0].role == "system":
            return None
        return None if last[0].role == "assistant" and last[0].status == "complete" and not last[0].calls else last[0]

    def add(self, source: Source, name: str | None = None, *, alt: str | None = None) -> NamedPicture:
        """Put a picture into the conversation; the next question shows it.

        ``name`` is how it is spoken of (``@bill``); without one it comes from the file's name. Raises
        PictureRejected for what is no picture, InvalidInput for a name that is taken or can't be one.
        """
        return self.memory.pictures.add(self._id, Picture.load(source), name=name, alt=alt)

    def ask(self, question: Asked, **wanted: Any) -> Answer:
        """Ask, and wait for the whole answer.

        Nothing is kept of a question that can't be asked. One that can is kept before the model runs, and an
        answer that breaks off is kept as far as it came. Raises the errors of `looktwice.errors`.
        """
        return self._asked(question, self._wanted(wanted), unheard)

    def stream(self, question: Asked, **wanted: Any) -> Generator[Event]:
        """Ask, and follow the answer as it comes; the last event is ``Answered``. Leaving the loop stops it."""
        checked = self._wanted(wanted)
        return followed(lambda emit: self._asked(question, checked, emit), checked.cancel)

    async def aask(self, question: Asked, **wanted: Any) -> Answer:
        """``ask`` without blocking the event loop; cancelling the task stops the answer."""
        answer: Answer | None = None
        async for event in self.astream(question, **wanted):
            if isinstance(event, Answered):
                answer = event.answer
        assert answer is not None
        return answer

    def astream(self, question: Asked, **wanted: Any) -> AsyncGenerator[Event]:
        """``stream`` without blocking the event loop."""
        checked = self._wanted(wanted)
        return afollowed(lambda emit: self._asked(question, checked, emit), checked.cancel)

    def retry(self, **wanted: Any) -> Answer:
        """Answer the last question again; the answer that was there stays in the tree, on a branch of its own."""
        return self._retried(self._wanted(wanted), unheard)

    def stream_retry(self, **wanted: Any) -> Generator[Event]:
        """``retry``, followed as it comes."""
        checked = self._wanted(wanted)
        return followed(lambda emit: self._retried(checked, emit), checked.cancel)

    def go_on(self, **wanted: Any) -> Answer:
        """Finish what is unfinished: answer the open question, or go on with the answer that broke off."""
        return self._went_on(self._wanted(wanted), unheard)

    def stream_go_on(self, **wanted: Any) -> Generator[Event]:
        """``go_on``, followed as it comes."""
        checked = self._wanted(wanted)
        return followed(lambda emit: self._went_on(checked, emit), checked.cancel)

    def decide(self, approval: int, approved: bool, *, note: str = "", **wanted: Any) -> Answer:
        """Decide on a call that waits, and go on with its answer. ``note`` tells the model why it was refused."""
        return self._decided(approval, approved, note, wanted, unheard)

    def stream_decide(self, approval: int, approved: bool, *, note: str = "", **wanted: Any) -> Generator[Event]:
        """``decide``, followed as it comes."""
        cancel: threading.Event = wanted.get("cancel") or threading.Event()
        wanted = {**wanted, "cancel": cancel}
        return followed(lambda emit: self._decided(approval, approved, note, wanted, emit), cancel)

    def check(self, text: str) -> tuple[Evidence, ...]:
        """Hold any text, whoever wrote it, against what can be read in the pictures that it names, or in all.

        No model runs and nothing is kept. Without the extra "ocr" everything is "unchecked".
        """
        checker = Checker(self.memory, self.agent.reader, self._images, self._tools(None), lambda: None)
        return checker.evidence(text, (), self.turns)

    def approvals(self) -> list[Approval]:
        """The calls of this conversation that wait for a decision."""
        return self.memory.approvals.pending(self._id)

    def undo(self) -> Turn | None:
        """Take the last question back, with its answer; they stay in the tree. None if there is nothing."""
        with self.memory.atomic():
            question = self._last_question()
            if question is not None:
                self.memory.conversations.set_head(self._id, question.parent)
                self._refuse_left()
        return question

    def fork(self, at: Answer | Turn | int | None = None, *, name: str | None = None) -> Chat:
        """Another conversation that shares everything up to ``at`` (the end, if not given)."""
        turn = at.turn if isinstance(at, Answer) else at.id if isinstance(at, Turn) else at
        place = {} if turn is None else {"at": turn}
        return Chat(self.agent, self.memory.conversations.fork(self._id, name=name, **place))

    def rename(self, name: str) -> None:
        """Give the conversation another name. Raises InvalidInput if that is taken."""
        self._id = self.memory.conversations.rename(self._id, name)

    def delete(self) -> None:
        """Delete the conversation; what forks of it need stays with them."""
        self.memory.conversations.delete(self._id)

    def forget(self, name: str) -> list[str]:
        """Remove a picture and its crops, their bytes too if nothing else needs them; the turns stay.

        What was computed from them is dropped, too, in memory and in the cache folder, also if they were forgotten
        before.
        """
        gone = self.memory.pictures.forget(self._id, name)
        self.agent.uncompute(self.memory.pictures.family(self._id, name))
        return gone

    def prompt(self, question: Asked | None = None, *, tools: Iterable[ToolLike] | None = None) -> list[Row]:
        """The composed prompt row by row with exact tokens, without loading weights.

        With a ``question``: as it would be asked now; nothing of it is kept.
        """
        return self._would_be(question, tools, lambda branch, fitted: list(fitted.rows))

    def budget(self, question: Asked | None = None, *, tools: Iterable[ToolLike] | None = None) -> list[Budgeted]:
        """Every picture of the branch: at which tier it stands in the prompt, what that takes, and why.

        With a ``question``: as it would be asked now; nothing of it is kept.
        """
        return self._would_be(
            question, tools, lambda branch, fitted: self._fitter().budget(fitted, branch.turns, branch.images)
        )

    def _would_be(
        self,
        question: Asked | None,
        tools: Iterable[ToolLike] | None,
        see: Callable[[_Branch, Fitted], list[_V]],
    ) -> list[_V]:
        """What ``see`` makes of the branch with a question in it that is not kept, or of the branch as it stands."""
        if question is None:
            branch = self._branch(self.turns)
            return see(branch, self._fitter().composed(*branch))
        read, offered = Question.of(question), self._tools(tools)
        found: list[_V] = []
        with contextlib.suppress(_NotKept), self.memory.atomic():
            branch = self._kept(read, offered)
            found += see(branch, self._fitter().fit(*branch, max_new_tokens=_ROOM))
            raise _NotKept
        return found

    # --- how an ask goes

    def _asked(self, question: Asked, wanted: _Wanted, emit: Emit) -> Answer:
        read = Question.of(question)
        with self.agent.turn_of(self._id):
            with self.memory.atomic():
                branch = self._kept(read, wanted.plan.tools)
                room, fitter = wanted.plan.settings.max_new_tokens, self._fitter()
                fitter.require(fitter.fit(*branch, max_new_tokens=room), room)
            return self._run(branch, wanted, emit, fitter).answer()

    def _kept(self, question: Question, tools: Sequence[Tool]) -> _Branch:
        """Keep a question, after what has changed of the standing instructions; the branch with it."""
        conversation = self.conversation
        branch = self._branch(self.memory.turns.branch(conversation.head))
        turns = branch.turns
        if turns and self._waits(turns[-1]):
            raise InvalidInput(self._waiting())
        standing = standing_turn(turns, system=self.system, tools=tools)
        if standing is not None:
            turns.append(self.memory.turns.append(conversation, standing))
        parts = question.keep(self.memory, conversation, turns, branch.images, branch.tiers.hidden(turns))
        turns.append(self.memory.turns.append(conversation, Turn("user", parts)))
        return branch

    def _branch(self, turns: list[Turn]) -> _Branch:
        return _Branch(turns, self._images(), Tiers.of(turns, self.agent.backend.model))

    def _run(self, branch: _Branch, wanted: _Wanted, emit: Emit, fitter: Fitter | None = None) -> Ask:
        agent, turns = self.agent, branch.turns
        told = {spec.name for spec in standing_tools(turns)}
        untold = [tool.name for tool in wanted.plan.tools if tool.name not in told]
        if untold and wanted.names_tools:
            raise InvalidInput(f"the question was asked without {', '.join(untold)}; ask it anew to offer other tools")
        calibration = agent.calibration() if wanted.plan.look_again else None
        tools = tuple(tool for tool in wanted.plan.tools if tool.name in told)
        plan = replace(wanted.plan, tools=tools, calibration=calibration)
        may_change = wanted.plan.check or wanted.plan.look_again
        emit(Started(agent.backend.model, self.name, turns[-1].id, may_change))
        if agent.backend.note:
            emit(Notice(agent.backend.note))
        try:
            agent.hooks.before_agent(self.name, turns)
        except Cancel as cancel:
            raise InvalidInput(f"a hook refused the question: {cancel}; it is kept without an answer") from cancel
        return Ask(
            agent.memory,
            self.conversation,
            agent.backend,
            agent.hooks,
            plan,
            turns=turns,
            images=branch.images,
            tiers=branch.tiers,
            emit=emit,
            cancel=wanted.cancel,
            reader=agent.reader,
            fitter=fitter or self._fitter(),
            lang=agent.lang,
        )

    def _retried(self, wanted: _Wanted, emit: Emit) -> Answer:
        with self.agent.turn_of(self._id):
            question, before = self._last_question(), self.conversation.head
            if question is None:
                raise InvalidInput(f"there is no question in {self.name!r} to ask again; ask one")
            self.memory.conversations.set_head(self._id, question.id)
            try:
                return self._run(self._branch(self.memory.turns.branch(question.id)), wanted, emit).answer()
            finally:
                if self.conversation.head == question.id:  # nothing came: the answer that was there stands again
                    self.memory.conversations.set_head(self._id, before)
                self._refuse_left()

    def _went_on(self, wanted: _Wanted, emit: Emit) -> Answer:
        with self.agent.turn_of(self._id):
            turns, last = self.turns, self.unfinished
            if last is None:
                raise InvalidInput(f"nothing is unfinished in {self.name!r}; ask something")
            if self._waits(last):
                raise InvalidInput(self._waiting())
            return self._run(self._branch(turns), wanted, emit).go_on()

    def _decided(self, approval: int, approved: bool, note: str, wanted: dict[str, Any], emit: Emit) -> Answer:
        with self.agent.turn_of(self._id):
            asked = self.memory.approvals.get(approval)
            if asked.conversation != self.name:
                raise InvalidInput(
                    f"approval {approval} belongs to conversation {asked.conversation!r}, not {self.name!r}"
                )
            if asked.decided is None and self.conversation.head != asked.turn:
                return self._decided_late(asked, approved, note, emit)
            if asked.decided is not None:
                self.memory.approvals.decide(approval, approved)  # says what was decided
            state: Any = asked.state
            tools = self._tools(wanted.pop("tools", None))
            if approved and asked.call.tool not in {tool.name for tool in tools}:
                tools = (*tools, *installed_tools([asked.call.tool]))
            if approved and asked.call.tool not in {tool.name for tool in tools}:
                known = (tool.name for tool in tools)
                raise UnknownName("tool", asked.call.tool, known, hint="offer it again to approve its call")
            settings = {name: value for name, value in state["settings"].items() if value is not None}
            kept = {
                **settings,
                "looks": state["looks"],
                "check": state.get("check"),
                "look_again": state.get("look_again"),
            }
            checked = self._wanted({**kept, **wanted, "tools": tools})
            checked = replace(checked, names_tools=False)
            with self.memory.atomic():
                self.memory.approvals.decide(approval, approved, note=note)
                self.memory.turns.update(asked.turn, status="complete")
            ask = self._run(self._branch(self.memory.turns.branch(asked.turn)), checked, emit)
            return ask.decide(asked.call, approved=approved, note=note)

    def _decided_late(self, asked: Approval, approved: bool, note: str, emit: Emit) -> Answer:
        """A decision on a call that the conversation has left: it can only be refused, and nothing follows."""
        if approved:
            raise InvalidInput(f"the conversation has left the call of approval {asked.id}; deny it, or ask again")
        self.memory.approvals.decide(asked.id, False, note=note)
        told = f"the call of approval {asked.id} is refused; the conversation had left it already"
        answer = Answer("", self.name, asked.turn, self.agent.backend.model, notices=(told,))
        emit(Notice(told))
        emit(Answered(answer))
        return answer

    def _waits(self, turn: Turn) -> bool:
        """Whether the turn's call waits for a decision; in a fork it doesn't: the approval stayed behind."""
        return turn.status == "paused" and any(approval.turn == turn.id for approval in self.approvals())

    def _refuse_left(self) -> None:
        """Calls on branches that were left will not be approved any more."""
        branch = {turn.id for turn in self.turns}
        for approval in self.approvals():
            if approval.turn not in branch:
                self.memory.approvals.decide(approval.id, False, note="the conversation went on without it")

    def _waiting(self) -> str:
        waiting = ", ".join(str(approval.id) for approval in self.approvals())
        return (
            f"a call in {self.name!r} waits for a decision; run: looktwice approve {waiting}, with --deny to refuse it"
        )

    def _images(self) -> dict[str, NamedPicture]:
        return {fold(picture.name): picture for picture in self.images}

    def _fitter(self) -> Fitter:
        return Fitter(self.agent.backend, self.memory, self._id, self.agent.limits, self.agent.costs)

    def _last_question(self) -> Turn | None:
        return next((turn for turn in reversed(self.turns) if turn.role == "user"), None)

    def _tools(self, wanted: Iterable[ToolLike] | None) -> tuple[Tool, ...]:
        if wanted is not None:
            return tuple(offered(wanted))
        if self.agent.tools is not None:
            return tuple(self.agent.tools)
        return tuple(found_tools(self.memory.turns.branch(self.conversation.head, role="system")))

    def _wanted(self, given: dict[str, Any]) -> _Wanted:
        rest = dict(given)
        named = rest.pop("tools", None)
        tools = self._tools(named)
        looks = rest.pop("looks", None)
        looks = self.agent.looks if looks is None else looks
        choice: str = rest.pop("tool_choice", "auto")
        check = rest.pop("check", None)
        check = self.agent.check if check is None else check
        cancel = rest.pop("cancel", None) or threading.Event()
        if not isinstance(looks, int) or isinstance(looks, bool) or looks < 0:
            raise InvalidInput(f"looks {looks!r} can't be used; give 0 or more")
        if choice not in ("auto", "any", "none") and choice not in {tool.name for tool in tools}:
            raise UnknownName(
                "tool", choice, (t.name for t in tools), hint="tool_choice is 'auto', 'any', 'none' or a tool on offer"
            )
        names = {tool.name for tool in tools}
        strategy = checked(rest.pop("strategy", None) or self.agent.strategy)
        again = rest.pop("look_again", None)
        again = self.agent.look_again if again is None else again
        plan = Plan(
            looks,
            tools,
            Settings.of(**rest),
            choice,
            check="ocr" in names if check is None else bool(check),
            look_again="zoom" in names if again is None else bool(again),
            strategy=strategy,
        )
        return _Wanted(plan, cancel, named is not None)


class _NotKept(Exception):
    """Rolls a transaction back."""
