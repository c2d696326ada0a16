"""What is uncertain about a suggestion, said in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...words import Words
from .faults import LONGEST
from .seen import Seen

if TYPE_CHECKING:
    from ...answer import Answer, Evidence
    from ...trigger import Calibration

__all__ = ["doubts_of"]

_SURE = 0.7  # the mean probability of its words under which a model isn't called sure
_MOST = 3  # words of the reader's that are named


def doubts_of(
    seen: Seen,
    say: Words,
    *,
    says_text: bool = False,
    answer: Answer | None = None,
    text: str = "",
    calibration: Calibration | None = None,
) -> Iterator[str]:
    """The doubts, a sentence each.

    ``says_text``: the suggestion is what was read. ``answer`` is what a model said, and ``text`` what became of it.
    """
    for fault in seen.faults:
        yield say("Mind that {fault}.", fault=fault.said)
    if says_text and seen.uncertain:
        yield say("Not surely read: {words}.", words=", ".join(seen.uncertain[:_MOST]))
    if says_text and seen.has_gaps:
        yield say("Some text in the picture could not be read.")
    if answer is not None:
        yield from _of_answer(seen, say, answer, text, calibration)
    elif seen.unread:
        yield say("The text in the picture was not read: {why}", why=seen.unread)


def _of_answer(seen: Seen, say: Words, answer: Answer, text: str, calibration: Calibration | None) -> Iterator[str]:
    yield from filter(None, (_of_evidence(item, say) for item in answer.evidence))
    unsure = answer.confidence is not None and answer.confidence < _SURE
    doubtful = (
        calibration is not None
        and answer.signals is not None
        and calibration.doubt(answer.signals) >= calibration.threshold
    )
    if unsure or doubtful:
        yield say("The model was not sure of this.")
    else:
        yield say("Described by a model, and by nobody who saw the picture.")
    if seen.text and seen.text.casefold() not in text.casefold():
        yield say("Text in the picture: {text}", text=seen.text[:LONGEST])
    if seen.unread:
        yield say("It was not checked against the text in the picture: {why}", why=seen.unread)
    if len(text) > LONGEST:
        yield say("{n} characters are more than {most}; make it shorter.", n=len(text), most=LONGEST)


def _of_evidence(item: Evidence, say: Words) -> str:
    match item.verdict:
        case "conflict" if item.read:
            return say("It says {claim}, but {read} was read there.", claim=item.claim, read=item.read)
        case "conflict":
            return say("It says {claim}, which was not read in the picture.", claim=item.claim)
        case "unreadable":
            return say("Whether {claim} stands there could not be read.", claim=item.claim)
        case _:
            return ""
