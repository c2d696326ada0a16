"""One call of the chat model: the prompt, the words as they come, and the looks that the model takes by itself."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from ...memory import fold
from ...memory.parts import ImagePart, Part, TextPart, ToolCallPart, ToolResultPart, ToolsPart, ToolSpec, Turn
from ...tools import Tool
from ..answer import Look
from ..backends import Backend, Done, Settings, Token
from ..calls import Offer, read
from ..prompt import Prompt, compose
from ..speech import spoken
from .desk import use
from .replies import Reply
from .sheet import Sheet, remember

__all__ = ["Run"]


@dataclass(slots=True)
class Run:
    """``specs`` are on offer under ``choice``; the model may use those of ``own`` by itself, ``looks`` times."""

    engine: Backend
    sheet: Sheet
    turns: list[Turn]
    specs: Sequence[ToolSpec] = ()
    choice: str = "auto"
    settings: Settings = field(default_factory=Settings)
    own: Sequence[Tool] = ()
    looks: int = 0
    reply: Reply = field(default_factory=Reply)
    cancel: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if self.specs:
            self.turns = _announced(self.turns, self.specs)

    def prompt(self) -> Prompt:
        """What the model is shown."""
        images = {fold(name): self.sheet.named(name) for name in self._names()}
        return compose(self.turns, images, style=self.engine.style)

    def steps(self) -> Generator[Token]:
        """The words of the answer, token by token; ``reply`` is whole when they end."""
        while True:
            done, tools = yield from self._step()
            said = read(done.text) if tools else None
            self.reply.took(done, said.call if said else None)
            if not (said and isinstance(said.call, ToolCallPart) and self.own and self.looks > 0):
                break
            self._look(done, said.words, said.call)
        if isinstance(self.reply.call, ToolCallPart):
            remember(self.reply.call.id, self.sheet)
        if self.choice not in ("auto", "none"):
            self.reply.require_whole(self.choice)

    def offer(self) -> Offer | None:
        """The calls that may be written now."""
        choice = self.choice if not self.own else ("auto" if self.looks > 0 else "none")
        return Offer(tuple(self.specs), self._names(), choice) if self.specs else None

    def _step(self) -> Generator[Token, None, tuple[Done, bool]]:
        """One answer of the model; returns its end, and whether calls could be made in it."""
        offer = self.offer()
        is_open = offer is not None and offer.is_open
        pixels = self.sheet.memory.pictures.pixels
        words = spoken(self.engine, self.prompt(), self.settings, pixels=pixels, offer=offer, cancel=self.cancel)
        return (yield from words), is_open

    def _look(self, done: Done, words: str, call: ToolCallPart) -> None:
        """Use one of the model's own tools, and let it go on with what that brought."""
        self.looks -= 1
        tool = next(tool for tool in self.own if tool.name == call.tool)
        result, brought_pictures = use(tool, call.arguments, self.sheet, names=self._names(), cancel=self.cancel)
        pictures = [self.sheet.show(picture) for picture in brought_pictures]
        said: list[Part] = [*([TextPart(words)] if words else []), call]
        brought = ToolResultPart(call.id, call.tool, result.text, result.data, result.error)
        shown = tuple(ImagePart(picture.name) for picture in pictures)
        self.turns.append(Turn("assistant", tuple(said), tokens=done.ids, tokenizer=done.tokenizer))
        self.turns.append(Turn("tool", (brought, *shown)))
        names = tuple(picture.name for picture in pictures)
        self.reply.looks.append(Look(call.tool, dict(call.arguments), result.text, names, result.error))

    def _names(self) -> tuple[str, ...]:
        """The pictures that stand in these messages, each once."""
        return tuple({fold(name): name for turn in self.turns for name in turn.images}.values())


def _announced(turns: Sequence[Turn], specs: Sequence[ToolSpec]) -> list[Turn]:
    """The turns with the tools announced at their head, after the system's words."""
    first = turns[0]
    if first.role == "system":
        return [first.replace(parts=(*first.parts, ToolsPart(tuple(specs)))), *turns[1:]]
    return [Turn("system", (ToolsPart(tuple(specs)),)), *turns]
