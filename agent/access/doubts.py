"""What is not sure of an answer, in whole sentences."""

from __future__ import annotations

from collections.abc import Iterator

from ..answer import Answer, Evidence
from ..words import Words

__all__ = ["doubts_of"]


def doubts_of(answer: Answer, say: Words) -> Iterator[str]:
    """A sentence for each claim that the text in the picture doesn't bear out."""
    for item in answer.evidence:
        if sentence := _doubt(item, say):
            yield sentence


def _doubt(item: Evidence, say: Words) -> str:
    match item.verdict, item.kind:
        case "conflict", "side":
            return say('"{claim}": they don\'t stand so in the picture.', claim=item.claim)
        case "conflict", _ if item.read:
            return say('The model says "{claim}"; "{read}" was read in the picture.', claim=item.claim, read=item.read)
        case "conflict", _:
            return say('The model says "{claim}"; no such text was found in the picture.', claim=item.claim)
        case "unreadable", _:
            return say('The model says "{claim}"; it can\'t be read well there.', claim=item.claim)
        case _:
            return ""
