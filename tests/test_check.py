"""Pictures are judged before a model is asked: those that show nothing, and those that show it badly."""

from __future__ import annotations

import random

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter
from scenes import random_scene, receipt, scene

from looktwice import LookTwiceError
from looktwice.agent.access import check, check_pixels
from looktwice.tools.ocr.rapid import default_engine
from looktwice.world import random_scene as drawn

BILL = receipt("CORNER CAFE", "Soup 6.50", "Bread 2.20", "TOTAL 8.70")


def good(seed: int) -> Image.Image:
    rng = random.Random(seed)
    return rng.choice(
        (lambda: random_scene(rng), lambda: drawn(rng).image(), lambda: drawn(rng, sign="plain").image())
    )()


def bright(seed: int) -> Image.Image:
    return receipt(*(f"Line {number} of {seed}" for number in range(3 + seed % 5)))


def noisy(image: Image.Image, strength: float) -> Image.Image:
    grain = Image.effect_noise(image.size, strength)
    return ImageChops.add(image, Image.merge("RGB", [grain] * 3), 1, -128)


def kinds(image: Image.Image) -> list[str]:
    return [fault.kind for fault in check_pixels(image)]


@pytest.mark.parametrize("seed", range(25))
def test_nothing_is_wrong_with_a_good_picture(seed: int) -> None:
    assert kinds(good(seed)) == []
    assert kinds(bright(seed)) == []


@pytest.mark.parametrize("seed", range(12))
def test_a_covered_lens_is_black_and_a_dim_room_dark(seed: int) -> None:
    assert kinds(noisy(ImageEnhance.Brightness(good(seed)).enhance(0.03), 4)) == ["black"]
    assert kinds(ImageEnhance.Brightness(bright(seed)).enhance(0.2)) == ["dark"]


@pytest.mark.parametrize("seed", range(12))
def test_a_wall_is_blank_whatever_its_colour_and_noise(seed: int) -> None:
    rng = random.Random(seed)
    wall = Image.new("RGB", (640, 480), (rng.randint(60, 255), rng.randint(60, 255), rng.randint(60, 255)))
    (found,) = kinds(noisy(wall, seed / 2))
    assert found in ("blank", "uniform")


@pytest.mark.parametrize("seed", range(12))
def test_shadows_on_a_surface_are_nothing_to_see(seed: int) -> None:
    rng = random.Random(seed)
    shades = Image.frombytes("L", (3, 3), bytes(rng.randint(130, 170) for _ in range(9)))
    surface = shades.resize((640, 480), Image.Resampling.BICUBIC)
    assert kinds(Image.merge("RGB", [surface] * 3)) == ["uniform"]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("share", [0.008, 0.02])
def test_a_blurred_picture_is_found_at_any_size(seed: int, share: float) -> None:
    for image in (good(seed), bright(seed), good(seed).resize((1600, 1200))):
        assert "blurred" in kinds(image.filter(ImageFilter.GaussianBlur(share * max(image.size))))


def test_a_thumbnail_is_too_small() -> None:
    assert kinds(scene(("red", "circle", "centre")).resize((40, 40))) == ["tiny"]


def test_the_advice_can_be_spoken() -> None:
    (fault,) = check(ImageEnhance.Brightness(BILL).enhance(0.2))
    assert str(fault) == "the picture is dark; turn on a light, or take it again nearer to a window"


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_text_that_lies_on_its_side_is_told(degrees: int) -> None:
    turned = check(BILL.rotate(-degrees, expand=True), engine=default_engine())
    assert [(fault.kind, fault.said) for fault in turned] == [("turned", f"the text is turned by {degrees} degrees")]
    assert check(BILL, engine=default_engine()) == ()


def test_text_that_is_cut_off_is_told_with_the_edge() -> None:
    wide = Image.new("RGB", (600, 300), "white")
    ImageDraw.Draw(wide).text((30, 120), "THE QUICK BROWN FOX", fill="black", font_size=44)
    assert check(wide, engine=default_engine()) == ()
    (right,) = check(wide.crop((0, 0, 360, 300)), engine=default_engine())
    assert right.said == "text is cut off at the right edge"
    assert right.advice == "move a little to the right, or step back, and take it again"
    (left,) = check(wide.crop((150, 0, 600, 300)), engine=default_engine())
    assert left.said == "text is cut off at the left edge"


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(LookTwiceError, match=r"nowhere\.png"):
        check("nowhere.png")
