"""Pictures drawn once and kept on disk: tiles as the tower sees them, the truth about each patch, and the scenes.

A picture with a small sign brings the enlarged parts that a zoom on it would show, made by the package's own tool.
"""

from __future__ import annotations

import pickle
import random
import subprocess
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from looktwice.tools.frame import frame
from looktwice.tools.tiling import ImageTokens
from looktwice.world import COLOURS, PLAIN, SHAPES, Scene, Shape, Sign, Style, random_scene

from .geometry import views
from .settings import Settings
from .truth import UNCLEAR, PatchTruth, cut_scene, patch_truth

__all__ = ["CHARACTERS", "GEOMETRY", "Item", "Shard", "TARGETS", "draw_shelf", "font_files", "shards", "sign_box"]

GEOMETRY = ImageTokens(96, 16, ((96, 96), (96, 192), (192, 96), (192, 192)))
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789."
_EDGE_BINS = 20
TARGETS = {
    "colour": 1 + len(COLOURS),
    "shape": 2 + len(SHAPES),
    **dict.fromkeys(("left", "top", "right", "bottom"), 1 + _EDGE_BINS),
    **dict.fromkeys(("letter1", "letter2", "letter3"), 2 + len(CHARACTERS)),
    "index": 9,
}
"""What the tower learns of each patch, and how many classes that has. 0 is "none", UNCLEAR is not asked."""

_SHARD = 1000  # pictures


@dataclass(frozen=True, slots=True)
class Item:
    """A picture on the shelf: its scene, where its views begin in the shard, and its enlarged parts (box, item)."""

    scene: Scene
    start: int
    zooms: tuple[tuple[tuple[int, int, int, int], int], ...] = ()
    is_zoom: bool = False


@dataclass(frozen=True, slots=True)
class Shard:
    """Tiles (views, 96, 96, 3) uint8, targets (views, patches, len(TARGETS)) uint8, and the truth they come from."""

    folder: Path
    items: list[Item]

    def array(self, name: str) -> npt.NDArray[Any]:
        """One of the arrays, read from disk as it is used."""
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")


def draw_shelf(settings: Settings, processor: Any, workers: int) -> None:
    """Draw what is not drawn yet: shards of pictures for dialogues and of sheets for the tower alone."""
    fonts = font_files(settings.shelf.fonts)
    jobs: list[tuple[Path, int, int, str]] = []
    for kind, count in (("pictures", settings.shelf.pictures), ("sheets", settings.shelf.sheets)):
        for number, first in enumerate(range(0, count, _SHARD)):
            folder = settings.folder / "shelf" / f"{kind}-{number:03}"
            if not (folder / "items.pickle").exists():
                jobs.append((folder, settings.shelf.seed + 1000 * number + len(kind), min(_SHARD, count - first), kind))
    with ProcessPoolExecutor(workers) as pool:
        for folder in pool.map(_draw_shard, jobs, [fonts] * len(jobs), [processor] * len(jobs)):
            print(f"drawn: {folder.name}", flush=True)


def shards(settings: Settings, kind: str) -> list[Shard]:
    """The shards of a kind."""
    folders = sorted((settings.folder / "shelf").glob(f"{kind}-*"))
    return [Shard(folder, pickle.loads((folder / "items.pickle").read_bytes())) for folder in folders]


def font_files(names: tuple[str, ...]) -> tuple[str | None, ...]:
    """Files of fonts by their names as fontconfig knows them ("DejaVu Sans:bold"); "" is Pillow's own.

    Raises FileNotFoundError for one that isn't installed.
    """
    return tuple(_font_file(name) if name else None for name in names)


def _font_file(name: str) -> str:
    family = name.partition(":")[0]
    found = subprocess.run(["fc-match", "-f", "%{family}|%{file}", name], capture_output=True, text=True, check=True)
    families, _, file = found.stdout.partition("|")
    if family not in families.split(","):
        raise FileNotFoundError(
            f"the font {family!r} is not installed; training/README.md names the packages to install"
        )
    return file


def sign_box(scene: Scene, sign: Sign) -> tuple[int, int, int, int]:
    """The box that a zoom on a sign should name: 0..1000 of the picture, rounded outwards to multiples of 50."""
    (width, height), (left, top, right, bottom) = scene.size, sign.box
    x0, y0 = (max(0, int(1000 * low / side / 50 + 0.12) * 50) for low, side in ((left, width), (top, height)))
    x1, y1 = (min(1000, -int(-1000 * high / side // 50) * 50) for high, side in ((right, width), (bottom, height)))
    return x0, y0, max(x1, x0 + 50), max(y1, y0 + 50)


def _draw_shard(job: tuple[Path, int, int, str], fonts: tuple[str | None, ...], processor: Any) -> Path:
    folder, seed, count, kind = job
    rng = random.Random(seed)
    style = PLAIN.with_fonts(fonts)
    items: list[Item] = []
    pixels: list[npt.NDArray[np.uint8]] = []
    truths: list[PatchTruth] = []
    targets: list[npt.NDArray[np.uint8]] = []

    def put(scene: Scene, image: Image.Image, *, is_zoom: bool = False) -> int:
        truth = patch_truth(scene, GEOMETRY)
        items.append(Item(scene, sum(map(len, pixels[-1:])) + (items[-1].start if items else 0), is_zoom=is_zoom))
        pixels.append(_tiles(processor, image))
        truths.append(truth)
        targets.append(_targets(scene, truth))
        return len(items) - 1

    for _ in range(count):
        scene = _sheet(rng, style) if kind == "sheets" else _picture(rng, style)
        image = scene.image()
        place = put(scene, image)
        if len(scene.signs) == 1 and scene.signs[0].small:
            zooms = [(box, put(part, picture, is_zoom=True)) for box, part, picture in _zooms(rng, scene, image)]
            items[place] = Item(scene, items[place].start, tuple(zooms))
    part = folder.with_name(folder.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    np.save(part / "pixels.npy", np.concatenate(pixels))
    np.save(part / "targets.npy", np.concatenate(targets))
    for name in ("thing", "first", "letters"):
        np.save(part / f"{name}.npy", np.concatenate([getattr(truth, name) for truth in truths]))
    (part / "items.pickle").write_bytes(pickle.dumps(items))
    part.rename(folder)
    return folder


def _picture(rng: random.Random, style: Style) -> Scene:
    kind = rng.random()
    if kind < 0.35:
        return random_scene(rng, shapes=rng.choice((1, 2, 3, 3, 4, 4)), style=style)
    sign = "plain" if kind < 0.72 else "small"
    return random_scene(rng, shapes=rng.choice((0, 1, 1, 2, 2, 3)), sign=sign, style=style)


def _sheet(rng: random.Random, style: Style) -> Scene:
    return random_scene(rng, shapes=rng.choice((0, 0, 1)), sign="plain", signs=rng.choice((3, 4, 5)), style=style)


def _zooms(
    rng: random.Random, scene: Scene, image: Image.Image
) -> Iterator[tuple[tuple[int, int, int, int], Scene, Image.Image]]:
    """The right box, and one that is a step off on some sides but still holds the whole text."""
    right = sign_box(scene, scene.signs[0])
    for box in (right, tuple(edge + rng.choice((-50, 0, 0, 50)) for edge in right)):
        x0, y0, x1, y1 = (max(0, min(1000, edge)) for edge in box)
        if x1 - x0 < 50 or y1 - y0 < 50:
            continue
        cut, size = frame(scene.size, (x0, y0, x1, y1))
        part = cut_scene(scene, cut, size)
        if part.signs and _holds(part, part.signs[0]):
            yield (x0, y0, x1, y1), part, image.crop(cut).resize(size, Image.Resampling.LANCZOS)


def _holds(scene: Scene, sign: Sign) -> bool:
    (width, height), (top, bottom) = scene.size, sign.line
    return sign.letters[0][0] >= 0 and sign.letters[-1][1] <= width and top >= 0 and bottom <= height


def _tiles(processor: Any, image: Image.Image) -> npt.NDArray[np.uint8]:
    values = np.asarray(processor(images=image, return_tensors="np")["pixel_values"][0])
    return np.rint(values.transpose(0, 2, 3, 1) * 127.5 + 127.5).astype(np.uint8)


def _targets(scene: Scene, truth: PatchTruth) -> npt.NDArray[np.uint8]:
    out = np.zeros((*truth.thing.shape, len(TARGETS)), np.uint8)
    out[..., 2:6][truth.thing == 0] = UNCLEAR
    for index, thing in enumerate(scene.things):
        here = truth.thing == index + 1
        if isinstance(thing, Shape):
            out[here, 0], out[here, 1] = 1 + COLOURS.index(thing.colour), 1 + SHAPES.index(thing.kind)
        else:
            out[here, 1] = 1 + len(SHAPES)
            out[here & ~truth.legible, 6] = 1 + len(CHARACTERS)
        for number, view in enumerate(views(scene.size, GEOMETRY)):
            left, top, right, bottom = thing.box
            edges = (
                *(left * view.scale_x + view.shift_x, top * view.scale_y + view.shift_y),
                *(right * view.scale_x + view.shift_x, bottom * view.scale_y + view.shift_y),
            )
            bins = [round(_EDGE_BINS * min(1.0, max(0.0, edge / GEOMETRY.tile))) for edge in edges]
            out[number, here[number], 2:6] = bins
    for number, patch in zip(*np.nonzero(truth.letters), strict=True):
        first, letters = int(truth.first[number, patch]), int(truth.letters[number, patch])
        if letters == UNCLEAR:
            out[number, patch, 6:] = UNCLEAR
            continue
        sign = scene.things[truth.thing[number, patch] - 1] if truth.thing[number, patch] else None
        if isinstance(sign, Sign):
            shown = sign.text[first : first + min(3, letters)]
            out[number, patch, 6 : 6 + len(shown)] = [1 + CHARACTERS.index(letter) for letter in shown]
            out[number, patch, 9] = 1 + min(7, first)
    return out
