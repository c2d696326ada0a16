"""Whether a conversation that only grows computes each token once, with crops, tools, OCR and forks in it.

    python benchmarks/appended.py [--pictures 8] [--seed 1] [--json FILE]

Pocket looks at drawn pictures with a sign: a question at sight, a zoom into the sign, the sign read by OCR, a tool of
one's own, and now and then a fork from an earlier answer, which goes on beside the conversation it came from. Every
prompt that the model gets is held against all earlier ones: what no earlier prompt with its answer began with is new.
Counts alone, no times. The context is said to be as long as it takes, so that nothing is lowered.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Generator, Hashable
from dataclasses import dataclass, field
from typing import Any, cast

from budget import widened
from report import Report, add_json

from looktwice import Agent, tool
from looktwice.agent.backends import Backend, Done, Token, open_backend
from looktwice.agent.backends.reuse.prefixes import common
from looktwice.world import random_scene

WORDS = ("OPEN", "EXIT", "CAFE", "BAKERY", "BOOKS")


@tool
def opening_hours(shop: str) -> str:
    """When a shop is open."""
    return f"{shop}: 9:00 to 17:30, closed on Sundays"


@dataclass
class Counted:
    """A backend that counts, prompt by prompt, what is new and what was computed."""

    backend: Any
    new: int = 0
    computed: int = 0
    prompt: int = 0
    passes: int = 0
    before: list[list[Hashable]] = field(default_factory=list["list[Hashable]"])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def generate(self, prompt: Any, settings: Any, **more: Any) -> Generator[Token | Done]:
        """As the backend does."""
        keys = list(self.backend.checkpoint.encoder.encode(prompt).keys)
        for item in self.backend.generate(prompt, settings, **more):
            if isinstance(item, Done):
                self.new += len(keys) - max((common(keys, other) for other in self.before), default=0)
                self.computed += item.usage.new
                self.prompt += len(keys)
                self.passes += 1
                self.before.append([*keys, *(item.ids or ())])
            yield item


def run(pictures: int, seed: int) -> tuple[Counted, Counter[str], set[str]]:
    """The conversation and its forks: the counts, the looks by tool, and what went wrong in one."""
    rng, looks, wrong = random.Random(seed), Counter[str](), set[str]()
    counted = Counted(widened(open_backend("pocket")))
    model, tools = cast("Backend", counted), ["zoom", "ocr", opening_hours]
    with Agent(model, memory=":memory:", tools=tools, check=False, look_again=False) as agent:
        chat, answers = agent.chat("walk"), list[Any]()
        for number in range(pictures):
            name = f"shop{number}"
            chat.add(random_scene(rng, shapes=2, sign="plain", word=rng.choice(WORDS)).image(), name)
            asked = [
                (f"What does the sign in @{name} say?", "none"),
                (f"Zoom into the sign in @{name}.", "zoom"),
                (f"Read the sign in @{name} with OCR.", "ocr"),
                (f"When is the shop in @{name} open?", "opening_hours"),
            ]
            for question, choice in asked:
                answer = chat.ask(question, tool_choice=choice, looks=1, max_new_tokens=24)
                looks.update(look.tool for look in answer.looks)
                wrong |= {look.text for look in answer.looks if look.error}
                answers.append(answer)
            if number % 3 == 2:
                chat = chat.fork(rng.choice(answers[-8:-1]))
                looks["fork"] += 1
    return counted, looks, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    add_json(parser)
    given = parser.parse_args()
    counted, looks, wrong = run(given.pictures, given.seed)
    told = ", ".join(f"{count} {kind}" for kind, count in looks.items())
    about = f"{given.pictures} pictures, {counted.passes} passes; {told}"
    with Report(given, about, "torch", "transformers") as report:
        report.table({"prompt tokens": "{:,}", "new": "{:,}", "computed": "{:,}", "computed / new": "{:.3f}"})
        report.row(counted.prompt, counted.new, counted.computed, counted.computed / counted.new)
        report.fact("looks that failed", sorted(wrong))


if __name__ == "__main__":
    main()
