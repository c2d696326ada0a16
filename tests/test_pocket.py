"""The pocket checkpoint as it ships: its files, and right answers over many fresh pictures, never one sample.

The floors are under what the model card reports by more than chance can take from so few questions.
"""

from __future__ import annotations

import hashlib
import random
import re

import pytest

from looktwice import Agent, Image
from looktwice.agent.backends import pocket
from looktwice.agent.backends.checkpoint import open_checkpoint
from looktwice.world import OTHER_HAND, Question, Scene, ask, contrast_set, random_scene
from training.evaluate import evaluate
from training.tasks import tasks

SUMS = {
    name: digest
    for digest, _, name in (line.partition("  ") for line in (pocket.PATH / "SHA256SUMS").read_text().splitlines())
}
FLOORS = {
    "one picture: colour": 0.9,
    "one picture: shape": 0.9,
    "one picture: where": 0.9,
    "one picture: read": 0.65,
    "two to four pictures: colour": 0.8,
    "two to four pictures: shape": 0.8,
    "pictures exchanged: colour": 0.8,
    "names exchanged: colour": 0.8,
    "added three turns later: colour": 0.8,
    "small sign, zoom": 0.4,
    "small sign, ocr": 0.6,
    "small sign, no tool: says unreadable": 0.9,
    "no tool on offer: calls none": 0.95,
}
QUESTIONS = 30


def test_the_files_are_those_that_were_measured() -> None:
    for name, sha256 in SUMS.items():
        assert hashlib.sha256((pocket.PATH / name).read_bytes()).hexdigest() == sha256, name
    shipped = {path.name for path in pocket.PATH.iterdir() if path.suffix in (".json", ".jinja", ".safetensors")}
    assert shipped == SUMS.keys()
    assert sum(path.stat().st_size for path in pocket.PATH.iterdir() if path.is_file()) < 16_000_000


def test_it_says_what_it_knows() -> None:
    assert "nothing else" in open_checkpoint("pocket").note


@pytest.mark.parametrize("name", FLOORS)
def test_answers_are_right_over_many_pictures(name: str) -> None:
    (task,) = (task for task in tasks([None]) if task.name == name)
    (result,) = evaluate("pocket", [task], QUESTIONS)
    assert result.right / result.asked >= FLOORS[name], result.wrong


def scenes(seed: int, count: int) -> tuple[list[Scene], str, list[str]]:
    """Scenes that only their names tell apart, a question with {} for the name, and the answers."""
    pictures, question = contrast_set(random.Random(seed), "colour", count)
    return pictures, question.text("{}"), [question.answer(picture) or "" for picture in pictures]


def test_order_forks_and_follow_ups_keep_pictures_apart() -> None:
    right = asked = 0
    with Agent("pocket", memory=":memory:") as agent:
        for seed in range(12):
            pictures, question, answers = scenes(seed, 2)
            chat = agent.chat()
            first = chat.ask([Image(pictures[0].image(), "one"), question.format("one")])
            fork = chat.fork(first)
            chat.ask([Image(pictures[1].image(), "two"), question.format("two")])
            said = [first.text, chat.ask(question.format("two")).text, chat.ask(question.format("one")).text]
            said.append(fork.ask([Image(pictures[1].image(), "other"), question.format("other")]).text)
            wanted = [answers[0], answers[1], answers[0], answers[1]]
            right += sum(one == other for one, other in zip(said, wanted, strict=True))
            asked += len(wanted)
    assert right / asked >= 0.85


def test_what_is_reused_changes_no_answer() -> None:
    with Agent("pocket", memory=":memory:") as agent, Agent("pocket", memory=":memory:") as other:
        for seed in range(6):
            pictures, question, _ = scenes(100 + seed, 3)
            names = ["left", "middle", "right"]
            shown = [Image(picture.image(), name) for picture, name in zip(pictures, names, strict=True)]
            chat = agent.chat()
            chat.ask([*shown, question.format("left")])
            again = chat.ask(question.format("right"))
            anew = other.chat()
            anew.ask([*shown, question.format("left")])
            other.backend.close()  # everything computed is given back
            assert anew.ask(question.format("right")).text == again.text
            assert again.usage.reused > 0


def test_another_hands_drawings_are_known_too() -> None:
    right, rng = 0, random.Random(31)
    with Agent("pocket", memory=":memory:") as agent:
        for _ in range(QUESTIONS):
            scene, question = drawn(rng)
            right += agent.chat().ask([Image(scene.image(), "it"), question.text("it")]).text == question.answer(scene)
    assert right / QUESTIONS >= 0.8


def drawn(rng: random.Random) -> tuple[Scene, Question]:
    """A scene in another hand's style, and a question about a colour in it."""
    while True:
        scene = random_scene(rng, style=OTHER_HAND)
        question = ask(rng, "colour", [scene])
        if question is not None:
            return scene, question


def test_the_model_card_tells_every_task_with_its_number() -> None:
    card = (pocket.PATH / "MODEL_CARD.md").read_text(encoding="utf-8")
    for task in tasks([None]):
        assert re.search(rf"^\| {re.escape(task.name)} \| \d+\.\d % of \d+ \|", card, re.MULTILINE), task.name
