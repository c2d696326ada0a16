"""What a row asks of a model, and what makes its answer what it is."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ...memory import NamedPicture, fold
from ...memory.parts import ImagePart, TextPart, Turn
from ..backends import Backend, Settings
from ..eval.evaluation import weights_of
from ..prompt import Prompt, compose
from .row import Row

__all__ = ["identity_of", "prompt_of"]


def prompt_of(row: Row, key: str, size: tuple[int, int], backend: Backend) -> Prompt:
    """A conversation with one question about one picture, as it would be composed anywhere."""
    name, (width, height) = row.name, size
    shown = NamedPicture(
        name=name,
        key=key,
        width=width,
        height=height,
        mime="",
        size=0,
        parent=None,
        recipe=None,
        tool=None,
        turn=None,
        alt=None,
        caption=None,
        forgotten=False,
        created=0.0,
    )
    turn = Turn("user", (ImagePart(name), TextPart(row.question)))
    return compose([turn], {fold(name): shown}, style=backend.style)


def identity_of(backend: Backend, settings: Settings) -> dict[str, Any]:
    """What makes results what they are, as plain JSON."""
    encoder = getattr(getattr(backend, "checkpoint", None), "encoder", None)
    family = getattr(getattr(encoder, "format", None), "family", None)
    told: dict[str, Any] = {"model": backend.model, "weights": weights_of(backend), "chat_format": family}
    told |= {name: str(getattr(backend, name, None)) for name in ("dtype", "quantize")}
    asked = {each.name: getattr(settings, each.name) for each in fields(settings)}
    return {**told, **asked, "stop": list(settings.stop)}
