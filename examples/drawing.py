"""The pictures that the examples and the documentation use, drawn so that nothing has to be shipped or downloaded.

``python examples/drawing.py`` writes wall.png, door.jpg, street.png and bill.png into the current folder. They hold
what the pocket checkpoint knows, coloured shapes and a sign, and printed lines for the text reader.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

COLOURS = {
    "red": "#d62728",
    "orange": "#ff8c1a",
    "yellow": "#f2d024",
    "green": "#2ca02c",
    "blue": "#1f5fd0",
    "purple": "#8b3fb5",
}
ROWS = ("top", "", "bottom")
COLUMNS = ("left", "", "right")
PAPER, INK = "#f7f5ee", "#141414"


def scene(*objects: str, size: tuple[int, int] = (576, 576)) -> Image.Image:
    """A picture of shapes, each described as "red circle at top left", "blue square at centre" and so on."""
    image = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(image)
    for described in objects:
        what, _, place = described.partition(" at ")
        colour, shape = what.split()
        _shape(pen, shape, COLOURS[colour], _spot(place, size), min(size) // 8)
    return image


def street() -> Image.Image:
    """A scene with a sign whose words are too small to be read without a closer look."""
    image = scene("red circle at top right", "blue square at bottom right")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(28)
    left, top, right, bottom = pen.textbbox((170, 170), "STOP", font=font, anchor="mm")
    pen.rectangle((left - 34, top - 34, right + 34, bottom + 34), fill="white", outline=INK, width=3)
    pen.text((170, 170), "STOP", fill=INK, font=font, anchor="mm")
    return image


def bill() -> Image.Image:
    """A printed bill."""
    image = Image.new("RGB", (480, 640), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(34)
    pen.text((40, 40), "CORNER CAFE", fill=INK, font=font)
    rows = ("Soup", "6.50", 150), ("Bread", "2.20", 204), ("Coffee", "3.40", 258), ("TOTAL", "12.10", 366)
    for what, price, y in rows:
        pen.text((40, y), what, fill=INK, font=font)
        pen.text((400, y), price, fill=INK, font=font, anchor="ra")
    return image


def draw_all(folder: Path) -> list[Path]:
    """Write the four pictures into a folder; gives their paths."""
    pictures = {
        "wall.png": scene("red circle at top left", "green triangle at top right", "blue square at bottom right"),
        "door.jpg": scene("purple square at left", "yellow circle at centre", "orange triangle at bottom"),
        "street.png": street(),
        "bill.png": bill(),
    }
    for name, image in pictures.items():
        image.save(folder / name)
    return [folder / name for name in pictures]


def _spot(place: str, size: tuple[int, int]) -> tuple[int, int]:
    """The middle of a place on a grid of three by three."""
    words = place.split()
    row = next((number for number, name in enumerate(ROWS) if name in words), 1)
    column = next((number for number, name in enumerate(COLUMNS) if name in words), 1)
    return size[0] * (2 * column + 1) // 6, size[1] * (2 * row + 1) // 6


def _shape(pen: ImageDraw.ImageDraw, shape: str, colour: str, spot: tuple[int, int], radius: int) -> None:
    x, y = spot
    box = (x - radius, y - radius, x + radius, y + radius)
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    else:
        pen.polygon([(x, box[1]), (box[2], box[3]), (box[0], box[3])], fill=colour)


if __name__ == "__main__":
    for path in draw_all(Path()):
        print(path)
