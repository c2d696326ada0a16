"""What is not sure of an answer, in whole sentences."""

from __future__ import annotations

from collections.abc import Iterator

from ...answer import Answer, Evidence
from ...trigger import Calibration
from ...words import Words
from ..sentences import shortened

__all__ = ["doubts_of"]

_SHOWN = 100  # characters of what the model is unsure of


def doubts_of(answer: Answer, calibration: Calibration, say: Words) -> Iterator[str]:
    """A sentence for each claim that the text in the picture doesn't bear out, and one if the model is unsure itself.

    What a model's own tokens tell counts only where it was measured what they are worth.
    """
    for item in answer.evidence:
        if sentence := _doubt(item, say):
            yield sentence
    if calibration.questions and answer.signals and calibration.doubt(answer.signals) >= calibration.threshold:
        yield say('The model is unsure: "{text}"', text=shortened(answer.text.strip(), _SHOWN))


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
