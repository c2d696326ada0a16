"""What a picture takes at each tier, counted by the model's own tokenizer and picture geometry."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from ...memory import NamedPicture
from ..answer import Tier
from ..backends.backend import Backend
from ..prompt import Message, Prompt, Shown, Words, in_words

__all__ = ["Costs"]

_PIXELS: tuple[Literal["full", "thumbnail"], ...] = ("full", "thumbnail")
_MOST = 4096  # texts of which the tokens are remembered


class Costs:
    """Counts for one backend. What pictures are in words comes again with every question, so it is counted once."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._counted: dict[str, int] = {}

    def of(self, pictures: Sequence[NamedPicture], told: Mapping[str, str]) -> dict[str, dict[Tier, int]]:
        """The tokens of pictures at every tier, by key; ``told`` is what is known of them in words, by key."""
        sizes = {(picture.width, picture.height) for picture in pictures}
        views = [Shown("x", f"{width}x{height}", (width, height), tier) for width, height in sizes for tier in _PIXELS]
        rows = [row.tokens for row in self._backend.rows(Prompt((Message("user", tuple(views)),))) if row.image]
        counted = {(view.size, view.tier): tokens for view, tokens in zip(views, rows, strict=True)}
        words = self.in_words(pictures, told)
        return {
            p.key: {**{tier: counted[(p.width, p.height), tier] for tier in _PIXELS}, **words[p.key]} for p in pictures
        }

    def in_words(self, pictures: Sequence[NamedPicture], told: Mapping[str, str]) -> dict[str, dict[Tier, int]]:
        """The tokens of pictures in words and by name, by key."""
        texts = {p.key: (in_words(p.name, told.get(p.key, "")), in_words(p.name)) for p in pictures}
        counted = self._tokens({text for both in texts.values() for text in both})
        return {key: {"text": counted[text], "name": counted[name]} for key, (text, name) in texts.items()}

    def _tokens(self, texts: Collection[str]) -> Mapping[str, int]:
        counted = self._counted
        new = [text for text in texts if text not in counted]
        if len(counted) + len(new) > _MOST:
            counted, new = dict[str, int](), list(texts)
        # A message each: neighbouring words are one row.
        said = tuple(Message("user", (Words(text),)) for text in new)
        rows = {row.text: row.tokens for row in (self._backend.rows(Prompt(said)) if said else ())}
        counted |= {text: rows.get(text, len(text)) for text in new}
        self._counted = counted  # two threads may count the same at once; neither loses what it needs
        return counted
