"""Making two pictures that lie over one another equal in brightness, tint and sharpness, but for what differs."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# OpenCV types its arrays as arrays of anything.

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "equally_sharp", "toned"]

Array: TypeAlias = NDArray[Any]

_ROUNDS = 4  # of fitting brightness without what differs
_BLURS = (0.0, 0.35, 0.5, 0.7, 0.9, 1.2, 1.6, 2.0)  # pixels of spread


def toned(one: Array, other: Array, valid: Array) -> Array:
    """The first picture in the second one's brightness, contrast and tint; float32."""
    toned = one.astype(np.float32)
    for channel in range(3):
        toned[:, :, channel] = _channel_toned(toned[:, :, channel], other[:, :, channel].astype(np.float32), valid)
    return toned


def _channel_toned(one: Array, other: Array, valid: Array) -> Array:
    x, y = one[valid][::7] / 255, other[valid][::7] / 255
    if len(x) < 50 or float(x.std()) < 0.01:  # one tone alone: only a shift can be told
        return np.clip(one + 255 * float(np.median(y - x)) if len(x) else one, 0, 255)
    powers = np.vander(x, 3, increasing=True)
    clipped = (y > 0.99) | (y < 0.01)  # it may have been brighter, or darker
    counts = ~clipped if float(clipped.mean()) < 0.98 else np.ones(len(x), bool)
    curve = np.array([0.0, 1.0, 0.0])  # offset, gain, bend
    for _ in range(_ROUNDS):
        # Drawn to a straight line: few tones would bend it anywhere.
        pull = np.diag([1e-6, 1e-6, 1e-3]) * max(1, int(counts.sum()))
        known = powers[counts]
        curve = np.linalg.solve(known.T @ known + pull, known.T @ y[counts] + pull @ np.array([0.0, 1.0, 0.0]))
        fitted = powers @ curve
        holds = ~clipped | ((y > 0.99) & (fitted < 0.98)) | ((y < 0.01) & (fitted > 0.02))
        apart = np.abs(y - fitted)
        counts = holds & (apart <= max(0.03, 2.5 * float(np.median(apart[holds])) if holds.any() else 0.0))
    bent = curve[0] + curve[1] * (one / 255) + curve[2] * (one / 255) ** 2
    return np.clip(255 * bent, 0, 255).astype(np.float32)


def equally_sharp(one: Array, other: Array, valid: Array) -> tuple[Array, Array]:
    """The sharper of the two blurred until they differ least: another size or encoding has blurred the other one."""
    other = other.astype(np.float32)

    def apart(a: Array, b: Array) -> float:
        return float(np.minimum(np.abs(a - b)[valid], 40).mean())

    if not valid.any():
        return one, other
    a, b = one[:, :, 1], other[:, :, 1]  # green is most of what is seen
    softer = [(apart(_soft(a, spread), b), spread, 0.0) for spread in _BLURS]
    harder = [(apart(a, _soft(b, spread)), 0.0, spread) for spread in _BLURS]
    _, first, second = min([*softer, *harder])
    return _soft(one, first), _soft(other, second)


def _soft(image: Array, spread: float) -> Array:
    return cv2.GaussianBlur(image, (0, 0), spread) if spread else image
