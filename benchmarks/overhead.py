"""What looktwice itself costs for a question, beside the model: 100 pictures, 200 turns.

    python benchmarks/overhead.py [--pictures 100] [--questions 100]

The model is a script that answers at once, so all that is measured is composing, counting, fitting and keeping: the
whole of `chat.ask`, in a file on disk with SQLite's full durability. A first question shows every picture; the rest are
words. Median and 95th percentile in milliseconds, over the first and the last fifth of the questions.
"""

from __future__ import annotations

import argparse
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from looktwice import Agent, ScriptedBackend


def measured(folder: Path, pictures: int, questions: int, context: int) -> list[float]:
    """Seconds of each question of words in a conversation with so many pictures."""
    rng = random.Random(1)
    with Agent(ScriptedBackend(["fine"] * (questions + 1), context=context), memory=folder / f"{context}.db") as agent:
        chat = agent.chat("overhead")
        for number in range(pictures):
            chat.add(Image.new("RGB", (64 + number, 48), (rng.randrange(256), 10, 200)), f"shot{number}")
        chat.ask("What is there?", max_new_tokens=64)
        seconds: list[float] = []
        for number in range(questions):
            began = time.perf_counter()
            chat.ask(f"And what about that, for the time number {number}?", max_new_tokens=64)
            seconds.append(time.perf_counter() - began)
    return seconds


def shown(name: str, seconds: Sequence[float]) -> str:
    fifth = max(1, len(seconds) // 5)
    cells: list[str] = []
    for part in (seconds[:fifth], seconds[-fifth:]):
        ordered = sorted(1000 * each for each in part)
        cells += [f"{statistics.median(ordered):.1f}", f"{ordered[int(0.95 * (len(ordered) - 1))]:.1f}"]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--questions", type=int, default=100)
    given = parser.parse_args()
    print(
        f"{given.pictures} pictures, {given.questions} questions; Python {platform.python_version()}, SQLite"
        f" {sqlite3.sqlite_version}, {platform.machine()}\n"
    )
    print("| milliseconds a question | first, median | p95 | last, median | p95 |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        print(shown("everything in full", measured(Path(folder), given.pictures, given.questions, 1_000_000)))
        print(shown("most pictures lowered", measured(Path(folder), given.pictures, given.questions, 6_000)))


if __name__ == "__main__":
    main()
