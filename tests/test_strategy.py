"""How several pictures are put to a model: where they stand, one by one, or on one sheet."""

from __future__ import annotations

from typing import Any

import pytest
import scenes
from PIL import Image as Pillow
from scripts import call
from shell import run

from looktwice import Agent, Chat, ScriptedBackend
from looktwice.agent.answer import Tier
from looktwice.agent.events import Called, Event, Returned, Text
from looktwice.agent.prompt import Prompt, Style
from looktwice.agent.strategy import chosen
from looktwice.errors import InvalidInput
from looktwice.tools.contact_sheet import contact_sheet

NAMES = ("car", "bus", "van")


def chat_of(*script: Any, style: Style | None = None, **options: Any) -> tuple[Chat, ScriptedBackend]:
    backend = ScriptedBackend(script, style=style)
    chat = Agent(backend, memory=":memory:", **options).chat("t")
    for number, name in enumerate(NAMES):
        chat.add(scenes.scene(("red", "circle", "top"), size=(96, 96 + number)), name)
    return chat, backend


def seen(prompt: Prompt) -> list[tuple[str, Tier]]:
    return [(shown.name, shown.tier) for shown in prompt.pictures]


def words(prompt: Prompt) -> str:
    return "".join(getattr(segment, "text", "") for segment in prompt.messages[-1].segments)


def test_auto_asks_one_by_one_where_a_model_was_trained_on_one_picture() -> None:
    assert chosen("auto", Style(), 9) == "interleave"
    assert chosen("auto", Style(pictures=4), 5) == "interleave"
    assert chosen("auto", Style(one_at_a_time=True), 2) == "each"
    assert chosen("auto", Style(one_at_a_time=True), 1) == "interleave"
    assert chosen("sheet", Style(), 2) == "sheet"


def test_each_picture_is_asked_about_alone_and_the_answers_are_put_together() -> None:
    chat, backend = chat_of("red", "blue", "green", "Three colours.")
    answer = chat.ask("Which colours are these?", strategy="each")
    assert [seen(prompt) for prompt in backend.prompts] == [
        [("car", "full")],
        [("bus", "full")],
        [("van", "full")],
        [],
    ]
    assert words(backend.prompts[1]).endswith(
        "Which colours are these?\n(You are shown bus alone. Say what it shows that matters for this question.)"
    )
    assert "Asked of each picture alone:\ncar: red\nbus: blue\nvan: green" in words(backend.prompts[-1])
    assert words(backend.prompts[-1]).count("alone. Say") == 0
    assert answer.text == "Three colours."
    assert [(look.tool, look.arguments, look.text) for look in answer.looks] == [
        ("each", {"images": ["car", "bus", "van"]}, "Asked of each picture alone:\ncar: red\nbus: blue\nvan: green")
    ]
    assert answer.usage.output == 1 + 1 + 1 + 2
    assert [turn.role for turn in chat.turns] == ["user", "assistant", "tool", "assistant"]


def test_a_question_that_follows_on_others_is_not_put_to_every_picture() -> None:
    chat, backend = chat_of("red", "blue", "green", "Three colours.", "round", style=Style(one_at_a_time=True))
    chat.ask("Which colours are these?")
    answer = chat.ask("And why?")
    assert (answer.text, answer.looks, len(backend.prompts)) == ("round", (), 5)


def test_what_is_said_of_one_picture_is_not_heard_as_the_answer() -> None:
    chat, _ = chat_of("red", "blue", "green", "Three colours.")
    events: list[Event] = list(chat.stream("Which colours are these?", strategy="each"))
    assert "".join(event.text for event in events if isinstance(event, Text)) == "Three colours."
    assert [type(event) for event in events if isinstance(event, Called | Returned)] == [Called, Returned]


def test_a_question_about_one_picture_shows_that_one_alone_without_more_passes() -> None:
    chat, backend = chat_of("red")
    answer = chat.ask("What is in @bus?", strategy="each")
    assert (answer.text, answer.looks, seen(backend.prompts[0])) == ("red", (), [("bus", "full")])
    assert [(b.name, b.tier) for b in answer.budget] == [("car", "name"), ("bus", "full"), ("van", "name")]


def test_two_of_three_pictures_are_asked_about() -> None:
    chat, backend = chat_of("red", "blue", "No.")
    chat.ask("Are @van and @car alike?", strategy="each")
    assert [seen(prompt) for prompt in backend.prompts] == [[("car", "full")], [("van", "full")], []]


def test_a_sheet_shows_them_on_one_picture_above_their_names() -> None:
    chat, backend = chat_of("All red.")
    answer = chat.ask("Which colours are these?", strategy="sheet")
    assert seen(backend.prompts[0]) == [("sheet1", "full")]
    assert "The pictures side by side: car, bus, van" in words(backend.prompts[0])
    assert answer.text == "All red."
    assert chat.images[-1].name == "sheet1"
    assert (chat.images[-1].width, chat.images[-1].height) == (2 * 344 + 8, 2 * 380 + 8)


def test_a_picture_that_was_asked_about_apart_is_shown_again_when_it_is_spoken_of() -> None:
    chat, backend = chat_of("red", "blue", "green", "Three colours.", "round")
    chat.ask("Which colours are these?", strategy="each")
    chat.ask("What shape is in @bus?")
    assert seen(backend.prompts[-1]) == [("bus", "full")]


def test_the_tools_are_offered_once_the_pictures_were_shown_apart() -> None:
    chat, backend = chat_of(
        "red", "blue", "green", call("zoom", image="car", box=[0, 0, 500, 500]), "Three.", tools=["zoom"]
    )
    answer = chat.ask("Which colours are these?", strategy="each", looks=1, tool_choice="zoom")
    assert [look.tool for look in answer.looks] == ["each", "zoom"]
    assert [offer.choice if offer else "none" for offer in backend.offers][:4] == ["none", "none", "none", "zoom"]


def test_an_agent_has_a_strategy_of_its_own() -> None:
    _, backend = chat_of("Red.", strategy="sheet")
    assert backend.prompts == []
    with pytest.raises(InvalidInput) as raised:
        chat_of(strategy="row")
    assert str(raised.value) == "strategy 'row' can't be used; give 'auto', 'interleave', 'each' or 'sheet'"


def test_a_contact_sheet_keeps_proportions_and_never_overlaps() -> None:
    wide, tall = Pillow.new("RGB", (400, 100), "red"), Pillow.new("RGB", (50, 500), "blue")
    sheet = contact_sheet([("wide", wide), ("a-very-long-name-that-goes-on-and-on-until-it-is-64-letters-long", tall)])
    assert sheet.size == (2 * 344 + 8, 380 + 8)
    colours = {colour: count for count, colour in sheet.getcolors(100_000) or []}
    assert abs(colours[255, 0, 0] - 336 * 84) < 336
    assert abs(colours[0, 0, 255] - 34 * 336) < 336


def test_the_command_line_takes_a_strategy(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("car", "bus"):
        scenes.scene(("red", "circle", "top"), size=(300, 300 + len(name) * (name == "car"))).save(f"{name}.png")
    ran = run(
        "looktwice ask 'What colour is the circle in @car?' -i car.png -i bus.png --strategy each --db t.db --chat t"
    )
    assert ran.stdout == "red\n"
    lines = run("looktwice budget --chat t --db t.db").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [["car", "1", "full"], ["bus", "1", "name"]]
