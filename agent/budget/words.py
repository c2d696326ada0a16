"""What stands in a prompt for pictures and turns that aren't shown, and what a person is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..answer import LeftOut, Tier
from ..prompt import Place
from .tiers import Tiers

_MOST = 300  # characters of what was read in a picture

_SHOWN_AS: Mapping[Tier, str] = {
    "full": "in full again",
    "thumbnail": "as thumbnails",
    "text": "as words",
    "name": "by name only",
}


def known(notes: Mapping[str, str]) -> str:
    """What is known of a picture, from its notes by kind: its caption, or its alternative text, and what was read."""
    told = " ".join((notes.get("caption") or notes.get("alt") or "").split())
    read = " ".join(notes.get("text", "").split())
    if len(read) > _MOST:
        read = f"{read[:_MOST].rsplit(' ', 1)[0]} ..."
    return "; ".join(filter(None, [told, f'text in it: "{read}"' if read else ""]))


def earlier(left_out: LeftOut | None, pictures: Sequence[str]) -> str:
    """The line that stands for turns that are left out, and for the pictures that were shown there."""
    if left_out is None:
        return ""
    names = list(dict.fromkeys(pictures))
    shown = f" Pictures shown there: {', '.join(names)}." if names else ""
    summary = f" What was said: {left_out.summary}" if left_out.summary else ""
    return f"({_questions(left_out.questions)} before this, with the answers, left out.{shown}{summary})"


def changes(before: Tiers, after: Tiers, names: Mapping[Place, str]) -> Iterator[str]:
    """What a person is told when a prompt shows less than the last one did; ``names`` are the pictures by place."""
    gone = after.left_out.questions - (before.left_out.questions if before.left_out else 0) if after.left_out else 0
    if gone > 0:
        how = "summed up" if after.left_out and after.left_out.summary else "left out"
        yield f"{_questions(gone)} too old to fit {'was' if gone == 1 else 'were'} {how}; looktwice log shows them"
    changed = {place: c.tier for place, c in after.lowered.items() if before.tiers.get(place, "full") != c.tier}
    by_tier = [
        (shown_as, dict.fromkeys(names[place] for place, now in changed.items() if now == tier and place in names))
        for tier, shown_as in _SHOWN_AS.items()
    ]
    told = [f"{', '.join(which)} {shown_as}" for shown_as, which in by_tier if which]
    if told:
        yield f"to make room, the model sees {'; '.join(told)} from here on; @NAME shows one in full again"


def _questions(number: int) -> str:
    return f"{number} question{'s' * (number != 1)}"
