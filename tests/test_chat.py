"""A conversation as its user holds it: adding, interleaving, mentioning, forking, taking back, streaming, async."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import scenes
from PIL import Image as Pillow
from scripts import ZOOM, scripted

from looktwice import Agent, Chat, Image, LookTwiceError, ScriptedBackend
from looktwice.agent.events import Answered, Event, Text
from looktwice.errors import InvalidInput, PictureRejected, PromptTooLong, UnknownName
from looktwice.memory.parts import ImagePart, Json, TextPart, ToolCallPart, ToolsPart, ToolSpec, Turn

RED = scenes.scene(("red", "circle", "top"))
BLUE = scenes.scene(("blue", "square", "left"))


def chat_of(*script: str, **options: Any) -> Chat:
    return Agent(ScriptedBackend(script, **options), memory=":memory:").chat("t")


def test_added_pictures_are_shown_by_the_next_question_once() -> None:
    chat = chat_of("one", "two")
    chat.add(RED, "a")
    chat.add(BLUE, "b", alt="a blue square")
    chat.ask("What?")
    chat.ask("And?")
    assert [turn.images for turn in chat.turns] == [("a", "b"), (), (), ()]
    assert [(image.name, image.alt) for image in chat.images] == [("a", None), ("b", "a blue square")]


def test_a_question_interleaves_text_new_pictures_and_known_ones() -> None:
    chat = chat_of("fine")
    chat.add(BLUE, "menu")
    chat.ask(["Compare", Image(RED, "bill"), "with", "@menu", "please.", "Same total?"])
    assert chat.turns[0].parts == (
        TextPart("Compare"),
        ImagePart("bill"),
        TextPart("with"),
        ImagePart("menu"),
        TextPart("please. Same total?"),
    )


def test_a_mention_of_a_picture_that_was_shown_is_words() -> None:
    chat = chat_of("one", "two")
    chat.add(RED, "a")
    chat.ask("What is @a?")
    chat.ask(["And", "@a", "again?"])
    assert chat.turns[2].parts == (TextPart("And @a again?"),)


def test_a_plain_at_sign_can_be_written() -> None:
    chat = chat_of("one")
    chat.ask("Who is \\@john, and who is jo@example.org?")
    assert chat.turns[0].text == "Who is @john, and who is jo@example.org?"


def test_a_crop_that_is_asked_about_on_another_branch_is_shown_there() -> None:
    chat, _ = scripted(ZOOM, "done", "again")
    chat.ask("What is in @bill?")
    chat.undo()
    chat.ask("What is in @bill.zoom1?")
    assert chat.turns[-2].images == ("bill", "bill.zoom1")


@pytest.mark.parametrize(
    ("question", "error", "line"),
    [
        ("", InvalidInput, "the question is empty; ask something, for example 'What is in @bill?'"),
        (" \n", InvalidInput, "the question is empty; ask something, for example 'What is in @bill?'"),
        ([Image(RED, "x")], InvalidInput, "the question is empty; ask something, for example 'What is in @bill?'"),
        ("What is @bil?", UnknownName, "no picture named 'bil'; did you mean 'bill'?; write \\@ for a plain @"),
        (["What?", 7], InvalidInput, "a question is made of text and Image(...), not int: 7"),
    ],
)
def test_a_question_that_can_not_be_asked_leaves_nothing(question: Any, error: type[Exception], line: str) -> None:
    chat = chat_of("never")
    chat.add(RED, "bill")
    with pytest.raises(error) as raised:
        chat.ask(question)
    assert str(raised.value) == line
    assert (chat.turns, [image.name for image in chat.images]) == ([], ["bill"])


def test_one_bad_picture_among_several_keeps_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "fake.png").write_text("not a picture")
    chat = chat_of("never")
    with pytest.raises(PictureRejected):
        chat.ask(["Compare", Image(RED, "good"), "with", Image(tmp_path / "fake.png")])
    assert (chat.turns, chat.images) == ([], [])


def test_a_question_that_does_not_fit_is_refused_before_the_model_runs_with_what_to_drop() -> None:
    chat = chat_of("never", context=500, image_tokens=200, thumbnail_tokens=200)
    for name in ("a", "b"):
        chat.add(RED if name == "a" else BLUE, name)
    with pytest.raises(PromptTooLong) as raised:
        chat.ask("What?")
    count = re.search(r"has (\d+) tokens", str(raised.value))
    assert count is not None
    assert int(count.group(1)) == sum(row.tokens for row in chat.prompt("What?"))
    assert "the model takes 500 with 128 for the answer" in str(raised.value)
    assert "a (200), b (200)" in str(raised.value)
    assert chat.turns == []


def test_a_crop_that_has_no_room_is_told_and_the_answer_comes() -> None:
    backend = ScriptedBackend([ZOOM, "as far as I saw"], context=330, image_tokens=150, thumbnail_tokens=150)
    chat = Agent(backend, memory=":memory:", tools=["zoom"]).chat("t")
    chat.add(RED, "bill")
    answer = chat.ask("What?", max_new_tokens=20)
    assert answer.text == "as far as I saw"
    assert answer.looks[0].images == ()
    assert "There is no room left to show the picture" in answer.looks[0].text
    assert answer.notices == (
        "bill.zoom1 could not be shown: the prompt has 409 tokens, 300 of them for pictures as small as they get (bill"
        " (150), bill.zoom1 (150)), and the model takes 330 with 20 for the answer; ask about fewer pictures at once",
    )


def test_a_crop_that_the_budget_has_no_room_for_is_told_so() -> None:
    backend = ScriptedBackend([ZOOM, "as far as I saw"], image_tokens=150, thumbnail_tokens=150)
    chat = Agent(backend, memory=":memory:", tools=["zoom"], budget=200).chat("t")
    chat.add(RED, "bill")
    assert chat.ask("What?").notices == (
        "bill.zoom1 could not be shown: the budget of 200 tokens can't hold the pictures of this question, as small as"
        " they get: bill (150), bill.zoom1 (150); give 300 or more, or ask about fewer",
    )


def test_a_retry_that_fails_leaves_the_answer_that_was_there() -> None:
    chat = chat_of("one")
    chat.ask("What?")
    with pytest.raises(LookTwiceError):
        chat.retry()
    assert [turn.text for turn in chat.turns] == ["What?", "one"]
    with pytest.raises(InvalidInput, match="the question was asked without zoom; ask it anew"):
        chat.retry(tools=["zoom"])


def test_retry_keeps_both_answers_in_the_tree() -> None:
    chat = chat_of("one", "two")
    first = chat.ask("What?")
    second = chat.retry()
    assert [turn.text for turn in chat.turns] == ["What?", "two"]
    question = chat.turns[0]
    assert [turn.id for turn in chat.memory.turns.children(question.id)] == [first.turn, second.turn]


def test_undo_takes_the_question_back_and_its_pictures_come_with_the_next_one() -> None:
    chat = chat_of("one", "two", "three")
    chat.ask("First?")
    chat.add(RED, "a")
    chat.ask("Second?")
    taken = chat.undo()
    assert taken is not None
    assert taken.text == "Second?"
    chat.ask("Third?")
    assert [turn.text for turn in chat.turns] == ["First?", "one", "Third?", "three"]
    assert chat.turns[2].images == ("a",)
    assert chat_of().undo() is None


def test_a_fork_goes_its_own_way() -> None:
    chat = chat_of("one", "two", "three")
    chat.add(RED, "a")
    first = chat.ask("First?")
    chat.ask("Second?")
    fork = chat.fork(first, name="other")
    assert fork.name == "other"
    fork.ask("Else?")
    assert [turn.text for turn in fork.turns] == ["First?", "one", "Else?", "three"]
    assert [turn.text for turn in chat.turns] == ["First?", "one", "Second?", "two"]
    assert [image.name for image in fork.images] == ["a"]


def test_a_conversation_is_found_again_under_its_new_name() -> None:
    chat = chat_of("one")
    chat.ask("First?")
    chat.rename("trip")
    assert [turn.text for turn in chat.agent.chat("trip").turns] == ["First?", "one"]
    chat.delete()
    assert chat.memory.conversations.list() == []


def test_a_forgotten_picture_is_gone_from_the_prompt_and_its_name_stays_taken() -> None:
    chat = chat_of("one", "two")
    chat.add(RED, "a")
    chat.ask("What is @a?")
    assert chat.forget("a") == ["a"]
    chat.ask("And now?")
    assert "Image a was removed." in "".join(row.text for row in chat.prompt())
    with pytest.raises(InvalidInput, match="was removed"):
        chat.ask("What is @a?")
    with pytest.raises(LookTwiceError):
        chat.add(BLUE, "a")


def test_the_prompt_of_a_question_is_shown_and_nothing_is_kept() -> None:
    with Agent(memory=":memory:", tools=["zoom"]) as agent:
        chat = agent.chat("t")
        chat.add(RED, "a")
        rows = chat.prompt("What colour is the circle in @a?")
        assert chat.turns == []
        assert [(row.image, row.tokens, row.tier) for row in rows if row.image] == [("a", 192, "full")]
        assert sum(row.tokens for row in rows) == chat.ask("What colour is the circle in @a?").usage.prompt


def test_standing_instructions_and_tools_are_written_down_where_they_change() -> None:
    memory = chat_of().memory
    Agent(ScriptedBackend(["one", "two"]), memory=memory, system="Be brief.").chat("t").ask("First?")
    Agent(ScriptedBackend(["three"]), memory=memory, system="Be brief.", tools=["zoom"]).chat("t").ask("Second?")
    turns = Agent(ScriptedBackend([]), memory=memory).chat("t").turns
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "system", "user", "assistant"]
    assert (turns[0].text, turns[3].text) == ("Be brief.", "")


def test_a_question_without_looks_leaves_the_standing_tools_alone() -> None:
    chat, backend = scripted("one", "two")
    chat.ask("First?")
    chat.ask("Second?", looks=0)
    assert [turn.role for turn in chat.turns] == ["system", "user", "assistant", "user", "assistant"]
    assert [offer.is_open for offer in backend.offers if offer] == [True, False]


def test_another_chat_of_the_same_conversation_follows_its_new_name() -> None:
    chat = chat_of("one")
    other = chat.agent.chat("t")
    chat.rename("trip")
    assert other.name == "trip"
    assert other.ask("First?").conversation == "trip"


def test_a_stored_conversation_never_names_a_module_to_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come out of a stranger's file."""
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)  # pyright: ignore[reportUnknownMemberType]
    chat = chat_of("fine")
    spec = ToolSpec("trap:spring", "Looks harmless.")
    chat.memory.turns.append(chat.conversation, Turn("system", (ToolsPart((spec,)),)))
    asked = chat.memory.turns.append(chat.conversation, Turn("assistant", (ToolCallPart("c", "trap:spring", {}),)))
    assert chat.ask("Hello?").text == "fine"
    state: Json = {"looks": 1, "tools": ["trap:spring"], "settings": {}}
    waiting = chat.memory.approvals.ask(chat.conversation, asked.id, asked.calls[0], reason="", state=state)
    chat.memory.conversations.set_head(chat.conversation, asked.id)
    with pytest.raises(UnknownName, match="offer it again to approve its call"):
        chat.decide(waiting.id, True)


def test_async_asks_stream_and_can_be_cancelled() -> None:
    chat = Agent(ScriptedBackend(["one two", "three", "x " * 500], pace=0.003), memory=":memory:").chat("t")

    async def run() -> tuple[str, list[Event]]:
        answer = await chat.aask("First?")
        events = [event async for event in chat.astream("Second?")]
        task = asyncio.create_task(chat.aask("Third?"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return answer.text, events

    text, events = asyncio.run(run())
    assert text == "one two"
    assert isinstance(events[-1], Answered)
    assert [event.text for event in events if isinstance(event, Text)] == ["three"]
    assert chat.turns[-1].status == "partial"


def test_a_new_chat_without_a_name_gets_one_of_its_own() -> None:
    agent = Agent(ScriptedBackend([]), memory=":memory:")
    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(agent.chat) for _ in range(24)]
    names = {future.result().name for future in made}
    assert len(names) == 24
    assert all(name.startswith("chat-") for name in names)


def test_a_picture_survives_its_file(tmp_path: Path) -> None:
    RED.save(tmp_path / "photo.PNG")
    chat = chat_of("one")
    kept = chat.add(tmp_path / "photo.PNG")
    (tmp_path / "photo.PNG").unlink()
    assert kept.name == "photo"
    assert chat.memory.pictures.pixels(kept.key).tobytes() == Pillow.Image.tobytes(RED)


def test_without_tools_of_its_own_a_conversation_keeps_those_it_was_last_asked_with() -> None:
    memory = chat_of().memory
    Agent(ScriptedBackend(["one"]), memory=memory, tools=["zoom"]).chat("t").ask("First?")
    again = Agent(ScriptedBackend(["two", "three"]), memory=memory).chat("t")
    again.ask("Second?")
    assert [turn.role for turn in again.turns] == ["system", "user", "assistant", "user", "assistant"]
    again.ask("Third?", tools=())
    assert [turn.role for turn in again.turns[5:]] == ["system", "user", "assistant"]


def test_no_lock_stays_behind_for_a_conversation_that_was_asked_in() -> None:
    with Agent(ScriptedBackend(["a", "b", "c"]), memory=":memory:", tools=()) as agent:
        for name in ("one", "two", "one"):
            agent.chat(name).ask("Tell.")
        assert agent._turns == {}  # pyright: ignore[reportPrivateUsage]
