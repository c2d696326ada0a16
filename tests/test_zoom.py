from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from looktwice.memory import Box, Recipe
from looktwice.tools import Crop, ToolResult, View, find_tools
from looktwice.tools.box import from_pixels, to_pixels
from looktwice.tools.frame import LONGEST_SIDE, frame
from looktwice.tools.tiling import PUBLIC

(zoom,) = find_tools(["zoom"])
Size = tuple[int, int]


def intervals() -> st.SearchStrategy[tuple[int, int]]:
    return st.lists(st.integers(0, 1000), min_size=2, max_size=2, unique=True).map(lambda two: (min(two), max(two)))


boxes = st.tuples(intervals(), intervals()).map(lambda two: (two[0][0], two[1][0], two[0][1], two[1][1]))
sizes = st.tuples(st.integers(1, 8000), st.integers(1, 8000)).filter(lambda s: max(s) <= 200 * min(s))


@given(sizes, boxes)
def test_a_frame_is_inside_the_picture_and_covers_what_was_asked_for(size: Size, box1000: Box) -> None:
    (x0, y0, x1, y1), scaled = frame(size, box1000)
    asked = to_pixels(box1000, size)
    assert 0 <= x0 < x1 <= size[0]
    assert 0 <= y0 < y1 <= size[1]
    assert x0 <= asked[0] and y0 <= asked[1] and x1 >= asked[2] and y1 >= asked[3]
    assert min(scaled) >= 1


@given(sizes, boxes)
def test_a_frame_is_enlarged_moderately_and_never_made_smaller(size: Size, box1000: Box) -> None:
    (x0, y0, x1, y1), scaled = frame(size, box1000)
    longest = max(x1 - x0, y1 - y0)
    assert scaled[0] >= x1 - x0 and scaled[1] >= y1 - y0
    if longest >= LONGEST_SIDE:
        assert scaled == (x1 - x0, y1 - y0)
    else:
        assert PUBLIC.tile <= max(scaled) <= LONGEST_SIDE


@given(sizes, boxes)
def test_a_frame_is_no_smaller_than_a_glance(size: Size, box1000: Box) -> None:
    (x0, y0, x1, y1), _ = frame(size, box1000)
    assert x1 - x0 >= min(size[0], max(28, size[0] // 20))
    assert y1 - y0 >= min(size[1], max(28, size[1] // 20))


@pytest.mark.parametrize(
    ("box1000", "box", "scaled"),
    [
        ((0, 0, 1000, 1000), (0, 0, 1000, 1000), (1000, 1000)),
        ((500, 500, 501, 501), (476, 476, 526, 526), (336, 336)),  # grown to a twentieth
        ((400, 400, 500, 500), (397, 397, 503, 503), (336, 336)),  # a margin of 3 %
        ((0, 0, 300, 300), (0, 0, 309, 309), (618, 618)),  # twice as large
        ((0, 0, 1000, 100), (0, 0, 1000, 103), (1000, 103)),  # a line stays a line
        ((100, 500, 250, 575), (96, 459, 254, 617), (336, 336)),  # 2:1 costs more than the square around it
    ],
)
def test_the_frame_that_is_chosen(box1000: Box, box: Box, scaled: Size) -> None:
    assert frame((1000, 1000), box1000) == (box, scaled)


def test_squaring_a_sliver_never_costs_more_tokens() -> None:
    asked = PUBLIC.count((336, 168))
    (x0, y0, x1, y1), scaled = frame((1000, 1000), (100, 500, 250, 575))
    assert (asked, PUBLIC.count(scaled), x1 - x0, y1 - y0) == (1752, 1176, 158, 158)


def test_zoom_brings_a_crop_and_no_words() -> None:
    picture = Image.new("RGB", (1000, 1000), "white")
    ImageDraw.Draw(picture).rectangle((400, 400, 499, 499), fill="red")
    view = View("bill", "sha256:1", picture.size, lambda: picture)
    arguments = zoom.validate({"image": "@bill", "box": [400, 400, 500, 500]}, ["bill"])
    result = zoom.run(arguments, lambda name: view)
    assert result == ToolResult(pictures=(Crop(view, (397, 397, 503, 503), (336, 336)),))
    (crop,) = result.pictures
    assert isinstance(crop, Crop)
    assert crop.recipe() == Recipe("sha256:1", "crop", (397, 397, 503, 503), (336, 336))
    assert crop.pixels().size == (336, 336)
    assert crop.pixels().getpixel((168, 168)) == (255, 0, 0)
    assert crop.pixels().getpixel((0, 0)) == (255, 255, 255)


def test_a_crop_of_a_crop_is_zoomed_in_its_own_pixels() -> None:
    crop = View("bill.zoom1", "recipe:1", (200, 100), lambda: Image.new("RGB", (200, 100)))
    result = zoom.run({"image": "bill.zoom1", "box": [0, 0, 500, 1000]}, lambda name: crop)
    assert result == ToolResult(pictures=(Crop(crop, (0, 0, 103, 100), (336, 326)),))


def test_zoom_tells_the_model_what_it_takes() -> None:
    assert (zoom.spec.name, zoom.spec.description) == ("zoom", "Look at a part of a picture, enlarged.")
    assert (zoom.spec.pictures, zoom.spec.boxes, zoom.spec.acts) == (("image",), ("box",), False)
    assert zoom.parameters["required"] == ["image", "box"]


def test_a_pixel_box_lies_inside_the_box_that_names_it() -> None:
    rng = random.Random(6)
    for _ in range(300):
        size = rng.randint(1, 3000), rng.randint(1, 3000)
        x0, y0 = rng.randrange(size[0]), rng.randrange(size[1])
        box = (x0, y0, rng.randint(x0 + 1, size[0]), rng.randint(y0 + 1, size[1]))
        named = from_pixels(box, size)
        assert all(0 <= edge <= 1000 for edge in named)
        left, top, right, bottom = to_pixels(named, size)
        assert left <= box[0] < box[2] <= right
        assert top <= box[1] < box[3] <= bottom
    assert from_pixels((-50, -50, 900, 900), (300, 200)) == (0, 0, 1000, 1000)
