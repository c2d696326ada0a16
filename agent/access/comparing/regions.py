"""Where two pictures that lie over one another differ, beyond what encoding, scaling and a shifted edge explain."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# OpenCV types its arrays as arrays of anything.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ....memory import Box
from .align import Array, Overlay

__all__ = ["Region", "differing", "excess", "faintly_differs", "is_another"]

_NOISE = 4.0  # times the usual difference where nothing is drawn
_LEAST = 10.0  # of 255: smaller differences are nothing that a person sees
_EDGE = 0.3  # of an edge's height: a third of a pixel's shift, or another way to scale
_RINGING = 0.05  # of the strongest edge nearby: what JPEG leaves around it
_SEED, _SPREAD = 1.05, 0.45  # of what is tolerated: where a region is sure to be, and how far it goes
_FAINT = 0.6  # of what is tolerated: what a text read differently must show
_MASS = 5.0  # a region's excess in all, in pixels that differ twice as much as is tolerated
_JOIN = 7  # pixels between parts of one region
_SHARED = 0.5  # of the frame: less in common is another picture
_OVERALL = 0.5  # of what both show: beyond that it is another picture
_OUTLINE = 24  # of 255: a step that is part of something drawn
_DRAWN = 0.002  # of what both show: with fewer outlines they tell nothing
_ALIKE = 0.2  # of the outlines: pictures of the same thing share more


@dataclass(frozen=True, slots=True)
class Region:
    """A region of the frame that differs: its ``box``, how much in all, and on how many pixels."""

    box: Box
    mass: float
    area: int


def excess(overlay: Overlay) -> Array:
    """Height x width: by how many times the pictures differ more than is tolerated there; 0 where one shows nothing.

    Brightness and the two colour differences each have their own measure: encoders keep colours at half the size.
    """
    one, other = (cv2.cvtColor(each / 255, cv2.COLOR_RGB2YCrCb) * 255 for each in (overlay.first, overlay.second))
    ratios = [
        _channel_ratio(one[:, :, channel], other[:, :, channel], overlay.valid, reach=1 if channel == 0 else 3)
        for channel in range(3)
    ]
    return np.where(overlay.valid, np.maximum.reduce(ratios), 0).astype(np.float32)


def _channel_ratio(one: Array, other: Array, valid: Array, *, reach: int) -> Array:
    """``reach``: how many pixels a step of this channel may be off."""
    one, other = (cv2.GaussianBlur(each, (0, 0), 0.6 * reach) for each in (one, other))
    apart = np.abs(one - other)
    edges = np.minimum(_steps(one, reach), _steps(other, reach))
    strongest = cv2.dilate(edges, np.ones((9, 9), np.uint8))
    usual = 1.48 * float(np.median(apart[valid])) if valid.any() else 0.0
    return apart / (np.maximum(_LEAST, _NOISE * usual) + _EDGE * edges + _RINGING * strongest)


def _steps(channel: Array, reach: int) -> Array:
    """How much it changes within so many pixels to each side."""
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return cv2.dilate(channel, kernel) - cv2.erode(channel, kernel)


def differing(ratio: Array) -> list[Region]:
    """The regions that differ, those that differ most first."""
    excess = np.clip(ratio - 1, 0, 3)
    reach = cv2.morphologyEx((ratio > _SPREAD).astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    joined = cv2.morphologyEx(reach, cv2.MORPH_CLOSE, np.ones((_JOIN, _JOIN), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    peaks = _peaks(ratio) > _SEED
    mass = np.bincount(labels.ravel(), excess.ravel(), count)
    seeds = np.bincount(labels[peaks], minlength=count)
    found = [
        Region(_box(stats[label]), float(mass[label]), int(stats[label][4]))
        for label in range(1, count)
        if mass[label] >= _MASS and seeds[label] >= 2
    ]
    return sorted(found, key=lambda region: -region.mass)


def _peaks(ratio: Array) -> Array:
    return cv2.boxFilter(ratio, -1, (3, 3))


def is_another(overlay: Overlay, regions: Sequence[Region]) -> bool:
    """Whether the pictures show different things: little is in both, or most of what is drawn differs."""
    area = int(overlay.valid.sum())
    if area < _SHARED * overlay.valid.size or sum(region.area for region in regions) > _OVERALL * area:
        return True
    one, other = (overlay.valid & (_outlines(image) > _OUTLINE) for image in (overlay.first, overlay.second))
    drawn = int((one | other).sum())
    return drawn > _DRAWN * area and int((one & other).sum()) < _ALIKE * drawn


def _outlines(image: Array) -> Array:
    return _steps(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 1)


def _box(stats: Array) -> Box:
    left, top, width, height = (int(value) for value in stats[:4])
    return (left, top, left + width, top + height)


def faintly_differs(ratio: Array, box: Box) -> bool:
    """Whether something may differ in a box of the frame: less than makes a region, more than nothing."""
    left, top, right, bottom = box
    return bool((_peaks(ratio) > _FAINT)[top:bottom, left:right].any())
