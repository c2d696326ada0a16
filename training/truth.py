"""What each patch of a picture shows, from the scene it was drawn from: the labels of both stages of training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from looktwice.tools.tiling import ImageTokens
from looktwice.world import Scene, Sign

from .geometry import View, views

__all__ = ["PatchTruth", "UNCLEAR", "cut_scene", "patch_truth"]

UNCLEAR = 255
"""Stands for letters that are neither clearly legible nor clearly not: cut by a border, or of a size between."""

_SAMPLES = 4  # per side of a patch
_COVERED = 3  # samples of sixteen that make a patch show a thing
# Capitals at least so high and letters at least so wide, in pixels of a view, count as legible; under the others, not.
_LEGIBLE = (7.3, 5.6)
_ILLEGIBLE = (5.6, 4.3)


@dataclass(frozen=True, slots=True)
class PatchTruth:
    """Arrays of (views, patches). ``thing`` is 1 + the index in the scene's things, 0 for none.

    ``first`` and ``letters`` say which letters of a sign have their middle in the patch, first and how many; both are
    UNCLEAR where that can't be said. ``legible`` is whether the sign under the patch can be read in that view.
    """

    thing: npt.NDArray[np.uint8]
    first: npt.NDArray[np.uint8]
    letters: npt.NDArray[np.uint8]
    legible: npt.NDArray[np.bool_]


def patch_truth(scene: Scene, geometry: ImageTokens) -> PatchTruth:
    """The truth about each patch of each view."""
    side = geometry.tile // geometry.patch
    all_views = views(scene.size, geometry)
    shape = (len(all_views), side * side)
    truth = PatchTruth(*(np.zeros(shape, np.uint8) for _ in range(3)), legible=np.zeros(shape, bool))
    for number, view in enumerate(all_views):
        truth.thing[number] = _coverage(scene, view, geometry)
        for index, thing in enumerate(scene.things):
            if isinstance(thing, Sign):
                _put_letters(truth, number, thing, view, geometry, truth.thing[number] == index + 1)
    return truth


def cut_scene(scene: Scene, box: tuple[int, int, int, int], size: tuple[int, int]) -> Scene:
    """The scene that an enlarged part shows: ``box`` in pixels, scaled to ``size``; things outside fall away."""
    left, top, right, bottom = box
    across, down = size[0] / (right - left), size[1] / (bottom - top)

    def x(value: float) -> float:
        return (value - left) * across

    def y(value: float) -> float:
        return (value - top) * down

    things = [
        replace(
            thing,
            box=(x(thing.box[0]), y(thing.box[1]), x(thing.box[2]), y(thing.box[3])),
            origin=(x(thing.origin[0]), y(thing.origin[1])),
            letters=tuple((x(start), x(end)) for start, end in thing.letters),
            line=(y(thing.line[0]), y(thing.line[1])),
            font_size=thing.font_size * down,
            small=False,
        )
        if isinstance(thing, Sign)
        else replace(thing, outline=tuple((x(u), y(v)) for u, v in thing.outline))
        for thing in scene.things
    ]
    inside = [t for t in things if t.box[0] < size[0] and t.box[1] < size[1] and t.box[2] > 0 and t.box[3] > 0]
    return Scene(size, scene.background, tuple(inside))


def _coverage(scene: Scene, view: View, geometry: ImageTokens) -> npt.NDArray[np.uint8]:
    """1 + the index of the thing that covers each patch most, sampled on a grid; 0 where it is background."""
    side = geometry.tile // geometry.patch
    samples = Image.new("L", (side * _SAMPLES, side * _SAMPLES))
    pen = ImageDraw.Draw(samples)
    step = geometry.patch / _SAMPLES
    for index, thing in enumerate(scene.things):
        left, top, right, bottom = thing.box
        outline = ((left, top), (right, top), (right, bottom), (left, bottom))
        points = outline if isinstance(thing, Sign) else thing.outline
        spots = [
            ((u * view.scale_x + view.shift_x) / step - 0.5, (v * view.scale_y + view.shift_y) / step - 0.5)
            for u, v in points
        ]
        pen.polygon(spots, fill=index + 1)
    grid = np.asarray(samples).reshape(side, _SAMPLES, side, _SAMPLES).transpose(0, 2, 1, 3).reshape(side * side, -1)
    counts = np.stack([(grid == index + 1).sum(1) for index in range(len(scene.things))] or [np.zeros(side * side)])
    return np.where(counts.max(0) >= _COVERED, counts.argmax(0) + 1, 0).astype(np.uint8)


def _put_letters(
    truth: PatchTruth, number: int, sign: Sign, view: View, geometry: ImageTokens, on_board: npt.NDArray[np.bool_]
) -> None:
    side = geometry.tile // geometry.patch
    first, letters = truth.first[number], truth.letters[number]
    top, bottom = (edge * view.scale_y + view.shift_y for edge in sign.line)
    edges = [tuple(edge * view.scale_x + view.shift_x for edge in pair) for pair in sign.letters]
    high, wide = bottom - top, (edges[-1][1] - edges[0][0]) / len(edges)
    if high < _ILLEGIBLE[0] or wide < _ILLEGIBLE[1]:
        return
    is_cut = top < -0.12 * high or bottom > geometry.tile + 0.12 * high
    if high < _LEGIBLE[0] or wide < _LEGIBLE[1] or is_cut:
        first[on_board] = letters[on_board] = UNCLEAR
        return
    truth.legible[number][on_board] = True
    row = min(side - 1, max(0, int((top + bottom) / 2 / geometry.patch)))
    for index, (start, end) in enumerate(edges):
        middle, slack = (start + end) / 2, 0.22 * (end - start)
        if not 0 <= middle < geometry.tile:
            continue
        patch = row * side + int(middle / geometry.patch)
        if start < -slack or end > geometry.tile + slack:
            first[patch] = letters[patch] = UNCLEAR
        elif letters[patch] != UNCLEAR:
            first[patch] = first[patch] if letters[patch] else index
            letters[patch] += 1
