"""A long conversation in a small context: 40 pictures, 200 questions, every picture asked about by name.

    python benchmarks/budget.py                                  # pocket, its 4096 tokens; some minutes
    python benchmarks/budget.py --pictures 12 --questions 60     # shorter
    python benchmarks/budget.py --plot costs.png                 # and a plot of what each question computed

A new picture comes with every fifth question or so; each question names one of the pictures there are, and has another
answer in at least one other of them. Four ways through the same questions, in one run:

- the budget (looktwice's default, old turns dropped): pictures are lowered and raised, nothing is refused;
- no budget: every picture stays in full; a question for which there is no room is refused and counts as wrong;
- no budget, in a context as long as it takes, which the model was not trained for;
- each question alone, with its picture, in a conversation of its own: what the model can do at best.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from report import Report, add_json

from looktwice import Agent, Chat
from looktwice.agent.answer import Budgeted
from looktwice.agent.backends import Backend, open_backend
from looktwice.agent.budget import Choice, Room, Standing
from looktwice.agent.eval.summary import interval
from looktwice.errors import PromptTooLong
from looktwice.world import Question, Scene, ask, random_scene

KINDS = ("colour", "shape", "where")
WORDS = (
    "door wall shop gate lamp roof path hill lake road desk shelf chair table plate glass fence porch tower bridge"
    " boat barn mill well cave farm camp dock mast tent flag kite drum harp bell book clock scarf glove stool"
)


@dataclass(frozen=True)
class Asked:
    """A question about the picture of that name, which comes with it if it is ``new``."""

    name: str
    scene: Scene
    question: Question
    new: bool


@dataclass
class Way:
    """How it went: scores, refused questions, tokens of the longest prompt, and by question of prompt and computed."""

    scores: list[float] = field(default_factory=list[float])
    refused: int = 0
    longest: int = 0
    computed: list[int] = field(default_factory=list[int])
    prompt: list[int] = field(default_factory=list[int])
    seconds: float = 0.0


def drawn(pictures: int, questions: int, seed: int) -> list[Asked]:
    """The conversation: pictures come evenly over its first four fifths."""
    rng = random.Random(seed)
    words = WORDS.split()
    names = [words[i % len(words)] + (str(i // len(words)) if i >= len(words) else "") for i in range(pictures)]
    rng.shuffle(names)
    scenes = {name: random_scene(rng, shapes=rng.choice((2, 3, 4))) for name in names}
    starts = {round(i * questions * 0.8 / pictures): name for i, name in enumerate(names)}
    there: list[str] = []
    asked: list[Asked] = []
    for number in range(questions):
        new = starts.get(number)
        there += [new] if new else []
        asked.append(one(rng, scenes, there, new))
    return asked


def one(rng: random.Random, scenes: dict[str, Scene], there: Sequence[str], new: str | None) -> Asked:
    """A question that another picture answers in another way, as soon as there is another."""
    while True:
        name = new or rng.choice(there)
        others = [scenes[other] for other in there if other != name] or list(scenes.values())
        other = rng.choice(others)
        question = ask(rng, rng.choice(KINDS), [scenes[name], other])
        if question is not None and question.answer(scenes[name]) != question.answer(other):
            return Asked(name, scenes[name], question, new is not None)


def never(standing: Sequence[Standing], room: Room) -> list[Choice]:
    """The policy of those who have none."""
    return [Choice(picture.tier) for picture in standing]


def through(agent: Agent, asked: Sequence[Asked], *, alone: bool) -> tuple[Way, Chat]:
    """All questions, in one conversation or each in its own."""
    way, chat = Way(), agent.chat()
    began = time.perf_counter()
    for item in asked:
        if alone:
            chat = agent.chat(f"{len(way.computed)}")
        if item.new or alone:
            chat.add(item.scene.image(), item.name)
        try:
            answer = chat.ask(item.question.text(item.name), max_new_tokens=32)
        except PromptTooLong:
            way.refused += 1
            way.scores.append(0.0)
            way.computed.append(0)
            way.prompt.append(0)
            continue
        way.scores.append(float(answer.text == item.question.answer(item.scene)))
        way.computed.append(answer.usage.new)
        way.prompt.append(answer.usage.prompt)
        way.longest = max(way.longest, answer.usage.prompt)
    way.seconds = time.perf_counter() - began
    return way, chat


def widened(backend: Any) -> Any:
    """The same checkpoint, said to take a million tokens and any number of pictures."""
    style = dataclasses.replace(backend.checkpoint.style, pictures=None, tokens=None)
    return type(backend)(dataclasses.replace(backend.checkpoint, context=1_000_000, style=style))


def unlimited(backend: Any) -> Any:
    """The same checkpoint, without what it says of how much it was trained to follow."""
    style = dataclasses.replace(backend.checkpoint.style, pictures=None, tokens=None)
    return type(backend)(dataclasses.replace(backend.checkpoint, style=style))


COLUMNS = {
    "way": "{}",
    "right, % [95 %]": "{0[0]:.1f} [{0[1]:.1f}, {0[2]:.1f}]",
    "refused": "{}",
    "longest prompt": "{}",
    "computed a question": "{:.0f}",
    "in the last quarter": "{:.0f}",
    "s": "{:.0f}",
}


def row(name: str, way: Way) -> tuple[object, ...]:
    """The cells of ``COLUMNS``."""
    low, high = interval(way.scores, 0)
    right = [100 * share for share in (sum(way.scores) / len(way.scores), low, high)]
    answered = [tokens for tokens in way.computed if tokens]
    last = answered[-len(answered) // 4 :]
    means = [sum(some) / len(some) if some else None for some in (answered, last)]
    return name, right, way.refused, way.longest, *means, way.seconds


def plot(ways: dict[str, Way], path: Path) -> None:
    """Tokens computed up to each question, of each way."""
    import matplotlib.figure

    figure: Any = matplotlib.figure.Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, way in ways.items():
        total, sums = 0, list[int]()
        for tokens in way.computed:
            total += tokens
            sums.append(total)
        axes.plot(range(1, len(sums) + 1), sums, label=name)
    every, total = list[int](), 0
    for tokens in ways["the budget"].prompt:
        total += tokens
        every.append(total)
    axes.plot(range(1, len(every) + 1), every, "--", label="the budget, everything computed anew")
    axes.set(xlabel="question", ylabel="prompt tokens computed so far", yscale="log")
    axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=600_000)
    parser.add_argument("--plot", type=Path)
    add_json(parser)
    given = parser.parse_args()
    asked = drawn(given.pictures, given.questions, given.seed)
    pocket = open_backend("pocket")
    backends: dict[str, tuple[Backend, dict[str, Any]]] = {
        "the budget": (pocket, {"old_turns": "drop"}),
        "no budget": (unlimited(pocket), {"policy": never}),
        "no budget, any length": (widened(pocket), {"policy": never}),
        "each question alone": (pocket, {}),
    }
    ways: dict[str, Way] = {}
    budget: list[Budgeted] = []
    for name, (backend, options) in backends.items():
        with Agent(backend, memory=":memory:", **options) as agent:
            ways[name], chat = through(agent, asked, alone=name == "each question alone")
            if name == "the budget":
                budget = chat.budget()
    about = (
        f"{given.questions} questions about {given.pictures} pictures, pocket, {pocket.context} tokens,"
        f" {torch.get_num_threads()} threads"
    )
    with Report(given, about, "torch", "transformers") as report:
        report.table(COLUMNS)
        for name, way in ways.items():
            report.row(*row(name, way))
    print(f"\nAt the end of the way with the budget ({len(budget)} places), the last 12:")
    for picture in budget[-12:]:
        print(f"{picture.name}, turn {picture.turn}: {picture.tier}, {picture.tokens} tokens. {picture.why}")
    if given.plot:
        plot(ways, given.plot)


if __name__ == "__main__":
    main()
