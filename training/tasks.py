"""What the pocket checkpoint is measured by: tasks with fresh pictures, words, names and fonts that no training saw."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

from PIL import Image as PIL

from looktwice import Answer
from looktwice.world import (
    HELD_OUT_WORDS,
    OTHER_HAND,
    PLAIN,
    Question,
    Scene,
    Style,
    ask,
    ask_which,
    contrast_set,
    random_scene,
)
from looktwice.world.scenes import SignKind

from .names import HELD_OUT_NAMES, names

__all__ = ["Case", "Step", "Task", "tasks"]


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of a user: pictures by their names, and a question."""

    pictures: tuple[tuple[str, PIL.Image], ...]
    question: str


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation, the right answer to its last question, and the tools on offer."""

    steps: tuple[Step, ...]
    right: str
    tools: tuple[str, ...] = ()


Judge: TypeAlias = Callable[[Answer, Case], bool]
Exchange: TypeAlias = Literal["pictures", "names"]


def _is_right(answer: Answer, case: Case) -> bool:
    return answer.text == case.right and not (answer.looks and not case.tools)


def _looked(tool: str, answer: Answer, case: Case) -> bool:
    return _is_right(answer, case) and [look.tool for look in answer.looks] == [tool]


def _called_nothing(answer: Answer, _: Case) -> bool:
    return not answer.looks and "tool_call" not in answer.text


@dataclass(frozen=True, slots=True)
class Task:
    """Draws cases and judges answers. ``gate`` is the least share of right ones, or the largest if ``is_limit``."""

    name: str
    gate: float
    draw: Callable[[random.Random], Case]
    judge: Judge = _is_right
    is_limit: bool = False


def tasks(held_out_fonts: Sequence[str | None]) -> list[Task]:
    """All tasks, in the order in which they are reported."""
    other_fonts = PLAIN.with_fonts(held_out_fonts)
    other_hand = OTHER_HAND.with_fonts(held_out_fonts)
    kinds = ("colour", "shape", "count", "exists", "where", "relation", "side")
    few = ("colour", "shape", "where", "count", "read")
    return [
        *(Task(f"one picture: {kind}", 0.95, partial(_single, kind)) for kind in kinds),
        Task("one picture: read", 0.95, partial(_single, "read")),
        Task("one picture: read, held-out words", 0.85, partial(_single, "read", words=HELD_OUT_WORDS)),
        Task("one picture: read, held-out fonts", 0.85, partial(_single, "read", style=other_fonts)),
        Task("one picture: describe", 0.90, partial(_single, "describe")),
        *(Task(f"two to four pictures: {kind}", 0.90, partial(_several, kind)) for kind in few),
        *(Task(f"pictures exchanged: {kind}", 0.90, partial(_several, kind, exchange="pictures")) for kind in few),
        *(Task(f"names exchanged: {kind}", 0.90, partial(_several, kind, exchange="names")) for kind in few),
        *(Task(f"added three turns later: {kind}", 0.90, partial(_late, kind)) for kind in ("colour", "shape", "read")),
        Task("which picture has X", 0.90, _which),
        Task("small sign, zoom", 0.90, partial(_small, ("zoom",)), partial(_looked, "zoom")),
        Task(
            "small sign, zoom, held-out words",
            0.85,
            partial(_small, ("zoom",), words=HELD_OUT_WORDS),
            partial(_looked, "zoom"),
        ),
        Task("small sign, ocr", 0.95, partial(_small, ("ocr",)), partial(_looked, "ocr")),
        Task("small sign, no tool: says unreadable", 0.95, partial(_small, ())),
        Task("no tool on offer: calls none", 0.99, _toolless, _called_nothing),
        *(Task(f"another hand: {kind}", 0.85, partial(_single, kind, style=other_hand)) for kind in few),
        *(
            Task(f"blank picture: {kind}", chance, partial(_blank, kind), is_limit=True)
            for kind, chance in _CHANCE.items()
        ),
    ]


_CHANCE = {"colour": 1 / 8, "shape": 1 / 6, "where": 1 / 9, "read": 0.01}


def _names(rng: random.Random, count: int) -> list[str]:
    return rng.sample(HELD_OUT_NAMES, count) if rng.random() < 0.4 else names(rng, count)


def _scene(
    rng: random.Random, kind: str, style: Style, words: Sequence[str] | None, sign: SignKind | None = None
) -> Scene:
    sign = sign or ("plain" if kind == "read" or (kind == "describe" and rng.random() < 0.4) else None)
    shapes = rng.choice((0, 1, 2) if sign else (2, 3, 3, 4))
    return random_scene(rng, shapes=shapes, sign=sign, word=rng.choice(words) if words else None, style=style)


def _asked(rng: random.Random, kind: str, style: Style, words: Sequence[str] | None) -> tuple[Scene, Question]:
    while True:
        scene = _scene(rng, kind, style, words)
        question = ask(rng, kind, [scene]) if scene.things else None
        if question is not None:
            return scene, question


def _single(kind: str, rng: random.Random, *, style: Style = PLAIN, words: Sequence[str] | None = None) -> Case:
    scene, question = _asked(rng, kind, style, words)
    (name,) = _names(rng, 1)
    text = question.text(name if rng.random() < 0.6 else None)
    return Case((Step(((name, scene.image()),), text),), question.answer(scene) or "")


def _several(kind: str, rng: random.Random, *, exchange: Exchange | None = None) -> Case:
    """Every picture has what is asked about, with another answer; ``exchange`` lets two of them change places or names.

    The question stays the same, so the right answer becomes the other picture's.
    """
    count = rng.choice((2, 3) if exchange else (2, 3, 4))
    scenes, question = contrast_set(rng, kind, count)
    answers = [question.answer(scene) or "" for scene in scenes]
    called = _names(rng, count)
    meant = rng.randrange(count)
    other = rng.choice([place for place in range(count) if answers[place] != answers[meant]])
    images, shown = [scene.image() for scene in scenes], list(called)
    if exchange == "pictures":
        images[meant], images[other] = images[other], images[meant]
    elif exchange == "names":
        shown[meant], shown[other] = shown[other], shown[meant]
    step = Step(tuple(zip(shown, images, strict=True)), question.text(called[meant]))
    return Case((step,), answers[other if exchange else meant])


def _late(kind: str, rng: random.Random) -> Case:
    """Three questions about one picture, then a second picture and a question about that."""
    while True:
        scenes, question = contrast_set(rng, kind, 2)
        first, second = _names(rng, 2)
        earlier = [ask(rng, rng.choice(("colour", "where", "count", "shape")), scenes[:1]) for _ in range(3)]
        if None not in earlier:
            break
    texts = [one.text(first) for one in earlier if one is not None]
    steps = [Step(((first, scenes[0].image()),), texts[0]), *(Step((), text) for text in texts[1:])]
    last = Step(((second, scenes[1].image()),), question.text(second))
    return Case((*steps, last), question.answer(scenes[1]) or "")


def _which(rng: random.Random) -> Case:
    while True:
        count = rng.choice((2, 3, 4))
        scenes = [_scene(rng, rng.choice(("colour", "colour", "read")), PLAIN, None) for _ in range(count)]
        which = ask_which(rng, scenes)
        if which is not None:
            break
    called = _names(rng, count)
    right = which.answer(dict(zip(called, scenes, strict=True)))
    pictures = tuple((name, scene.image()) for name, scene in zip(called, scenes, strict=True))
    return Case((Step(pictures, which.text()),), right or "")


def _small(tools: tuple[str, ...], rng: random.Random, *, words: Sequence[str] | None = None) -> Case:
    while True:
        scene = _scene(rng, "read", PLAIN, words, sign="small")
        question = ask(rng, "read", [scene]) if scene.signs else None
        if question is not None:
            break
    (name,) = _names(rng, 1)
    right = scene.signs[0].text if tools else question.answer(scene) or ""
    return Case((Step(((name, scene.image()),), question.text(name)),), right, tools)


def _toolless(rng: random.Random) -> Case:
    kind = rng.choice(("read", "read", "colour", "describe", "count"))
    return _small((), rng) if kind == "read" and rng.random() < 0.6 else _single(kind, rng)


def _blank(kind: str, rng: random.Random) -> Case:
    """The same question about nothing: only guessing can be right."""
    scene, question = _asked(rng, kind, PLAIN, None)
    (name,) = _names(rng, 1)
    blank = replace(scene, things=())
    return Case((Step(((name, blank.image()),), question.text(name)),), question.answer(scene) or "")
