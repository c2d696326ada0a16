"""How a question about several pictures is put to a model: all at once, one by one, or on one sheet.

LLaVA-NeXT 1.6 was trained on one picture at a time, and takes several for one another. Whoever asks may choose; what
is chosen by default depends on the checkpoint and on how many pictures the question is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias, get_args

from ..errors import InvalidInput
from ..memory import NamedPicture, fold
from ..memory.parts import TextPart, Turn
from .budget import Choice, Tiers
from .budget.fitting import standing
from .budget.uses import spoken_of
from .prompt import Style, only_one

__all__ = ["STRATEGIES", "Strategy", "about", "alone", "checked", "chosen", "wanted"]

Strategy: TypeAlias = Literal["auto", "interleave", "each", "sheet"]
"""``interleave``: every picture where it stands; ``each``: the question is asked of each picture alone, and answered
from what was said; ``sheet``: the pictures on one, each above its name."""


STRATEGIES = get_args(Strategy)


def checked(strategy: object) -> Strategy:
    """The strategy. Raises InvalidInput for what is none."""
    if strategy not in STRATEGIES:
        raise InvalidInput(f"strategy {strategy!r} can't be used; give 'auto', 'interleave', 'each' or 'sheet'")
    return strategy  # pyright: ignore[reportReturnType]


def chosen(strategy: Strategy, style: Style, pictures: int) -> Strategy:
    """What "auto" stands for: one by one where the model was trained on one picture and the question is about more."""
    if strategy != "auto":
        return strategy
    return "each" if style.one_at_a_time and pictures > 1 else "interleave"


def wanted(turns: Sequence[Turn], images: Mapping[str, NamedPicture], strategy: Strategy) -> list[NamedPicture]:
    """The pictures that the last question is about: those it speaks of, else those it brings, else all but crops.

    For "auto" a question that does neither is about none: it follows on what was said before.
    """
    question = next(turn for turn in reversed(turns) if turn.role == "user")
    shown = {fold(at.picture.name): at.picture for at in standing(turns, images)}
    spoken = spoken_of(question.text, shown.keys())
    brought = {fold(name) for name in question.images}
    for names in (spoken, brought):
        if names & shown.keys():
            return [picture for name, picture in shown.items() if name in names]
    return [picture for picture in shown.values() if picture.recipe is None and strategy != "auto"]


def about(turns: Sequence[Turn], name: str) -> list[Turn]:
    """The branch with a question that is to be answered from one picture."""
    last = max(number for number, turn in enumerate(turns) if turn.role == "user")
    told = TextPart(only_one(name))
    return [*turns[:last], turns[last]._replace(parts=(*turns[last].parts, told)), *turns[last + 1 :]]


def alone(
    turns: Sequence[Turn], images: Mapping[str, NamedPicture], tiers: Tiers, name: str | None, *, why: str
) -> Tiers:
    """Tiers that show one picture in full, where it stands last, and no other; with None no picture at all."""
    places = [at.place for at in standing(tiers.shown(turns), images)]
    last = next((place for place in reversed(places) if name is not None and place[1] == fold(name)), None)
    lowered = {place: tiers.lowered.get(place, Choice("name", why)) for place in places if place != last}
    hidden = {
        place: choice if choice.tier in ("text", "name") else Choice("name", why) for place, choice in lowered.items()
    }
    return replace(tiers, lowered=hidden)
