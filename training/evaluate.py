"""Measures a checkpoint through the package's own agent: greedy answers on fresh pictures, with Wilson intervals."""

from __future__ import annotations

import json
import math
import platform
import random
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import PIL
import torch
import transformers

from looktwice import Agent, Answer, Image
from looktwice.agent.backends import pocket

from .tasks import Case, Task

__all__ = ["Result", "evaluate", "table", "wilson"]

_SEED = 90_000  # far from those of the shelf


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a task: how many of ``asked`` were right, the gate, and some that were wrong, to be looked at."""

    task: str
    asked: int
    right: int
    gate: float
    is_limit: bool
    milliseconds: tuple[float, float]
    """The median and the 95th percentile of an answer."""
    wrong: tuple[tuple[str, str, str], ...]
    """Question, right answer, given answer."""

    @property
    def is_met(self) -> bool:
        """Whether the share is on the right side of the gate."""
        share = self.right / self.asked
        return share <= self.gate if self.is_limit else share >= self.gate


def evaluate(model: str, tasks: Sequence[Task], count: int, *, workers: int = 1) -> list[Result]:
    """Ask each task's questions, each in a conversation of its own; prints each result as it comes.

    With several workers each is a process of its own; all compute with one thread.
    """
    print(f"{platform.machine()}, one thread, Python {platform.python_version()}, torch {torch.__version__}, ", end="")
    print(f"transformers {transformers.__version__}, Pillow {PIL.__version__}; {count} questions a task, greedy")
    print(_costs(model))
    work = [model] * len(tasks), tasks, [count] * len(tasks)
    if workers == 1:
        return [_told(result) for result in map(_measured, *work)]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        return [_told(result) for result in pool.map(_measured, *work)]


def _told(result: Result) -> Result:
    print(_line(result), flush=True)
    return result


def table(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    head = "| task | right | 95 % interval | gate | |\n|---|---|---|---|---|"
    return "\n".join([head, *map(_row, results)])


def save(results: Sequence[Result], path: Path) -> None:
    """Keep the results as JSON."""
    path.write_text(json.dumps([asdict(result) for result in results], indent=1, ensure_ascii=False) + "\n")


def wilson(right: int, asked: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, "Probable inference, the law of succession", 1927)."""
    z, share = 1.959964, right / asked
    middle = (share + z * z / (2 * asked)) / (1 + z * z / asked)
    half = z * math.sqrt(share * (1 - share) / asked + z * z / (4 * asked * asked)) / (1 + z * z / asked)
    return max(0.0, middle - half), min(1.0, middle + half)


def _costs(model: str) -> str:
    """What the checkpoint takes: bytes on disk, and seconds to load, which the first answer waits for."""
    seconds: list[float] = []
    with Agent(model, memory=":memory:") as agent:
        chat = agent.chat()
        for _ in range(2):
            began = time.perf_counter()
            chat.ask("Is there a red circle?")
            seconds.append(time.perf_counter() - began)
    folder = pocket.PATH if model == "pocket" else Path(model)
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    return f"{size / 1e6:.1f} MB on disk; loaded in {seconds[0] - seconds[1]:.2f} s"


def _measured(model: str, task: Task, count: int) -> Result:
    torch.set_num_threads(1)
    rng = random.Random(f"{_SEED} {task.name}")
    right, seconds, wrong = 0, list[float](), list[tuple[str, str, str]]()
    with Agent(model, memory=":memory:", looks=2, look_again=False) as agent:
        for place in range(-1, count):  # the first one loads the weights and isn't counted
            case = task.draw(random.Random(0) if place < 0 else rng)
            began = time.perf_counter()
            answer = _ask(agent, case)
            if place < 0:
                continue
            seconds.append(time.perf_counter() - began)
            if task.judge(answer, case):
                right += 1
            elif len(wrong) < 12:
                wrong.append((case.steps[-1].question, case.right, answer.text))
    seconds.sort()
    spent = seconds[len(seconds) // 2], seconds[int(0.95 * (len(seconds) - 1))]
    times = (round(1000 * spent[0], 1), round(1000 * spent[1], 1))
    return Result(task.name, count, right, task.gate, task.is_limit, times, tuple(wrong))


def _ask(agent: Agent, case: Case) -> Answer:
    chat = agent.chat()
    try:
        answer: Answer | None = None
        for step in case.steps:
            pictures = [Image(image, name) for name, image in step.pictures]
            answer = chat.ask([*pictures, step.question], tools=case.tools)
        assert answer is not None
        return answer
    finally:
        chat.delete()


def _line(result: Result) -> str:
    low, high = wilson(result.right, result.asked)
    sign, verdict = ("<=" if result.is_limit else ">="), ("yes" if result.is_met else "NO")
    share = f"{100 * result.right / result.asked:5.1f} %  [{100 * low:.1f}, {100 * high:.1f}]"
    times = "p50 {:.0f} ms, p95 {:.0f} ms".format(*result.milliseconds)
    return f"{result.task:42} {share}  {sign} {100 * result.gate:.1f}  {verdict:3}  {times}"


def _row(result: Result) -> str:
    low, high = wilson(result.right, result.asked)
    sign, verdict = ("≤" if result.is_limit else "≥"), ("met" if result.is_met else "not met")
    share = f"{100 * result.right / result.asked:.1f} % of {result.asked}"
    interval = f"{100 * low:.1f} to {100 * high:.1f}"
    return f"| {result.task} | {share} | {interval} | {sign} {100 * result.gate:.1f} | {verdict} |"
