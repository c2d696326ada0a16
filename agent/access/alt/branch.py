"""The W3C's decision tree for alternative texts, as far as it goes without a model.

https://www.w3.org/WAI/tutorials/images/decision-tree/ asks: does the picture hold text, is it in a link or button, does
it add to what the page says, is it decoration? What these leave open, a model has to look at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...words import Words
from ..documents import Context, Place
from .entry import Branch
from .faults import LONGEST
from .seen import Seen

__all__ = ["Decided", "decided"]

_LEAST = 3  # letters and digits of a text that may be found in other words by chance


@dataclass(frozen=True, slots=True)
class Decided:
    """A branch with its reason. ``text`` is its whole suggestion; None where a model has to find the words."""

    branch: Branch
    why: str
    text: str | None = None
    long: str = ""
    question: str = ""


def decided(place: Place, seen: Seen, say: Words) -> Decided:
    """The branch of a picture that could be looked at."""
    around = place.context
    is_function = bool(around.link) or around.in_button or place.kind in ("button", "area")
    if is_function and around.link_text:
        why = say("The words of the link or button beside it say it already: {words}", words=around.link_text)
        return Decided("redundant", why, "")
    if seen.lines:
        found = _of_text(seen, around, say, is_function=is_function)
        if found is not None:
            return found
    if is_function:
        why = say("It is all that a link or button shows, so its text says what that does.")
        question = "" if not seen.is_empty else say("What does the link or button do?")
        return Decided("link", why, "" if seen.is_empty else None, question=question)
    if seen.is_empty:
        return Decided("decorative", say("Nothing is to be seen in it: {fault}.", fault=seen.faults[-1].said), "")
    return Decided("simple", say("It shows something that the page doesn't say in words."))


def _of_text(seen: Seen, around: Context, say: Words, *, is_function: bool) -> Decided | None:
    """The branch of a picture with text; None where the text doesn't decide it."""
    if not is_function and seen.is_text and _stands_in(seen.text, around):
        return Decided("redundant", say("The page says the same words beside it: {text}", text=_short(seen.text)), "")
    if not seen.is_text:
        return None
    if len(seen.text) <= LONGEST:
        branch: Branch = "link" if is_function else "text"
        return Decided(branch, say("It shows nothing but text, so its text is that text."), seen.text)
    why = say("It shows more text than an alternative text holds; the rest belongs in the document.")
    return Decided("complex", why, _short(seen.text), "\n".join(seen.lines))


def _stands_in(text: str, around: Context) -> bool:
    words = _words(text)
    return sum(map(len, words)) >= _LEAST and any(
        f" {' '.join(words)} " in f" {' '.join(_words(said))} " for said in (around.beside, around.caption)
    )


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _short(text: str) -> str:
    """The beginning of a text, to the last whole word that fits."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3].rpartition(' ')[0]}..."
