"""How often ``looktwice check`` finds what is wrong with a picture, and how often it accuses a good one.

    python benchmarks/check.py                # 300 pictures of each kind by their pixels, 40 by their text; a minute
    python benchmarks/check.py --text 300     # all by their text, too; several minutes

The pictures are made here: drawn scenes, printed pages, and scenes blended with clouds of noise as photographs have
them; then each kind of fault is done to good ones. Faults count as found if they are told at all; blank and uniform
mean the same to a person and count for each other. Goals: 98 % found, 2 % accused.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import time
from collections.abc import Callable
from typing import TypeAlias

import PIL
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter

from looktwice.agent.access import Fault, check, check_pixels
from looktwice.world import OTHER_HAND, random_scene

Make: TypeAlias = Callable[[], Image.Image]
Judge: TypeAlias = Callable[[Image.Image], tuple[Fault, ...]]
RNG = random.Random(5)
LETTERS = "ABCDEFGHIJKLMNOPRSTUW abcdefghijklmnoprstuw 0123456789"
EMPTY = ("blank", "uniform")


def good() -> Image.Image:
    """A picture that nothing is wrong with."""
    return RNG.choice((drawn, sketched, signed, page, photo))()


def drawn() -> Image.Image:
    return random_scene(RNG).image()


def sketched() -> Image.Image:
    return random_scene(RNG, style=OTHER_HAND).image()


def signed() -> Image.Image:
    return random_scene(RNG, sign="plain").image()


def page(lines: int | None = None) -> Image.Image:
    """Printed lines with a margin."""
    image = Image.new("RGB", (700, 640), (250, 250, 246))
    pen = ImageDraw.Draw(image)
    for number in range(lines or RNG.randint(3, 9)):
        words = "".join(RNG.choices(LETTERS, k=RNG.randint(8, 22)))
        pen.text((50, 50 + 60 * number), words, fill=(20, 20, 20), font_size=32)
    return image


def photo() -> Image.Image:
    """A scene under clouds of noise from coarse to fine."""
    size = RNG.choice(((640, 480), (480, 640), (800, 600)))
    clouds = Image.new("L", size, 128)
    for grain in (4, 8, 16, 32, 64, 128, 256):
        layer = Image.frombytes("L", (grain, grain), RNG.randbytes(grain * grain))
        clouds = Image.blend(clouds, layer.resize(size, Image.Resampling.BICUBIC), 0.35)
    return Image.blend(Image.merge("RGB", [clouds] * 3), random_scene(RNG, size=size).image(), 0.6)


def bright() -> Image.Image:
    """A good picture that is not dark by itself."""
    while True:
        image = good()
        if sum(image.resize((1, 1)).tobytes()) > 3 * 150:
            return image


def grainy(image: Image.Image, strength: float) -> Image.Image:
    grain = Image.effect_noise(image.size, strength)
    return ImageChops.add(image, Image.merge("RGB", [grain] * 3), 1, -128)


def black() -> Image.Image:
    return grainy(ImageEnhance.Brightness(good()).enhance(RNG.uniform(0, 0.06)), RNG.uniform(0, 6))


def dark() -> Image.Image:
    return ImageEnhance.Brightness(bright()).enhance(RNG.uniform(0.14, 0.24))


def blank() -> Image.Image:
    colour = (RNG.randint(40, 255), RNG.randint(40, 255), RNG.randint(40, 255))
    return grainy(Image.new("RGB", RNG.choice(((640, 480), (300, 300))), colour), RNG.uniform(0, 8))


def uniform() -> Image.Image:
    shades = Image.frombytes("L", (3, 3), bytes(RNG.randint(120, 175) for _ in range(9)))
    return Image.merge("RGB", [shades.resize((640, 480), Image.Resampling.BICUBIC)] * 3)


def blurred() -> Image.Image:
    image = good()
    return image.filter(ImageFilter.GaussianBlur(RNG.uniform(0.008, 0.02) * max(image.size)))


def tiny() -> Image.Image:
    return good().resize((RNG.randint(10, 47), RNG.randint(10, 47)))


def turned() -> Image.Image:
    return page().rotate(RNG.choice((90, 180, 270)), expand=True)


def cut() -> Image.Image:
    """A page whose lines run out of the picture on the left or the right."""
    image = page(6)
    return image.crop((RNG.randint(70, 160), 0, 700, 640) if RNG.random() < 0.5 else (0, 0, RNG.randint(150, 220), 640))


def measure(name: str, make: Make, count: int, judge: Judge) -> None:
    """Print a line: of good pictures the share that is accused, of others the share whose fault is found."""
    told, is_good = 0, name.startswith("good")
    began = time.perf_counter()
    for _ in range(count):
        kinds = [fault.kind for fault in judge(make())]
        told += bool(kinds) if is_good else name in kinds or (name in EMPTY and kinds[:1] > [])
    seconds = (time.perf_counter() - began) / count
    verb, goal, met = (
        ("accused", "<=  2", told <= 0.02 * count) if is_good else ("found", ">= 98", told >= 0.98 * count)
    )
    share = f"{verb:8} {100 * told / count:5.1f} %"
    print(f"{name:24} {count:5} {share}  {goal} %  {'yes' if met else 'NO':3} {seconds:.3f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pictures", type=int, default=300, help="of each kind, judged by their pixels")
    parser.add_argument("--text", type=int, default=40, help="of each kind, judged by their text, too")
    options = parser.parse_args()
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, Pillow {PIL.__version__}")
    print(f"{'':24} {'n':>5} {'':8} {'':8}  {'goal':>7}  met, with making the picture")
    for make in (good, black, blank, uniform, dark, blurred, tiny):
        measure(make.__name__, make, options.pictures, check_pixels)
    from looktwice.tools.ocr.rapid import default_engine

    engine = default_engine()
    for name, make in (("good, with its text", good), ("turned", turned), ("cut", cut)):
        measure(name, make, options.text, lambda image: check(image, engine=engine))


if __name__ == "__main__":
    sys.exit(main())
