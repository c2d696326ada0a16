"""Whether to look again: what an answer's own tokens tell of its worth, and a calibration of that for a checkpoint.

A look costs a pass and can do harm as well as good, so it is worth it only where the first answer is likely wrong.
How much each signal weighs differs from checkpoint to checkpoint and is fitted on questions with known answers
(`looktwice.agent.eval.fitting`). Most signals cost nothing; those that do are only taken where they weigh something.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, fields

from pydantic import BaseModel, ConfigDict, Field, field_validator

from .answer import Signals
from .backends.backend import Token

__all__ = ["ALWAYS", "COSTLY", "Calibration", "MEASURING", "UNCALIBRATED", "signals_of"]

COSTLY = ("visible", "small")
"""The signals that cost something: a pass, and a reading of the picture."""

_LEAST = -100.0  # the natural logarithm for a token that could not be: JSON knows no infinity
_DECLINED = re.compile(
    r"\b(?:unreadable|illegible|(?:can'?t|cannot|can not|unable to) (?:be )?(?:read|see|make out|tell|seen|determine)"
    r"|not (?:clearly )?(?:legible|readable|visible)|too (?:small|blurr\w*|tiny) to"
    r"|unleserlich|nicht (?:lesbar|erkennbar|zu (?:lesen|erkennen))|kann (?:ich )?nicht (?:lesen|erkennen)"
    r"|illisible|(?:ne peux|n'arrive) pas (?:à )?(?:lire|voir)|pas lisible"
    r"|ilegible|no (?:puedo|se puede) (?:leer|ver)|no es legible)\b",
    re.IGNORECASE,
)


def signals_of(text: str, tokens: Sequence[Token]) -> Signals | None:
    """The signals of an answer; None if its tokens are not known."""
    if not tokens:
        return None
    logprobs = [max(token.logprob, _LEAST) for token in tokens]
    return Signals(
        mean=round(math.fsum(logprobs) / len(logprobs), 4),
        lowest=round(min(logprobs), 4),
        entropy=round(max(token.entropy for token in tokens), 4),
        declined=bool(_DECLINED.search(text)),
    )


class Calibration(BaseModel):
    """How doubtful an answer of a checkpoint is, given its signals, and from which doubt on a look is worth it.

    ``weights`` are of a logistic regression for "the answer is wrong", by the names of the signals; ``threshold`` is a
    probability. ``usual`` is what a signal that isn't known counts as. ``tiles``: where no text leads to a place, the
    model is asked of which part of the picture matters, before it is left to zoom by itself. ``questions`` is how many
    it was fitted on, 0 for the default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    weights: dict[str, float]
    bias: float
    threshold: float = Field(gt=0, le=1)
    questions: int = Field(ge=0)
    usual: dict[str, float] = Field(default_factory=dict[str, float])
    tiles: bool = False

    @field_validator("weights", "usual")
    @classmethod
    def _of_signals(cls, given: dict[str, float]) -> dict[str, float]:
        unknown = given.keys() - {each.name for each in fields(Signals)}
        if unknown:
            raise ValueError(f"unknown signals: {', '.join(sorted(unknown))}")
        return given

    def weighs(self, signal: str) -> bool:
        """Whether a signal makes any difference."""
        return self.weights.get(signal, 0.0) != 0.0

    def doubt(self, signals: Signals) -> float:
        """The probability that an answer with these signals is wrong."""
        values: dict[str, float | None] = asdict(signals)
        score = self.bias
        for name, weight in self.weights.items():
            value = values[name]
            score += weight * float(self.usual.get(name, 0.0) if value is None else value)
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, score))))


UNCALIBRATED = Calibration(model="", weights={"declined": 6.0}, bias=-3.0, threshold=0.5, questions=0)
"""Without a calibration only an answer that declines is looked at again."""
ALWAYS = Calibration(model="", weights={}, bias=10.0, threshold=1e-6, questions=1)
"""Every answer is looked at again: what a calibration is fitted against."""
MEASURING = Calibration(model="", weights=dict.fromkeys(COSTLY, 1e-9), bias=-50.0, threshold=1.0, questions=1)
"""No answer is looked at again, but every signal is taken: what a calibration is fitted on."""
