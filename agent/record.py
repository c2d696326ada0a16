"""What an answer keeps beside its words, read back for those who show it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import StoreError
from ..memory.parts import Turn
from .answer import Evidence, Look, SeenImage, Signals, Timing, Usage


class Record(BaseModel):
    """What an assistant's turn keeps beside its words. Fields that are not known here are left aside."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    looks: tuple[Look, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    images: tuple[SeenImage, ...] = ()
    usage: Usage | None = None
    timing: Timing | None = None
    confidence: float | None = None
    finish: str | None = None
    notices: tuple[str, ...] = ()
    signals: Signals | None = None

    @classmethod
    def of(cls, turn: Turn) -> Record:
        """The record of a turn. Raises StoreError, with the turn's id, if it can't be read."""
        try:
            return cls.model_validate(dict(turn.meta))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(step) for step in first["loc"])
            raise StoreError(f"turn {turn.id}: {field} can't be read: {first['msg']}; run: looktwice verify") from error
