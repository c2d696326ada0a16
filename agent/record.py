"""What an answer keeps beside its words, read back for those who show it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from ..errors import StoreError
from ..memory.parts import Turn
from .answer import Answer, Budgeted, Evidence, LeftOut, Look, SeenImage, Signals, Timing, Usage

_BUDGETED = tuple(field.name for field in fields(Budgeted))
_SEEN = tuple(field.name for field in fields(SeenImage))
_NOT_KEPT = ("answer", "text", "conversation", "turn", "model", "lang")


def kept_of(answer: Answer) -> dict[str, Any]:
    """What the turn of an answer keeps. Pictures as plain rows, and of the budget only what isn't shown in full: both
    are said anew with every answer, and a long conversation has many pictures."""
    told = replace(answer, images=(), budget=()).to_json()
    kept = {name: value for name, value in told.items() if name not in _NOT_KEPT}
    kept["images"] = [_row(picture, _SEEN) for picture in answer.images]
    lowered = [_row(picture, _BUDGETED) for picture in answer.budget if picture.tier != "full"]
    return {**kept, "budget": lowered} if lowered or answer.left_out else _without(kept, "budget", "left_out")


def _row(value: object, names: tuple[str, ...]) -> list[Any]:
    return [getattr(value, name) for name in names]


def _without(kept: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in kept.items() if name not in names}


def _rows_of(names: tuple[str, ...]) -> BeforeValidator:
    """Reads rows as they were kept; anything else is left as it is, to be read as a mapping or refused."""

    def read(row: object) -> object:
        return dict(zip(names, cast("list[object]", row), strict=False)) if isinstance(row, list) else row

    return BeforeValidator(read)


class Record(BaseModel):
    """What an assistant's turn keeps beside its words. Fields that are not known here are left aside."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    looks: tuple[Look, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    images: tuple[Annotated[SeenImage, _rows_of(_SEEN)], ...] = ()
    usage: Usage | None = None
    timing: Timing | None = None
    confidence: float | None = None
    finish: str | None = None
    notices: tuple[str, ...] = ()
    signals: Signals | None = None
    passes: int | None = None
    budget: tuple[Annotated[Budgeted, _rows_of(_BUDGETED)], ...] = ()
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
