"""Recipes: pictures made of others, and boxes mapped back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from looktwice.errors import InvalidInput, StoreError
from looktwice.memory import Box, Recipe

PARENT = "sha256:" + "0" * 64


def recipe(box: Box, size: tuple[int, int]) -> Recipe:
    return Recipe(PARENT, "crop", box, size)


def intervals(limit: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(0, limit), st.integers(0, limit)).filter(lambda ends: ends[0] < ends[1])


def boxes(width: int, height: int) -> st.SearchStrategy[Box]:
    sides = st.tuples(intervals(width), intervals(height))
    return sides.map(lambda ends: (ends[0][0], ends[1][0], ends[0][1], ends[1][1]))


def test_a_crop_of_its_own_size_is_exactly_those_pixels() -> None:
    parent = Image.effect_noise((60, 40), 80).convert("RGB")
    assert recipe((10, 5, 30, 25), (20, 20)).apply(parent).tobytes() == parent.crop((10, 5, 30, 25)).tobytes()


def test_a_crop_is_enlarged_to_its_size() -> None:
    parent = Image.new("RGB", (100, 100), "white")
    ImageDraw.Draw(parent).rectangle((50, 0, 99, 99), fill="red")
    made = recipe((25, 0, 75, 50), (200, 100)).apply(parent)
    assert (made.mode, made.size) == ("RGB", (200, 100))
    assert made.getpixel((10, 50)) == (255, 255, 255)
    assert made.getpixel((190, 50)) == (255, 0, 0)


def test_the_same_recipe_makes_the_same_pixels_and_has_the_same_key() -> None:
    parent = Image.effect_noise((64, 64), 80).convert("RGB")
    one, other = recipe((1, 2, 30, 40), (70, 90)), recipe((1, 2, 30, 40), (70, 90))
    assert one.apply(parent).tobytes() == other.apply(parent).tobytes()
    assert one.key == other.key == "recipe:8e0a2cea9b83b017aee8cf96875ce5848b030e6734470221d7a1718fc98bf476"
    assert one.key != recipe((1, 2, 30, 41), (70, 90)).key


def test_a_recipe_survives_being_stored() -> None:
    one = recipe((1, 2, 30, 40), (70, 90))
    assert one.dump() == f'{{"box":[1,2,30,40],"operation":"crop","parent":"{PARENT}","size":[70,90]}}'
    assert Recipe.load(one.dump()) == one


@pytest.mark.parametrize("stored", ["", "{}", "[]", '{"parent":"x","operation":"crop","box":[1],"size":[1,1]}'])
def test_a_damaged_recipe_is_a_store_error(stored: str) -> None:
    with pytest.raises(StoreError, match="is not a recipe"):
        Recipe.load(stored)


def test_an_unknown_operation_is_named() -> None:
    with pytest.raises(StoreError, match="unknown operation 'rotate' in a recipe; this looktwice knows crop"):
        Recipe(PARENT, "rotate", (0, 0, 1, 1), (1, 1))


@pytest.mark.parametrize("box", [(0, 0, 0, 1), (5, 0, 4, 1), (-1, 0, 1, 1), (0, 3, 1, 3)])
def test_an_empty_or_negative_box_is_refused(box: Box) -> None:
    with pytest.raises(InvalidInput, match="is empty or negative"):
        recipe(box, (1, 1))


@pytest.mark.parametrize("size", [(0, 1), (1, -1), (100_000, 100_000)])
def test_a_size_that_no_picture_may_have_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match="can't have the size"):
        recipe((0, 0, 1, 1), size)


def test_a_box_beyond_the_parent_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"reaches beyond a picture of \(10, 10\)"):
        recipe((0, 0, 11, 5), (11, 5)).apply(Image.new("RGB", (10, 10)))


def test_a_box_maps_back_to_the_pixels_it_covers() -> None:
    zoom = recipe((100, 50, 200, 100), (400, 200))
    assert zoom.to_parent((0, 0, 400, 200)) == (100, 50, 200, 100)
    assert zoom.to_parent((40, 40, 80, 60)) == (110, 60, 120, 65)
    assert zoom.to_parent((41, 41, 42, 42)) == (110, 60, 111, 61)


@given(st.data(), boxes(500, 300), st.tuples(st.integers(1, 700), st.integers(1, 700)))
def test_a_mapped_box_is_inside_and_never_empty(data: st.DataObject, box: Box, size: tuple[int, int]) -> None:
    part = data.draw(boxes(*size))
    x0, y0, x1, y1 = recipe(box, size).to_parent(part)
    assert box[0] <= x0 < x1 <= box[2]
    assert box[1] <= y0 < y1 <= box[3]
    scale = (box[2] - box[0]) / size[0]
    assert x0 <= box[0] + part[0] * scale + 1e-6
    assert x1 >= box[0] + part[2] * scale - 1e-6
