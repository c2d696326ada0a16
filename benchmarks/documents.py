"""Receipts, signs and labels in several fonts, with what stands on them: for benchmarks that read."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

__all__ = ["Document", "Fact", "draw", "fonts"]

_FONTS_WORDS = """
DejaVuSans.ttf DejaVuSans-Bold.ttf DejaVuSansMono.ttf DejaVuSerif.ttf LiberationSans-Regular.ttf
LiberationSerif-Regular.ttf LiberationMono-Regular.ttf LiberationSansNarrow-Bold.ttf FreeSans.ttf FreeMonoBold.ttf
OpenSans-Regular.ttf Roboto-Regular.ttf Lato-Regular.ttf Hack-Regular.ttf
"""
_FONTS = _FONTS_WORDS.split()
_GOODS_WORDS = """
Bread Milk Butter Coffee Apples Rice Cheese Tomatoes Yoghurt Pasta Honey Eggs Tea Sugar Salt Onions Juice Ham Cereal
Soap Candles Napkins Olives Walnuts Pears Lentils Vinegar Mustard
"""
_GOODS = _GOODS_WORDS.split()
_SHOPS = ["CORNER MARKET", "GREEN VALLEY", "ROSSI FOODS", "NORTH STREET DELI", "HARBOUR STORES", "OLD MILL BAKERY"]
_PLACES = ["LISBON", "VIENNA", "OSLO", "GENEVA", "DUBLIN", "PRAGUE", "TURIN", "LEEDS", "BREMEN", "NANTES"]
_PRODUCTS = [
    "Wildflower Honey",
    "Smoked Almonds",
    "Oat Drink",
    "Tomato Soup",
    "Plum Jam",
    "Rye Crackers",
    "Dark Chocolate",
]
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_MONTHS_SHORT = [month[:3] for month in _MONTHS]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something true: a question, what a right answer says, and the part of it that tells the fact.

    ``rivals`` are parts that stand elsewhere in the document and would be wrong here.
    """

    question: str
    answer: str
    told: str
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A picture with facts; ``font`` and ``worn`` say how it was printed."""

    kind: str
    image: Image.Image
    facts: tuple[Fact, ...]
    font: str
    worn: str


@dataclass(slots=True)
class _Page:
    """Lines of (left, right) texts, and what they tell."""

    lines: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    facts: list[Fact] = field(default_factory=list[Fact])

    def fact(self, question: str, answer: str, told: str, rivals: Sequence[str] = ()) -> None:
        """``answer`` has {} for what is told."""
        self.facts.append(Fact(question, answer.format(told), told, tuple(rivals)))


@cache
def fonts() -> tuple[str, ...]:
    """Those fonts that are installed here; "" is Pillow's own."""
    return ("", *(name for name in _FONTS if _is_there(name)))


def draw(rng: random.Random, kind: str) -> Document:
    """A document of a kind: "receipt", "sign" or "label"."""
    page = {"receipt": _receipt, "sign": _sign, "label": _label}[kind](rng)
    font = rng.choice(fonts())
    image = _sign_board(rng, page, font) if kind == "sign" else _paper(rng, page, font)
    worn = rng.choice(("clean", "clean", "tilted", "blurred", "compressed"))
    return Document(kind, _worn(rng, image, worn), tuple(page.facts), Path(font).stem or "Pillow's own", worn)


def _receipt(rng: random.Random) -> _Page:
    page, comma = _Page(), rng.random() < 0.4

    def price(cents: int) -> str:
        return f"{cents // 100}{',' if comma else '.'}{cents % 100:02}"

    day = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2023, 2026)
    date = f"{day[0]:02}.{day[1]:02}.{day[2]}" if comma else f"{day[2]}-{day[1]:02}-{day[0]:02}"
    clock, number = f"{rng.randint(8, 21):02}:{rng.randint(0, 59):02}", str(rng.randint(1000, 99999))
    page.lines += [(rng.choice(_SHOPS), ""), (f"{date}  {clock}", ""), (f"Receipt No. {number}", ""), ("", "")]
    goods = rng.sample(_GOODS, rng.randint(3, 8))
    cents = rng.sample(range(55, 1999), len(goods))
    prices = list(map(price, cents))
    total, given = sum(cents), (sum(cents) // 500 + 1) * 500
    tax = round(total * 0.07)
    page.lines += zip(goods, prices, strict=True)
    page.lines += [("", ""), ("TOTAL EUR", price(total)), ("VAT 7%", price(tax)), ("CASH", price(given))]
    page.lines.append(("CHANGE", price(given - total)))
    money = (*prices, price(total), price(given))
    page.fact(
        "What is the total?", rng.choice(("The total is {} €.", "It comes to {} EUR.", "{}")), price(total), prices
    )
    one, other = rng.sample(range(len(goods)), 2)
    rest = [amount for amount in money if amount != prices[one]]
    page.fact(f"How much is the {goods[one].lower()}?", f"The {goods[one].lower()} costs {{}}.", prices[one], rest)
    both = f"{goods[other]} is {prices[other]} and {goods[one]} is {{}}."
    swapped = [amount for amount in rest if amount != prices[other]]
    page.fact(f"What do {goods[other]} and {goods[one]} cost?", both, prices[one], swapped)
    said = rng.choice((date, f"{day[0]} {_MONTHS[day[1] - 1]} {day[2]}", f"{_MONTHS[day[1] - 1]} {day[0]}, {day[2]}"))
    page.fact("When was this bought?", "It was bought on {}.", said)
    page.fact("At what time was it paid?", "At {}.", clock)
    page.fact("What is the receipt number?", "The receipt number is {}.", number)
    page.fact("Which shop is it?", 'The receipt is from "{}".', page.lines[0][0])
    return page


def _sign(rng: random.Random) -> _Page:
    page, place, clock = _Page(), rng.choice(_PLACES), f"{rng.randint(5, 23):02}:{rng.randint(0, 59):02}"
    room = f"{rng.choice('ABCDEFGH')}-{rng.randint(100, 499)}"
    match rng.randrange(4):
        case 0:
            track = str(rng.randint(10, 29))
            page.lines += [(f"PLATFORM {track}", ""), (place, clock)]
            page.fact("When does the train leave?", f"The train to {place} leaves at {{}}.", clock)
            page.fact("Which platform is it?", "{}", f"PLATFORM {track}")
        case 1:
            page.lines += [("MEETING ROOM", ""), (room, "")]
            page.fact("Which room is it?", "It is room {}.", room)
            page.fact("What does the sign say?", 'The sign says "{}".', f"MEETING ROOM {room}")
        case 2:
            weight = f"{rng.randint(11, 79) * 100} kg"
            page.lines += [("MAXIMUM LOAD", ""), (weight, "")]
            page.fact("What may it carry?", "At most {}.", weight)
            page.fact("What does the sign say?", "{}", f"MAXIMUM LOAD {weight}")
        case _:
            word = rng.choice(("NO PARKING", "WET PAINT", "KEEP CLEAR", "STAFF ONLY", "FIRE EXIT"))
            page.lines += [(word, ""), (f"TEL 0{rng.randint(20, 99)} {rng.randint(100000, 999999)}", "")]
            page.fact("What does it say?", rng.choice(("It says {}.", 'It says "{}".', "{}")), word)
            page.fact("Which number can I call?", "Call {}.", page.lines[1][0].removeprefix("TEL "))
    return page


def _label(rng: random.Random) -> _Page:
    page, product = _Page(), rng.choice(_PRODUCTS)
    weight = f"{rng.choice((125, 175, 240, 250, 330, 425, 500, 750))} g"
    day = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2026, 2028)
    lot, energy = f"L{rng.randint(1000, 9999)}{rng.choice('ABCDEFGHK')}", f"{rng.randint(110, 680)} kcal"
    share = f"{rng.randint(11, 89)} %"
    date = (
        f"{day[0]:02}.{day[1]:02}.{day[2]}" if rng.random() < 0.6 else f"{day[0]} {_MONTHS_SHORT[day[1] - 1]} {day[2]}"
    )
    page.lines += [(product, ""), (f"Net weight {weight}", ""), (f"Fruit content {share}", "")]
    page.lines += [(f"Energy {energy} per 100 g", ""), (f"Best before {date}", ""), (f"Lot {lot}", "")]
    page.fact("How much is in it?", "The net weight is {}.", weight)
    page.fact("How long does it keep?", "It is best before {}.", f"{day[0]} {_MONTHS[day[1] - 1]} {day[2]}")
    page.fact("What is the lot number?", rng.choice(("The lot is {}.", "{}")), lot)
    page.fact("How many calories has it?", "It has {} per 100 g.", energy)
    page.fact("What is it?", 'It is "{}".', product)
    return page


def _paper(rng: random.Random, page: _Page, font: str) -> Image.Image:
    size = rng.randint(17, 24)
    face, pitch = _face(font, size), round(size * rng.uniform(1.35, 1.6))
    widths = [face.getlength(left) + face.getlength(right) + 3 * size for left, right in page.lines]
    width, height = round(max(widths)) + 40, pitch * len(page.lines) + 40
    ground = rng.randint(232, 255)
    image = Image.new("RGB", (width, height), (ground, ground, ground - rng.randint(0, 12)))
    pen, ink = ImageDraw.Draw(image), (rng.randint(10, 70),) * 3
    for number, (left, right) in enumerate(page.lines):
        pen.text((20, 20 + number * pitch), left, ink, font=face)
        if right:
            pen.text((width - 20, 20 + number * pitch), right, ink, font=face, anchor="ra")
    return image


def _sign_board(rng: random.Random, page: _Page, font: str) -> Image.Image:
    size = rng.randint(34, 60)
    face, pitch = _face(font, size), round(size * 1.5)
    lines = ["   ".join(filter(None, line)) for line in page.lines]
    width = round(max(map(face.getlength, lines))) + 2 * size
    ground, ink = rng.choice((((20, 60, 140), "white"), ((250, 210, 40), "black"), ((240, 240, 236), (160, 20, 20))))
    image = Image.new("RGB", (width, pitch * len(lines) + size), ground)
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((width / 2, size * 0.7 + number * pitch), line, ink, font=face, anchor="ma")
    return image


def _worn(rng: random.Random, image: Image.Image, how: str) -> Image.Image:
    match how:
        case "tilted":
            edge = image.getpixel((1, 1))
            return image.rotate(rng.uniform(-2, 2), Image.Resampling.BICUBIC, expand=True, fillcolor=edge)  # pyright: ignore
        case "blurred":
            return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.0)))
        case "compressed":
            kept = io.BytesIO()
            image.save(kept, "JPEG", quality=rng.randint(25, 50))
            return Image.open(kept).convert("RGB")
        case _:
            return image


def _face(font: str, size: int) -> ImageFont.FreeTypeFont:
    face = ImageFont.truetype(font, size) if font else ImageFont.load_default(size)
    assert isinstance(face, ImageFont.FreeTypeFont)
    return face


def _is_there(name: str) -> bool:
    try:
        ImageFont.truetype(name, 10)
    except OSError:
        return False
    return True
