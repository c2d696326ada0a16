"""Asks a question in a mode, alone in its conversation, and keeps what came of it apart from all others."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from ...errors import InvalidInput, LookTwiceError, StoreError
from ...memory import Memory, fold
from ...tools import Tool
from ..agent import Agent
from ..answer import Answer, Look
from ..backends import Backend
from ..chat import Chat, Image
from ..trigger import ALWAYS, MEASURING
from .items import Item
from .results import Crop, Scored, Step
from .scoring import score

__all__ = ["Desk", "EVERY_MODE", "MODES", "Mode", "Wanted", "failed"]

Mode: TypeAlias = Literal["off", "on", "forced", "once", "again", "tiles"]
MODES: tuple[Mode, ...] = ("off", "on", "forced")
"""What is compared. A calibration needs others: "once" never doubts an answer, but takes every signal; "again" always
does, and "tiles" too, and has the model point out the part to look at."""
EVERY_MODE: tuple[Mode, ...] = (*MODES, "once", "again", "tiles")
_FITTED_ON = {"once": MEASURING, "again": ALWAYS, "tiles": ALWAYS.model_copy(update={"tiles": True})}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the agent may do where it may look: ``tools``, the first of which is demanded in the mode "forced".

    ``check`` None: answers are checked where the tool "ocr" is on offer. ``calibration`` is a document as a memory
    keeps it for the model; None leaves that to the checkpoint.
    """

    tools: tuple[Tool, ...]
    looks: int = 3
    check: bool | None = None
    system: str | None = None
    calibration: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def keywords(self, mode: Mode) -> dict[str, Any]:
        """The keywords of ``Chat.ask`` in a mode. Answers are greedy, whatever the settings say."""
        shared = {**self.settings, "temperature": 0.0}
        if mode == "off":
            return {**shared, "tools": (), "looks": 0, "check": False}
        choice = self.tools[0].name if mode == "forced" else "auto"
        doubt = True if mode in _FITTED_ON else None
        offered = {"tools": self.tools, "looks": self.looks, "check": self.check, "tool_choice": choice}
        return {**shared, **offered, "look_again": doubt}

    def to_json(self) -> dict[str, Any]:
        """What tells runs apart."""
        names = [tool.name for tool in self.tools]
        rest = {"looks": self.looks, "check": self.check, "system": self.system, "settings": dict(self.settings)}
        return {"tools": names, **rest, "calibration": self.calibration and dict(self.calibration)}


class Desk:
    """Where questions are asked: a model, and for each mode an agent that shares nothing else with the others."""

    def __init__(self, backend: Backend, wanted: Wanted, *, memory: Memory | None = None) -> None:
        """Conversations stay in ``memory``; without one each is deleted once it is answered."""
        self.backend = backend
        self.wanted = wanted
        self._kept = memory
        self._memories: list[Memory] = []
        self._agents: dict[Mode, Agent] = {}

    def agent(self, mode: Mode) -> Agent:
        """The agent of a mode."""
        if mode not in self._agents:
            memory = self._kept
            if memory is None:
                memory = Memory(":memory:")
                self._memories.append(memory)
            fitted_on = _FITTED_ON.get(mode)
            calibration = self.wanted.calibration if fitted_on is None else fitted_on.model_dump()
            if calibration is not None:
                memory.calibrations.put(self.backend.model, dict(calibration))
            self._agents[mode] = Agent(self.backend, memory=memory, system=self.wanted.system)
        return self._agents[mode]

    def begin(self, mode: Mode, name: str) -> Chat:
        """A new conversation, with a number in its name if that is taken."""
        agent = self.agent(mode)
        stem = "".join(char if char.isprintable() else " " for char in name)[:180]
        listed = agent.memory.conversations.list() if self._kept is not None else []
        taken = {conversation.name for conversation in listed}
        free = next(n for n in (stem, *(f"{stem} {i}" for i in range(2, len(taken) + 3))) if n not in taken)
        return Chat(agent, agent.memory.conversations.create(free))

    def end(self, chat: Chat) -> None:
        """Drop what was computed of a conversation, so that none gets it for nothing, and delete it if it may go."""
        forget = getattr(self.backend, "forget", None)  # a backend that keeps nothing has nothing to forget
        if forget is not None:
            forget([picture.key for picture in chat.images])
        if self._kept is None:
            chat.delete()

    def ask(
        self, item: Item, pictures: Sequence[Image], mode: Mode, cancel: threading.Event, *, run: int, is_cold: bool
    ) -> Scored | None:
        """The answer to an item, scored; None if it was cancelled. What fails is told in it. Raises StoreError."""
        blank = Scored(item.id, mode, item.kind, item.metric, item.question, item.answers, is_cold=is_cold)
        chat = self.begin(mode, f"run {run}, {item.id}, {mode}")
        try:
            answer = self.answer(chat, [*pictures, item.asked], mode, cancel)
            if answer is None:
                return None
            right = score(item.metric, answer.text, item.answers, question=item.question)
            return replace(self.told(blank, chat, answer), score=right)
        except StoreError:
            raise
        except Exception as error:  # whatever one item brings about must not cost the others
            return failed(blank, error)
        finally:
            self.end(chat)

    def answer(self, chat: Chat, asked: Sequence[str | Image], mode: Mode, cancel: threading.Event) -> Answer | None:
        """An answer, None if it was cancelled. Raises what ``Chat.ask`` does, and InvalidInput where one must wait."""
        answer = chat.ask(asked, cancel=cancel, **self.wanted.keywords(mode))
        if answer.finish == "paused":
            raise InvalidInput("a tool that acts waits for an approval; offer tools that only look")
        return None if answer.finish == "cancelled" else answer

    def told(self, blank: Scored, chat: Chat, answer: Answer) -> Scored:
        """An answer as it is kept, without a score."""
        verdicts = [item.verdict for item in answer.evidence]
        return replace(
            blank,
            answer=answer.text,
            hedged=answer.hedged,
            conflicts=verdicts.count("conflict"),
            unreadable=verdicts.count("unreadable"),
            looks=len(answer.looks),
            passes=answer.passes,
            prompt_tokens=answer.usage.prompt,
            new_tokens=answer.usage.new,
            output_tokens=answer.usage.output,
            seconds=answer.timing.total,
            confidence=answer.confidence,
            signals=answer.signals,
            finish=answer.finish,
            conversation=chat.name if self._kept is not None else None,
            trace=tuple(_step(chat, look) for look in answer.looks),
        )

    def close(self) -> None:
        """Close the memories that were made here."""
        for memory in self._memories:
            memory.close()


def failed(blank: Scored, error: Exception) -> Scored:
    """A question that brought no answer."""
    kind = "" if isinstance(error, LookTwiceError) else f"{type(error).__name__}: "
    return replace(blank, error=f"{kind}{' '.join(str(error).split())}")


def _step(chat: Chat, look: Look) -> Step:
    pictures, stored = {fold(picture.name): picture for picture in chat.images}, chat.memory.pictures
    shown = [pictures[fold(name)] for name in look.images if fold(name) in pictures]
    places = [stored.to_original(each.key, (0, 0, each.width, each.height)) for each in shown]
    return Step(look.tool, dict(look.arguments), look.text, look.error, tuple(Crop(key, box) for key, box in places))
