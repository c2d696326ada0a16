"""Descriptions for people who can't see a picture: a title, then as much as is wanted, and what is not sure of it.

``describe("photo.jpg", agent=agent, length="long")`` gives a `Description`; `Describer` tells it while it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..check import Fault
from .prompts import Prompts

if TYPE_CHECKING:
    from ...agent import Agent
    from ...chat import Chat
    from ...question import Source

__all__ = ["Description", "Length", "Section", "describe"]

Length: TypeAlias = Literal["alt", "social", "long"]
"""A title of at most 125 characters; a paragraph of at most 1000 to stand below a picture; everything, in sections."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a description: ``name`` is "answer", "description", "overview", "layout" or "text"."""

    name: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Description:
    """What can be said of a picture.

    ``faults`` are what is wrong with it; if it shows nothing they stand alone, and no model was asked. ``uncertain``
    are sentences on what was read badly or contradicts the text in the picture. ``warnings`` say where to ask a person.
    """

    picture: str
    title: str = ""
    sections: tuple[Section, ...] = ()
    uncertain: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()
    model: str = ""
    lang: str = "en"

    @property
    def text(self) -> str:
        """The words of the description alone, to put beside a picture."""
        return "\n\n".join(filter(None, [self.title, *(section.text for section in self.sections)]))

    def section(self, name: str) -> str:
        """The text of a section; empty if there is none of that name."""
        return next((section.text for section in self.sections if section.name == name), "")

    def with_section(self, section: Section) -> Description:
        """The description with one section more."""
        return replace(self, sections=(*self.sections, section))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON with everything. Of the picture's file there is nothing in it but the name."""
        return {"text": self.text, **asdict(self)}

    def __str__(self) -> str:
        return self.text


def describe(
    source: Source,
    *,
    agent: Agent,
    length: Length = "alt",
    about: str = "",
    prompt: str | None = None,
    prompts: Prompts | None = None,
    lang: str | None = None,
    name: str | None = None,
    chat: Chat | None = None,
    part: str = "",
) -> Description:
    """Describe a picture.

    ``about`` is a question that is answered before, so that the description attends to it. ``prompt`` is asked in place
    of the prompts that looktwice brings, and "" shows the picture without a word; ``prompts`` changes those. Said in
    ``lang``, else in the agent's language. ``part`` is a place, such as "top right" or "2 o'clock", of which alone it
    is to speak. With a ``chat`` picture and description are kept there, for questions that
    follow; else nothing is kept. Raises PictureRejected for what is no picture, and the errors of `Chat.ask`.
    """
    from ...chat import Image
    from .telling import Describer

    describer = Describer(
        agent,
        length=length,
        about=about,
        prompt=prompt,
        prompts=prompts,
        lang=lang or agent.lang,
        chat=chat,
        part=part,
    )
    telling = describer.tell([Image(source, name)])
    while True:
        try:
            next(telling)
        except StopIteration as end:
            descriptions: Sequence[Description] = end.value
            return descriptions[0]
