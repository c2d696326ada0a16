"""What is kept of an ask while it goes on: its turns, its looks, its cost.

Everything lands in memory as it happens, so that an answer that breaks off, for whatever reason, leaves
its question and as much of itself as there was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..memory import Conversation, Memory, NamedPicture
from ..memory.parts import ImagePart, Part, Status, TextPart, ToolCallPart, ToolResultPart, Turn
from ..tools import ToolResult
from .answer import Answer, Evidence, Finish, Look, SeenImage, Timing, Usage
from .backends.backend import Done, Row
from .record import kept_of


class Journal:
    """The branch of an ask, and what piles up on the way. ``turns`` ends with what is to be answered."""

    def __init__(self, memory: Memory, conversation: Conversation, model: str, turns: Sequence[Turn]) -> None:
        self.memory = memory
        self.conversation = conversation
        self.model = model
        self.turns = list(turns)
        self.open: Turn | None = None
        """The answer that is being written, once some of it is kept as partial."""
        self.looks: list[Look] = []
        self.usage = Usage()
        self.passes = 0
        """How often the model was run."""
        self.notices: list[str] = []
        self.first_token: float | None = None
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the ask began."""
        return time.monotonic() - self._began

    def reopen(self) -> Turn:
        """Go on with the partial answer at the end of the branch: what is said now takes its place."""
        self.open = self.turns.pop()
        return self.open

    def passed(self) -> None:
        """Count a run of the model."""
        self.passes += 1

    def first_word(self) -> None:
        """Note the time of the first token."""
        if self.first_token is None:
            self.first_token = self.seconds

    def save(self, text: str) -> None:
        """Keep what there is of an answer, marked as partial."""
        parts: tuple[Part, ...] = (TextPart(text),)
        if self.open is not None:
            self.open = self.memory.turns.update(self.open.id, parts=parts, status="partial", tokens=())
        elif text:
            self.open = self._append(Turn("assistant", parts, status="partial", model=self.model))

    def said(self, done: Done, parts: Sequence[Part], *, status: Status = "complete", **meta: Any) -> Turn:
        """Keep an assistant's turn, in the place of its partial one if that was kept before."""
        turn = Turn(
            "assistant",
            tuple(parts),
            status=status,
            model=self.model,
            tokens=done.ids,
            tokenizer=done.tokenizer,
            meta=meta,
        )
        kept = self._append(turn) if self.open is None else self._replaced(self.open, turn)
        self.open = None
        self.turns.append(kept)
        return kept

    def looked(self, call: ToolCallPart, turn: Turn, seconds: float) -> Look:
        """Keep a result's turn, and count it as a look."""
        kept = self._append(turn)
        self.turns.append(kept)
        result = kept.parts[0]
        assert isinstance(result, ToolResultPart)
        look = Look(call.tool, dict(call.arguments), result.text, turn.images, result.error, round(seconds, 3))
        self.looks.append(look)
        return look

    def counted(self, evidence: Sequence[Evidence], usage: Usage, seconds: float) -> None:
        """Count a look at a picture's halves, of which nothing stays in the conversation but what it found."""
        self.usage += usage
        if not evidence:
            return
        told = {"image": evidence[0].image, "claims": ", ".join(item.claim for item in evidence)}
        found = "\n".join(f"{item.claim}: {item.note}" for item in evidence)
        self.looks.append(Look("count", told, found, seconds=round(seconds, 3)))

    def answer(self, done: Done, text: str, finish: Finish, seen: Sequence[SeenImage]) -> Answer:
        """The answer with everything that piled up; its turn is 0 until it is kept."""
        likely = math.exp(sum(done.logprobs) / len(done.logprobs)) if done.logprobs else None
        first = None if self.first_token is None else round(self.first_token, 4)
        return Answer(
            text=text,
            conversation=self.conversation.name,
            turn=0,
            model=self.model,
            finish=finish,
            looks=tuple(self.looks),
            usage=self.usage,
            timing=Timing(first, round(self.seconds, 4)),
            confidence=None if likely is None else round(likely, 4),
            images=tuple(seen),
            notices=tuple(self.notices),
            passes=self.passes,
        )

    def finish(self, done: Done, answer: Answer) -> Answer:
        """Keep the answer; one that did not come to its end is marked as partial, and without a word it is none."""
        if answer.finish != "stop" and not answer.text and self.open is None:
            return replace(answer, turn=self.turns[-1].id)
        status: Status = "complete" if answer.finish == "stop" else "partial"
        kept = self.said(done, [TextPart(answer.text)], status=status, **kept_of(answer))
        return replace(answer, turn=kept.id)

    def amend(self, answer: Answer) -> None:
        """Keep what a hook made of an answer that was kept already; other words are no longer the model's ids."""
        kept = self.turns[-1]
        if kept.id != answer.turn or kept.role != "assistant":
            return
        parts, tokens = (None, None) if kept.text == answer.text else ((TextPart(answer.text),), ())
        self.turns[-1] = self.memory.turns.update(kept.id, meta=kept_of(answer), parts=parts, tokens=tokens)

    def _append(self, turn: Turn) -> Turn:
        return self.memory.turns.append(self.conversation, turn, parent=self.turns[-1].id if self.turns else None)

    def _replaced(self, old: Turn, new: Turn) -> Turn:
        return self.memory.turns.update(
            old.id,
            parts=new.parts,
            status=new.status,
            tokens=new.tokens or (),  # never those of a shorter text
            tokenizer=new.tokenizer,
            meta=new.meta,
        )


def since_question(turns: Sequence[Turn]) -> Sequence[Turn]:
    """The turns after the last question: its calls and their results."""
    last = max((place for place, turn in enumerate(turns) if turn.role == "user"), default=-1)
    return turns[last + 1 :]


def result_turn(call: ToolCallPart, result: ToolResult, images: Sequence[str]) -> Turn:
    """The turn that a result makes: its text, then its pictures by name."""
    part = ToolResultPart(call.id, call.tool, result.text, result.data, result.error)
    return Turn("tool", (part, *(ImagePart(name) for name in images)))


def seen_image(memory: Memory, picture: NamedPicture, row: Row) -> SeenImage:
    """A picture as it stood in the prompt; a crop carries the hash of the picture it was cut from."""
    root = picture.key
    if picture.recipe is not None:
        root, _ = memory.pictures.to_original(root, (0, 0, picture.width, picture.height))
    return SeenImage(
        picture.name, root.removeprefix("sha256:"), picture.width, picture.height, row.tokens, row.tier or "full"
    )
