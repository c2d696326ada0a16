"""A comparison in sentences: what differs and where, or that nothing was found, and what that means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...words import Words, words

if TYPE_CHECKING:
    from .comparison import Comparison, Difference

__all__ = ["sentences"]

_LONGEST = 20  # differences that are told one by one
_LINES = 10  # lines of text that only one picture has


def sentences(found: Comparison) -> Iterator[str]:
    """Everything there is to say of a comparison, the result first."""
    say = words(found.language)
    if not found.aligned:
        yield say("The pictures can't be laid over each other: they show different things, or from different sides.")
        yield from _only_texts(found, say)
        return
    if found.differences:
        yield say.count("{n} difference was found.", "{n} differences were found.", len(found.differences))
        for number, difference in enumerate(found.differences[:_LONGEST], 1):
            yield _difference(number, difference, say)
        if more := len(found.differences[_LONGEST:]):
            yield say.count("{n} more is smaller.", "{n} more are smaller.", more)
    else:
        yield say("No difference was found.")
    yield from _compared(found, say)


def _difference(number: int, difference: Difference, say: Words) -> str:
    left, top, right, bottom = difference.first
    told = say(
        "{number}. {place}, {width} by {height} pixels at {x}, {y}",
        number=number,
        place=_place(difference.place, say),
        width=right - left,
        height=bottom - top,
        x=left,
        y=top,
    )
    if difference.texts is not None:
        first, second = difference.texts
        if first and second:
            told += say(': "{first}" in the first, "{second}" in the second', first=first, second=second)
        elif first:
            told += say(': "{first}" is only in the first', first=first)
        else:
            told += say(': "{second}" is only in the second', second=second)
    return f"{told}: {difference.said}" if difference.said else f"{told}."


def _place(place: str, say: Words) -> str:
    return {
        "top left": say("top left"),
        "top": say("top"),
        "top right": say("top right"),
        "left": say("left"),
        "centre": say("centre"),
        "right": say("right"),
        "bottom left": say("bottom left"),
        "bottom": say("bottom"),
        "bottom right": say("bottom right"),
    }[place]


def _compared(found: Comparison, say: Words) -> Iterator[str]:
    """What the result holds for."""
    if found.shared < 0.995:
        yield say("Compared was the part that both show, {share} percent of the first.", share=int(100 * found.shared))
    else:
        yield say("Compared was the whole picture.")
    yield say(
        "Changes of {smallest} pixels and more are seen; brightness, size and a small shift or turn are no difference.",
        smallest=found.smallest,
    )
    if found.read:
        yield say("Texts were read in both and compared.")
    else:
        yield say("Texts were not read.")


def _only_texts(found: Comparison, say: Words) -> Iterator[str]:
    if not found.read:
        yield say("Nothing was compared.")
        return
    first, second = found.texts
    if not first and not second:
        yield say("Only their texts were compared: no difference was found in them.")
        return
    yield say("Only their texts were compared.")
    for line in first[:_LINES]:
        yield say('Only in the first: "{text}"', text=line)
    for line in second[:_LINES]:
        yield say('Only in the second: "{text}"', text=line)
    if more := len(first[_LINES:]) + len(second[_LINES:]):
        yield say.count("{n} more line is only in one of them.", "{n} more lines are only in one of them.", more)
