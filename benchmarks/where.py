"""Where to look: how often each way to a place holds the sign that a question is about.

    python benchmarks/where.py                  # 100 signs too small for pocket; some minutes
    python benchmarks/where.py --signs 20

A drawn picture with one small sign, and the question what it says. "text": the line that the question leads to, or the
only one, by the text reader. "tiles": the likeliest of 4 quarters and 16 sixteenths, all asked about in one pass over
the kept prompt. "own zoom": what the model calls itself. "random": one of the sixteenths. A place holds the sign if a
zoom there shows all of it; its share is that of the picture; "read" is how often the model, shown that alone, says what
stands on the sign. Seconds are those of finding the place.
"""

from __future__ import annotations

import argparse
import platform
import random
import time
from collections.abc import Callable, Sequence
from statistics import mean
from typing import TypeAlias

import torch
import transformers

from looktwice import Agent, Chat, Image
from looktwice.agent.backends import open_backend
from looktwice.agent.checks.checker import Checker
from looktwice.agent.checks.reader import Reader
from looktwice.agent.prompt import compose
from looktwice.agent.sight import Sight
from looktwice.memory import fold
from looktwice.memory.recipe import Box
from looktwice.tools import find_tools
from looktwice.tools.frame import frame
from looktwice.world import HELD_OUT_WORDS, Scene, ask, random_scene

SEED = 800_000
Place: TypeAlias = tuple[int, int, int, int]
Way: TypeAlias = Callable[[Chat], Place | None]


def drawn(seed: int) -> tuple[Scene, str]:
    """A scene with a sign that can only be read closely, and the question what it says."""
    rng = random.Random(seed)
    while True:
        word = rng.choice(HELD_OUT_WORDS) if rng.random() < 0.3 else None
        scene = random_scene(rng, shapes=rng.choice((0, 1, 2)), sign="small", word=word)
        question = ask(rng, "read", [scene]) if scene.signs else None
        if question is not None:
            return scene, question.text("page")


def asked(agent: Agent, scene: Scene, question: str) -> Chat:
    """A conversation in which the question was just asked: its first step has called a zoom, or answered."""
    chat = agent.chat()
    chat.ask([Image(scene.image(), "page"), question], max_new_tokens=60)
    return chat


def by_own_zoom(chat: Chat) -> Place | None:
    for turn in chat.turns:
        for call in turn.calls:
            box = call.arguments.get("box")
            return None if box is None else tuple(box)
    return None


def by_tiles(chat: Chat) -> Place | None:
    images = {fold(picture.name): picture for picture in chat.images}
    until = next(place for place, turn in enumerate(chat.turns) if turn.role == "user") + 1
    prompt = compose(chat.turns[:until], images, style=chat.agent.backend.style)
    sight = Sight(chat.agent.backend, chat.memory, lambda: prompt, passed=lambda: None, notice=print)
    parts = sight.parts([images["page"]])
    return parts[0].box if parts else None


class ByText:
    """The way by the text reader, whose readings are kept as an agent keeps them."""

    def __init__(self) -> None:
        self._reader = Reader()

    def __call__(self, chat: Chat) -> Place | None:
        """The place in a conversation that begins with the question."""
        images = {fold(picture.name): picture for picture in chat.images}
        checker = Checker(chat.memory, self._reader, lambda: images, find_tools(["ocr"]), lambda: None)
        until = next(place for place, turn in enumerate(chat.turns) if turn.role == "user") + 1
        line = checker.line(chat.turns[:until], lone=True)
        place = line and checker.around(line)
        return (place[1][0], place[1][1], place[1][2], place[1][3]) if place else None


def by_chance(rng: random.Random) -> Way:
    def chosen(_: Chat) -> Place:
        x, y = rng.randrange(4) * 250, rng.randrange(4) * 250
        return (x, y, x + 250, y + 250)

    return chosen


def holds(box: Box, scene: Scene) -> bool:
    left, top, right, bottom = scene.signs[0].box
    return box[0] <= left and box[1] <= top and box[2] >= right and box[3] >= bottom


def share(box: Box, scene: Scene) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) / (scene.size[0] * scene.size[1])


def line(
    name: str, way: Way, chats: Sequence[Chat], drawings: Sequence[tuple[Scene, str]], plain: Agent
) -> tuple[str, ...]:
    """A row of the table: what a way comes to over all signs."""
    places: list[Place | None] = []
    seconds: list[float] = []
    for chat in chats:
        began = time.monotonic()
        places.append(way(chat))
        seconds.append(time.monotonic() - began)
    found = [(place, *drawing) for place, drawing in zip(places, drawings, strict=True) if place is not None]
    cuts = [(frame(scene.size, place), scene, question) for place, scene, question in found]
    read = 0
    for (box, size), scene, question in cuts:
        crop = scene.image().crop(box).resize(size)
        read += plain.chat().ask([Image(crop, "page"), question], max_new_tokens=20).text == scene.signs[0].text
    hits = sum(holds(box, scene) for (box, _), scene, _ in cuts)
    area = f"{mean(share(box, scene) for (box, _), scene, _ in cuts):.1%}" if cuts else "-"
    of = len(chats)
    took = "-" if name in ("own zoom", "random") else f"{mean(seconds[1:] or seconds):.2f}"
    return (name, f"{len(found)} of {of}", f"{hits} of {of}", area, f"{read} of {of}", took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--signs", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.machine()}, 1 thread, Python {platform.python_version()}, torch {torch.__version__}, ", end="")
    print(f"transformers {transformers.__version__}; model {options.model}; {options.signs} signs, seeds from {SEED}\n")
    backend = open_backend(options.model)
    drawings = [drawn(SEED + number) for number in range(options.signs)]
    ways: dict[str, Way] = {"text": ByText(), "tiles": by_tiles, "own zoom": by_own_zoom}
    ways["random"] = by_chance(random.Random(SEED))
    rows = [("way", "leads somewhere", "holds the sign", "share", "read", "seconds")]
    with (
        Agent(backend, memory=":memory:", tools=["zoom"]) as agent,
        Agent(backend, memory=":memory:", tools=()) as plain,
    ):
        chats = [asked(agent, scene, question) for scene, question in drawings]
        rows += [line(name, way, chats, drawings, plain) for name, way in ways.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
