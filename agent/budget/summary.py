"""Old turns summed up by the model, where the user chose so."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from ...errors import ModelError
from ...memory.parts import Turn
from ..backends.backend import Backend, Done, Settings
from ..prompt import Message, Prompt, Words, sum_up
from .room import fits
from .tiers import Tiers

_LENGTH = 120  # tokens of a summary


def summary(backend: Backend, after: Tiers, before: Tiers, turns: Sequence[Turn], cancel: threading.Event) -> Tiers:
    """``after`` with a summary of the turns that are left out, the one of ``before`` included."""
    if after.left_out is None:
        return after
    gone = _between(turns, before, after)
    told = before.left_out.summary if before.left_out else ""
    lines = [*([told] if told else []), *(f"{turn.role}: {turn.text}" for turn in gone if turn.text.strip())]
    settings = Settings(max_new_tokens=_LENGTH)
    while len(lines) > 1 and not fits(backend.rows(_prompt(lines)), backend.context, _LENGTH):
        lines = [*lines[:1], *lines[2:]] if told else lines[1:]
    done: Done | None = None
    for item in backend.generate(_prompt(lines), settings, pixels=_no_pixels, cancel=cancel):
        done = item if isinstance(item, Done) else done
    text = " ".join(done.text.split()) if done else ""
    return replace(after, left_out=replace(after.left_out, summary=text))


def _between(turns: Sequence[Turn], before: Tiers, after: Tiers) -> list[Turn]:
    kept = {turn.id for turn in after.shown(turns)}
    return [turn for turn in before.shown(turns) if turn.id not in kept]


def _prompt(lines: Sequence[str]) -> Prompt:
    return Prompt((Message("user", (Words(sum_up(lines)),)),))


def _no_pixels(key: str) -> NoReturn:
    raise ModelError(f"a summary shows no pictures, but {key!r} was asked for")
