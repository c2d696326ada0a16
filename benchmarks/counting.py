"""What counting again over a picture's halves tells of a count, for a model that counts.

    python benchmarks/counting.py                  # 150 questions, pocket; some minutes
    python benchmarks/counting.py --questions 400

Scenes and "how many" questions are drawn here with seeds far from those of pocket's training. Each is asked once; what
is said is then counted again, left and right, above and below, in one batch of four. Printed: how often an answer was
right where both ways came to its number, where they agreed on another one, and where they differed or brought none; and
what would stand if the halves' number were believed where both ways agree on it.
"""

from __future__ import annotations

import argparse
import platform
import random
import re
import time
from collections import Counter as Tally

import torch
import transformers

from looktwice import Agent
from looktwice.agent.answer import Evidence
from looktwice.agent.backends import Settings
from looktwice.agent.checks.counting import Counter, counts_of
from looktwice.world import Scene, ask, random_scene

SEED = 800_000
CASES = ("both come to the answer", "both agree on another", "differ, or no number")
_NOTE = re.compile(r"(\d+) left and (\d+) right; (\d+) top and (\d+) bottom")


def drawn(rng: random.Random) -> tuple[Scene, str, int]:
    """A scene, a question for a number of things in it, and the number; half of the numbers are at least two."""
    wanted = rng.random() < 0.5
    while True:
        scene = random_scene(rng, shapes=rng.choice((2, 3, 4)))
        question = ask(rng, "count", [scene])
        right = int(question.answer(scene) or 0) if question else 0
        if question is not None and right and (right >= 2) == wanted:
            return scene, question.text("page"), right


def case_of(found: list[Evidence]) -> tuple[str, int | None]:
    """What the halves said of an answer, and their number where both ways agree on one."""
    sums = _NOTE.search(found[0].note) if found else None
    if sums is None:
        return CASES[2], None
    left, right, top, bottom = map(int, sums.groups())
    if found[0].verdict == "agree":
        return CASES[0], left + right
    return (CASES[1], left + right) if left + right == top + bottom else (CASES[2], None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--questions", type=int, default=150)
    given = parser.parse_args()
    asked, right, halves_right = Tally[str](), Tally[str](), Tally[str]()
    seconds = [0.0, 0.0]
    with Agent(given.model, memory=":memory:", look_again=False) as agent:
        counter = Counter(agent.backend, agent.memory.pictures.pixels, Settings())
        for number in range(given.questions):
            scene, question, count = drawn(random.Random(SEED + number))
            chat = agent.chat()
            picture = chat.add(scene.image(), "page")
            began = time.perf_counter()
            answer = chat.ask(question, max_new_tokens=12)
            seconds[0] += time.perf_counter() - began
            began = time.perf_counter()
            case, halves = case_of(counter.evidence(counts_of(answer.text, question, ()), picture))
            seconds[1] += time.perf_counter() - began
            asked[case] += 1
            right[case] += answer.text.strip() == str(count)
            halves_right[case] += halves == count
            chat.delete()
    print(
        f"{given.model}, {given.questions} questions, seeds from {SEED}; Python {platform.python_version()}, torch"
        f" {torch.__version__}, transformers {transformers.__version__}, {platform.machine()}\n"
    )
    print("| the halves | answers | right | right by the halves |")
    print("|---|---|---|---|")
    for case in CASES:
        print(f"| {case} | {asked[case]} | {right[case]} | {halves_right[case] if case != CASES[2] else ''} |")
    print(f"| all | {asked.total()} | {right.total()} | |")
    print(f"\n{seconds[0] / given.questions:.2f} s a question, {seconds[1] / given.questions:.2f} s to count again")


if __name__ == "__main__":
    main()
