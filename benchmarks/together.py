"""What it brings to write answers together that are asked at the same time.

    python benchmarks/together.py [--rounds 5] [--model pocket] [--tokens 48]

So many conversations, each about a drawn picture of its own, ask one agent at once; and the same questions are asked
one after the other. Both start from nothing, take turns in one run on the same weights, and the answers are compared.
Pocket is small: a step of a large model on a GPU waits for its weights, so that more rows cost it next to nothing.
"""

from __future__ import annotations

import argparse
import random
import statistics
import threading
import time
from collections.abc import Sequence

import torch
from report import Report, add_json

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


def measured(backend: LlavaBackend, count: int, settings: Settings, rounds: int) -> tuple[object, ...]:
    """A row of the table."""
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
    return count, each, together, faster, tokens / together, same


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--tokens", type=int, default=48, help="of each answer at most")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    add_json(parser)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    backend = open_backend(given.model)
    backend.load()
    settings = Settings(max_new_tokens=given.tokens)
    Conversations(1).in_turn(backend, settings)  # what is made once
    about = f"{given.model} on {backend.device}, {given.threads} thread(s)"
    with Report(given, about, "torch", "transformers") as report:
        times = {"one after the other, s": "{:.2f}", "at once, s": "{:.2f}", "faster": "{:.2f} times"}
        report.table({"asked at once": "{}"} | times | {"tokens a second": "{:.0f}", "equal answers": "{}"})
        for count in COUNTS:
            report.row(*measured(backend, count, settings, given.rounds))
    backend.close()


if __name__ == "__main__":
    main()
