"""The tables of a run as rows of text, the same for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .evaluation import Evaluation
from .summary import Agreement, Change, Line

__all__ = ["Table", "tables"]


@dataclass(frozen=True, slots=True)
class Table:
    """A caption, the heads of the columns, and rows of cells; the first cell of a row names it."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(evaluation: Evaluation) -> Iterator[Table]:
    """The tables that a run has: of modes and kinds, against "off", and of modes that say the same."""
    found, replay = evaluation.summary, evaluation.is_replay
    heads = ("mode", "kind", "n", "failed", "agrees" if replay else "accuracy", "95 % interval", "passes")
    cost = ("new tokens", "tokens p95", "seconds", "seconds p95", "conflicts", "unreadable")
    caption = "Each mode against the stored answers" if replay else "Each mode, and what a question costs"
    yield Table(caption, (*heads, *cost), tuple(_line(line) for line in found.lines))
    if found.changes and not replay:
        heads = ("mode", "kind", "n", "helped", "hurt", "unchanged", "difference", "95 % interval")
        yield Table("Against the mode off", heads, tuple(_change(change) for change in found.changes))
    if found.agreements and replay:
        rows = tuple(_agreement(each) for each in found.agreements)
        yield Table("Modes that say the same", ("mode", "and", "n", "same", "share"), rows)


def _line(line: Line) -> tuple[str, ...]:
    start = (line.mode, line.kind, str(line.n), str(line.failed))
    if line.share is None:
        return (*start, *["-"] * 9)
    cost = (f"{line.passes:.2f}", f"{line.new_tokens:.0f}", f"{line.new_tokens_p95:.0f}", f"{line.seconds:.2f}")
    verdicts = (f"{line.seconds_p95:.2f}", str(line.conflicts), str(line.unreadable))
    return (*start, f"{100 * line.share:.1f} %", _between(line.low, line.high), *cost, *verdicts)


def _change(change: Change) -> tuple[str, ...]:
    start = (change.mode, change.kind, str(change.n), str(change.helped), str(change.hurt), str(change.unchanged))
    if change.difference is None:
        return (*start, "-", "-")
    return (*start, f"{100 * change.difference:+.1f} %", _between(change.low, change.high, sign="+"))


def _agreement(each: Agreement) -> tuple[str, ...]:
    share = f"{100 * each.same / each.n:.1f} %" if each.n else "-"
    return (each.mode, each.other, str(each.n), str(each.same), share)


def _between(low: float | None, high: float | None, *, sign: str = "") -> str:
    assert low is not None and high is not None
    return f"{100 * low:{sign}.1f} to {100 * high:{sign}.1f}"
