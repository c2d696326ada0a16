"""Results in one SQLite file: the runs, and an answer for each question and mode, kept as soon as it is there.

A run is told by its model, settings, versions and data. The same ones go on where they were, however they ended; others
begin another run in the same file.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ...memory.results import open_results, told
from ..answer import Signals
from .items import Refused

__all__ = ["Crop", "Results", "Scored", "Step"]

_APPLICATION = 0x4C4B3245  # "LK2E", in the file's header


@dataclass(frozen=True, slots=True)
class Crop:
    """A part that was looked at: a box in pixels of the original picture with that key."""

    key: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Step:
    """A look: the call, what it said, and the parts that it showed."""

    tool: str
    arguments: Mapping[str, Any]
    text: str
    error: bool = False
    crops: tuple[Crop, ...] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of a question in a mode. ``error``: nothing, and why; then there is no score either.

    Tokens are those of all passes together; ``seconds`` are from the question to the end of the answer. ``is_cold``:
    the first answer in its mode of a process, which loads weights and readers.
    """

    item: str
    mode: str
    kind: str
    metric: str
    question: str
    right: tuple[str, ...]
    answer: str = ""
    hedged: str = ""
    score: float | None = None
    conflicts: int = 0
    unreadable: int = 0
    looks: int = 0
    passes: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    confidence: float | None = None
    signals: Signals | None = None
    finish: str | None = None
    error: str | None = None
    is_cold: bool = False
    conversation: str | None = None
    trace: tuple[Step, ...] = ()


_COLUMNS = tuple(each.name for each in fields(Scored))


class Results:
    """The results at ``path``, made if there are none; ``":memory:"`` keeps them as long as this object.

    Raises StoreError for a file that is something else, and for whatever SQLite can't do.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: str = os.path.expanduser(os.fspath(path))
        self._db = open_results(self.path, application=_APPLICATION, maker="looktwice eval", migrate=_migrate)

    def run(self, identity: Mapping[str, Any], about: Mapping[str, Any]) -> int:
        """The number of the run with that identity, begun if there is none; ``about`` is kept with a new one."""
        name = json.dumps(identity, sort_keys=True, ensure_ascii=False)
        with told(self.path), self._db.atomic():
            for row in self._db.query("SELECT id FROM runs WHERE identity = ?", [name]):
                return int(row["id"])
            values = {**identity, **about, "identity": name, "created": time.time()}
            return int(self._db.table("runs").insert(values, alter=True).last_pk)

    def about(self, run: int) -> dict[str, Any]:
        """What is kept of a run: model, settings, versions, machine, data."""
        with told(self.path):
            row = next(iter(self._db.query("SELECT * FROM runs WHERE id = ?", [run])))
        return {**json.loads(row["identity"]), **{name: row[name] for name in ("id", "created", "machine")}}

    def keep(self, run: int, scored: Scored) -> None:
        """Keep an answer, unless there is one for its question and mode."""
        values = {**asdict(scored), "run": run, "created": time.time()}
        with told(self.path), self._db.atomic():
            self._db.table("answers").insert(values, ignore=True)

    def done(self, run: int) -> set[tuple[str, str]]:
        """The questions, with their modes, that a run has asked."""
        with told(self.path):
            return {(row["item"], row["mode"]) for row in self._db.query(_DONE, [run])}

    def drop_failed(self, run: int) -> None:
        """Forget the answers that failed, so that they are asked again."""
        with told(self.path), self._db.atomic():
            self._db.execute("DELETE FROM answers WHERE run = ? AND error IS NOT NULL", [run])

    def answers(self, run: int, *, items: Collection[str], modes: Sequence[str]) -> list[Scored]:
        """The answers to these items in these modes, in the order of the items, then of the modes."""
        places = {item: place for place, item in enumerate(items)}
        with told(self.path):
            rows = list(self._db.query(f"SELECT {', '.join(map(_quoted, _COLUMNS))} FROM answers WHERE run = ?", [run]))
        found = [_scored(row) for row in rows if row["item"] in places and row["mode"] in modes]
        return sorted(found, key=lambda scored: (places[scored.item], modes.index(scored.mode)))

    def refuse(self, run: int, refused: Iterable[Refused]) -> None:
        """Keep what could not be asked, each once."""
        rows = [{"run": run, "place": each.place, "reason": each.reason} for each in refused]
        with told(self.path), self._db.atomic():
            self._db.table("refused").insert_all(rows, ignore=True)

    def refused(self, run: int) -> list[Refused]:
        """What could not be asked."""
        with told(self.path):
            rows = self._db.query("SELECT place, reason FROM refused WHERE run = ? ORDER BY rowid", [run])
            return [Refused(row["place"], row["reason"]) for row in rows]

    def close(self) -> None:
        """Close the file; ``with Results(...) as results:`` does it by itself."""
        self._db.close()

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_DONE = "SELECT item, mode FROM answers WHERE run = ?"


def _migrate(db: Any) -> None:
    """Make the tables where they are missing; ``runs`` takes further columns as they come."""
    text, number, real = str, int, float
    db.table("runs").create({"id": number, "identity": text, "created": real}, pk="id", if_not_exists=True)
    db.table("runs").create_index(["identity"], unique=True, if_not_exists=True)
    numbers = {"conflicts", "unreadable", "looks", "passes", "prompt_tokens", "new_tokens", "output_tokens", "is_cold"}
    reals = {"score", "seconds", "confidence"}
    columns = {name: number if name in numbers else real if name in reals else text for name in _COLUMNS}
    db.table("answers").create(
        {"id": number, "run": number, **columns, "created": real},
        pk="id",
        not_null={"run", "item", "mode"},
        foreign_keys=[("run", "runs", "id")],
        if_not_exists=True,
    )
    db.table("answers").create_index(["run", "item", "mode"], unique=True, if_not_exists=True)
    db.table("refused").create({"run": number, "place": text, "reason": text}, pk=("run", "place"), if_not_exists=True)


def _scored(row: Mapping[str, Any]) -> Scored:
    trace = tuple(_step(step) for step in json.loads(row["trace"]))
    right = tuple(json.loads(row["right"]))
    signals = None if row["signals"] is None else Signals(**json.loads(row["signals"]))
    read = {"right": right, "trace": trace, "signals": signals, "is_cold": bool(row["is_cold"])}
    values: dict[str, Any] = {**row, **read}
    return Scored(**values)


def _step(stored: Mapping[str, Any]) -> Step:
    crops = tuple(Crop(crop["key"], tuple(crop["box"])) for crop in stored["crops"])
    return Step(stored["tool"], stored["arguments"], stored["text"], stored["error"], crops)


def _quoted(column: str) -> str:
    return f'"{column}"'
