"""What a run over many pictures came to. A pure value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

__all__ = ["BatchSummary", "Progress"]

Progress: TypeAlias = Callable[[int, int], object]
"""Is told how many of how many rows there are."""


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """Counts of rows. ``is_whole``: the run was not stopped before its end; the same call goes on with it.

    ``done`` rows came in this run, ``skipped`` ones were there before, ``failed`` ones (of either) have an error, of
    which ``errors`` are the first few new ones as (id, error). ``asked`` is how many answers the model computed: equal
    rows share one. Tokens are those of the computed answers.
    """

    out: str
    total: int
    done: int
    skipped: int
    failed: int
    asked: int
    seconds: float
    prompt_tokens: int
    output_tokens: int
    is_whole: bool
    errors: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON with everything."""
        return {**asdict(self), "errors": [{"id": row, "error": error} for row, error in self.errors]}
