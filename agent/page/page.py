"""The whole page: a frame that lets nothing in and nothing out, and the exchanges of the current branch in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import InvalidInput
from ...memory import Conversation, Memory, fold
from ...memory.parts import Turn
from ..record import Record
from .branch import exchanges
from .document import document
from .figures import Figures
from .markup import Safe, element, join
from .script import Script

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def render(memory: Memory, conversation: str, *, lang: str = "en") -> str:
    """The current branch of a conversation as one HTML document.

    The page loads nothing and runs nothing; its pictures are re-encoded at up to 1000 pixels, without metadata.
    ``lang`` is the language of the conversation's own words, as a BCP 47 tag; the labels are English.

    Raises UnknownName if there is no such conversation, InvalidInput if ``lang`` is no language tag, and
    StoreError if something that is kept can't be read.
    """
    if not _LANGUAGE.fullmatch(lang):
        raise InvalidInput(f"{lang!r} is not a language tag; write one such as 'en' or 'pt-BR'")
    found = memory.conversations.get(conversation)
    turns = memory.turns.branch(found.head)
    title = f"{found.name}, a conversation about pictures"
    return document(title, _body(memory, found, turns, lang))


def _body(memory: Memory, conversation: Conversation, turns: Sequence[Turn], lang: str) -> Safe:
    figures = Figures(memory, conversation)
    _mark(figures, turns)
    script = Script(figures, lang)
    said = join([script.show(exchange) for exchange in exchanges(turns)])
    heading = element("h1", conversation.name, dir="auto")
    header = element("header", heading, element("p", _summary(turns, script.asked)))
    return join([header, element("main", said, _waiting(figures)), _footer()])


def _mark(figures: Figures, turns: Sequence[Turn]) -> None:
    """Boxes are known before the first picture is drawn."""
    for turn in turns:
        if turn.role == "tool":
            figures.mark_crops(turn.images)
        elif turn.role == "assistant":
            figures.mark_evidence(Record.of(turn).evidence)


def _summary(turns: Sequence[Turn], asked: int) -> str:
    pictures = len({fold(name) for turn in turns if turn.role == "user" for name in turn.images})
    looks = sum(len(turn.calls) for turn in turns)
    return ", ".join([_count(pictures, "picture"), _count(asked, "question"), _count(looks, "look")])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _waiting(figures: Figures) -> Safe:
    names = figures.waiting
    if not names:
        return Safe("")
    return element(
        "section", element("h2", "Pictures outside these questions"), *(figures.show(name) for name in names)
    )


def _footer() -> Safe:
    words = "Answers are a model's words about pictures and can be wrong. Kept and printed by looktwice."
    return element("footer", element("p", words))
