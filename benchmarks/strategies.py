"""Questions about two, three and six pictures, by the strategy that shows them.

    python benchmarks/strategies.py                    # 60 questions of each kind and number, pocket; some minutes
    python benchmarks/strategies.py --questions 200

Two kinds: a question that names one of several pictures, each of which has another answer (colour, shape or place, in
turn); and "which picture has ...", which needs all of them. The same pictures and questions go through each strategy,
in a conversation of its own. Tokens are those of all prompts of a question, computed or reused.
"""

from __future__ import annotations

import argparse
import platform
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import transformers

from looktwice import Agent
from looktwice.agent.eval.summary import interval
from looktwice.agent.strategy import STRATEGIES
from looktwice.world import Scene, ask_which, contrast_set

KINDS = ("colour", "shape", "where")
NAMES: tuple[str, ...] = ("door", "wall", "shop", "gate", "lamp", "roof")


@dataclass
class Cell:
    """A kind of question, a number of pictures and a strategy: scores, and sums of what was spent."""

    scores: list[float] = field(default_factory=list[float])
    tokens: int = 0
    passes: int = 0
    seconds: float = 0.0


def named(rng: random.Random, count: int, number: int) -> tuple[dict[str, Scene], str, str]:
    """Pictures with one question that only the name tells apart."""
    # Six pictures rarely have six answers to one question, so the two that are asked for differ, the rest may not.
    scenes, question = contrast_set(rng, KINDS[number % 3], min(count, 3))
    extra = contrast_set(rng, KINDS[number % 3], 3)[0] if count > 3 else []
    pictures = dict(zip(rng.sample(NAMES, count), [*scenes, *extra], strict=True))
    name = rng.choice(list(pictures)[: len(scenes)])
    return pictures, question.text(name), question.answer(pictures[name]) or ""


def which(rng: random.Random, count: int) -> tuple[dict[str, Scene], str, str]:
    """Pictures and what only one of them has."""
    while True:
        scenes = [*contrast_set(rng, "colour", min(count, 3))[0], *(contrast_set(rng, "colour", 3)[0] * (count > 3))]
        question = ask_which(rng, scenes)
        pictures = dict(zip(rng.sample(NAMES, count), scenes, strict=True))
        right = question.answer(pictures) if question else None
        if question is not None and right is not None:
            return pictures, question.text(), right


def drawn(questions: int, seed: int) -> Iterator[tuple[str, int, dict[str, Scene], str, str]]:
    """Every question: its kind, its number of pictures, the pictures by name, its words, its answer."""
    for count in (2, 3, 6):
        for number in range(questions):
            yield "named", count, *named(random.Random(f"{seed} named {count} {number}"), count, number)
            yield "which", count, *which(random.Random(f"{seed} which {count} {number}"), count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--seed", type=int, default=700_000)
    given = parser.parse_args()
    strategies = [strategy for strategy in STRATEGIES if strategy != "auto"]
    cells: dict[tuple[str, int, str], Cell] = {}
    with Agent("pocket", memory=":memory:", look_again=False) as agent:
        for kind, count, pictures, question, right in drawn(given.questions, given.seed):
            for strategy in strategies:
                cell = cells.setdefault((kind, count, strategy), Cell())
                chat = agent.chat()
                for name, scene in pictures.items():
                    chat.add(scene.image(), name)
                began = time.perf_counter()
                answer = chat.ask(question, strategy=strategy, max_new_tokens=24)
                cell.seconds += time.perf_counter() - began
                cell.scores.append(float(answer.text.removeprefix("@") == right.removeprefix("@")))
                cell.tokens += answer.usage.prompt
                cell.passes += sum(look.text.count("\n") for look in answer.looks if look.tool == "each") + 1
                chat.delete()
    print(
        f"pocket, {given.questions} questions a cell, seed {given.seed}; Python {platform.python_version()}, torch"
        f" {torch.__version__}, transformers {transformers.__version__}, {platform.machine()}\n"
    )
    print("| question | pictures | strategy | right, % [95 %] | passes | prompt tokens | s |")
    print(f"|{'---|' * 7}")
    for (kind, count, strategy), cell in cells.items():
        low, high = interval(cell.scores, 0)
        n = len(cell.scores)
        print(
            f"| {kind} | {count} | {strategy} | {100 * sum(cell.scores) / n:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
            f" | {cell.passes / n:.1f} | {cell.tokens / n:.0f} | {cell.seconds / n:.2f} |"
        )


if __name__ == "__main__":
    main()
