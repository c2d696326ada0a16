"""The budget for pictures: what is lowered and why, what is raised again, what is said of it, and old turns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import scenes
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scripts import call
from shell import run

from looktwice import Agent, Chat, ScriptedBackend
from looktwice.agent.answer import Budgeted, LeftOut, Tier
from looktwice.agent.backends.backend import Row
from looktwice.agent.budget import Choice, Costs, Room, Standing, costs, least_recent_first
from looktwice.agent.budget.uses import ages, spoken_of
from looktwice.agent.prompt import Prompt, Shown, Style, in_words, known
from looktwice.errors import InvalidInput, PromptTooLong
from looktwice.memory import Memory, Picture
from looktwice.memory.parts import ImagePart, TextPart, ToolCallPart, Turn

COSTS: dict[Tier, int] = {"full": 100, "thumbnail": 20, "text": 8, "name": 4}
TIERS: tuple[Tier, ...] = ("full", "thumbnail", "text", "name")
NAMES = ("car", "bus", "van", "tram", "ship", "kite")


def standing(*ages: int, **more: Any) -> list[Standing]:
    return [Standing(f"p{age}", "full", COSTS, age, **more) for age in ages]


def tiers(choices: Sequence[Choice]) -> list[Tier]:
    return [choice.tier for choice in choices]


# --- the policy


def test_while_everything_fits_nothing_changes() -> None:
    mixed = [Standing("a", "text", COSTS, 9), Standing("b", "full", COSTS, 0)]
    assert least_recent_first(mixed, Room(108)) == [Choice("text"), Choice("full")]


def test_what_was_not_asked_about_for_longest_is_lowered_first_and_several_at_once() -> None:
    choices = least_recent_first(standing(4, 3, 2, 1, 0), Room(450))
    assert tiers(choices) == ["thumbnail", "thumbnail", "thumbnail", "full", "full"]
    assert choices[0].why == "not asked about for 4 questions"
    assert tiers(least_recent_first(standing(1, 3, 2, 0), Room(399))) == ["full", "thumbnail", "thumbnail", "full"]
    assert tiers(least_recent_first(standing(1, 3, 2, 0), Room(500))) == ["full"] * 4


def test_thumbnails_become_words_and_then_names_when_that_is_not_enough() -> None:
    thumbs = [Standing(f"p{age}", "thumbnail", COSTS, age) for age in (5, 4, 3, 2, 1)]
    assert tiers(least_recent_first(thumbs, Room(90))) == ["text", "text", "text", "text", "text"]
    words = [Standing(f"p{age}", "text", COSTS, age) for age in (5, 4, 3, 2, 1)]
    assert tiers(least_recent_first(words, Room(39))) == ["name"] * 5


def test_a_picture_of_the_question_becomes_a_thumbnail_at_most_and_last() -> None:
    choices = least_recent_first(standing(0, 0, 0), Room(230))
    assert tiers(choices) == ["thumbnail", "full", "full"]
    assert choices[0].why == "too little room for all pictures of the question"
    assert tiers(least_recent_first(standing(0, 0), Room(10))) == ["thumbnail", "thumbnail"]


def test_a_picture_that_is_shown_again_further_on_goes_first() -> None:
    pictures = [*standing(0, repeated=True), *standing(3, 0)]
    assert tiers(least_recent_first(pictures, Room(210))) == ["name", "full", "full"]


def test_a_model_that_tells_few_pictures_apart_is_shown_few() -> None:
    choices = least_recent_first(standing(4, 3, 2, 1, 0), Room(10_000, pictures=4, thumbnails=False))
    assert tiers(choices) == ["text", "text", "text", "full", "full"]


def test_a_model_without_use_for_thumbnails_gets_none() -> None:
    assert "thumbnail" not in tiers(least_recent_first(standing(3, 2, 1, 0), Room(250, thumbnails=False)))


def test_where_words_save_nothing_over_the_name_the_name_is_taken() -> None:
    silent = [Standing("a", "full", {**COSTS, "text": 4}, 2), *standing(0)]
    assert tiers(least_recent_first(silent, Room(105, thumbnails=False))) == ["name", "full"]
    dear = [Standing("a", "full", {**COSTS, "text": 300}, 2), *standing(0)]
    assert tiers(least_recent_first(dear, Room(105, thumbnails=False))) == ["name", "full"]


@given(
    st.lists(st.tuples(st.sampled_from(TIERS), st.integers(0, 9), st.booleans()), max_size=12),
    st.integers(0, 1500),
    st.none() | st.integers(1, 6),
    st.booleans(),
)
def test_a_choice_never_raises_never_costs_more_and_fits_if_anything_can(
    pictures: list[tuple[Tier, int, bool]], tokens: int, most: int | None, thumbnails: bool
) -> None:
    given_ = [Standing("x", tier, COSTS, age, repeated) for tier, age, repeated in pictures]
    choices = least_recent_first(given_, Room(tokens, most, thumbnails))
    assert len(choices) == len(given_)
    for before, after in zip(given_, choices, strict=True):
        assert COSTS[after.tier] <= COSTS[before.tier]
        if before.age == 0 and not before.repeated and before.tier == "full":
            assert after.tier in ("full", "thumbnail")
        assert after.tier == before.tier or after.why
    smallest = [
        "name" if s.age or s.repeated else s.tier if s.tier in ("text", "name") or not thumbnails else "thumbnail"
        for s in given_
    ]
    if sum(COSTS[tier] for tier in smallest) <= tokens:  # pyright: ignore[reportArgumentType]
        assert sum(COSTS[choice.tier] for choice in choices) <= tokens


# --- what was of interest lately


def test_a_name_counts_with_its_at_sign_or_as_a_word_of_its_own() -> None:
    names = {"car", "bill", "bill.zoom1", "a"}
    assert spoken_of("What does @Bill.zoom1 say?", names) == {"bill.zoom1"}
    assert spoken_of("Is the car near @a?", names) == {"car", "a"}
    assert spoken_of("a scarlet carpet, car-free", names) == set()


def test_ages_count_questions_and_looks() -> None:
    turns = [
        Turn("user", (ImagePart("a1"), ImagePart("b1"), TextPart("What?")), id=1),
        Turn("assistant", (TextPart("x"),), id=2),
        Turn("user", (TextPart("What is in @b1?"),), id=3),
        Turn("assistant", (ToolCallPart("c", "zoom", {"image": "A1", "box": [0, 0, 1, 1]}),), id=4),
        Turn("user", (ImagePart("c1"), ImagePart("d1"), TextPart("And @d1?")), id=5),
    ]
    assert ages(turns, {"a1", "b1", "c1", "d1"}) == {"d1": 0, "c1": 1, "a1": 1, "b1": 1}


def test_a_picture_is_known_by_its_caption_and_what_was_read() -> None:
    assert known({"alt": "a bill", "text": "TOTAL\n42.10"}) == 'a bill; text in it: "TOTAL 42.10"'
    assert known({"caption": "one", "alt": "two"}) == "one"
    assert known({}) == ""
    assert known({"text": "word " * 100}).endswith('word ..."')


# --- conversations


def chat_of(
    *script: Any, context: int = 700, memory: Any = ":memory:", style: Style | None = None, **options: Any
) -> Chat:
    backend = ScriptedBackend(script, context=context, style=style)
    return Agent(backend, memory=memory, **options).chat("t")


def backend_of(chat: Chat) -> ScriptedBackend:
    assert isinstance(chat.agent.backend, ScriptedBackend)
    return chat.agent.backend


def show(chat: Chat, *names: str) -> None:
    for name in names:
        chat.add(scenes.scene(("red", "circle", "top"), size=(96, 96 + NAMES.index(name))), name)


def seen(prompt: Prompt) -> list[tuple[str, Tier]]:
    return [(shown.name, shown.tier) for shown in prompt.pictures]


def asked_six(chat: Chat) -> None:
    for name in NAMES:
        show(chat, name)
        chat.ask(f"What is in @{name}?", max_new_tokens=64)


def test_a_long_conversation_fits_and_nothing_disappears_unsaid() -> None:
    chat = chat_of(*"abcdef", context=500)
    asked_six(chat)
    small: list[tuple[str, Tier]] = [("car", "thumbnail"), ("bus", "thumbnail")]
    four: list[tuple[str, Tier]] = [("van", "full"), ("tram", "full")]
    prompts = backend_of(chat).prompts
    assert [seen(prompt) for prompt in prompts[2:]] == [
        [("car", "full"), ("bus", "full"), ("van", "full")],
        [*small, *four],
        [*small, *four, ("ship", "full")],
        [*small, ("van", "thumbnail"), ("tram", "thumbnail"), ("ship", "thumbnail"), ("kite", "full")],
    ]
    assert all(sum(row.tokens for row in backend_of(chat).rows(prompt)) + 64 <= 500 for prompt in prompts)
    assert [notice for turn in chat.turns for notice in turn.meta.get("notices", ())] == [
        f"to make room, the model sees {names} as thumbnails from here on; @NAME shows one in full again"
        for names in ("car, bus", "van, tram, ship")
    ]
    assert [(b.name, b.tier, b.tokens, b.why) for b in chat.budget()] == [
        ("car", "thumbnail", 20, "not asked about for 3 questions"),
        ("bus", "thumbnail", 20, "not asked about for 2 questions"),
        ("van", "thumbnail", 20, "not asked about for 3 questions"),
        ("tram", "thumbnail", 20, "not asked about for 2 questions"),
        ("ship", "thumbnail", 20, "not asked about for 1 question"),
        ("kite", "full", 100, ""),
    ]


def test_a_question_about_a_lowered_picture_shows_it_in_full_at_the_end() -> None:
    chat = chat_of(*"abcdefg", context=500)
    asked_six(chat)
    answer = chat.ask("Is the car red?", max_new_tokens=16)
    assert chat.turns[-2].parts == (ImagePart("car"), TextPart("Is the car red?"))
    assert seen(backend_of(chat).prompts[-1])[-1] == ("car", "full")
    assert [(b.turn, b.tier, b.why) for b in answer.budget if b.name == "car"] == [
        (1, "thumbnail", "not asked about for 3 questions"),  # it stays while there is room: nothing is computed again
        (13, "full", ""),
    ]


def test_a_picture_that_stands_in_full_is_not_shown_again() -> None:
    chat = chat_of(*"abcdefg", context=500)
    asked_six(chat)
    chat.ask("Is @kite red?", max_new_tokens=16)
    assert chat.turns[-2].parts == (TextPart("Is @kite red?"),)


def test_what_was_decided_holds_on_a_fork_and_is_undone_with_its_answer() -> None:
    chat = chat_of(*"abcdefg", context=500)
    asked_six(chat)
    there = chat.turns
    early, late = chat.fork(there[5]), chat.fork()
    assert [b.tier for b in early.budget()] == ["full"] * 3
    assert [b.tier for b in late.budget()] == ["thumbnail"] * 5 + ["full"]
    for _ in range(3):
        chat.undo()
    assert [b.tier for b in chat.budget()] == ["full"] * 3


def test_another_model_decides_anew() -> None:
    memory = Memory(":memory:")
    asked_six(chat_of(*"abcdef", context=500, memory=memory))
    other = ScriptedBackend(["g"])
    other.model = "wide"
    wide = Agent(other, memory=memory).chat("t")
    assert [b.tier for b in wide.budget()] == ["full"] * 6
    assert wide.ask("And @car?").budget[0].tier == "full"


def test_pictures_in_words_are_counted_once_and_rightly_however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "_MOST", 50)
    asked = list[Prompt]()

    class Counting(ScriptedBackend):
        def rows(self, prompt: Prompt) -> list[Row]:
            asked.append(prompt)
            return super().rows(prompt)

    with Memory(":memory:") as memory:
        chat = memory.conversations.open("c")
        for number in range(40):
            picture = Picture.load(Image.new("RGB", (8 + number, 8)))
            memory.pictures.add(chat, picture, name=f"shot{number}")
        pictures = memory.pictures.all(chat)
    counted = Costs(Counting([]))
    few, many = {pictures[3].key: "a dog"}, {picture.key: "a long road" for picture in pictures}
    for told in (few, many, few):  # with those of all in words there are too many to be remembered
        for _ in range(2):
            found = counted.in_words(pictures, told)
            for picture in pictures:
                said = in_words(picture.name, told.get(picture.key, "")), in_words(picture.name)
                assert [found[picture.key][tier] for tier in ("text", "name")] == [len(each.split()) for each in said]
    assert [len(prompt.messages) for prompt in asked] == [41, 80, 80, 41]


def test_a_budget_of_ones_own_bounds_the_pictures_whatever_the_context() -> None:
    chat = chat_of(*"abcdef", context=100_000, budget=250)
    asked_six(chat)
    for prompt in backend_of(chat).prompts:
        assert sum(row.tokens for row in backend_of(chat).rows(prompt) if row.image) <= 250


def test_a_policy_of_ones_own_decides() -> None:
    def names_only(standing: Sequence[Standing], room: Room) -> list[Choice]:
        return [Choice("name" if s.age else s.tier, "my own rule") for s in standing]

    chat = chat_of(*"abcdef", context=500, policy=names_only)
    asked_six(chat)
    assert [(b.tier, b.why) for b in chat.budget()] == [("name", "my own rule")] * 3 + [("full", "")] * 3


def test_a_policy_that_leaves_a_picture_out_is_refused() -> None:
    def nothing(standing: Sequence[Standing], room: Room) -> list[Choice]:
        return []

    chat = chat_of(*"abcdef", context=500, policy=nothing)
    with pytest.raises(InvalidInput, match="the policy gave 0 choices for 4 pictures; give one for each"):
        asked_six(chat)


def test_words_that_are_known_of_a_picture_stand_in_its_place() -> None:
    style = Style(pictures=2, thumbnails=False)
    chat = chat_of(*"abcdef", context=5000, style=style)
    show(chat, "car")
    chat.memory.pictures.note(chat.images[0].key, "caption", "a red car")
    chat.memory.pictures.note(chat.images[0].key, "text", "TAXI")
    for name in NAMES[1:3]:
        show(chat, name)
        chat.ask(f"What is in @{name}?")
    words = "".join(row.text for row in chat.prompt())
    assert 'Image car (not shown here): a red car; text in it: "TAXI"\nImage bus (not shown here)\n' in words
    assert [(b.name, b.tier) for b in chat.budget()] == [("car", "text"), ("bus", "name"), ("van", "full")]


def test_a_tool_may_look_at_a_picture_that_was_lowered_away() -> None:
    look = call("zoom", image="car", box=[100, 100, 900, 900])
    chat = chat_of(*"abcdef", look, "done", context=500, tools=["zoom"])
    asked_six(chat)
    answer = chat.ask("Look closely at what came first.", max_new_tokens=64)
    assert (answer.text, answer.looks[0].images) == ("done", ("car.zoom1",))
    assert ("car.zoom1", "full") in seen(backend_of(chat).prompts[-1])


def test_a_crop_that_has_no_room_makes_others_smaller() -> None:
    look = call("zoom", image="van", box=[100, 100, 900, 900])
    chat = chat_of("a", "b", look, "done", context=520, tools=["zoom"])
    for name in NAMES[:2]:
        show(chat, name)
        chat.ask(f"What is in @{name}?", max_new_tokens=64)
    show(chat, "van")
    answer = chat.ask("What is in @van?", max_new_tokens=64)
    assert seen(backend_of(chat).prompts[-2]) == [("car", "full"), ("bus", "full"), ("van", "full")]
    assert seen(backend_of(chat).prompts[-1])[2:] == [("van", "full"), ("van.zoom1", "full")]
    assert answer.text == "done"
    assert any(notice.startswith("to make room, the model sees car") for notice in answer.notices)


def test_a_budget_that_holds_no_thumbnail_says_what_it_takes() -> None:
    chat = chat_of("a", budget=10)
    show(chat, "car", "bus")
    with pytest.raises(PromptTooLong) as raised:
        chat.ask("What is in @car?")
    assert str(raised.value) == (
        "the budget of 10 tokens can't hold the pictures of this question, as small as they get: car (20); give 20 or"
        " more, or ask about fewer"
    )
    assert chat.turns == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"budget": 0}, "budget 0 can't be used; give the most tokens for pictures, 1 or more"),
        ({"old_turns": "forget"}, "old_turns 'forget' can't be used; give 'keep', 'drop' or 'summarize'"),
    ],
)
def test_limits_that_can_not_be_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        chat_of(**options)
    assert str(raised.value) == told


# --- old turns


def long_talk(chat: Chat, questions: int) -> None:
    for number in range(questions):
        chat.ask(f"question number {number} " + "word " * 10, max_new_tokens=16)


def test_too_many_words_are_refused_unless_the_user_chose_otherwise() -> None:
    chat = chat_of(*["fine"] * 40, context=300)
    with pytest.raises(PromptTooLong) as raised:
        long_talk(chat, 40)
    assert "leave old turns out with old_turns='drop' (--old-turns drop), or begin anew" in str(raised.value)
    assert chat.turns[-1].role == "assistant"


def test_the_oldest_turns_are_left_out_and_stay_in_memory() -> None:
    chat = chat_of(*["fine"] * 41, context=300, old_turns="drop")
    show(chat, "car")
    chat.ask("What is in @car?", max_new_tokens=16)
    long_talk(chat, 40)
    assert len(chat.turns) == 82
    last = backend_of(chat).prompts[-1]
    assert sum(row.tokens for row in backend_of(chat).rows(last)) <= 300
    kept = [message for message in last.messages if message.role == "user"]
    left = 41 - len(kept)
    opening = kept[0].segments[0]
    assert getattr(opening, "text", "") == (
        f"({left} questions before this, with the answers, left out. Pictures shown there: car.)\n"
    )
    told = [notice for turn in chat.turns for notice in turn.meta.get("notices", ()) if "too old" in notice]
    assert len(told) < 10
    assert chat.budget()[0] == Budgeted("car", 1, "name", 0, "its turn is too old to fit")


def test_a_picture_of_a_turn_that_was_left_out_is_shown_again_when_it_is_spoken_of() -> None:
    chat = chat_of(*["fine"] * 42, context=400, old_turns="drop")
    show(chat, "car")
    chat.ask("What is in @car?", max_new_tokens=16)
    long_talk(chat, 40)
    answer = chat.ask("What colour is the car?", max_new_tokens=16)
    assert seen(backend_of(chat).prompts[-1]) == [("car", "full")]
    assert answer.left_out is not None
    assert answer.left_out.questions > 20


def test_the_standing_instructions_are_never_left_out() -> None:
    chat = chat_of(*["fine"] * 40, context=300, old_turns="drop", system="Answer in one word.")
    long_talk(chat, 40)
    first = backend_of(chat).prompts[-1].messages[0]
    assert (first.role, getattr(first.segments[0], "text", "")) == ("system", "Answer in one word.")


def test_a_summary_takes_the_place_of_old_turns_and_is_kept() -> None:
    def answer(prompt: Prompt) -> str:
        words = "".join(getattr(s, "text", "") for s in prompt.messages[-1].segments if not isinstance(s, Shown))
        return f"they talked about {words.count('question number')} things" if words.startswith("Sum up") else "fine"

    chat = chat_of(*[answer] * 60, context=400, old_turns="summarize")
    long_talk(chat, 30)
    opening = getattr(backend_of(chat).prompts[-1].messages[0].segments[0], "text", "")
    assert "left out. What was said: they talked about " in opening
    record = Agent(ScriptedBackend(["x"], context=400), memory=chat.memory, old_turns="summarize").chat("t").ask("And?")
    assert isinstance(record.left_out, LeftOut)
    assert record.left_out.summary.startswith("they talked about ")


def test_a_single_question_that_is_too_long_is_refused_even_so() -> None:
    chat = chat_of("x", context=300, old_turns="drop")
    with pytest.raises(PromptTooLong, match="shorten the question"):
        chat.ask("word " * 400)
    assert chat.turns == []


# --- the command


def test_the_command_lists_every_picture_with_its_tier_and_why(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(NAMES):
        scenes.scene(("red", "circle", "top"), size=(96, 96 + number)).save(f"{name}.png")
        run(f"looktwice ask 'What colour is the circle in @{name}?' -i {name}.png --chat t --db t.db --max-tokens 8")
    listed = run("looktwice budget --chat t --db t.db")
    lines = listed.stdout.splitlines()
    assert lines[0].split() == ["picture", "turn", "tier", "tokens", "why"]
    assert [line.split()[0] for line in lines[1:-1]] == list(NAMES)
    assert [line.split()[2] for line in lines[1:-1]].count("full") <= 4
    assert "not asked about for" in lines[1]
    assert lines[-1].endswith("of 4096 free")
    again = run("looktwice budget 'And @car?' --chat t --db t.db --json")
    assert '"name": "car"' in again.stdout
    assert again.stdout.count('"tier": "full"') >= 1
    assert dataclasses.asdict(Budgeted("x", 1, "full", 2))["why"] == ""
