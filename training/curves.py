# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The training log, a line of JSON for each report, and its curves as pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Watch", "draw", "note"]


def note(log: Path, row: Mapping[str, Any]) -> None:
    """Add a report to a log."""
    with log.open("a") as file:
        file.write(json.dumps(row) + "\n")


def draw(folder: Path) -> None:
    """Draw ``tower.png`` and ``language.png`` from the logs that are there: shares of right answers over steps."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    for log in sorted(folder.glob("*.jsonl")):
        rows: list[dict[str, float]] = [json.loads(line) for line in log.read_text().splitlines()]
        names = sorted({name for row in rows for name in row if "loss" not in name} - {"step", "rate"})
        figure, axes = pyplot.subplots(figsize=(9, 6), layout="constrained")
        for number, name in enumerate(names):
            points = [(row["step"], 100 * row[name]) for row in rows if name in row]
            style = ("-", "--", ":")[number // 10 % 3]
            axes.plot(*zip(*points, strict=True), style, label=name, linewidth=1.2)
        axes.set(xlabel="step", ylabel="right, %", ylim=(0, 101), title=f"{log.stem}: running means in training")
        axes.legend(fontsize=7, ncols=2, loc="center left", bbox_to_anchor=(1.0, 0.5))
        figure.savefig(log.with_suffix(".png"), dpi=110)
        pyplot.close(figure)


class Watch:
    """Running means: of each loss, and of the share of right answers of each kind."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def note(self, losses: Mapping[str, float], said: Sequence[tuple[int, int, str]], right: Sequence[bool]) -> None:
        """Take in a batch. An answer is right if each of its tokens was the likeliest."""
        for name, loss in losses.items():
            self._take(f"loss {name}", loss, 0.02)
        for first, last, kind in said:
            self._take(kind, float(all(right[first:last])), 0.005)

    def _take(self, name: str, value: float, share: float) -> None:
        count = self._counts[name] = self._counts.get(name, 0) + 1
        before = self._means.get(name, value)
        self._means[name] = before + max(share, 1 / count) * (value - before)

    def now(self) -> dict[str, float]:
        """The means."""
        return {name: round(mean, 4) for name, mean in sorted(self._means.items())}

    def __str__(self) -> str:
        shown = {name: mean if name.startswith("loss") else round(100 * mean) for name, mean in self.now().items()}
        return " ".join(
            f"{name} {mean:.3f}" if isinstance(mean, float) else f"{name} {mean}" for name, mean in shown.items()
        )
