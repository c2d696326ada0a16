"""One suggestion for one picture, and what a person decided about it. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

__all__ = ["Branch", "DECISIONS", "Decision", "Entry"]

Branch: TypeAlias = Literal["text", "link", "simple", "complex", "decorative", "redundant", "unclear", "unseen"]
"""The branches of the W3C's decision tree for alternative texts, and "unseen" for what can't be looked at."""
Decision: TypeAlias = Literal["open", "accept", "decorative", "skip"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)


@dataclass(frozen=True, slots=True)
class Entry:
    """A suggestion. ``where`` says in words where the picture stands, ``source`` what the document names.

    ``text`` is what is suggested ("" where nothing is, or where the branch means an empty one), ``long`` a long
    description for the document. ``why`` gives the branch's reason, ``doubts`` what is uncertain, ``question`` what
    only the author can answer. ``now`` is the present text, None if there is none. ``mark`` finds the place again.
    """

    number: int
    source: str
    where: str
    branch: Branch
    text: str
    mark: str
    decision: Decision = "open"
    long: str = ""
    why: str = ""
    doubts: tuple[str, ...] = ()
    question: str = ""
    context: str = ""
    now: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the suggestion is to have no text, as the picture is decorative or says nothing new."""
        return not self.text and self.branch in ("decorative", "redundant")

    @property
    def written(self) -> str | None:
        """The text that goes into the document, "" for a decorative picture; None if nothing is to be written."""
        if self.decision == "decorative":
            return ""
        return self.text if self.decision == "accept" else None
