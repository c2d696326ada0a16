"""What a person is told when a prompt shows less than the last one did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..answer import Tier
from ..prompt import Place, questions
from .tiers import Tiers

_SHOWN_AS: Mapping[Tier, str] = {
    "full": "in full again",
    "thumbnail": "as thumbnails",
    "text": "as words",
    "name": "by name only",
}


def changes(before: Tiers, after: Tiers, names: Mapping[Place, str]) -> Iterator[str]:
    """What a person is told when a prompt shows less than the last one did; ``names`` are the pictures by place."""
    gone = after.left_out.questions - (before.left_out.questions if before.left_out else 0) if after.left_out else 0
    if gone > 0:
        how = "summed up" if after.left_out and after.left_out.summary else "left out"
        yield f"{questions(gone)} too old to fit {'was' if gone == 1 else 'were'} {how}; looktwice log shows them"
    changed = {place: c.tier for place, c in after.lowered.items() if before.tiers.get(place, "full") != c.tier}
    by_tier = [
        (shown_as, dict.fromkeys(names[place] for place, now in changed.items() if now == tier and place in names))
        for tier, shown_as in _SHOWN_AS.items()
    ]
    told = [f"{', '.join(which)} {shown_as}" for shown_as, which in by_tier if which]
    if told:
        yield f"to make room, the model sees {'; '.join(told)} from here on; @NAME shows one in full again"
