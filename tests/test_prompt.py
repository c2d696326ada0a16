"""Turns become a prompt: pictures where they were put, named when names are needed, and nothing before ever changes."""

from __future__ import annotations

import random

import pytest

from looktwice.agent.prompt import Message, Prompt, Shown, Style, Tag, Tier, Words, compose
from looktwice.memory import NamedPicture, fold
from looktwice.memory.parts import ImagePart, Part, TextPart, ToolCallPart, ToolResultPart, ToolsPart, ToolSpec, Turn

ZOOM = ToolSpec("zoom", "Look closer.", {"properties": {"image": {"type": "string"}}}, ("image",), ("box",))


def image(name: str, *, forgotten: bool = False, caption: str | None = None) -> NamedPicture:
    return NamedPicture(
        name=name, key=f"sha256:{name}", width=40, height=30, mime="image/png", size=1, parent=None, recipe=None,
        tool=None, turn=None, alt=None, caption=caption, forgotten=forgotten, created=0.0,
    )  # fmt: skip


def images(*names: str) -> dict[str, NamedPicture]:
    return {fold(name): image(name) for name in names}


def user(*parts: Part | str) -> Turn:
    return Turn("user", tuple(TextPart(part) if isinstance(part, str) else part for part in parts))


def said(text: str) -> Turn:
    return Turn("assistant", (TextPart(text),))


def written(prompt: Prompt) -> list[str]:
    """Each message as a line a person can read; pictures are <name>."""

    def plain(message: Message) -> str:
        out = ""
        for segment in message.segments:
            if isinstance(segment, Shown):
                out += f"<{segment.name}>"
            elif isinstance(segment, Words | Tag):
                out += segment.text
            else:
                out += "".join(part.text for part in segment.text)
        return f"{message.role}: {out}"

    return [plain(message) for message in prompt.messages]


def test_one_picture_before_its_question_has_no_name() -> None:
    prompt = compose([user(ImagePart("bill"), "What is this?")], images("bill"))
    assert written(prompt) == ["user: <bill>\nWhat is this?"]


def test_a_second_picture_makes_names_needed_and_the_first_is_named_where_it_comes() -> None:
    turns = [user(ImagePart("bill"), "What is this?"), said("A bill."), user(ImagePart("menu"), "And this?")]
    assert written(compose(turns, images("bill", "menu"))) == [
        "user: <bill>\nWhat is this?",
        "assistant: A bill.",
        "user: The image above is called bill.\nImage menu:\n<menu>\nAnd this?",
    ]


def test_a_mention_or_a_tool_makes_names_needed() -> None:
    mention = compose([user(ImagePart("bill"), "What is @Bill?")], images("bill"))
    assert written(mention) == ["user: Image bill:\n<bill>\nWhat is @Bill?"]
    offered = compose([Turn("system", (ToolsPart((ZOOM,)),)), user(ImagePart("bill"), "What?")], images("bill"))
    assert written(offered)[1] == "user: Image bill:\n<bill>\nWhat?"


def test_only_what_was_shown_can_be_mentioned_or_an_earlier_turn_would_change() -> None:
    """A plain @menu is no mention, also when a picture of that name comes later."""
    turn = user(ImagePart("bill"), "Who is @menu?")
    assert written(compose([turn], images("bill"))) == written(compose([turn], images("bill", "menu")))


def test_a_checkpoint_can_ask_for_names_always_and_for_tools_by_name_alone() -> None:
    turns = [Turn("system", (TextPart("Be brief."), ToolsPart((ZOOM,)))), user(ImagePart("bill"), "What?")]
    assert written(compose(turns, images("bill"), style=Style(always_named=True, tools="names"))) == [
        "system: Be brief.\nTools: zoom",
        "user: Image bill:\n<bill>\nWhat?",
    ]


def test_pictures_stand_where_they_were_put() -> None:
    turn = user("Compare", ImagePart("a"), "with", ImagePart("b"), "please")
    assert written(compose([turn], images("a", "b"))) == ["user: Compare\nImage a:\n<a>\nwith\nImage b:\n<b>\nplease"]


def test_a_result_is_fenced_and_its_pictures_stand_in_it() -> None:
    call = ToolCallPart("c1", "zoom", {"image": "a", "box": [0, 0, 9, 9]})
    turns = [
        user(ImagePart("a"), "What is @a?"),
        Turn("assistant", (TextPart("Looking."), call)),
        Turn("tool", (ToolResultPart("c1", "zoom", "cut out"), ImagePart("a.zoom1"))),
    ]
    assert written(compose(turns, images("a", "a.zoom1")))[1:] == [
        'assistant: Looking.<tool_call>{"name":"zoom","arguments":{"image":"a","box":[0,0,9,9]}}</tool_call>',
        "user: <tool_response>\ncut out\nImage a.zoom1:\n<a.zoom1>\n</tool_response>",
    ]


def test_a_picture_that_was_forgotten_leaves_a_mark() -> None:
    prompt = compose([user(ImagePart("a"), "What?")], {"a": image("a", forgotten=True)})
    assert written(prompt) == ["user: Image a was removed.\nWhat?"]
    assert prompt.pictures == ()


@pytest.mark.parametrize(
    ("tier", "text"), [("text", "Image a (not shown here): a red bill\n"), ("name", "Image a (not shown here)\n")]
)
def test_a_lowered_picture_is_told_in_words(tier: Tier, text: str) -> None:
    told = {image("a").key: "a red bill"}
    prompt = compose([user(ImagePart("a"), "What?")], images("a"), tiers={(0, "a"): tier}, told=told)
    assert written(prompt) == [f"user: {text}What?"]


def test_a_longer_branch_only_appends() -> None:
    """1000 random conversations: every prompt begins with the prompt of the branch one turn shorter."""
    rng = random.Random(5)
    for _ in range(1000):
        names, turns = [f"p{n}" for n in range(6)], list[Turn]()
        unused, known = list(names), images(*names, "p0.zoom1")
        style = rng.choice([Style(), Style(always_named=True), Style(tools="names")])
        for _ in range(rng.randint(2, 8)):
            shown = [ImagePart(unused.pop(0)) for _ in range(min(rng.choice((0, 0, 1, 2)), len(unused)))]
            turn = rng.choice(
                [
                    user(*shown, rng.choice(["What?", "And @p0?", "Compare @p1 with @P2."])),
                    user("First", *shown, "then"),
                    said("Yes."),
                    Turn("system", (ToolsPart(rng.choice([(), (ZOOM,)])),)),
                    Turn("tool", (ToolResultPart("c", "zoom", "x"), ImagePart("p0.zoom1"))),
                ]
            )
            before = compose(turns, known, style=style).messages
            turns.append(turn)
            assert compose(turns, known, style=style).messages[: len(before)] == before
