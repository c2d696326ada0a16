"""A small drawn world with known truth: what the pocket checkpoint knows, and what tests and examples draw from.

A ``Scene`` holds coloured shapes and sign boards and draws itself; a ``Question`` knows its wording and its answer for
any scene. Everything follows from a ``random.Random``, so the same seed gives the same pictures and questions:

    rng = random.Random(7)
    scene = random_scene(rng)
    question = ask(rng, "colour", [scene])
    print(question.text("door"), "->", question.answer(scene))
    scene.image().save("door.png")
"""

from __future__ import annotations

from .asking import KINDS, Which, ask, ask_which, contrast_set
from .questions import Question
from .scenes import HELD_OUT_WORDS, OTHER_HAND, PLAIN, WORDS, Style, random_scene
from .things import COLOURS, PLACES, SHAPES, Scene, Shape, Sign, Thing

__all__ = [
    "COLOURS",
    "HELD_OUT_WORDS",
    "KINDS",
    "OTHER_HAND",
    "PLACES",
    "PLAIN",
    "Question",
    "SHAPES",
    "Scene",
    "Shape",
    "Sign",
    "Style",
    "Thing",
    "WORDS",
    "Which",
    "ask",
    "ask_which",
    "contrast_set",
    "random_scene",
]
