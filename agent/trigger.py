"""Whether to look again: what an answer's own tokens tell of its worth, and a calibration of that for a checkpoint.

A look costs a pass and can do harm as well as good, so it is worth it only where the first answer is likely wrong.
The signals cost nothing; how much each of them weighs differs from checkpoint to checkpoint and is fitted on
questions with known answers (`looktwice.agent.eval.fitting`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field

from .answer import Signals
from .backends.backend import Token

__all__ = ["ALWAYS", "Calibration", "UNCALIBRATED", "signals_of"]

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
    probability. ``questions`` is how many it was fitted on, 0 for the default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    weights: dict[str, float]
    bias: float
    threshold: float = Field(gt=0, le=1)
    questions: int = Field(ge=0)

    def doubt(self, signals: Signals) -> float:
        """The probability that an answer with these signals is wrong."""
        values = asdict(signals)
        score = self.bias + sum(weight * float(values[name]) for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, score))))


UNCALIBRATED = Calibration(model="", weights={"declined": 6.0}, bias=-3.0, threshold=0.5, questions=0)
"""Without a calibration only an answer that declines is looked at again."""
ALWAYS = Calibration(model="", weights={}, bias=10.0, threshold=1e-6, questions=1)
"""Every answer is looked at again: what a calibration is fitted against."""
