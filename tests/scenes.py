"""Drawn pictures of the kind that the pocket checkpoint knows, and ones with text to read."""

from __future__ import annotations

import random

from PIL import Image, ImageDraw, ImageFont

COLOURS = {
    "red": (220, 40, 40),
    "orange": (245, 140, 20),
    "yellow": (245, 215, 40),
    "green": (40, 160, 70),
    "blue": (40, 90, 220),
    "purple": (130, 50, 170),
    "black": (25, 25, 25),
}
PLACES = {
    "top left": (1, 1), "top": (3, 1), "top right": (5, 1),
    "left": (1, 3), "centre": (3, 3), "right": (5, 3),
    "bottom left": (1, 5), "bottom": (3, 5), "bottom right": (5, 5),
}  # fmt: skip


def scene(*objects: tuple[str, str, str], size: tuple[int, int] = (320, 320)) -> Image.Image:
    """A picture of shapes: (colour, "circle" | "square" | "triangle", place)."""
    image = Image.new("RGB", size, (250, 250, 244))
    draw = ImageDraw.Draw(image)
    radius = min(size) // 8
    for colour, shape, place in objects:
        x, y = (part * side // 6 for part, side in zip(PLACES[place], size, strict=True))
        box = (x - radius, y - radius, x + radius, y + radius)
        if shape == "circle":
            draw.ellipse(box, fill=COLOURS[colour])
        elif shape == "square":
            draw.rectangle(box, fill=COLOURS[colour])
        else:
            draw.polygon([(x, y - radius), (x + radius, y + radius), (x - radius, y + radius)], fill=COLOURS[colour])
    return image


def random_scene(rng: random.Random) -> Image.Image:
    """Three shapes of different colours, in different places, in a picture of some size."""
    places, colours = rng.sample(list(PLACES), 3), rng.sample(list(COLOURS), 3)
    objects = [(c, s, p) for c, s, p in zip(colours, ("circle", "square", "triangle"), places, strict=True)]
    return scene(*objects, size=rng.choice([(320, 320), (400, 300), (240, 360), (640, 200)]))


def receipt(*lines: str, size: tuple[int, int] = (480, 640)) -> Image.Image:
    """Printed lines, dark on white."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((40, 40 + 60 * number), line, fill=(20, 20, 20), font=ImageFont.load_default(32))
    return image
