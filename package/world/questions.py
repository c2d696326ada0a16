"""Questions about one scene, with their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from .things import Scene, Shape, Sign, Thing

__all__ = ["Question", "Ref", "UNREADABLE", "described", "matching"]

UNREADABLE = "unreadable"
_NEAR = 0.08  # of the side: two middles that are nearer are neither left nor right of each other


@dataclass(frozen=True, slots=True)
class Ref:
    """How a question names a thing: by colour, by kind ("sign" for a sign), by both, or any shape by neither."""

    colour: str | None = None
    kind: str | None = None

    def __str__(self) -> str:
        return " ".join(word for word in (self.colour, self.kind or "shape") if word)

    @property
    def article(self) -> str:
        """With "a" or "an" before it."""
        return f"{'an' if self.colour == 'orange' else 'a'} {self}"


def matching(scene: Scene, ref: Ref) -> list[Thing]:
    """The things that a ref fits."""
    if ref.kind == "sign":
        return list(scene.signs)
    return [s for s in scene.shapes if ref.colour in (None, s.colour) and ref.kind in (None, s.kind)]


def named(scene: Scene, ref: Ref) -> Thing | None:
    """The one thing that a ref fits; None if it fits none or several."""
    found = matching(scene, ref)
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Question:
    """A question of some kind. ``{in}`` in its wording is the place for the picture's name, ``{it}`` for the picture.

    ``ref`` and ``other`` are what it asks about; ``side`` is the relation between the two, or the two in question
    ("left or right of").
    """

    kind: str
    wording: str
    ref: Ref = Ref()
    other: Ref = Ref()
    side: str = ""

    def text(self, name: str | None) -> str:
        """The question about the picture of that name; about "the picture" without one."""
        inside, it = ("", "the picture") if name is None else (f" in @{name}", f"@{name}")
        return self.wording.replace("{in}", inside).replace("{it}", it)

    def answer(self, scene: Scene) -> str | None:
        """The right answer; None where the question makes no sense, as for a thing that is there twice."""
        return _ANSWERS[self.kind](scene, self)

    def subjects(self, scene: Scene) -> list[Thing]:
        """The things in the scene that one has to look at to answer."""
        match self.kind:
            case "describe":
                return list(scene.things)
            case "relation" | "side":
                return [*matching(scene, self.ref), *matching(scene, self.other)]
            case _:
                return matching(scene, self.ref)


Answerer: TypeAlias = Callable[[Scene, Question], str | None]


def _colour(scene: Scene, question: Question) -> str | None:
    thing = named(scene, question.ref)
    return thing.colour if isinstance(thing, Shape) else None


def _shape(scene: Scene, question: Question) -> str | None:
    thing = named(scene, question.ref)
    return thing.kind if isinstance(thing, Shape) else None


def _count(scene: Scene, question: Question) -> str:
    return str(len(matching(scene, question.ref)))


def _exists(scene: Scene, question: Question) -> str:
    return "yes" if matching(scene, question.ref) else "no"


def _where(scene: Scene, question: Question) -> str | None:
    thing = named(scene, question.ref)
    return None if thing is None else scene.place(thing)


def _relation(scene: Scene, question: Question) -> str | None:
    one, other = named(scene, question.ref), named(scene, question.other)
    if one is None or other is None or one is other:
        return None
    (x, y), (u, v) = scene.centre(one), scene.centre(other)
    gap = {"left of": u - x, "right of": x - u, "above": v - y, "below": y - v}[question.side]
    return None if abs(gap) < _NEAR else "yes" if gap > 0 else "no"


def _side(scene: Scene, question: Question) -> str | None:
    """Which of the two sides, as "left" of "left or right of"."""
    one, other = ("above", "below") if question.side == "above or below" else ("left", "right")
    is_one = _relation(scene, replace(question, side="left of" if one == "left" else one))
    return is_one and {"yes": one, "no": other}[is_one]


def _read(scene: Scene, question: Question) -> str | None:
    sign = named(scene, question.ref)
    if not isinstance(sign, Sign):
        return None
    return UNREADABLE if sign.small else sign.text


def described(scene: Scene, thing: Thing) -> str:
    """A thing in words, with its place: "a red circle at top left", "a sign that says STOP"."""
    if isinstance(thing, Sign):
        return "an unreadable sign" if thing.small else f"a sign that says {thing.text}"
    return f"{Ref(thing.colour, thing.kind).article} at {scene.place(thing)}"


def _describe(scene: Scene, _: Question) -> str:
    return ", ".join(described(scene, thing) for thing in scene.things) or "nothing"


_ANSWERS: dict[str, Answerer] = {
    "colour": _colour,
    "shape": _shape,
    "count": _count,
    "exists": _exists,
    "where": _where,
    "relation": _relation,
    "side": _side,
    "read": _read,
    "describe": _describe,
}


def refs(scene: Scene, *, signs: bool = True) -> set[Ref]:
    """Every way to name exactly one thing of the scene."""
    kinds, colours = Counter(s.kind for s in scene.shapes), Counter(s.colour for s in scene.shapes)
    found = {Ref(s.colour, s.kind) for s in scene.shapes}
    found |= {Ref(kind=kind) for kind, count in kinds.items() if count == 1}
    found |= {Ref(colour=colour) for colour, count in colours.items() if count == 1}
    return found | ({Ref(kind="sign")} if signs and len(scene.signs) == 1 else set())
