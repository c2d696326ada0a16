"""What it brings to write answers together that are asked at the same time.

    python benchmarks/together.py [--rounds 5] [--model pocket] [--tokens 48]

So many conversations, each about a drawn picture of its own, ask one agent at once; and the same questions are asked
one after the other. Both start from nothing, take turns in one run on the same weights, and the answers are compared.
Pocket is small: a step of a large model on a GPU waits for its weights, so that more rows cost it next to nothing.
"""

from __future__ import annotations

import argparse
import platform
import random
import statistics
import threading
import time
from collections.abc import Sequence

import torch
import transformers

from looktwice.agent.backends import Done, Settings, open_backend
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.prompt import Message, Prompt, Shown, Words
from looktwice.world import random_scene

COUNTS = (1, 2, 4, 8)
QUESTION = "Describe @{name}."


class Conversations:
    """Drawn pictures, each with its question."""

    def __init__(self, count: int) -> None:
        scenes = {f"scene{number}": random_scene(random.Random(7000 + number)) for number in range(count)}
        self.pixels = {name: scene.image() for name, scene in scenes.items()}
        self.prompts = [
            Prompt(
                (
                    Message(
                        "user",
                        (
                            Words(f"Image {name}:\n"),
                            Shown(name, name, image.size),
                            Words(f"\n{QUESTION.format(name=name)}"),
                        ),
                    ),
                )
            )
            for name, image in self.pixels.items()
        ]

    def ask(self, backend: LlavaBackend, prompt: Prompt, settings: Settings) -> Done:
        """One answer."""
        stream = backend.generate(prompt, settings, pixels=self.pixels.__getitem__)
        return next(item for item in stream if isinstance(item, Done))

    def in_turn(self, backend: LlavaBackend, settings: Settings) -> tuple[float, list[Done]]:
        """Seconds and answers, one question after the other."""
        backend.forget(self.pixels)
        began = time.perf_counter()
        answers = [self.ask(backend, prompt, settings) for prompt in self.prompts]
        return time.perf_counter() - began, answers

    def at_once(self, backend: LlavaBackend, settings: Settings) -> tuple[float, list[Done]]:
        """Seconds and answers, each question in a thread of its own."""
        backend.forget(self.pixels)
        answers: dict[int, Done] = {}

        def ask(number: int) -> None:
            answers[number] = self.ask(backend, self.prompts[number], settings)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(self.prompts))]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began, [answers[number] for number in range(len(self.prompts))]


def equal(ones: Sequence[Done], others: Sequence[Done]) -> int:
    return sum(one.ids == other.ids for one, other in zip(ones, others, strict=True))


def measured(backend: LlavaBackend, count: int, settings: Settings, rounds: int) -> str:
    """A line of the table."""
    here, turns, at_once, same = Conversations(count), list[float](), list[float](), 0
    tokens = 0
    for _ in range(rounds):
        seconds, expected = here.in_turn(backend, settings)
        turns.append(seconds)
        seconds, found = here.at_once(backend, settings)
        at_once.append(seconds)
        same, tokens = equal(expected, found), sum(done.usage.output for done in found)
    faster = statistics.median(one / other for one, other in zip(turns, at_once, strict=True))
    each, together = statistics.median(turns), statistics.median(at_once)
    return (
        f"| {count} | {each:.2f} | {together:.2f} | {faster:.2f} times | {tokens / together:.0f} | {same} of {count} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--tokens", type=int, default=48, help="of each answer at most")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    backend = open_backend(given.model)
    backend.load()
    settings = Settings(max_new_tokens=given.tokens)
    Conversations(1).in_turn(backend, settings)  # what is made once
    print(f"{given.model} on {backend.device}, {given.threads} thread(s), {platform.machine()},", end=" ")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}")
    print("| asked at once | one after the other, s | at once, s | faster | tokens a second | equal answers |")
    print("|---|---|---|---|---|---|")
    for count in COUNTS:
        print(measured(backend, count, settings, given.rounds), flush=True)
    backend.close()


if __name__ == "__main__":
    main()
