"""Laying one picture over another: a small shift, turn and change of size, and another brightness, are taken out.

Features that both pictures show give a first guess (SIFT: Lowe, "Distinctive image features from scale-invariant
keypoints", 2004), the sizes of the pictures another; each is refined on the pixels themselves (ECC: Evangelidis and
Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization", 2008), and the better kept.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# OpenCV types its arrays as arrays of anything.

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ....memory import Box
from .tone import Array, equally_sharp, toned

__all__ = ["Array", "Overlay", "lay_over", "placed"]

_OPENCV: Any = cv2  # its stubs miss features, masks that are None, and results that are
_LONGEST = 1600  # pixels of the longer side at which pictures are compared
_FEATURE_SIDE = 800  # pixels of the longer side for features
_SIDES = (80, 240, 800)  # and for each step on the pixels: the coarser, the farther it sees
_RATIO = 0.8  # Lowe's: the best match is that much better than the second
_MATCHES = 10  # fewer that agree are chance
_TURN, _SCALE = 15.0, 4.0  # degrees and times that count as "the same picture"
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-6)
_STRETCH = 1.12  # times as much in one direction as in the other: a paper held at a slant
_OVERLAP, _UNSEEN = 0.5, 0.6  # of either picture; the weight of an outline that the second doesn't show
_FLAT = 12.0  # the slope of noise
_RIM = 0.02  # what the rim takes from the share that is compared


@dataclass(frozen=True, slots=True)
class Overlay:
    """Two pictures in one frame: ``first`` and ``second`` as height x width x 3 float32, of equal tone and sharpness.

    ``valid`` (height x width, bool) is what both show. ``to_first`` and ``to_second`` (2 x 3) take points of the frame
    to pixels of the pictures. ``scale`` is how many of the first picture's pixels one of the frame is.
    """

    first: Array
    second: Array
    valid: Array
    to_first: Array
    to_second: Array

    @property
    def scale(self) -> float:
        """Pixels of the first picture for one of the frame."""
        return _scale(self.to_first)

    def in_frame(self, box: Box) -> Box:
        """A box in pixels of the first picture -> a box of the frame."""
        height, width = self.valid.shape
        return placed(box, cv2.invertAffineTransform(self.to_first), (width, height))

    def shared(self, size: tuple[int, int]) -> float:
        """The share of the first picture, which has ``size`` (width, height), that the second shows as well."""
        return min(1.0, float(self.valid.sum()) * self.scale**2 / (size[0] * size[1]) + _RIM)

    def movement(self, size: tuple[int, int]) -> tuple[tuple[int, int], float, float]:
        """By how many of its pixels the first picture's middle lies elsewhere in the second, the turn, the scale."""
        across = _chained(self.to_second, cv2.invertAffineTransform(self.to_first))
        middle = np.array([size[0] / 2, size[1] / 2])
        x, y = across[:, :2] @ middle + across[:, 2] - middle * _scale(across)
        turn = math.degrees(math.atan2(float(across[1, 0]), float(across[0, 0])))
        return (round(float(x)), round(float(y))), round(turn, 1), round(_scale(across), 3)


def lay_over(first: Array, second: Array) -> Overlay:
    """Both pictures (height x width x 3, uint8) in the frame of the coarser one."""
    first_small, first_back = _reduced(first, _LONGEST)
    second_small, second_back = _reduced(second, _LONGEST)
    across = _best(first_small, second_small)  # from the first's pixels to the second's
    if _scale(across) >= 1:  # the first is the coarser one
        to_first, to_second, size = np.eye(2, 3), across, first_small.shape[:2]
    else:
        to_first, to_second, size = cv2.invertAffineTransform(across), np.eye(2, 3), second_small.shape[:2]
    one, seen_one = _warped(first_small, to_first, size)
    other, seen_other = _warped(second_small, to_second, size)
    valid = cv2.erode((seen_one & seen_other).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    one, other = equally_sharp(toned(one, other, valid), other, valid)
    return Overlay(one, other, valid, _chained(first_back, to_first), _chained(second_back, to_second))


def _scale(transform: Array) -> float:
    return math.sqrt(abs(float(np.linalg.det(transform[:, :2]))))


def _chained(outer: Array, inner: Array) -> Array:
    """The transform that does ``inner``, then ``outer``."""
    return (_square(outer) @ _square(inner))[:2]


def _square(transform: Array) -> Array:
    return np.vstack([transform, [0, 0, 1]]).astype(np.float64)


def _scaling(x: float, y: float) -> Array:
    """Scaling that keeps pixels' edges where they are: their centres lie at whole numbers."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]], np.float64)


def _reduced(image: Array, longest: int) -> tuple[Array, Array]:
    """The picture at no more than ``longest`` pixels, and the transform from there back to it."""
    height, width = image.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return image, np.eye(2, 3)
    size = (max(4, round(width * factor)), max(4, round(height * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), _scaling(width / size[0], height / size[1])


def _best(first: Array, second: Array) -> Array:
    """The transform from the first picture's pixels to the second's under which they are most alike."""
    one, other = _contrasting(first, second)
    sizes = _scaling(other.shape[1] / one.shape[1], other.shape[0] / one.shape[0])
    guesses = [sizes, *([np.eye(2, 3)] if one.shape != other.shape else []), *_by_features(one, other)]
    found = [_refined(one, other, guess) for guess in guesses]
    _, best = min(found, key=lambda each: each[0])
    return _step(one, other, best, _SIDES[-1])[1]


def _contrasting(first: Array, second: Array) -> tuple[Array, Array]:
    """Both pictures in the one colour (height x width, uint8) in which what the first shows stands out most.

    The first principal component of its colours: purple on brown is no contrast in grey.
    """
    small = cv2.GaussianBlur(_reduced(first, _SIDES[1])[0], (0, 0), 2).reshape(-1, 3).astype(np.float32)
    mean = small.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((small - mean).T) + 1e-3 * np.eye(3))
    projected = [(image.astype(np.float32) - mean) @ vectors[:, -1] for image in (first, second)]
    low, high = (min(each.min() for each in projected), max(each.max() for each in projected))
    one, other = (((each - low) * (255 / max(1.0, high - low))).astype(np.uint8) for each in projected)
    return one, other


def _by_features(one: Array, other: Array) -> list[Array]:
    (one, one_back), (other, other_back) = _reduced(one, _FEATURE_SIDE), _reduced(other, _FEATURE_SIDE)
    finder = _OPENCV.SIFT_create(nfeatures=1500)
    (points, marks), (others, other_marks) = (finder.detectAndCompute(each, None) for each in (one, other))
    if marks is None or other_marks is None or min(len(points), len(others)) < _MATCHES:
        return []
    pairs = [pair for pair in cv2.BFMatcher().knnMatch(marks, other_marks, k=2) if len(pair) == 2]
    good = [near for near, far in pairs if near.distance < _RATIO * far.distance]
    if len(good) < _MATCHES:
        return []
    source = np.array([points[match.queryIdx].pt for match in good], np.float32)
    target = np.array([others[match.trainIdx].pt for match in good], np.float32)
    found, agree = _OPENCV.estimateAffinePartial2D(source, target, method=cv2.RANSAC, ransacReprojThreshold=2.0)
    if found is None or int(agree.sum()) < _MATCHES:
        return []
    whole = _chained(other_back, _chained(found, cv2.invertAffineTransform(one_back)))
    return [whole] if _is_small(whole) else []


def _is_small(transform: Array) -> bool:
    turn = abs(math.degrees(math.atan2(float(transform[1, 0]), float(transform[0, 0]))))
    wide, narrow = np.linalg.svd(transform[:, :2], compute_uv=False)
    return turn <= _TURN and 1 / _SCALE <= _scale(transform) <= _SCALE and wide <= _STRETCH * narrow


def _refined(one: Array, other: Array, guess: Array) -> tuple[float, Array]:
    """How far apart the pictures are, 0 to 1, after the guess was made better in steps, the coarsest first."""
    apart = 1.0
    for side in _SIDES[:-1]:
        apart, guess = _step(one, other, guess, side)
    return apart, guess


def _step(one: Array, other: Array, guess: Array, side: int) -> tuple[float, Array]:
    """One step: with all that is there, and without what differs most, since a change pulls the fit to itself."""
    small, small_other, start, whole = _at(one, other, guess, side)
    fits = [start]
    if side == _SIDES[0]:
        fits.append(_moved(small, small_other, start, cv2.MOTION_TRANSLATION))
    fits.append(_moved(small, small_other, fits[-1], cv2.MOTION_AFFINE))
    for begin in (start, fits[-1]):
        fits.append(_moved(small, small_other, begin, cv2.MOTION_AFFINE, _agreeing(small, small_other, begin)))
    apart, best = min(
        ((_apart(small, small_other, fit), number) for number, fit in enumerate(fits) if _is_small(whole(fit))),
        default=(1.0, 0),
    )
    return apart, whole(fits[best])


def _at(one: Array, other: Array, guess: Array, side: int) -> tuple[Array, Array, Array, Callable[[Array], Array]]:
    """Both pictures at ``side`` pixels, the guess there, and what makes a transform one of the whole pictures."""
    (small, back), (small_other, other_back) = _reduced(one, side), _reduced(other, side)
    start = _chained(cv2.invertAffineTransform(other_back), _chained(guess, back)).astype(np.float32)

    def whole(found: Array) -> Array:
        return _chained(other_back, _chained(found, cv2.invertAffineTransform(back)))

    return small, _as_coarse(small_other, _scale(start)), start, whole


def _moved(one: Array, other: Array, start: Array, motion: int, mask: Array | None = None) -> Array:
    """The transform (2 x 3, float32) that correlates best near ``start``."""
    try:
        return _OPENCV.findTransformECC(one, other, start.copy(), motion, _STOP, mask, 5)[1]
    except cv2.error:  # there is no way to a maximum: pictures without detail, or of other things
        return start


def _agreeing(one: Array, other: Array, transform: Array) -> Array:
    """A mask (uint8) over the other picture without what differs most: it would pull the fit to itself."""
    height, width = other.shape
    placed = cv2.warpAffine(one, transform, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    apart = cv2.GaussianBlur(np.abs(_standard(placed) - _standard(other)), (0, 0), 3)
    return (apart <= max(0.5, float(np.quantile(apart, 0.9)))).astype(np.uint8) * 255


def _standard(grey: Array, seen: Array | None = None) -> Array:
    """Mean 0 and spread 1, over what is ``seen``."""
    values = grey.astype(np.float32)
    counted = values if seen is None else values[seen]
    return (values - counted.mean()) / max(1.0, float(counted.std()))


def _apart(one: Array, other: Array, transform: Array) -> float:
    """How far apart they are along the outlines of both, 0 to 1; what differs much counts as what differs.

    An outline that the other picture doesn't show counts as well, if less: laid where nothing is drawn, two pictures
    would not differ at all.
    """
    moved, seen = _warped(other, transform, one.shape[:2])
    shared = float(seen.sum())
    if shared < _OVERLAP * one.size or shared * _scale(transform) ** 2 < _OVERLAP * other.size:
        return 1.0
    weights = _slopes(one) + np.where(seen, _slopes(moved), 0)
    differs = np.minimum(np.abs(_standard(one, seen) - _standard(moved, seen)), 0.5) / 0.5
    total = float(weights.sum())
    return float((weights * np.where(seen, differs, _UNSEEN)).sum()) / total if total else 0.0


def _slopes(grey: Array) -> Array:
    """How steep it is at each pixel; noise is flat."""
    soft = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1)
    return np.maximum(0, cv2.magnitude(cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)) - _FLAT)


def _as_coarse(image: Array, scale: float) -> Array:
    """The picture with no more detail than one that is ``scale`` times smaller."""
    return cv2.GaussianBlur(image, (0, 0), 0.5 * math.sqrt(scale * scale - 1)) if scale > 1.05 else image


def _warped(image: Array, transform: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """What the picture shows at each point of a frame of ``size`` (height, width), and where it shows something."""
    height, width = size
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    matrix = transform.astype(np.float64)
    moved = cv2.warpAffine(
        _as_coarse(image, _scale(matrix)), matrix, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    inside = np.ones(image.shape[:2], np.uint8)
    seen = cv2.warpAffine(inside, matrix, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    return moved, seen.astype(bool)


def placed(box: Box, transform: Array, size: tuple[int, int]) -> Box:
    """A box of the frame in pixels of a picture of ``size`` (width, height), by its transform, 2 x 3."""
    corners = np.array([[x, y, 1] for x in (box[0], box[2] - 1) for y in (box[1], box[3] - 1)], np.float64)
    xs, ys = transform @ corners.T
    left, top = max(0, int(np.floor(xs.min()))), max(0, int(np.floor(ys.min())))
    right, bottom = min(size[0], int(np.ceil(xs.max())) + 1), min(size[1], int(np.ceil(ys.max())) + 1)
    return (min(left, size[0] - 1), min(top, size[1] - 1), max(left + 1, right), max(top + 1, bottom))
