"""Which tier each picture gets when not all of them fit: one pure function, and the seam for another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..answer import Tier
from ..prompt import PIXELS

LOW_WATER = 0.5
"""The share of the room that is filled after lowering, beside the pictures of the question at hand.

Lowering a picture changes the prompt from there on, and all that follows is computed again. Going down to half of
the room means that about as many new tokens may come as are computed again before it happens the next time, so that
over a long conversation a token is computed about twice, however long it gets.
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A picture at one place of the prompt.

    ``tier`` is the one it has there now, ``costs`` its tokens at every tier, ``age`` how many questions ago it was last
    shown, asked about or looked at (0: in the question at hand), ``repeated`` whether it is shown again further on.
    """

    name: str
    tier: Tier
    costs: Mapping[Tier, int]
    age: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """What the pictures may take together: ``tokens``, and at most so many ``pictures`` as pixels (None: any number).

    ``thumbnails``: whether the model can make something of a picture's small view alone.
    """

    tokens: int
    pictures: int | None = None
    thumbnails: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """A tier, and why it was chosen, in a few words for a person."""

    tier: Tier
    why: str = ""


Policy: TypeAlias = Callable[[Sequence[Standing], Room], Sequence[Choice]]
"""Gets every picture in the order of the prompt, gives a choice for each; asked only when they don't fit.

A picture can be lowered where it stands; raising it there is possible, too, at the cost of computing what follows.
"""


def least_recent_first(standing: Sequence[Standing], room: Room) -> list[Choice]:
    """Lower what was not asked about for longest: to thumbnails, then to words, then to names; several at once.

    What is shown again further on goes first. A picture of the question at hand becomes a thumbnail at most, and only
    if nothing else is left to lower. Where everything fits, nothing changes.
    """
    shelf = _Shelf(standing, room)
    if shelf.fits(room):
        return shelf.choices
    low = _low_water(standing, room)
    oldest = sorted((i for i, s in enumerate(standing) if s.age > 0), key=lambda i: -standing[i].age)
    for place, picture in enumerate(standing):
        if picture.repeated:
            shelf.lower(place, "name", "shown again later")
    if room.pictures is not None and shelf.pictures > room.pictures:
        shelf.lower_all(oldest, "text", until=lambda: shelf.pictures <= (low.pictures or 1))
    for tier in ("thumbnail", "text", "name") if not shelf.has_tokens(room) else ():
        shelf.lower_all(oldest, tier, until=lambda: shelf.has_tokens(low))
    asked = [i for i, s in enumerate(standing) if s.age == 0]
    shelf.lower_all(asked, "thumbnail", until=lambda: shelf.has_tokens(room))
    return shelf.choices


def _low_water(standing: Sequence[Standing], room: Room) -> Room:
    """What is left after lowering: the pictures of the question at hand, and half of the room beside them."""
    asked = sum(s.costs[s.tier] for s in standing if s.age == 0 and not s.repeated)
    beside = max(0, room.tokens - asked)
    return Room(asked + int(beside * LOW_WATER), room.pictures and max(1, int(room.pictures * LOW_WATER)))


class _Shelf:
    """The choices as they are changed."""

    def __init__(self, standing: Sequence[Standing], room: Room) -> None:
        self._standing = standing
        self._thumbnails = room.thumbnails
        self.choices = [Choice(s.tier) for s in standing]

    @property
    def tokens(self) -> int:
        return sum(s.costs[choice.tier] for s, choice in zip(self._standing, self.choices, strict=True))

    @property
    def pictures(self) -> int:
        return sum(choice.tier in PIXELS for choice in self.choices)

    def has_tokens(self, room: Room) -> bool:
        return self.tokens <= room.tokens

    def fits(self, room: Room) -> bool:
        return self.has_tokens(room) and (room.pictures is None or self.pictures <= room.pictures)

    def lower_all(self, places: Sequence[int], tier: Tier, *, until: Callable[[], bool]) -> None:
        for place in places:
            if until():
                return
            self.lower(place, tier, _why(self._standing[place].age))

    def lower(self, place: int, tier: Tier, why: str) -> None:
        """Only if that saves tokens."""
        costs, now = self._standing[place].costs, self.choices[place].tier
        if tier == "thumbnail" and not self._thumbnails:
            return
        if tier == "text" and (costs["text"] <= costs["name"] or costs["text"] >= costs[now]):
            tier = "name"  # nothing is known in words, or too much
        if costs[tier] < costs[now]:
            self.choices[place] = Choice(tier, why)


def _why(age: int) -> str:
    if age == 0:
        return "too little room for all pictures of the question"
    return f"not asked about for {age} question{'s' * (age > 1)}"
