"""A model's words about each region that differs: it sees the two crops, not the pictures, and is told no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from ....memory import Picture
from .comparison import Comparison, Source, crops

if TYPE_CHECKING:
    from ...agent import Agent

__all__ = ["QUESTION", "told_by_model"]

QUESTION = (
    "@first and @second show the same place in two pictures. Say in one sentence what is different. "
    "If you see no difference, say that you see none."
)
"""What the model is asked about each region."""
_MOST = 5  # regions that the model is asked about
_SMALLEST = 224  # pixels of a crop's longer side: smaller ones are enlarged


def told_by_model(
    found: Comparison, first: Source, second: Source, agent: Agent, *, question: str = QUESTION
) -> Comparison:
    """The comparison with the agent's words about the largest differences, each in a conversation that isn't kept."""
    pictures = [Picture.load(source).pixels() for source in (first, second)]
    asked = [
        replace(difference, said=_asked(agent, crops(difference, pictures), question))
        for difference in found.differences[:_MOST]
    ]
    return replace(found, differences=(*asked, *found.differences[_MOST:]))


def _asked(agent: Agent, pair: Sequence[Image.Image], question: str) -> str:
    chat = agent.chat()
    try:
        for name, crop in zip(("first", "second"), pair, strict=True):
            chat.add(_enlarged(crop), name)
        return " ".join(str(chat.ask(question)).split())
    finally:
        chat.delete()


def _enlarged(crop: Image.Image) -> Image.Image:
    factor = _SMALLEST / max(crop.size)
    if factor <= 1:
        return crop
    size = (max(4, round(crop.width * factor)), max(4, round(crop.height * factor)))
    return crop.resize(size, Image.Resampling.LANCZOS)
