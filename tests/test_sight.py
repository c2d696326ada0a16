"""What a model says of what it sees, aside from its answer, and where a second look goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from PIL import Image, ImageDraw

from looktwice import Agent, Answer, Chat, tool
from looktwice.agent.backends.scripted import ScriptedBackend
from looktwice.agent.prompt import Prompt, Sees, Style, Words
from looktwice.agent.trigger import ALWAYS, MEASURING, UNCALIBRATED, Calibration
from looktwice.errors import ModelError
from looktwice.tools import ToolResult, View

ZOOM = '<tool_call>{"name":"zoom","arguments":{"image":"wall","box":[0,0,500,500]}}</tool_call>'
TILES = ALWAYS.model_copy(update={"tiles": True})
DOUBT_UNSEEN = Calibration(model="m", weights={"visible": -8.0}, bias=4.0, threshold=0.5, questions=100)


def asked(
    *lines: str,
    calibration: Calibration = UNCALIBRATED,
    weights: Any = None,
    tools: Sequence[Any] = ("zoom",),
    style: Style | None = None,
    names: Sequence[str] = ("wall",),
    **wanted: Any,
) -> tuple[Answer, ScriptedBackend, Chat]:
    backend = ScriptedBackend(lines, weights=weights, style=style)
    agent = Agent(backend, memory=":memory:", tools=tools)
    agent.memory.calibrations.put("scripted", calibration.model_dump())
    chat = agent.chat()
    for name, colour in zip(names, ("white", "grey"), strict=False):
        chat.add(Image.new("RGB", (400, 400), colour), name)
    return chat.ask("What does the sign say?", **wanted), backend, chat


def words(prompt: Prompt) -> str:
    return "".join(s.text for s in prompt.messages[-1].segments if isinstance(s, Words))


# whether it sees enough


@pytest.mark.parametrize(("yes", "doubted"), [(0.6, False), (0.1, True)])
def test_an_answer_is_doubted_where_the_model_says_that_it_sees_too_little(yes: float, doubted: bool) -> None:
    weights = {"yes": yes, "No": 0.3}
    answer, backend, _ = asked("STEP", ZOOM, "STOP", calibration=DOUBT_UNSEEN, weights=weights)
    assert len(backend.weighed) == 1
    assert words(backend.weighed[0]).endswith("sign say?\nCan it be answered from what is visible? Answer yes or no.")
    assert len(answer.looks) == doubted
    assert answer.passes == (4 if doubted else 2)
    if not doubted:
        assert answer.signals is not None
        assert answer.signals.visible == pytest.approx(yes / (yes + 0.3), abs=1e-4)


@pytest.mark.parametrize("weights", [None, {"yes": 0.001, "no": 0.002, "maybe": 0.9}])
def test_a_model_that_says_neither_tells_nothing(weights: Mapping[str, float] | None) -> None:
    unknown = DOUBT_UNSEEN.model_copy(update={"usual": {"visible": 0.9}})
    answer, _, _ = asked("STEP", calibration=unknown, weights=weights)
    assert (answer.text, answer.looks) == ("STEP", ())
    assert answer.signals is not None
    assert answer.signals.visible is None


def test_nothing_is_asked_where_no_calibration_weighs_it() -> None:
    _, backend, _ = asked("STEP", weights={"yes": 0.9})
    assert backend.weighed == []


def test_a_model_that_fails_there_does_not_cost_the_answer() -> None:
    def broken(prompt: Prompt) -> Mapping[str, float]:
        raise ModelError("the model ran out of memory")

    answer, _, _ = asked("STEP", calibration=DOUBT_UNSEEN.model_copy(update={"bias": -4.0}), weights=broken)
    assert answer.text == "STEP"
    assert answer.notices == ("the model could not be asked what it sees: the model ran out of memory",)


def test_a_checkpoint_says_how_it_is_asked_and_how_it_answers() -> None:
    style = Style(sees=Sees("Enough for this: {question}", "", yes=(), no=("blind",)))
    answer, backend, _ = asked("STEP", calibration=MEASURING, weights={"blind": 0.25}, style=style)
    assert words(backend.weighed[0]).endswith("\nEnough for this: What does the sign say?")
    assert answer.signals is not None
    assert answer.signals.visible == 0.75
    answer, backend, _ = asked("STEP", ZOOM, "STOP", calibration=TILES, weights={"blind": 0.1}, style=style)
    assert (backend.weighed, answer.text) == ([], "STOP")  # no words for parts: the model zooms by itself


# which part matters


def test_the_likeliest_part_is_looked_at_after_one_pass_over_all() -> None:
    asked_of: list[Prompt] = []

    def weights(prompt: Prompt) -> Mapping[str, float]:
        asked_of.append(prompt)
        # The last quarter, and the third part of the last row, which lies in it; another part alone is not enough.
        return {"yes": {4: 0.8, 5: 0.99, 19: 0.9}.get(len(asked_of), 0.1), "no": 0.1}

    answer, backend, chat = asked("STEP", "STOP", calibration=TILES, weights=weights)
    assert len(backend.weighed) == 4 + 16
    assert {len(prompt.pictures) for prompt in backend.weighed} == {2}
    assert len({prompt.pictures[-1].key for prompt in backend.weighed}) == 20
    (look,) = answer.looks
    assert (look.arguments, look.images) == ({"image": "wall", "box": [500, 750, 750, 1000]}, ("wall.zoom1",))
    assert (answer.text, answer.passes) == ("STOP", 3)
    assert [picture.name for picture in chat.images] == ["wall", "wall.zoom1"]  # what was glanced at is not kept


def test_of_several_pictures_the_quarters_are_asked_about() -> None:
    _, backend, _ = asked("a", "b", calibration=TILES, weights={"yes": 0.5, "no": 0.5}, names=("wall", "door"))
    assert len(backend.weighed) == 8


def test_three_passes_are_all() -> None:
    """Two questions aside leave no room for a zoom that the model writes and an answer after it."""
    both = TILES.model_copy(update={"weights": {"visible": 1e-3}})
    seen = iter([{"yes": 0.5, "no": 0.5}] + [{"yes": 0.0}] * 20)

    def weights(prompt: Prompt) -> Mapping[str, float]:
        return next(seen)

    answer, backend, _ = asked("STEP", ZOOM, "STOP", calibration=both, weights=weights)
    assert (answer.text, answer.looks, answer.passes, len(backend.prompts)) == ("STEP", (), 3, 1)


def test_a_prompt_that_would_not_fit_is_not_asked() -> None:
    backend = ScriptedBackend(["STEP", ZOOM, "STOP"], weights={"yes": 1.0}, context=400, image_tokens=200)
    with Agent(backend, memory=":memory:", tools=["zoom"]) as agent:
        agent.memory.calibrations.put("scripted", TILES.model_dump())
        chat = agent.chat()
        chat.add(Image.new("RGB", (400, 400), "white"), "wall")
        chat.ask("What does the sign say?", max_new_tokens=20)
    assert all(len(prompt.pictures) == 2 for prompt in backend.weighed)


# text


def line(text: str, box: tuple[int, int, int, int]) -> dict[str, Any]:
    return {"text": text, "box": list(box)}


def reader(*lines: dict[str, Any]) -> Any:
    @tool(name="ocr")
    def read(image: View) -> ToolResult:
        """Read."""
        return ToolResult("read", {"lines": list(lines)})

    return read


def test_an_answer_that_declines_goes_to_the_only_line_there_is() -> None:
    tools = ["zoom", reader(line("STOP", (100, 200, 180, 220)))]
    answer, _, _ = asked("unreadable", "STOP", tools=tools)
    (look,) = answer.looks
    left, top, right, bottom = look.arguments["box"]
    assert left < 250 < 450 < right
    assert top < 500 < 550 < bottom
    assert right - left < 300
    assert (answer.text, [item.verdict for item in answer.evidence]) == ("STOP", ["agree"])


def test_with_two_lines_the_model_chooses() -> None:
    tools = ["zoom", reader(line("STOP", (100, 200, 180, 220)), line("HERE", (100, 300, 180, 320)))]
    answer, _, _ = asked("unreadable", ZOOM, "STOP", tools=tools)
    assert answer.looks[0].arguments["box"] == [0, 0, 500, 500]


@pytest.mark.parametrize(("height", "small"), [(20, 2.0), (80, 0.5)])
def test_small_text_is_measured_in_what_a_token_stands_for(height: int, small: float) -> None:
    """A picture of 400 by 400 at 100 tokens: a token stands for 40 by 40."""
    tools = ["zoom", reader(line("STOP", (100, 200, 180, 200 + height)))]
    answer, _, _ = asked("A sign.", calibration=MEASURING, tools=tools)
    assert answer.signals is not None
    assert answer.signals.small == small
    without, _, _ = asked("A sign.", calibration=MEASURING)  # nothing is read where no reader is on offer
    assert without.signals is not None
    assert without.signals.small is None


def test_a_picture_that_stands_lower_is_known() -> None:
    backend = ScriptedBackend(["STEP"] * 4, image_tokens=100, thumbnail_tokens=20)
    with Agent(backend, memory=":memory:", tools=["zoom"], budget=60) as agent:
        chat = agent.chat()
        chat.add(Image.new("RGB", (400, 400), "white"), "wall")
        first = chat.ask("What does the sign on @wall say?")
    assert first.signals is not None
    assert first.signals.lowered
    full, _, _ = asked("STEP")
    assert full.signals is not None
    assert not full.signals.lowered


# what was seen closely


def bill() -> Image.Image:
    image = Image.new("RGB", (420, 260), "white")
    ImageDraw.Draw(image).text((20, 100), "TOTAL 3.70", "black", font_size=34)
    return image


@pytest.mark.parametrize(
    ("lines", "looked", "text"),
    [
        (("The total is 3.10.", "It is 3.10."), "3.10", "The total is 3.10."),
        (("The total is 3.10.", "The total is 3.10."), "3.10", "The total is 3.10."),
        (("The total is 3.10.", "The total is 3.70."), "3.70", "The total is 3.70."),
        (("The total is 3.10.", "unreadable"), "", "The total is 3.10."),
        (("The total is 3.70.",), "", "The total is 3.70."),
    ],
)
def test_what_the_model_gave_looking_closely_stands_beside_what_was_read(
    lines: tuple[str, ...], looked: str, text: str
) -> None:
    backend = ScriptedBackend(lines)
    found = reader(line("TOTAL 3.70", (20, 100, 260, 140)))
    with Agent(backend, memory=":memory:", tools=["zoom", found]) as agent:
        chat = agent.chat()
        chat.add(bill(), "bill")
        answer = chat.ask("What is the total on @bill?")
        (item,) = answer.evidence
        assert (item.read, item.looked, answer.text) == ("3.70", looked, text)
        assert chat.turns[-1].meta["evidence"][0]["looked"] == looked
        assert answer.to_json()["evidence"][0]["looked"] == looked
