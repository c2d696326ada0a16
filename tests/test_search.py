"""Search: words in turns, notes and names, and pictures that look alike."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from looktwice.errors import InvalidInput, UnknownName
from looktwice.memory import Alike, Hit, Memory, Picture, TextPart, ToolResultPart, Turn, perceptual_hash


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "chat.db") as memory:
        memory.conversations.create("trip")
        memory.conversations.create("work")
        yield memory


def say(memory: Memory, chat: str, text: str) -> Turn:
    return memory.turns.append(chat, Turn("user", (TextPart(text),)))


def scene(shift: int = 0) -> Image.Image:
    image = Image.linear_gradient("L").resize((320, 240)).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.ellipse((40 + shift, 30, 160 + shift, 150), fill="red")
    draw.rectangle((200, 90, 300, 220 - shift), fill="navy")
    return image


def test_a_hit_says_where_it_is(memory: Memory) -> None:
    turn = say(memory, "trip", "The total on the bill is 42.10 euro")
    assert memory.search("TOTAL 42.10") == [
        Hit("turn", "trip", turn.id, None, "user", "The total on the bill is 42.10 euro", turn.created)
    ]


def test_newest_comes_first_and_the_limit_holds(memory: Memory) -> None:
    turns = [say(memory, "trip" if number % 2 else "work", f"lunch {number}") for number in range(30)]
    assert [hit.turn for hit in memory.search("lunch")] == [turn.id for turn in reversed(turns)][:20]
    assert [hit.turn for hit in memory.search("lunch", limit=3)] == [turn.id for turn in turns[:-4:-1]]
    assert {hit.conversation for hit in memory.search("lunch", conversation="work", limit=99)} == {"work"}


@pytest.mark.parametrize("word", ["aubergine", "茄子"])
def test_a_search_in_a_fork_finds_the_turns_that_it_shares(memory: Memory, word: str) -> None:
    shared = say(memory, "trip", f"first {word}")
    memory.conversations.fork("trip", name="fork")
    later = say(memory, "trip", f"second {word}")
    own = say(memory, "fork", f"third {word}")
    say(memory, "work", f"fourth {word}")

    def found(chat: str) -> list[tuple[str, int | None]]:
        return [(hit.conversation, hit.turn) for hit in memory.search(word, conversation=chat)]

    assert found("fork") == [("fork", own.id), ("fork", shared.id)]
    assert found("trip") == [("trip", later.id), ("trip", shared.id)]
    assert len(memory.search(word)) == 4


def test_all_words_must_be_there(memory: Memory) -> None:
    say(memory, "trip", "a red car")
    both = say(memory, "trip", "a red bus")
    assert [hit.turn for hit in memory.search("bus red")] == [both.id]


def test_case_and_accents_do_not_matter(memory: Memory) -> None:
    turn = say(memory, "trip", "Ein Café in Zürich")
    assert [hit.turn for hit in memory.search("cafe zurich")] == [turn.id]


def test_scripts_without_spaces_are_found(memory: Memory) -> None:
    turn = say(memory, "trip", "この請求書の合計は100%です")
    say(memory, "trip", "something else")
    assert [hit.turn for hit in memory.search("合計")] == [turn.id]
    assert memory.search("合計 %%%計") == memory.search("計_") == []


def test_tool_results_notes_and_names_are_found(memory: Memory) -> None:
    result = memory.turns.append("trip", Turn("tool", (ToolResultPart("1", "ocr", "GRAND TOTAL 7"),)))
    bill = memory.pictures.add("trip", Picture.load(scene()), name="bill-2024", alt="A receipt")
    memory.pictures.note(bill.key, "text", "Espresso 3.20")
    assert [(hit.kind, hit.turn) for hit in memory.search("grand")] == [("turn", result.id)]
    assert [(hit.kind, hit.picture, hit.snippet) for hit in memory.search("espresso 3.20")] == [
        ("note", "bill-2024", "Espresso 3.20")
    ]
    assert [(hit.kind, hit.picture) for hit in memory.search("Bill")] == [("picture", "bill-2024")]
    assert [(hit.kind, hit.picture) for hit in memory.search("receipt")] == [("note", "bill-2024")]


def test_a_long_turn_gives_a_snippet_around_the_word(memory: Memory) -> None:
    say(memory, "trip", "before " * 300 + "needle\n" + "after " * 300)
    (hit,) = memory.search("needle")
    assert "needle" in hit.snippet
    assert len(hit.snippet) < 200
    assert hit.snippet.startswith("…")
    assert hit.snippet.endswith("…")
    assert "\n" not in hit.snippet


@pytest.mark.parametrize("text", ["", "   ", '"', "* ( ) ^", "-"])
def test_a_search_without_a_word_is_refused(memory: Memory, text: str) -> None:
    with pytest.raises(InvalidInput, match="there is no word in"):
        memory.search(text)


def test_a_pasted_page_is_too_long_a_search(memory: Memory) -> None:
    with pytest.raises(InvalidInput, match="a search with 2000 words is too long; give 50 at most"):
        memory.search("word " * 2000)


def test_a_search_in_an_unknown_conversation_offers_the_nearest(memory: Memory) -> None:
    with pytest.raises(UnknownName, match="did you mean 'trip'"):
        memory.search("x", conversation="tripp")


@pytest.mark.parametrize(
    "text", ["a AND b", "NOT a", "a OR", 'say "a', "a*", "text:a", "NEAR(a b)", "a^2", "{a}:b", "a\0b"]
)
def test_user_text_is_never_query_syntax(memory: Memory, text: str) -> None:
    turn = say(memory, "trip", f"well {text} indeed")
    assert [hit.turn for hit in memory.search(text)] == [turn.id]


@given(st.text())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_can_be_searched_for(memory: Memory, text: str) -> None:
    try:
        memory.search(text)
    except InvalidInput as error:
        assert "there is no word in" in str(error)


def test_a_deleted_conversation_is_not_found_again(memory: Memory) -> None:
    say(memory, "trip", "ephemeral")
    memory.conversations.delete("trip")
    assert memory.search("ephemeral") == []
    assert memory.verify() == []


def test_pictures_that_look_alike_are_found_nearest_first(memory: Memory) -> None:
    original = memory.pictures.add("trip", Picture.load(scene()), name="original")
    buffer = BytesIO()
    scene().resize((200, 150)).save(buffer, "JPEG", quality=60)
    memory.pictures.add("work", Picture.load(buffer.getvalue()), name="smaller")
    memory.pictures.add("work", Picture.load(scene().transpose(Image.Transpose.FLIP_LEFT_RIGHT)), name="mirrored")
    found = memory.similar(Picture.load(scene()))
    assert found[0] == Alike("trip", "original", 0)
    assert [alike.name for alike in found] == ["original", "smaller"]
    memory.pictures.forget("trip", original.name)
    assert [alike.name for alike in memory.similar(Picture.load(scene()))] == ["smaller"]


def test_a_perceptual_hash_fits_a_signed_integer_and_knows_what_changed() -> None:
    hashes = [perceptual_hash(image) for image in (scene(), scene(3), scene().rotate(180), Image.new("RGB", (9, 9)))]
    assert all(-(2**63) <= value < 2**63 for value in hashes)
    near, far = ((hashes[0] ^ other) & (2**64 - 1) for other in hashes[1:3])
    assert near.bit_count() <= 8 < far.bit_count()
