"""The whole page: a frame that lets nothing in and nothing out, and the exchanges of the current branch in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ...errors import InvalidInput
from ...memory import Conversation, Memory, NamedPicture, fold
from ...memory.parts import Turn
from ..record import Record
from ..words import Words, words
from .branch import Exchange, exchanges
from .document import document
from .figures import Figures
from .markup import Safe, element, join
from .script import Script, nothing

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_ENGLISH = words("en")


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
    heading = element("h1", conversation.name, dir="auto")
    header = element("header", heading, element("p", summary(turns)))
    return join([header, element("main", talk(memory, conversation, turns, lang)), _footer()])


def talk(
    memory: Memory,
    conversation: Conversation,
    turns: Sequence[Turn],
    lang: str,
    *,
    say: Words = _ENGLISH,
    address: Callable[[NamedPicture], str] | None = None,
    below: Callable[[Exchange], Safe] = nothing,
) -> Safe:
    """What was said and shown on a branch; see `Script` and `Figures` for the parameters."""
    figures = Figures(memory, conversation, say=say, address=address)
    _mark(figures, turns)
    script = Script(figures, lang, say=say, below=below)
    said = join([script.show(exchange) for exchange in exchanges(turns)])
    return join([said, _waiting(figures, say)])


def _mark(figures: Figures, turns: Sequence[Turn]) -> None:
    """Boxes are known before the first picture is drawn."""
    for turn in turns:
        if turn.role == "tool":
            figures.mark_crops(turn.images)
        elif turn.role == "assistant":
            figures.mark_evidence(Record.of(turn).evidence)


def summary(turns: Sequence[Turn], say: Words = _ENGLISH) -> str:
    """How much there is on a branch."""
    pictures = len({fold(name) for turn in turns if turn.role == "user" for name in turn.images})
    looks = sum(len(turn.calls) for turn in turns)
    told = [
        say.count("{n} picture", "{n} pictures", pictures),
        say.count("{n} question", "{n} questions", sum(turn.role == "user" for turn in turns)),
        say.count("{n} look", "{n} looks", looks),
    ]
    return ", ".join(told)


def _waiting(figures: Figures, say: Words) -> Safe:
    names = figures.waiting
    if not names:
        return Safe("")
    heading = element("h2", say("Pictures outside these questions"))
    return element("section", heading, *(figures.show(name) for name in names))


def _footer() -> Safe:
    words = "Answers are a model's words about pictures and can be wrong. Kept and printed by looktwice."
    return element("footer", element("p", words))
