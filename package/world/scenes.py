"""Random scenes: shapes that can be told apart, and a sign that can be read at sight or only from near."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, TypeAlias

from .drawing import font, luminance
from .things import COLOURS, SHAPES, Rgb, Scene, Shape, Sign, Thing, reading_order

__all__ = ["HELD_OUT_WORDS", "OTHER_HAND", "PLAIN", "SignKind", "Style", "WORDS", "random_scene", "random_text"]

SignKind: TypeAlias = Literal["plain", "small"]

_LISTED = """
AIR ANT BALL BANK BEACH BEAR BEE BEER BERLIN BIG BIKE BILL BIRD BLACK BLUE BOAT BOOK BREAD BUS BUTTER CAFE CAIRO CAKE
CAR CAT CHAIR CLOCK COFFEE COLD COW DANCE DANGER DELHI DESK DINNER DOG DOOR DOWN DRAW DUCK EAST EXIT FAST FIRE FISH
FLOWER FREE FROG GAME GARDEN GATE GO GOAL GOLD GREEN HELP HEN HIGH HILL HORSE HOT HOTEL INFO JUICE JUMP KING LAKE LAMP
LANE LEAF LEFT LIMA LION LONDON LOW LUNCH MARKET MENU METRO MILAN MILK MOON MUSIC NEW NO NORTH OFF OLD ON OPEN OSLO
PAINT PAPER PARIS PARK PEN PHONE PIG PINK PIZZA PLAY POLICE PORT PRICE PULL PUSH QUEEN RADIO RAIN READ RED RIGHT RIVER
ROAD ROME ROOM ROSE RUN SAFE SALE SEA SHIP SHOP SKY SLOW SMALL SNOW SONG SOUP SOUTH STAR STOP SUN SWIM TABLE TAX TAXI
TEA TEAM TOKYO TOTAL TRAIN TRAM TREE TRUCK UP WAIT WALK WATER WEST WHITE WIN WIND WINE WOLF WRITE YES
"""
HELD_OUT_WORDS = (
    *("BOAT", "BUTTER", "CAFE", "CLOCK", "DELHI", "FLOWER", "FROG", "GARDEN", "GOAL", "GOLD", "HORSE", "JUICE"),
    *("LAKE", "LIMA", "MARKET", "PARK", "PIZZA", "QUEEN", "SLOW", "SNOW", "SONG", "TAX", "TRAIN", "WRITE"),
)
"""Words that no training picture shows."""
WORDS = tuple(word for word in _LISTED.split() if word not in HELD_OUT_WORDS)

# Several tints of each colour; a shape's fill lies between two of them.
_TINTS: dict[str, tuple[Rgb, ...]] = {
    "red": ((255, 0, 0), (220, 40, 40), (200, 20, 30), (214, 39, 40)),
    "orange": ((255, 165, 0), (245, 140, 20), (255, 127, 14), (240, 120, 30)),
    "yellow": ((255, 255, 0), (245, 215, 40), (250, 230, 80), (242, 208, 36)),
    "green": ((0, 128, 0), (40, 160, 70), (0, 200, 0), (44, 160, 44), (30, 110, 50)),
    "blue": ((0, 0, 255), (40, 90, 220), (30, 60, 180), (70, 130, 230), (31, 95, 208)),
    "purple": ((128, 0, 128), (130, 50, 170), (150, 60, 200), (110, 40, 140), (139, 63, 181)),
    "pink": ((255, 192, 203), (245, 130, 185), (255, 105, 180), (250, 150, 200)),
    "black": ((0, 0, 0), (25, 25, 25), (45, 45, 45), (20, 20, 30)),
}
_LONG_SIDES = (240, 288, 320, 384, 400, 448, 480, 512, 576, 640)
_RATIOS = (1, 1, 4 / 3, 3 / 2, 16 / 9, 2)

# What the pocket checkpoint can resolve, as shares of the picture: capitals at least so high and letters so wide are
# read at sight; capitals of under SMALL_LINE are not, and need an original of so many pixels to be read from near.
_PLAIN_LINE, _PLAIN_LETTER = 0.13, 0.1
_SMALL_LINE, _SMALL_PIXELS = 0.027, 11


@dataclass(frozen=True, slots=True)
class Style:
    """How scenes are drawn. ``fonts`` are files, None is Pillow's own; radii are shares of the shorter side."""

    fonts: tuple[str | None, ...] = (None,)
    radii: tuple[float, float] = (0.085, 0.2)
    rims: float = 0.2
    """The share of shapes with a rim."""
    black_rims: bool = False
    tint_noise: int = 10
    slopes: float = 0.15
    """The share of backgrounds that grow lighter to a side."""
    grains: float = 0.1
    """The share of pictures with noise."""

    def with_fonts(self, fonts: Sequence[str | None]) -> Style:
        """The same with other fonts."""
        return replace(self, fonts=tuple(fonts))


PLAIN = Style()
OTHER_HAND = Style(radii=(0.07, 0.24), rims=0.9, black_rims=True, tint_noise=22, slopes=0.5, grains=0.3)
"""Drawings that a training on ``PLAIN`` ones does not know."""


def random_scene(
    rng: random.Random,
    *,
    shapes: int | None = None,
    sign: SignKind | None = None,
    signs: int = 1,
    word: str | None = None,
    kinds: Sequence[str] = SHAPES,
    size: tuple[int, int] | None = None,
    style: Style = PLAIN,
) -> Scene:
    """A scene with ``shapes`` shapes (1 to 4 if not given; fewer where no more fit) and perhaps a sign, or ``signs``.

    No two shapes are equal in kind and colour. A "small" sign makes the picture at least 480 px long. ``word`` is the
    sign's text, by default a word, letters or a number of up to six characters.
    """
    size = size or _size(rng, (480, 512, 576, 640) if sign == "small" else _LONG_SIDES)
    background = _background(rng)
    things: list[Thing] = []
    for _ in range(signs if sign else 0):
        _add_sign(rng, things, size, background, sign or "plain", word, style)
    wanted = rng.choice((1, 2, 2, 3, 3, 4)) if shapes is None else shapes
    radii = style.radii if len(things) + wanted > 2 else (style.radii[0], 1.3 * style.radii[1])
    is_distinct = rng.random() < 0.55
    for _ in range(wanted):
        _add_shape(rng, things, size, background, kinds, style, radii, is_distinct=is_distinct)
    slope = (rng.uniform(-30, 30), rng.uniform(-30, 30)) if rng.random() < style.slopes else (0.0, 0.0)
    grain = rng.randint(4, 10) if rng.random() < style.grains else 0
    return Scene(size, background, reading_order(size, things), slope, grain, rng.getrandbits(32))


def _size(rng: random.Random, long_sides: Sequence[int]) -> tuple[int, int]:
    long = rng.choice(long_sides)
    short = int(long / rng.choice(_RATIOS))
    return (long, short) if rng.random() < 0.65 else (short, long)


def _background(rng: random.Random) -> Rgb:
    kind = rng.random()
    if kind < 0.4:
        level = rng.randint(232, 250)
        return level, level + rng.randint(-4, 4), level + rng.randint(-8, 4)
    if kind < 0.85:
        return rng.randint(185, 255), rng.randint(185, 255), rng.randint(185, 255)
    return rng.randint(20, 80), rng.randint(20, 80), rng.randint(20, 90)


def _add_shape(
    rng: random.Random,
    things: list[Thing],
    size: tuple[int, int],
    background: Rgb,
    kinds: Sequence[str],
    style: Style,
    radii: tuple[float, float],
    *,
    is_distinct: bool,
) -> None:
    """Add a shape that stands free and differs from the others; after many vain tries, none."""
    width, height = size
    taken = [(thing.kind, thing.colour) for thing in things if isinstance(thing, Shape)]
    for _ in range(60):
        kind, colour = rng.choice(kinds), rng.choice(COLOURS)
        if (kind, colour) in taken or (is_distinct and any(kind == k or colour == c for k, c in taken)):
            continue
        fill = _tint(rng, colour, style.tint_noise)
        if _distance(fill, background) < 100:
            continue
        radius = min(size) * rng.uniform(*radii)
        x, y = rng.uniform(1.1 * radius, width - 1.1 * radius), rng.uniform(1.1 * radius, height - 1.1 * radius)
        if any(abs(share - line) < 0.03 for share in (x / width, y / height) for line in (1 / 3, 2 / 3)):
            continue  # too near to the next place to say which one it is
        tilt = rng.choice((0.0, rng.uniform(-0.12, 0.12) if kind in ("square", "diamond") else rng.uniform(-0.3, 0.3)))
        edge, rim = None, 0.0
        if rng.random() < style.rims:
            darker = tuple(int(level * rng.uniform(0.3, 0.7)) for level in fill)
            edge = ((0, 0, 0) if luminance(background) > 110 else (255, 255, 255)) if style.black_rims else darker
            rim = max(1.0, min(size) * rng.uniform(0.004, 0.012))
        shape = Shape(kind, colour, _outline(rng, kind, x, y, radius, tilt), fill, _rgb(edge), rim)
        if not any(_touch(shape.box, thing.box) for thing in things):
            things.append(shape)
            return


def _outline(
    rng: random.Random, kind: str, x: float, y: float, radius: float, tilt: float
) -> tuple[tuple[float, float], ...]:
    match kind:
        case "circle":
            points = [_on_circle(turn / 48, 1.0) for turn in range(48)]
        case "square":
            points = [(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)]
        case "diamond":
            half = rng.uniform(0.72, 1.0)
            points = [(0.0, -1.05), (half, 0.0), (0.0, 1.05), (-half, 0.0)]
        case "triangle":
            points = [(0.0, -1.0), (0.95, 0.8), (-0.95, 0.8)]
        case "star":
            inner = rng.uniform(0.38, 0.5)
            points = [_on_circle(turn / 10, inner if turn % 2 else 1.08) for turn in range(10)]
        case _:
            arm = rng.uniform(0.24, 0.4)
            corner = [(-arm, -1.0), (arm, -1.0), (arm, -arm)]
            points = [_quarter_turned(point, turns) for turns in range(4) for point in corner]
    cos, sin = math.cos(tilt), math.sin(tilt)
    return tuple(
        (x + radius * (across * cos - down * sin), y + radius * (across * sin + down * cos)) for across, down in points
    )


def _on_circle(turn: float, radius: float) -> tuple[float, float]:
    """A point so many turns clockwise from the top."""
    return radius * math.sin(2 * math.pi * turn), -radius * math.cos(2 * math.pi * turn)


def _quarter_turned(point: tuple[float, float], turns: int) -> tuple[float, float]:
    for _ in range(turns):
        point = -point[1], point[0]
    return point


def _add_sign(
    rng: random.Random,
    things: list[Thing],
    size: tuple[int, int],
    background: Rgb,
    kind: SignKind,
    word: str | None,
    style: Style,
) -> None:
    for _ in range(60):
        sign = _sign(rng, size, background, kind, word or random_text(rng), rng.choice(style.fonts))
        if sign is not None and not any(_touch(sign.box, thing.box) for thing in things):
            things.append(sign)
            return


def random_text(rng: random.Random) -> str:
    """What a sign may say: a word, letters, or a number, of up to six characters."""
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(WORDS)
    if kind < 0.75:
        return "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=rng.randint(1, 6)))
    if kind < 0.92:
        return "".join(rng.choices("0123456789", k=rng.randint(1, 5)))
    return f"{rng.uniform(1, 100):.2f}"


def _sign(
    rng: random.Random, size: tuple[int, int], background: Rgb, kind: SignKind, text: str, file: str | None
) -> Sign | None:
    """A board somewhere in the picture; None if the text can't be legible in it as it should."""
    width, height = size
    line, length = _measures(file, text)  # for a font of one pixel
    letter = length / len(text)
    if kind == "plain":
        least = max(_PLAIN_LINE * height / line, _PLAIN_LETTER * width / letter)
        most = min(0.82 * width / length, 0.33 * height / line)
    else:
        least = _SMALL_PIXELS / min(line, letter * 1.3)
        most = _SMALL_LINE * max(size) / line
    if most < least:
        return None
    font_size = round(least + (most - least) * rng.random() ** 1.5)
    drawn = font(file, font_size)
    edges = [float(drawn.getlength(text[:count])) for count in range(len(text) + 1)]
    high, wide = line * font_size, edges[-1]
    across, down = high * rng.uniform(0.3, 0.9), high * rng.uniform(0.35, 0.9)
    board_wide, board_high = wide + 2 * across, high + 2 * down
    if board_wide > width - 6 or board_high > height - 6:
        return None
    left, top = rng.uniform(3, width - board_wide - 3), rng.uniform(3, height - board_high - 3)
    board, ink = _board_colours(rng)
    edge: Rgb | None = None
    if _distance(board, background) < 110 or rng.random() < 0.45:
        level = rng.randint(0, 70) if luminance(background) > 110 else rng.randint(190, 255)
        edge = (level, level, level)
    x = left + across
    return Sign(
        text,
        box=(left, top, left + board_wide, top + board_high),
        origin=(x, top + down + high),
        letters=tuple((x + start, x + end) for start, end in pairwise(edges)),
        line=(top + down, top + down + high),
        board=board,
        ink=ink,
        edge=edge,
        font=file,
        font_size=font_size,
        small=kind == "small",
    )


def _measures(file: str | None, text: str) -> tuple[float, float]:
    """Height of the capitals and length of the text, for a font of one pixel."""
    large = font(file, 100)
    return -large.getbbox("H", anchor="ls")[1] / 100, float(large.getlength(text)) / 100


def _board_colours(rng: random.Random) -> tuple[Rgb, Rgb]:
    """Board and ink."""
    kind = rng.random()
    if kind < 0.5:
        board = (rng.randint(225, 255), rng.randint(225, 255), rng.randint(225, 255))
        dark = rng.randint(0, 60)
        return board, rng.choice(((dark, dark, dark), (dark, dark, dark), (rng.randint(150, 210), 0, 0), (0, 0, 170)))
    if kind < 0.8:
        board = _tint(rng, rng.choice(COLOURS), 10)
        dark = rng.randint(0, 30)
        return board, (255, 255, 255) if luminance(board) < 140 else (dark, dark, dark)
    board = (rng.randint(15, 80), rng.randint(15, 80), rng.randint(15, 80))
    return board, (rng.randint(210, 255), rng.randint(210, 255), rng.randint(210, 255))


def _tint(rng: random.Random, colour: str, noise: int) -> Rgb:
    one, other = rng.sample(_TINTS[colour], 2)
    share = rng.random()
    mixed = [round(a * share + b * (1 - share)) + rng.randint(-noise, noise) for a, b in zip(one, other, strict=True)]
    return _rgb([max(0, min(255, level)) for level in mixed]) or (0, 0, 0)


def _rgb(levels: Sequence[int] | None) -> Rgb | None:
    return None if levels is None else (levels[0], levels[1], levels[2])


def _distance(one: Rgb, other: Rgb) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def _touch(one: Sequence[float], other: Sequence[float], gap: float = 3) -> bool:
    return one[0] < other[2] + gap and other[0] < one[2] + gap and one[1] < other[3] + gap and other[1] < one[3] + gap
