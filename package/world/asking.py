"""Random questions: about one scene, about one of several by its name, and about which of several."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .questions import Question, Ref, matching, refs
from .scenes import PLAIN, SignKind, Style, random_scene
from .things import COLOURS, SHAPES, Scene, Shape, Sign

__all__ = ["KINDS", "Which", "ask", "ask_which", "contrast_set"]

KINDS = ("colour", "shape", "count", "exists", "where", "relation", "side", "read", "describe")

WORDINGS: dict[str, tuple[str, ...]] = {
    "colour": (
        "What {colour} is the {ref}{in}?",
        "Which {colour} does the {ref}{in} have?",
        "Tell me the {colour} of the {ref}{in}.",
        "What is the {colour} of the {ref}{in}?",
    ),
    "shape": (
        "What shape is {ref}{in}?",
        "Which shape is {ref}{in}?",
        "What is the shape of the {ref} object{in}?",
        "What {ref} shape is there{in}?",
    ),
    "count": ("How many {refs} are there{in}?", "Count the {refs}{in}.", "How many {refs} do you see{in}?"),
    "exists": (
        "Is there {a ref}{in}?",
        "Do you see {a ref}{in}?",
        "Does {it} show {a ref}?",
        "Does {it} have {a ref}?",
    ),
    "where": ("Where is the {ref}{in}?", "Where{in} is the {ref}?", "Tell me where the {ref} is{in}."),
    "relation": ("Is the {ref} {side} the {other}{in}?", "Is the {ref}{in} {side} the {other}?"),
    "side": ("Is the {ref} {side} the {other}{in}?", "Is the {ref}{in} {side} the {other}?"),
    "read": (
        "What does the sign{in} say?",
        "Read the sign{in}.",
        "What is written on the sign{in}?",
        "What is the text on the sign{in}?",
    ),
    "describe": ("Describe {it}.", "What is in {it}?", "What do you see in {it}?"),
}
_WHICH = ("Which picture has {a ref}?", "Which image has {a ref}?", "Which picture shows {a ref}?")
_WHICH_SAYS = ("Which picture says {text}?", "Which image says {text}?", "In which picture does the sign say {text}?")
_SIDES = {
    "relation": ("left of", "right of", "above", "below"),
    "side": ("left or right of", "above or below"),
}


def ask(rng: random.Random, kind: str, scenes: Sequence[Scene]) -> Question | None:
    """A question of the kind that has an answer in every one of the scenes; None if chance found none.

    With several scenes their answers differ, where a few tries bring that about.
    """
    best: Question | None = None
    for _ in range(8):
        question = _question(rng, kind, scenes)
        answers = [None] if question is None else [question.answer(scene) for scene in scenes]
        if question is None or None in answers:
            continue
        if len(set(answers)) == len(scenes):
            return question
        best = best or question
        if len(set(answers)) > 1:
            best = question
    return best


def contrast_set(
    rng: random.Random,
    kind: str,
    count: int,
    *,
    sign: SignKind | None = None,
    style: Style = PLAIN,
    word_choices: Sequence[str] | None = None,
) -> tuple[list[Scene], Question]:
    """Scenes that all have what the question asks about, each with another answer: only the name tells which is meant.

    Of questions for yes or no and of counts, at least two answers differ.
    """
    sign = sign or ("plain" if kind == "read" else None)
    while True:
        scenes = [
            random_scene(
                rng,
                shapes=rng.choice((0, 1, 2) if sign else (2, 3, 3, 4)),
                sign=sign,
                word=rng.choice(word_choices) if word_choices else None,
                style=style,
            )
            for _ in range(count)
        ]
        if sign and not all(scene.signs for scene in scenes):
            continue
        question = ask(rng, kind, scenes)
        if question is None:
            continue
        answers = {question.answer(scene) for scene in scenes}
        few = kind in ("exists", "relation", "side", "count")
        if len(answers) == count or (few and len(answers) > 1):
            return scenes, question


@dataclass(frozen=True, slots=True)
class Which:
    """A question whose answer is a picture's name: the one with a shape, or with a sign that says something."""

    wording: str
    ref: Ref | None = None
    says: str | None = None

    def text(self) -> str:
        """The question."""
        return self.wording

    def fits(self, scene: Scene) -> bool:
        """Whether the scene is one of those asked for."""
        if self.ref is not None:
            return bool(matching(scene, self.ref))
        return any(sign.text == self.says and not sign.small for sign in scene.signs)

    def answer(self, scenes: Mapping[str, Scene]) -> str | None:
        """The name, as "@bill"; None unless exactly one scene fits."""
        found = [name for name, scene in scenes.items() if self.fits(scene)]
        return f"@{found[0]}" if len(found) == 1 else None


def ask_which(rng: random.Random, scenes: Sequence[Scene]) -> Which | None:
    """Which of the scenes has something that only one of them has; None if chance found nothing."""
    for _ in range(8):
        thing = rng.choice([thing for scene in scenes for thing in scene.things] or [None])
        match thing:
            case Shape(kind=kind, colour=colour):
                ref = rng.choice((Ref(colour, kind), Ref(colour, kind), Ref(colour=colour), Ref(kind=kind)))
                which = Which(rng.choice(_WHICH).replace("{a ref}", ref.article), ref=ref)
            case Sign(text=text, small=False):
                which = Which(rng.choice(_WHICH_SAYS).replace("{text}", text), says=text)
            case _:
                continue
        if sum(map(which.fits, scenes)) == 1:
            return which
    return None


def _question(rng: random.Random, kind: str, scenes: Sequence[Scene]) -> Question | None:
    wording = rng.choice(WORDINGS[kind])
    shared = refs(scenes[0]).intersection(*map(refs, scenes[1:]))
    match kind:
        case "colour":
            return _worded(
                kind, wording, _pick(rng, [r for r in shared if r.kind not in (None, "sign") and not r.colour]), rng
            )
        case "shape":
            return _worded(kind, wording, _pick(rng, [r for r in shared if r.colour and not r.kind]), rng)
        case "where":
            return _worded(kind, wording, _pick(rng, shared), rng)
        case "relation" | "side":
            several = sorted(shared, key=str)
            if len(several) < 2:
                return None
            one, other = rng.sample(several, 2)
            return _worded(kind, wording, one, rng, other=other, side=rng.choice(_SIDES[kind]))
        case "count":
            return _worded(kind, wording, _some_ref(rng, rng.choice(scenes), loose=0.5), rng)
        case "exists":
            return _worded(kind, wording, _some_ref(rng, rng.choice(scenes), loose=0.0), rng)
        case "read":
            return _worded(kind, wording, Ref(kind="sign"), rng)
        case _:
            return _worded(kind, wording, Ref(), rng)


def _pick(rng: random.Random, found: Sequence[Ref] | set[Ref]) -> Ref | None:
    return rng.choice(sorted(found, key=str)) if found else None


def _some_ref(rng: random.Random, scene: Scene, *, loose: float) -> Ref:
    """A ref to something of the scene, to something nearly like it, or to anything; ``loose``: to any shape."""
    kind = rng.random()
    if kind < loose:
        return Ref()
    kind = rng.random()
    if scene.shapes and kind < 0.45:
        shape = rng.choice(scene.shapes)
        return rng.choice((Ref(shape.colour, shape.kind), Ref(shape.colour), Ref(kind=shape.kind)))
    if len(scene.shapes) > 1 and kind < 0.7:
        one, other = rng.sample(scene.shapes, 2)
        return Ref(one.colour, other.kind)
    return rng.choice(
        (Ref(rng.choice(COLOURS), rng.choice(SHAPES)), Ref(rng.choice(COLOURS)), Ref(kind=rng.choice(SHAPES)))
    )


def _worded(
    kind: str, wording: str, ref: Ref | None, rng: random.Random, *, other: Ref | None = None, side: str = ""
) -> Question | None:
    if ref is None:
        return None
    other = other or Ref()
    plural = f"{ref}{'es' if ref.kind == 'cross' else 's'}"
    spoken = f"to the {side}" if side in ("left of", "right of") and rng.random() < 0.4 else side
    blanks = {
        "{colour}": rng.choice(("colour", "colour", "color")),
        "{refs}": plural,
        "{a ref}": ref.article,
        "{ref}": ref.colour if kind == "shape" else str(ref),
        "{side}": spoken,
        "{other}": str(other),
    }
    for blank, words in blanks.items():
        wording = wording.replace(blank, words or "")
    return Question(kind, wording, ref, other, side)
