"""The recipe's settings, read from ``pocket.toml``: every number that a run depends on stands there."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

__all__ = ["Language", "Settings", "Shelf", "Vision", "load"]


@dataclass(frozen=True, slots=True)
class Shelf:
    """How many pictures are drawn: ``pictures`` for dialogues, ``sheets`` full of signs for the tower alone."""

    pictures: int
    sheets: int
    seed: int
    fonts: tuple[str, ...]
    held_out_fonts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vision:
    """The tower's stage. ``batch`` counts tiles; the rate falls along a cosine to a hundredth."""

    steps: int
    batch: int
    rate: float
    warm_up: int


@dataclass(frozen=True, slots=True)
class Language:
    """The language model's stage. ``tokens`` are those of a batch; ``stages`` are practised one after the other."""

    tokens: int
    rate: float
    warm_up: int
    gaze: float
    """The weight of the loss that guides attention."""
    alignment: float
    """The weight of the loss that ties patches to words."""
    stages: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. ``folder`` is where a run keeps its data and state, ``compute`` the numbers that a model works in.

    "bfloat16" is fast where the processor has it, and many times slower than "float32" where it doesn't.
    """

    folder: Path
    shelf: Shelf
    vision: Vision
    language: Language
    compute: str

    @property
    def dtype(self) -> torch.dtype:
        """What a model works in; its weights are kept in float32 in any case."""
        return {"bfloat16": torch.bfloat16, "float32": torch.float32}[self.compute]


def load(path: Path, folder: Path) -> Settings:
    """Read a file of settings. Raises KeyError or TypeError for one that doesn't fit."""
    read = tomllib.loads(path.read_text())
    shelf = read["shelf"] | {name: tuple(read["shelf"][name]) for name in ("fonts", "held_out_fonts")}
    language = read["language"] | {"stages": tuple(read["language"]["stages"])}
    return Settings(folder, Shelf(**shelf), Vision(**read["vision"]), Language(**language), read["compute"])
