"""What looktwice itself costs for a question, beside the model: 100 pictures, 200 turns.

    python benchmarks/overhead.py [--pictures 100] [--questions 100] [--json FILE]

The model is a script that answers at once, so all that is measured is composing, counting, fitting and keeping: the
whole of `chat.ask`, in a file on disk with SQLite's full durability. A first question shows every picture; the rest are
words. Median and 95th percentile in milliseconds, over the first and the last fifth of the questions; and what the
processor worked for the median question of the last fifth, which a busy machine changes less than the clock.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from report import Report, add_json

from looktwice import Agent, ScriptedBackend


class Cost(NamedTuple):
    """Milliseconds that passed for a question, and that the processor worked for it."""

    passed: float
    worked: float


def measured(folder: Path, pictures: int, questions: int, context: int) -> list[Cost]:
    """The cost of each question of words in a conversation with so many pictures."""
    rng = random.Random(1)
    with Agent(ScriptedBackend(["fine"] * (questions + 1), context=context), memory=folder / f"{context}.db") as agent:
        chat = agent.chat("overhead")
        for number in range(pictures):
            chat.add(Image.new("RGB", (64 + number, 48), (rng.randrange(256), 10, 200)), f"shot{number}")
        chat.ask("What is there?", max_new_tokens=64)
        costs: list[Cost] = []
        for number in range(questions):
            began, worked = time.perf_counter(), time.process_time()
            chat.ask(f"And what about that, for the time number {number}?", max_new_tokens=64)
            costs.append(Cost(1000 * (time.perf_counter() - began), 1000 * (time.process_time() - worked)))
    return costs


def cells(costs: Sequence[Cost]) -> list[float]:
    """Median and 95th percentile of the first and of the last fifth, and what the processor worked in the last."""
    fifth = max(1, len(costs) // 5)
    found: list[float] = []
    for part in (costs[:fifth], costs[-fifth:]):
        ordered = sorted(cost.passed for cost in part)
        found += [statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))]]
    return [*found, statistics.median(cost.worked for cost in costs[-fifth:])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--questions", type=int, default=100)
    add_json(parser)
    given = parser.parse_args()
    about = f"{given.pictures} pictures, {given.questions} questions"
    heads = ("first, median", "p95", "last, median", "p95 of the last", "processor")
    with tempfile.TemporaryDirectory() as folder, Report(given, about, "sqlite") as report:
        report.table({"milliseconds a question": "{}"} | dict.fromkeys(heads, "{:.1f}"))
        for name, context in (("everything in full", 1_000_000), ("most pictures lowered", 6_000)):
            report.row(name, *cells(measured(Path(folder), given.pictures, given.questions, context)))


if __name__ == "__main__":
    main()
