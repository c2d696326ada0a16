"""An answer to a row as it is kept, and what keeps them.

Results are told by what made them, the model and its settings; only the same ones go on in the same file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from ...errors import InvalidInput

__all__ = ["COLUMNS", "Kept", "Result", "Results", "require_same"]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a row. ``error``: no answer, and why.

    ``sha256`` is the hash of the picture's bytes, ``confidence`` the mean probability (0..1) of the answer's tokens,
    ``seconds`` the row's share of the time of its batch, 0 for one that is equal to another.
    """

    id: str
    image: str
    sha256: str | None
    question: str
    answer: str | None = None
    finish: str | None = None
    prompt_tokens: int = 0
    output_tokens: int = 0
    confidence: float | None = None
    seconds: float = 0.0
    error: str | None = None
    model: str = ""


_NUMBERS: dict[str, type] = {"prompt_tokens": int, "output_tokens": int, "confidence": float, "seconds": float}
COLUMNS: dict[str, type] = {each.name: _NUMBERS.get(each.name, str) for each in fields(Result)}


@dataclass(frozen=True, slots=True)
class Kept:
    """What a row that is there was asked, and whether it failed."""

    question: str
    failed: bool


class Results(Protocol):
    """Where answers are kept."""

    path: str

    def kept(self) -> dict[str, Kept]:
        """Every row that is there, by its id."""
        ...

    def known(self, sha256: str, question: str) -> Result | None:
        """An answer to that question about those bytes, if there is one."""
        ...

    def begin_again(self, ids: Collection[str]) -> None:
        """These rows, which failed, are asked again."""
        ...

    def keep(self, results: Sequence[Result]) -> None:
        """Keep rows, all of them or none."""
        ...

    def finish(self) -> None:
        """Every row is there."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def require_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise InvalidInput, with the first difference, where results were made by something else."""
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            raise InvalidInput(
                f"the results in {str(path)!r} were made with {name} {before.get(name)!r}, not {now.get(name)!r};"
                " name another file with --out"
            )
