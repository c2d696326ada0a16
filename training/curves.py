# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The training log, a line of JSON for each report, and its curves as pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["draw", "note"]


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
