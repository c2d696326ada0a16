"""Two pictures of the same thing: what was changed is found, and what was only encoded, scaled or shifted is not."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageEnhance
from scenes import receipt, scene
from shell import run

from looktwice import Agent, LookTwiceError, ScriptedBackend
from looktwice.agent.access import compare
from looktwice.agent.access.comparing.model import QUESTION, told_by_model
from looktwice.tools.ocr.rapid import default_engine

pytest.importorskip("cv2", reason="needs the extra compare")

WALL = scene(("red", "circle", "top left"), ("blue", "square", "right"), ("green", "triangle", "bottom"))
BILL = receipt("CORNER CAFE", "Soup 6.50", "Bread 2.20", "TOTAL 8.70")
OTHER_BILL = receipt("CORNER CAFE", "Soup 6.50", "Bread 2.30", "TOTAL 8.70")


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return Image.open(buffer)


def turned(image: Image.Image) -> Image.Image:
    """Turned by a degree and cut to what is filled, darker, and of another size."""
    inner = image.rotate(1, Image.Resampling.BICUBIC).crop((10, 10, image.width - 10, image.height - 10))
    return ImageEnhance.Brightness(inner.resize((round(0.9 * image.width), round(0.9 * image.height)))).enhance(0.9)


def with_spot(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    spotted = image.copy()
    ImageDraw.Draw(spotted).rectangle(box, fill=(240, 160, 20))
    return spotted


@pytest.mark.parametrize("picture", [WALL, BILL], ids=["wall", "bill"])
@pytest.mark.parametrize("guise", [Image.Image.copy, jpeg, turned])
def test_the_same_picture_is_the_same_in_any_guise(
    picture: Image.Image, guise: Callable[[Image.Image], Image.Image]
) -> None:
    found = compare(picture, guise(picture))
    assert found.differences == ()
    assert found.same
    assert found.shared > 0.85
    lines = str(found).splitlines()
    assert lines[0] == "No difference was found."
    assert lines[1].startswith("Compared was the ")
    assert lines[2].startswith("Changes of ")
    assert lines[3] == "Texts were not read."


@pytest.mark.parametrize("size", [8, 40])
def test_a_change_is_found_where_it_is(size: int) -> None:
    box = (210, 40, 210 + size, 40 + size)
    (difference,) = compare(WALL, turned(with_spot(WALL, box))).differences
    assert difference.place == "top right"
    assert all(abs(told - is_) <= 8 for told, is_ in zip(difference.first, box, strict=True))
    assert difference.second != difference.first  # it lies elsewhere in the other picture


def test_a_changed_digit_is_told_with_what_was_read_in_both() -> None:
    found = compare(BILL, jpeg(OTHER_BILL), engine=default_engine())
    (difference,) = found.differences
    assert difference.texts == ("2.20", "2.30")
    told = str(found).splitlines()
    assert told[0] == "1 difference was found."
    assert told[1].endswith(': "2.20" in the first, "2.30" in the second.')
    assert told[-1] == "Texts were read in both and compared."


def test_pictures_of_other_things_are_not_called_the_same() -> None:
    found = compare(WALL, BILL)
    assert not found.aligned
    assert not found.same
    assert str(found).splitlines() == [
        "The pictures can't be laid over each other: they show different things, or from different sides.",
        "Nothing was compared.",
    ]


def test_texts_of_pictures_that_show_other_things_are_compared() -> None:
    other = receipt("CORNER CAFE", "Tea 1.10", size=(640, 300)).rotate(180)
    found = compare(BILL, other, engine=default_engine())
    assert not found.aligned
    assert "Only their texts were compared." in str(found)
    assert 'Only in the second: "Tea 1.10"' in str(found)
    assert "CORNER CAFE" not in str(found)


def test_a_model_is_asked_about_the_crops_and_nothing_is_kept() -> None:
    spotted = with_spot(WALL, (210, 40, 250, 80))
    with Agent(ScriptedBackend(["An orange\nspot."]), memory=":memory:") as agent:
        found = told_by_model(compare(WALL, spotted), WALL, spotted, agent)
        assert agent.memory.conversations.list() == []
    assert re.fullmatch(r"1\. top right, 4\d by 4\d pixels at 20\d, 3\d: An orange spot\.", str(found).splitlines()[1])
    assert "@first" in QUESTION


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(LookTwiceError, match=r"nowhere\.png"):
        compare(WALL, "nowhere.png")


def test_the_command_tells_it_in_lines_and_in_json(tmp_path: Path) -> None:
    WALL.save(tmp_path / "a.png")
    with_spot(WALL, (210, 40, 250, 80)).save(tmp_path / "b.jpg")
    told = run(f"looktwice compare {tmp_path}/a.png {tmp_path}/b.jpg --no-text")
    assert told.status == 0
    assert told.stdout.splitlines()[0] == "1 difference was found."
    found = json.loads(run(f"looktwice compare {tmp_path}/a.png {tmp_path}/b.jpg --no-text --json").stdout)
    assert (found["same"], found["aligned"], found["differences"][0]["place"]) == (False, True, "top right")
    missing = run(f"looktwice compare {tmp_path}/a.png {tmp_path}/c.png --no-text")
    assert (missing.status, missing.stderr.splitlines()[-1].startswith("error: ")) == (1, True)
