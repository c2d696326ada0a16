"""What an answer keeps beside its words, read back for those who show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from ..errors import StoreError
from ..memory.parts import Turn
from .answer import Answer, Budgeted, Evidence, LeftOut, Look, SeenImage, Signals, Timing, Usage

_NOT_KEPT = ("answer", "text", "conversation", "turn", "model", "lang")


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture as it stood in the prompt of an answer, by its name in the conversation."""

    name: str
    tokens: int
    tier: str


_SEEN, _SEEN_BEFORE, _BUDGETED = (tuple(f.name for f in fields(kind)) for kind in (Seen, SeenImage, Budgeted))
_SEEN_ONCE, _BUDGETED_ONCE = ("tier",), ("tier", "why")  # what neighbours share


def kept_of(answer: Answer) -> dict[str, Any]:
    """What the turn of an answer keeps.

    Pictures by name alone, in runs, and of the budget only what isn't shown in full: all of them are said anew with
    every answer, and a long conversation has many.
    """
    told = replace(answer, images=(), budget=()).to_json()
    kept = {name: value for name, value in told.items() if name not in _NOT_KEPT}
    kept["images"] = _runs(answer.images, _SEEN, _SEEN_ONCE)
    lowered = _runs([each for each in answer.budget if each.tier != "full"], _BUDGETED, _BUDGETED_ONCE)
    return {**kept, "budget": lowered} if lowered or answer.left_out else _without(kept, "budget", "left_out")


def _runs(items: Sequence[object], names: Sequence[str], once: Sequence[str]) -> list[dict[str, Any]]:
    """Neighbours that share some fields: these once, and of the others a list each."""
    runs: list[dict[str, Any]] = []
    for shared, group in groupby(items, lambda item: [getattr(item, name) for name in once]):
        run = list(group)
        columns = {name: [getattr(item, name) for item in run] for name in names if name not in once}
        runs.append({**dict(zip(once, shared, strict=True)), **columns})
    return runs


def _without(kept: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in kept.items() if name not in names}


def _rows_of(names: Sequence[str], once: Sequence[str], before: Sequence[str]) -> BeforeValidator:
    """Reads runs, and rows and mappings as earlier versions kept them; anything else is left, to be refused."""
    several = [name for name in names if name not in once]

    def read(value: Any) -> Any:
        return [row for each in value for row in rows(each)] if _is(value, list) else value

    def rows(one: Any) -> list[Any]:
        if _is(one, list):
            return [dict(zip(before, one, strict=False))]
        columns: list[Any] = [one.get(name) for name in several] if _is(one, dict) else [None]
        if not all(_is(column, list) for column in columns) or len({*map(len, columns)}) > 1:
            return [one]
        shared = {name: one.get(name) for name in once}
        return [{**shared, **dict(zip(several, row, strict=True))} for row in zip(*columns, strict=True)]

    return BeforeValidator(read)


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind)


class Record(BaseModel):
    """What an assistant's turn keeps beside its words. Fields that are not known here are left aside."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    looks: tuple[Look, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    images: Annotated[tuple[Seen, ...], _rows_of(_SEEN, _SEEN_ONCE, _SEEN_BEFORE)] = ()
    usage: Usage | None = None
    timing: Timing | None = None
    confidence: float | None = None
    finish: str | None = None
    notices: tuple[str, ...] = ()
    signals: Signals | None = None
    passes: int | None = None
    budget: Annotated[tuple[Budgeted, ...], _rows_of(_BUDGETED, _BUDGETED_ONCE, _BUDGETED)] = ()
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
