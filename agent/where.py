"""Where a second look goes, and what of that tells how far the first answer is to be trusted.

In this order: the line of text that the question is about, where pictures are read; the part of the picture that the
model points out, where a calibration says that this pays; else nowhere, and the model zooms by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..memory import fold
from ..memory.parts import Turn
from .answer import Signals
from .checks.checker import Checker, Place
from .sight import Sight
from .speaker import Speaker
from .trigger import Calibration

__all__ = ["Where"]

_ASIDE = 1  # passes that may have gone into questions aside where a zoom of the model's own takes two more


class Where:
    """The places that the question of one ask leads to."""

    def __init__(self, checker: Checker, sight: Sight, speaker: Speaker, *, reads: bool) -> None:
        """``reads``: whether pictures may be read for this."""
        self._checker = checker
        self._sight = sight
        self._speaker = speaker
        self._reads = reads

    @property
    def may_be_the_models(self) -> bool:
        """Whether the model may still choose the place itself: three passes beside the first answer are all."""
        return self._sight.passes <= _ASIDE

    def place(self, turns: Sequence[Turn], signals: Signals, calibration: Calibration) -> Place | None:
        """The place of a second look; None if it is the model's to choose."""
        line = self._checker.line(turns, lone=signals.declined) if self._reads else None
        if line is not None:
            return self._checker.around(line)
        parts = self._sight.parts(self._checker.about(turns)) if calibration.tiles else []
        return (parts[0].image, list(parts[0].box)) if parts else None

    def told(self, signals: Signals, turns: Sequence[Turn]) -> Signals:
        """The signals with what is known of the question's pictures for nothing."""
        hidden = self._speaker.tiers.hidden(turns)
        return replace(signals, lowered=any(fold(picture.name) in hidden for picture in self._checker.about(turns)))

    def asked(self, signals: Signals, turns: Sequence[Turn], calibration: Calibration) -> Signals:
        """The signals with those that cost something, as far as the calibration weighs them."""
        visible = self._sight.visible() if calibration.weighs("visible") else None
        small = self._small(turns) if calibration.weighs("small") and self._reads else None
        return replace(signals, visible=visible, small=small)

    def _small(self, turns: Sequence[Turn]) -> float | None:
        """The side of what one token stands for, in heights of the text that the question is about."""
        line = self._checker.line(turns, lone=True)
        if line is None:
            return None
        about = {fold(picture.name): picture for picture in self._checker.about(turns)}
        picture, tokens = about[fold(line.image)], 0
        for row in self._speaker.seen(turns):
            if row.image is not None and fold(row.image) == fold(line.image):
                tokens = max(tokens, row.tokens)
        if not tokens or picture.recipe is not None or line.height < 1:
            return None
        return round(math.sqrt(picture.width * picture.height / tokens) / line.height, 4)
