"""What an answer keeps beside its words, read back for those who show it."""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from ..errors import StoreError
from ..memory.parts import Turn
from .answer import Answer, Budgeted, Evidence, LeftOut, Look, SeenImage, Signals, Timing, Usage

_BUDGETED = tuple(field.name for field in fields(Budgeted))
_NOT_KEPT = ("answer", "text", "conversation", "turn", "model", "lang")


def kept_of(answer: Answer) -> dict[str, Any]:
    """What the turn of an answer keeps. Of the budget only what isn't shown in full, as plain rows: it is said anew
    with every answer, and a long conversation has many pictures."""
    kept = {name: value for name, value in answer.to_json().items() if name not in _NOT_KEPT}
    lowered = [astuple(picture) for picture in answer.budget if picture.tier != "full"]
    return {**kept, "budget": lowered} if lowered or answer.left_out else _without(kept, "budget", "left_out")


def _without(kept: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in kept.items() if name not in names}


def _from_row(row: object) -> object:
    """A row of the budget as it was kept; anything else is left to be refused."""
    if not isinstance(row, list):
        return row
    values = cast("list[object]", row)
    return dict(zip(_BUDGETED, values, strict=False))


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
    budget: tuple[Annotated[Budgeted, BeforeValidator(_from_row)], ...] = ()
    left_out: LeftOut | None = None

    @classmethod
    def of(cls, turn: Turn) -> Record:
        """The record of a turn. Raises StoreError, with the turn's id, if it can't be read."""
        try:
            return cls.model_validate(dict(turn.meta))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(step) for step in first["loc"])
            raise StoreError(f"turn {turn.id}: {field} can't be read: {first['msg']}; run: looktwice verify") from error
