"""What was decided for the pictures of a branch, and how it is read back from the branch's last answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...memory import fold
from ...memory.parts import Turn
from ..answer import LeftOut, Tier
from ..prompt import Place
from ..record import Record
from .policy import Choice


@dataclass(frozen=True, slots=True)
class Tiers:
    """What the prompt of a branch shows. A place that isn't in ``lowered`` is shown in full."""

    lowered: Mapping[Place, Choice] = field(default_factory=dict[Place, Choice])
    left_out: LeftOut | None = None

    @classmethod
    def of(cls, turns: Sequence[Turn], model: str) -> Tiers:
        """As the last answer that this model gave on this branch had it; everything in full before the first one."""
        last = next((t for t in reversed(turns) if t.role == "assistant" and t.model == model and t.meta), None)
        if last is None or "budget" not in last.meta:
            return cls()
        record = Record.of(last)
        lowered = {(b.turn, fold(b.name)): Choice(b.tier, b.why) for b in record.budget if b.tier != "full"}
        return cls(lowered, record.left_out)

    @property
    def tiers(self) -> Mapping[Place, Tier]:
        """The tiers alone, as `compose` takes them."""
        return {place: choice.tier for place, choice in self.lowered.items()}

    def shown(self, turns: Sequence[Turn]) -> list[Turn]:
        """The turns without those that are left out; standing instructions and tools always stay."""
        if self.left_out is None:
            return list(turns)
        since = self.left_out.since
        first = next((i for i, turn in enumerate(turns) if turn.id == since), 0)
        return [turn for i, turn in enumerate(turns) if i >= first or turn.role == "system"]

    def hidden(self, turns: Sequence[Turn]) -> set[str]:
        """The folded names of pictures of this branch that stand nowhere in full."""
        if not self.lowered and self.left_out is None:
            return set()
        shown = {turn.id for turn in self.shown(turns)}
        names, full = set[str](), set[str]()
        for turn in turns:
            for name in map(fold, turn.images):
                names.add(name)
                if turn.id in shown and (turn.id, name) not in self.lowered:
                    full.add(name)
        return names - full
