"""How often ``looktwice compare`` finds a planted change, and how often it finds one where there is none.

    python benchmarks/compare.py              # 24 changes of each size, 18 digits of each, 12 same ones in each guise
    python benchmarks/compare.py --pictures 4 # a look

Changes are planted into drawn scenes, printed pages and scenes under clouds of noise as photographs have them; then
the changed picture is put into one of ten guises (encoded, scaled, shifted, turned, brightened), as is an unchanged
one. A change counts as found if a region that is told touches it, and as pointed out alone if no other one is told. A
digit is changed in a page of printed lines; its text is read in both pictures, too, as it is in the unchanged ones that
show text. Goals: 95 % found, 2 % accused.
"""

from __future__ import annotations

import argparse
import io
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import cv2
import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

from looktwice.agent.access import Comparison, compare
from looktwice.tools.ocr.engine import Engine
from looktwice.world import OTHER_HAND, random_scene

Guise: TypeAlias = Callable[[Image.Image], Image.Image]
RNG = random.Random(7)
LETTERS = "ABCDEFGHIJKLMNOPRSTUW abcdefghijklmnoprstuw"
PAPER, INK = (250, 250, 246), (24, 24, 24)


# --- pictures


def drawn() -> Image.Image:
    return random_scene(RNG).image()


def sketched() -> Image.Image:
    return random_scene(RNG, style=OTHER_HAND).image()


def signed() -> Image.Image:
    return random_scene(RNG, sign="plain").image()


def photo() -> Image.Image:
    size = RNG.choice(((640, 480), (480, 640), (800, 600)))
    clouds = Image.new("L", size, 128)
    for grain in (4, 8, 16, 32, 64, 128, 256):
        layer = Image.frombytes("L", (grain, grain), RNG.randbytes(grain * grain))
        clouds = Image.blend(clouds, layer.resize(size, Image.Resampling.BICUBIC), 0.35)
    return Image.blend(Image.merge("RGB", [clouds] * 3), random_scene(RNG, size=size).image(), 0.6)


def page() -> Image.Image:
    return printed(rows(RNG.randint(3, 8)), 28)


def rows(count: int) -> list[str]:
    """Lines such as "Bkelsd  12.40"."""
    names = ("".join(RNG.choices(LETTERS, k=RNG.randint(5, 12))).strip() for _ in range(count))
    return [f"{name}  {RNG.randint(1, 99)}.{RNG.randint(10, 99)}" for name in names]


def printed(lines: Sequence[str], size: int) -> Image.Image:
    step = round(1.9 * size)
    image = Image.new("RGB", (24 * size, 2 * step + len(lines) * step), PAPER)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for number, line in enumerate(lines):
        pen.text((2 * size, (number + 1) * step), line, fill=INK, font=font)
    return image


PICTURES = (drawn, sketched, signed, photo, page)


# --- guises


def encoded(image: Image.Image, kind: str, quality: int = 0) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": quality} if quality else {}))
    return Image.open(buffer).convert("RGB")


def scaled(image: Image.Image, factor: float) -> Image.Image:
    size = (round(image.width * factor), round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def inside(image: Image.Image, share: float) -> Image.Image:
    """Without the rim, which shifting and turning leave empty."""
    x, y = max(8, round(share * image.width)), max(8, round(share * image.height))
    return image.crop((x, y, image.width - x, image.height - y))


def shifted(image: Image.Image) -> Image.Image:
    moved = image.transform(image.size, Image.Transform.AFFINE, (1, 0, 6.4, 0, 1, -3.7), Image.Resampling.BICUBIC)
    return inside(moved, 0.02)


def turned(image: Image.Image, degrees: float = 1.0) -> Image.Image:
    return inside(image.rotate(degrees, Image.Resampling.BICUBIC), 0.03)


def brightened(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


GUISES: dict[str, Guise] = {
    "PNG": lambda image: encoded(image, "PNG"),
    "JPEG, quality 80": lambda image: encoded(image, "JPEG", 80),
    "WebP, quality 75": lambda image: encoded(image, "WEBP", 75),
    "0.8 times as large": lambda image: scaled(image, 0.8),
    "1.3 times as large": lambda image: scaled(image, 1.3),
    "shifted and cut": shifted,
    "turned by 1 degree": turned,
    "brighter": lambda image: brightened(image, 1.15),
    "darker, less contrast": lambda image: ImageEnhance.Contrast(brightened(image, 0.8)).enhance(0.9),
    "all of it": lambda image: encoded(brightened(scaled(turned(image, -0.7), 0.9), 0.9), "JPEG", 85),
}


# --- changes


def changed(image: Image.Image, size: int) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """The picture with a rectangle or an ellipse of a colour that differs from what was there, and its box."""
    left, top = RNG.randint(16, image.width - size - 16), RNG.randint(16, image.height - size - 16)
    box = (left, top, left + size, top + size)
    before = np.asarray(image.crop(box).resize((1, 1), Image.Resampling.BOX))[0, 0]
    while True:
        colour = (RNG.randrange(256), RNG.randrange(256), RNG.randrange(256))
        if max(abs(int(a) - b) for a, b in zip(before, colour, strict=True)) >= 60:
            break
    with_it = image.copy()
    pen = ImageDraw.Draw(with_it)
    draw = RNG.choice((pen.rectangle, pen.ellipse))
    draw((left, top, left + size - 1, top + size - 1), fill=colour)
    return with_it, box


def large_enough(size: int) -> Image.Image:
    while True:
        image = RNG.choice(PICTURES)()
        if min(image.size) >= 1.5 * size + 40:
            return image


def other_digit(lines: list[str]) -> tuple[list[str], int]:
    """The lines with one digit changed, and the number of its line."""
    number = RNG.randrange(len(lines))
    line = lines[number]
    place = RNG.choice([place for place, letter in enumerate(line) if letter.isdigit()])
    digit = RNG.choice([digit for digit in "0123456789" if digit != line[place]])
    return [*lines[:number], line[:place] + digit + line[place + 1 :], *lines[number + 1 :]], number


# --- measuring


def touched(found: Comparison, box: tuple[int, int, int, int]) -> list[bool]:
    boxes = [difference.first for difference in found.differences]
    return [b[0] < box[2] and box[0] < b[2] and b[1] < box[3] and box[1] < b[3] for b in boxes]


def tell(name: str, hits: int, count: int, goal: float, began: float, more: str = "") -> None:
    share = 100 * hits / count
    met = share >= goal if goal > 50 else share <= goal
    verb, sign = ("found", ">=") if goal > 50 else ("accused", "<=")
    seconds = (time.perf_counter() - began) / count
    goals = f"{sign} {goal:2.0f} %  {'yes' if met else 'NO':3}"
    print(f"{name:26} {hits:4} of {count:4} {verb:8} {share:5.1f} %  {goals} {seconds:5.2f} s  {more}", flush=True)


def planted(size: int, count: int) -> None:
    began, hits, alone = time.perf_counter(), 0, 0
    for number in range(count):
        before = large_enough(size)
        after, box = changed(before, size)
        told = touched(compare(before, list(GUISES.values())[number % len(GUISES)](after)), box)
        hits += any(told)
        alone += bool(told) and all(told)
    tell(f"change of {size} px", hits, count, 95, began, f"{alone} pointed out alone")


def digits(size: int, count: int, engine: Engine) -> None:
    began, by_pixels, hits, read = time.perf_counter(), 0, 0, 0
    for number in range(count):
        lines = rows(6)
        others, at = other_digit(lines)
        before, after = printed(lines, size), list(GUISES.values())[number % len(GUISES)](printed(others, size))
        step = round(1.9 * size)
        box = (0, (at + 1) * step, before.width, (at + 1) * step + round(1.3 * size))
        found = compare(before, after, engine=engine)
        hits += any(touched(found, box))
        by_pixels += any(touched(compare(before, after), box))
        read += any(difference.texts is not None for difference in found.differences)
    more = f"{by_pixels} by pixels alone; {read} with what was read"
    tell(f"digit of {round(0.72 * size)} px", hits, count, 95, began, more)


def same(name: str, guise: Guise, count: int, engine: Engine) -> None:
    began, accused = time.perf_counter(), 0
    for number in range(count):
        make = PICTURES[number % len(PICTURES)]
        image = make()
        accused += not compare(image, guise(image), engine=engine if make in (signed, page) else None).same
    tell(f"same: {name}", accused, count, 2, began)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pictures", type=int, default=24, help="for each size of a change")
    parser.add_argument("--digits", type=int, default=18, help="for each size of a digit")
    parser.add_argument("--same", type=int, default=12, help="for each guise; 0 leaves a part out")
    options = parser.parse_args()
    from looktwice.tools.ocr.rapid import default_engine

    engine = default_engine()
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}, Pillow {PIL.__version__}, OpenCV {cv2.__version__}; seconds with making the pictures")
    for size in (8, 16, 32, 64, 128) if options.pictures else ():
        planted(size, options.pictures)
    for size in (14, 18, 24, 32) if options.digits else ():
        digits(size, options.digits, engine)
    for name, guise in GUISES.items() if options.same else ():
        same(name, guise, options.same, engine)


if __name__ == "__main__":
    sys.exit(main())
