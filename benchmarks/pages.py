"""Pages with known text for benchmarks of reading: receipts, letters, columns, menus and tables, in the fonts found."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias, cast

from PIL import Image, ImageDraw, ImageFilter, ImageFont

__all__ = ["FOREIGN", "KINDS", "WEARS", "Page", "foreign", "fonts", "worn"]

Rng: TypeAlias = random.Random
_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")
_UNLIKE_TEXT = ("Math", "Symbol", "Emoji", "Icon", "Oblique", "Italic", "ExtraLight")

_PROSE = {
    "en": """
        the of and to in is you that it he was for on are as with his they at be this have from or one had by
        word but not what all were we when your can said there use an each which she do how their if will up
        other about out many then them these so some her would make like him into time has look two more write
        go see number no way could people my than first water been call who oil its now find long down day did
        get come made may part house garden window weather letter morning evening kitchen village mountain river
        bridge station market friend holiday
    """,
    "de": """
        der die das und ist nicht ein eine zu haben wir für auf mit sich des auch über Straße schön größer
        müssen können Wetter Garten Küche Fenster Brücke Bahnhof Grüße heute morgen Abend Stadt Schlüssel
        Wohnung Übung Ärger Öffnung weiß heißt früh spät grün blau Häuser Bäume Äpfel süß
    """,
    "fr": """
        le la les et est pas une pour dans avec sur été élève français garçon fenêtre maison jardin matin soir
        très près après où déjà même être château forêt île hôtel œuvre cœur noël goût août façon reçu
    """,
    "es": """
        el la los y es no una para en con sobre niño año mañana español calle jardín casa ventana café tarde
        noche también después aquí allí corazón canción lección río árbol señora pequeño
    """,
}
_WORDS = {lang: words.split() for lang, words in _PROSE.items()}
_ITEMS = {
    "en": "Espresso|Cheese sandwich|Tomato soup|Sparkling water|Apple pie|Green tea|Granola bar|Table wine|Bagel|Nuts",
    "de": "Kaffee|Käsebrot|Tomatensuppe|Mineralwasser|Apfelkuchen|Grüner Tee|Brötchen|Weißbier|Müsli|Rühreier",
    "fr": "Café crème|Croque-monsieur|Soupe du jour|Eau minérale|Tarte aux pommes|Thé vert|Pâté|Crêpe|Salade|Vin rouge",
    "es": "Café solo|Bocadillo|Sopa|Agua mineral|Tarta de manzana|Té verde|Piña|Jamón|Ensalada|Vino tinto",
}
_LABELS = {  # total, subtotal, tax, discount, cash, change, tip
    "en": "TOTAL|Subtotal|VAT 10%|Discount|Cash|Change|Tip",
    "de": "SUMME|Zwischensumme|MwSt 10%|Rabatt|Bar|Rückgeld|Trinkgeld",
    "fr": "TOTAL|Sous-total|TVA 10%|Remise|Espèces|Rendu|Pourboire",
    "es": "TOTAL|Subtotal|IVA 10%|Descuento|Efectivo|Cambio|Propina",
}
FOREIGN = {
    "Cyrillic": "Добрый день, уважаемые гости|Сегодня в меню суп и хлеб|Цена 450 рублей|Спасибо за покупку",
    "Greek": "Καλημέρα και καλώς ήρθατε|Σήμερα έχουμε σούπα και ψωμί|Τιμή 12,50 ευρώ|Ευχαριστούμε πολύ",
    "Arabic": "مرحبا بكم في مطعمنا|شوربة وخبز طازج|السعر خمسون ريال|شكرا جزيلا لكم",
    "Hebrew": "שלום וברוכים הבאים|מרק ולחם טרי|המחיר חמישים שקל|תודה רבה לכם",
    "Armenian": "Բարի գալուստ մեր ճաշարան|Ապուր և հաց|Գինը հինգ հարյուր|Շնորհակալություն",  # noqa: RUF001
    "Georgian": "კეთილი იყოს თქვენი მობრძანება|სუპი და პური|ფასი ორი ლარი|დიდი მადლობა",
}
"""A few lines of each script that DejaVu Sans has letters for and RapidOCR's models don't."""


@dataclass
class Page:
    """A picture and the text that it shows, line by line as it should be read.

    ``adds_up``: of a receipt, whether it does.
    """

    image: Image.Image
    lines: list[str]
    adds_up: bool | None = None

    @property
    def words(self) -> list[str]:
        """The words in reading order."""
        return [word for line in self.lines for word in line.split()]


@dataclass
class Sheet:
    """A page while it is written: pieces with their places, in pixels."""

    font: str
    size: int
    ink: int = 20
    pieces: list[tuple[float, float, str, str]] = field(default_factory=list[tuple[float, float, str, str]])

    def __post_init__(self) -> None:
        self.face = _face(self.font, self.size)
        self.pitch = self.size * 1.5

    def put(self, x: float, row: float, text: str, anchor: str = "la") -> None:
        self.pieces.append((x, row * self.pitch, text, anchor))

    def width(self, text: str) -> float:
        return self.face.getlength(text)

    def drawn(self, ground: int = 250) -> Image.Image:
        margin = 2 * self.size
        right = max(x + (0 if anchor == "ra" else self.width(text)) for x, _, text, anchor in self.pieces)
        bottom = max(y for _, y, _, _ in self.pieces) + self.pitch
        image = Image.new("RGB", (round(right) + 2 * margin, round(bottom) + 2 * margin), (ground,) * 3)
        pen = ImageDraw.Draw(image)
        for x, y, text, anchor in self.pieces:
            pen.text((margin + x, margin + y), text, (self.ink,) * 3, font=self.face, anchor=anchor)
        return image


@dataclass(frozen=True)
class Look:
    """How a page is printed."""

    font: str
    size: int
    ink: int = 20
    ground: int = 250

    def sheet(self) -> Sheet:
        return Sheet(self.font, self.size, self.ink)


def receipt(rng: Rng, look: Look, *, is_right: bool | None = None) -> Page:
    """Articles with prices, quantities, discounts, tax, payment; one in four says a wrong total."""
    lang = rng.choice(list(_ITEMS))
    total_, subtotal, tax, discount, cash, change, tip = _LABELS[lang].split("|")
    rows: list[tuple[str, str]] = [(rng.choice(("CORNER CAFE", "BISTRO 21", "MARKET HALL")), "")]
    rows += [(f"{rng.randint(1, 99)} {rng.choice(('High Street', 'Rue Haute', 'Hauptplatz', 'Calle Mayor'))}", "")]
    added = Decimal()
    for name in rng.sample(_ITEMS[lang].split("|"), rng.randint(2, 7)):
        price, times = Decimal(rng.randint(95, 1990)) / 100, rng.choice((1, 1, 1, 2, 3))
        match rng.randint(0, 2) if times > 1 else 3:
            case 0:
                rows.append((f"{times} x {name}", _price(price * times, lang)))
            case 1:
                rows.append((f"{name} {times} x {_price(price, lang)}", _price(price * times, lang)))
            case 2:
                rows += [(name, _price(price * times, lang)), (f"{times} x {_price(price, lang)}", "")]
            case _:
                rows.append((name, _price(price, lang)))
        added += price * times
    shape = rng.choice(("plain", "plain", "subtotal", "tax", "discount", "tip"))
    if shape in ("subtotal", "tax", "discount", "tip"):
        rows.append((subtotal, _price(added, lang)))
    more = {"tax": (added / 10).quantize(Decimal("0.01")), "discount": -Decimal(rng.randint(50, 200)) / 100}
    more["tip"] = Decimal(rng.randint(50, 300)) / 100
    if shape in more:
        rows.append(({"tax": tax, "discount": discount, "tip": tip}[shape], _price(more[shape], lang)))
        added += more[shape]
    right = rng.random() < 0.75 if is_right is None else is_right
    said = added if right else added + rng.choice((-1, 1)) * Decimal(rng.choice((10, 60, 90, 100, 300, 1000))) / 100
    said = said if said > 0 else added + 1
    rows.append((f"{total_} EUR" if rng.random() < 0.4 else total_, _price(said, lang)))
    if rng.random() < 0.5:
        paid = Decimal(int(said / 10 + 1) * 10)
        rows += [(cash, _price(paid, lang)), (change, _price(paid - said, lang))]
    sheet = look.sheet()
    width = max(sheet.width(f"{left}    {value}") for left, value in rows) + rng.randint(0, 6) * look.size
    for number, (left, value) in enumerate(rows):
        sheet.put(0, number, left)
        if value:
            sheet.put(width, number, value, "ra")
    lines = [" ".join(filter(None, row)) for row in rows]
    return Page(sheet.drawn(look.ground), lines, right)


def letter(rng: Rng, look: Look) -> Page:
    """Paragraphs in one of four languages."""
    sheet, row, lang = look.sheet(), 0.0, rng.choice(list(_WORDS))
    lines: list[str] = []
    lines.append(f"{rng.choice(('Bonn', 'Paris', 'Leeds', 'Madrid'))}, {rng.randint(1, 28)}.{rng.randint(1, 12)}.2026")
    sheet.put(0, row, lines[-1])
    for _ in range(rng.randint(2, 3)):
        row += 1.7
        for line in _wrapped(rng, sheet, lang, rng.randint(25, 45), 34 * look.size):
            sheet.put(0, row, line)
            lines.append(line)
            row += 1
    return Page(sheet.drawn(look.ground), lines)


def columns(rng: Rng, look: Look) -> Page:
    """A headline over two or three columns of prose."""
    sheet, count, width = look.sheet(), rng.choice((2, 2, 3)), 15 * look.size
    gap, lang = 2.0 * look.size, rng.choice(list(_WORDS))
    head = " ".join(rng.sample(_WORDS["en"], 5)).upper()
    sheet.put(0, 0, head)
    lines = [head]
    for number in range(count):
        for row, line in enumerate(_wrapped(rng, sheet, lang, rng.randint(25, 40), width)):
            sheet.put(number * (width + gap), row + 2, line)
            lines.append(line)
    return Page(sheet.drawn(look.ground), lines)


def menu(rng: Rng, look: Look) -> Page:
    """Dishes with their prices on the right, under headings."""
    sheet, row, lang = look.sheet(), 0.0, rng.choice(list(_ITEMS))
    lines: list[str] = []
    for heading in rng.sample(("STARTERS", "MAIN DISHES", "DESSERTS", "DRINKS"), 2):
        sheet.put(0, row, heading)
        lines.append(heading)
        row += 1.2
        for name in rng.sample(_ITEMS[lang].split("|"), rng.randint(3, 5)):
            price = _price(Decimal(rng.randint(20, 320)) / 20, lang)
            sheet.put(0, row, name)
            sheet.put(24 * look.size, row, price, "ra")
            lines.append(f"{name} {price}")
            row += 1
        row += 0.6
    return Page(sheet.drawn(look.ground), lines)


def table(rng: Rng, look: Look) -> Page:
    """Headers over rows of names and numbers; it should be read as "header: value"."""
    sheet = look.sheet()
    heads = ["Name", *rng.sample(("Age", "City", "Score", "Room", "Weight"), rng.randint(2, 3))]
    makes: dict[str, Callable[[], str]] = {
        "Name": lambda: f"{rng.choice(('Anna', 'Tomas', 'Zoe', 'Karim'))} {rng.choice(('Berg', 'Lee', 'Ortiz'))}",
        "Age": lambda: str(rng.randint(11, 98)),
        "City": lambda: rng.choice(("Bonn", "New York", "Rome", "Graz", "Lyon")),
        "Score": lambda: f"{rng.randint(10, 99)}.{rng.randint(0, 9)}",
        "Room": lambda: f"{rng.randint(1, 9)}{rng.randint(10, 99)}",
        "Weight": lambda: f"{rng.randint(10, 95)} kg",
    }
    if not {"Age", "Score", "Room", "Weight"} & set(heads):
        heads.append("Age")
    rows = [heads, *([makes[head]() for head in heads] for _ in range(rng.randint(3, 6)))]
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            sheet.put(column * 9.5 * look.size, number, cell)
    lines = ["; ".join(f"{head}: {cell}" for head, cell in zip(heads, row, strict=True)) for row in rows[1:]]
    return Page(sheet.drawn(look.ground), lines)


Maker: TypeAlias = Callable[[Rng, Look], Page]
KINDS: dict[str, Maker] = {f.__name__: f for f in (receipt, letter, columns, menu, table)}
WEARS = ("plain", "turned", "tilted", "small", "faint", "worn")
"""How pages are handed in."""


def worn(rng: Rng, kind: Maker, wear: str) -> Page:
    """A page of a kind in one of the fonts, turned, tilted, small, faint or worn."""
    size = rng.randint(8, 11) if wear == "small" else rng.randint(16, 26)
    ground = rng.randint(235, 255)
    ink = ground - rng.randint(35, 70) if wear == "faint" else rng.randint(0, 60)
    page = kind(rng, Look(rng.choice(fonts()), size, ink, ground))
    match wear:
        case "turned":
            page.image = page.image.rotate(rng.choice((90, 180, 270)), expand=True)
        case "tilted":
            page.image = page.image.rotate(
                rng.choice((-1, 1)) * rng.uniform(1, 5), Image.Resampling.BICUBIC, expand=True, fillcolor=(ground,) * 3
            )
        case "worn":
            page.image = _spoilt(rng, page.image)
        case _:
            pass
    return page


def foreign(rng: Rng, script: str) -> Page:
    """Some lines of a script."""
    sheet = Sheet("DejaVuSans.ttf", rng.randint(16, 28))
    lines = rng.sample(FOREIGN[script].split("|"), 3)
    for number, line in enumerate(lines):
        sheet.put(0, number, line)
    return Page(sheet.drawn(), lines)


def fonts() -> list[str]:
    """The installed fonts that print text and have the letters of the pages; Pillow's own lacks some."""
    found = {path.name for folder in _FOLDERS for path in Path(folder).rglob("*.ttf")}
    return sorted(name for name in found if not any(part in name for part in _UNLIKE_TEXT) and _has_latin(name))


def _has_latin(name: str) -> bool:
    try:
        face = ImageFont.truetype(name, 20)
    except OSError:
        return False
    shapes = {bytes(cast("Any", face.getmask(letter))) for letter in "aßéñ8"}
    return len(shapes) == 5


def _spoilt(rng: Rng, image: Image.Image) -> Image.Image:
    """Blurred a little, with grain, and compressed."""
    blurred = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0)))
    grain = Image.effect_noise(image.size, rng.uniform(5, 25)).convert("RGB")
    kept = io.BytesIO()
    Image.blend(blurred, grain, 0.15).save(kept, "JPEG", quality=rng.randint(20, 45))
    return Image.open(kept).convert("RGB")


def _wrapped(rng: Rng, sheet: Sheet, lang: str, count: int, width: float) -> list[str]:
    lines = [""]
    for word in rng.choices(_WORDS[lang], k=count):
        if lines[-1] and sheet.width(f"{lines[-1]} {word}") > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _price(amount: Decimal, lang: str) -> str:
    return f"{amount:.2f}" if lang == "en" else f"{amount:.2f}".replace(".", ",")


def _face(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, size)
