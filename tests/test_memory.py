"""Conversations as trees of turns: append, retry, fork, undo, rename, delete; approvals; threads and transactions."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import random
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from looktwice.errors import InvalidInput, StoreError, UnknownName
from looktwice.memory import (
    Approval,
    Conversation,
    ImagePart,
    Memory,
    Picture,
    Recipe,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolsPart,
    ToolSpec,
    Turn,
)
from looktwice.memory.tokens import TokenIds


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "chat.db") as memory:
        yield memory


def user(text: str) -> Turn:
    return Turn("user", (TextPart(text),))


def answer(text: str) -> Turn:
    return Turn("assistant", (TextPart(text),), model="pocket", tokens=(1, 2, 31999), tokenizer="f00")


def texts(turns: list[Turn]) -> list[str]:
    return [turn.text for turn in turns]


def noise(seed: int) -> Picture:
    image = Image.new("RGB", (32, 24), (seed, 255 - seed, 7))
    image.putpixel((seed % 32, 3), (255, 0, 0))
    return Picture.load(image)


FULL = Turn(
    "assistant",
    (
        TextPart("first\nline"),
        ImagePart("bill"),
        TextPart(""),
        ToolCallPart("c1", "zoom", {"image": "bill", "box": [0, 0, 500, 500]}),
        ToolResultPart("c1", "zoom", "Image bill.zoom1, 図 ❤ \0 end", {"lines": [1.5, None, True]}, True),
        ToolsPart((ToolSpec("zoom", "Look closer.", {"type": "object"}, ("image",), ("box",), acts=True),)),
        ToolsPart(()),
    ),
    status="paused",
    model="llava",
    tokens=(0, -1, 2**31 - 1),
    tokenizer="abc",
    meta={"usage": {"prompt": 12}, "timing": 0.5, "words": ["ü"]},
)


def test_a_turn_comes_back_as_it_was_given(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    memory.pictures.add(chat, noise(1), name="bill")
    kept = memory.turns.append(chat, FULL)
    assert kept == FULL.replace(id=kept.id, parent=None, created=kept.created)
    with Memory(memory.path) as second:
        assert second.turns.get(kept.id) == kept
        assert second.turns.branch(kept.id) == [kept]
        assert second.turns.all("trip") == [kept]


@pytest.mark.parametrize(
    "parts", [(), (TextPart(""),), (TextPart("a"), TextPart("b")), (ToolCallPart("1", "ocr", {}),)]
)
def test_few_and_empty_parts_come_back_too(memory: Memory, parts: tuple[Any, ...]) -> None:
    memory.conversations.create("trip")
    kept = memory.turns.append("trip", Turn("user", parts))
    assert memory.turns.get(kept.id) == kept


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        (Turn("narrator", ()), "'narrator' is not a role; use one of system, user, assistant, tool"),  # type: ignore[arg-type]
        (Turn("user", (), status="gone"), "'gone' is not a status"),  # type: ignore[arg-type]
        (Turn("user", (), tokens=(2**31,)), "tokens of a turn must be whole numbers under"),
        (Turn("user", (), meta={"a": object()}), "can only hold plain JSON"),
        (Turn("user", (TextPart("half \ud83d"),)), "holds half a character"),
        (Turn("user", (ImagePart("nope"),)), "no picture named 'nope'; add the picture before"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_leaves_nothing(memory: Memory, turn: Turn, expected: str) -> None:
    chat = memory.conversations.create("trip")
    with pytest.raises(InvalidInput) as caught:
        memory.turns.append(chat, turn)
    assert expected in str(caught.value)
    assert memory.turns.all(chat) == []
    assert memory.conversations.get("trip") == chat


def test_turns_follow_the_head_and_the_branch_reads_oldest_first(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    kept = [memory.turns.append(chat, user(str(number))) for number in range(30)]
    assert [turn.parent for turn in kept] == [None, *(turn.id for turn in kept[:-1])]
    head = memory.conversations.get(chat).head
    assert memory.turns.branch(head) == kept
    assert memory.turns.branch(head, last=20) == kept[-20:]
    assert memory.turns.branch(kept[4].id, last=99) == kept[:5]
    assert memory.turns.branch(head, last=0) == []
    assert memory.turns.branch(None) == []


def line(memory: Memory, head: int | None) -> list[Turn]:
    """The branch by its definition, one parent after the other."""
    turns: list[Turn] = []
    while head is not None:
        turns.append(memory.turns.get(head))
        head = turns[-1].parent
    return turns[::-1]


@pytest.mark.parametrize("at_once", [1, 2, 15, 16, 17, 40])
def test_a_branch_is_exact_where_conversations_took_turns(memory: Memory, at_once: int) -> None:
    chats = [memory.conversations.create(name) for name in ("one", "two")]
    with memory.atomic():
        for number in range(0, 200, at_once):
            for chat in chats:
                for step in range(number, number + at_once):
                    memory.turns.append(chat, (user if step % 7 else answer)(f"{chat.name} {step}"))
    for chat in chats:
        branch = memory.turns.branch(memory.conversations.get(chat).head)
        assert texts(branch) == [f"{chat.name} {step}" for step in range(len(branch))]
        assert len(branch) >= 200
        for last in (1, 15, 16, 17, 63, 64, 65, 80, 81, 150, 999):
            assert memory.turns.branch(branch[-1].id, last=last) == branch[-last:]
            answers = [turn for turn in branch[-last:] if turn.role == "assistant"]
            assert memory.turns.branch(branch[-1].id, last=last, role="assistant") == answers


def test_more_turns_of_a_role_than_one_query_takes(memory: Memory) -> None:
    chat = memory.conversations.create("long")
    with memory.atomic():
        kept = [memory.turns.append(chat, (answer if step % 3 else user)(str(step))) for step in range(1700)]
    assert memory.turns.branch(kept[-1].id, role="assistant") == [turn for turn in kept if turn.role == "assistant"]
    assert memory.turns.branch(kept[-1].id, role="system") == []


@pytest.mark.parametrize("seed", range(8))
def test_a_branch_is_exact_among_retries_forks_and_deleted_conversations(memory: Memory, seed: int) -> None:
    chance = random.Random(seed)
    names = ["start"]
    memory.conversations.create("start")
    with memory.atomic():
        for number in range(60):
            name = chance.choice(names)
            for step in range(chance.choice((1, 1, 3, 20))):
                memory.turns.append(name, answer(f"{name} {number}.{step}"))
            head = memory.conversations.get(name).head
            back = chance.choice(line(memory, head)).id
            match chance.randrange(6):
                case 0:
                    memory.conversations.set_head(name, back)
                case 1:
                    names.append(memory.conversations.fork(name, at=back, name=f"fork {number}").name)
                case 2:
                    names.append(memory.conversations.create(f"new {number}").name)
                case 3 if len(names) > 1:
                    memory.conversations.delete(names.pop(names.index(name)))
                case _:
                    pass
    for name in names:
        for turn in memory.turns.all(name):
            expected = line(memory, turn.id)
            assert memory.turns.branch(turn.id) == expected
            assert memory.turns.branch(turn.id, last=18) == expected[-18:]
    assert memory.verify() == []


def test_deleted_turns_in_between_leave_a_branch_as_it_is(memory: Memory) -> None:
    for name in ("kept", "gone"):
        memory.conversations.create(name)
    kept = [memory.turns.append("kept", user(f"before {number}")) for number in range(30)]
    lost = [memory.turns.append("gone", user(f"gone {number}")) for number in range(30)]
    kept += [memory.turns.append("kept", user(f"after {number}")) for number in range(30)]
    memory.conversations.delete("gone")
    assert memory.turns.branch(kept[-1].id) == kept
    assert memory.turns.branch(kept[-1].id, last=45) == kept[-45:]
    with pytest.raises(UnknownName, match=f"no turn named {lost[-1].id}"):
        memory.turns.branch(lost[-1].id)


def test_a_branch_with_a_lost_row_ends_there_and_takes_no_others(memory: Memory) -> None:
    for name in ("other", "trip"):
        memory.conversations.create(name)
    for number in range(30):
        memory.turns.append("other", user(f"other {number}"))
    kept = [memory.turns.append("trip", user(str(number))) for number in range(60)]
    spoil(memory, f"DELETE FROM turns WHERE id IN ({kept[0].id}, {kept[20].id})")
    assert memory.turns.branch(kept[-1].id) == kept[21:]
    assert memory.turns.branch(kept[-1].id, last=40) == kept[21:]
    assert memory.turns.branch(kept[19].id) == kept[1:20]


def test_a_turn_is_a_value_that_can_be_copied_and_not_changed() -> None:
    turn = answer("red")
    assert Turn("user", ()).meta == {}
    assert pickle.loads(pickle.dumps(turn)) == copy.deepcopy(turn) == turn
    assert turn.replace(status="partial") == Turn(
        "assistant", turn.parts, "partial", "pocket", (1, 2, 31999), "f00", {}, 0, None, 0.0
    )
    with pytest.raises(AttributeError):
        turn.role = "user"  # type: ignore[misc]


def test_stored_token_ids_are_as_good_as_a_tuple(memory: Memory) -> None:
    memory.conversations.create("trip")
    ids = (5, -1, 0, 2**31 - 1)
    kept = memory.turns.append("trip", answer("red").replace(tokens=ids))
    stored = memory.turns.get(kept.id).tokens
    assert isinstance(stored, TokenIds)
    assert (stored, ids) == (ids, stored)
    assert stored == TokenIds.of(ids) != TokenIds.of(ids[:2])
    assert (hash(stored), len(stored), list(stored), repr(stored)) == (hash(ids), 4, list(ids), repr(ids))
    assert (stored[0], stored[-1], stored[1:3], stored[::-1]) == (5, 2**31 - 1, (-1, 0), ids[::-1])
    assert (stored.index(0), 7 in stored, stored != (5,), stored == [*ids]) == (2, False, True, False)
    assert pickle.loads(pickle.dumps(stored)) == copy.deepcopy(stored) == ids
    for outside in (4, -5):
        with pytest.raises(IndexError):
            stored[outside]
    assert memory.turns.update(kept.id, status="partial").tokens == ids
    assert memory.turns.get(memory.turns.append("trip", kept.replace(tokens=())).id).tokens == ()


def test_a_retry_makes_a_second_branch(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    question = memory.turns.append(chat, user("colour?"))
    first = memory.turns.append(chat, answer("red"))
    second = memory.turns.append(chat, answer("blue"), parent=question.id)
    assert memory.conversations.get(chat).head == first.id
    assert memory.turns.children(question.id) == [first, second]
    memory.conversations.set_head(chat, second.id)
    third = memory.turns.append(chat, user("sure?"))
    assert texts(memory.turns.branch(third.id)) == ["colour?", "blue", "sure?"]
    assert memory.turns.all(chat) == [question, first, second, third]


def test_undo_keeps_what_was_undone(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    question, reply = memory.turns.append(chat, user("q")), memory.turns.append(chat, answer("a"))
    assert memory.conversations.set_head(chat, question.id).head == question.id
    assert memory.conversations.set_head(chat, None).head is None
    again = memory.turns.append(chat, user("new start"))
    assert (again.parent, memory.conversations.set_head(chat, reply.id).head) == (None, reply.id)


def test_a_head_must_be_the_conversations_own_turn(memory: Memory) -> None:
    for name in ("trip", "other"):
        memory.conversations.create(name)
    turn = memory.turns.append("other", user("q"))
    for wrong in (turn.id, 99):
        with pytest.raises(UnknownName, match=f"no turn named {wrong}; take an id from this conversation's own turns"):
            memory.conversations.set_head("trip", wrong)
        with pytest.raises(UnknownName):
            memory.turns.append("trip", user("q"), parent=wrong)
        with pytest.raises(UnknownName):
            memory.conversations.fork("trip", at=wrong)


def test_a_partial_answer_becomes_complete(memory: Memory) -> None:
    memory.conversations.create("trip")
    memory.turns.append("trip", user("q"))
    kept = memory.turns.append("trip", answer("The tot").replace(status="partial"))
    done = memory.turns.update(
        kept.id, parts=[TextPart("The total is 42.")], status="complete", tokens=[5, 6], meta={"finish": "stop"}
    )
    expected = kept.replace(
        parts=(TextPart("The total is 42."),), status="complete", tokens=(5, 6), meta={"finish": "stop"}
    )
    assert done == expected == memory.turns.get(kept.id)
    assert [hit.turn for hit in memory.search("total")] == [kept.id]
    assert memory.search("tot") == []


def test_a_fork_shares_turns_and_takes_the_names_of_its_branch(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    bill = memory.pictures.add(chat, noise(1), name="bill")
    first = memory.turns.append(chat, Turn("user", (ImagePart("BILL"), TextPart("q"))))
    crop = memory.pictures.add_recipe(
        chat, Recipe(bill.key, "crop", (0, 0, 9, 9), (9, 9)), stem="bill.zoom", turn=first.id
    )
    memory.pictures.add(chat, noise(2), name="late")
    second = memory.turns.append(chat, Turn("user", (ImagePart("late"), TextPart("r"))))
    waiting = memory.pictures.add(chat, noise(3), name="waiting")

    early = memory.conversations.fork(chat, at=first.id, name="early")
    assert [picture.name for picture in memory.pictures.all(early)] == ["bill", "bill.zoom1"]
    assert memory.pictures.get(early, "bill.zoom1") == crop
    own = memory.turns.append(early, Turn("user", (ImagePart("bill.zoom1"), TextPart("only here"))))
    assert memory.turns.branch(own.id) == [first, own]
    assert memory.turns.all(early) == [first, own]
    assert memory.turns.all(chat) == [first, second]
    assert memory.turns.children(first.id) == [second, own]

    late = memory.conversations.fork(chat)
    assert (late.name, late.head) == ("trip.2", second.id)
    assert [picture.name for picture in memory.pictures.all(late)] == ["bill", "bill.zoom1", "late", "waiting"]
    assert memory.pictures.get(late, "waiting") == waiting
    assert memory.conversations.fork(late).name == "trip.3"
    assert memory.conversations.fork(chat, at=None, name="empty").head is None
    assert memory.verify() == []


def test_a_crop_of_a_crop_brings_its_parents_into_a_fork(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    bill = memory.pictures.add(chat, noise(1), name="bill")
    first = memory.turns.append(chat, user("q"))
    crop = memory.pictures.add_recipe(chat, Recipe(bill.key, "crop", (0, 0, 9, 9), (9, 9)), stem="bill.zoom")
    memory.pictures.add_recipe(chat, Recipe(crop.key, "crop", (0, 0, 5, 5), (9, 9)), stem="bill.zoom", turn=first.id)
    memory.turns.append(chat, Turn("user", (ImagePart("bill"), ImagePart("bill.zoom1"))))
    fork = memory.conversations.fork(chat, at=first.id)
    assert [picture.name for picture in memory.pictures.all(fork)] == ["bill", "bill.zoom1", "bill.zoom2"]


def test_deleting_keeps_what_a_fork_needs(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    kept, lost = noise(1), noise(2)
    memory.pictures.add(chat, kept, name="bill")
    memory.pictures.add(chat, lost, name="late")
    first = memory.turns.append(chat, Turn("user", (ImagePart("bill"),)))
    second = memory.turns.append(chat, answer("a"))
    third = memory.turns.append(chat, Turn("user", (ImagePart("late"),)))
    fork = memory.conversations.fork(chat, at=second.id)
    fork_of_fork = memory.conversations.fork(fork, name="deep")
    own = memory.turns.append(fork_of_fork, user("mine"))

    memory.conversations.delete(chat)
    assert memory.turns.branch(own.id) == [first, second, own]
    assert memory.turns.all(fork) == [first, second]
    assert memory.pictures.data(kept.key) == kept.data
    with pytest.raises(UnknownName):
        memory.turns.get(third.id)
    with pytest.raises(UnknownName):
        memory.pictures.data(lost.key)
    memory.conversations.delete(fork)
    assert memory.turns.branch(own.id) == [first, second, own]
    memory.conversations.delete(fork_of_fork)
    assert (memory.conversations.list(), memory.search("mine"), memory.verify()) == ([], [], [])


def test_conversations_are_listed_last_changed_first(memory: Memory) -> None:
    for name in ("one", "two", "three"):
        memory.conversations.create(name)
    memory.turns.append("one", user("q"))
    assert [found.name for found in memory.conversations.list()] == ["one", "three", "two"]
    assert memory.conversations.list(limit=2) == memory.conversations.list()[:2]


def test_a_conversation_is_opened_renamed_and_found(memory: Memory) -> None:
    chat = memory.conversations.open("receipts")
    assert (
        memory.conversations.open("receipts")
        == chat
        == Conversation(chat.id, "receipts", None, chat.created, chat.updated)
    )
    renamed = memory.conversations.rename(chat, "bills 2024")
    assert memory.conversations.get("bills 2024") == renamed
    with pytest.raises(UnknownName, match="no conversation named 'bils 2024'; did you mean 'bills 2024'"):
        memory.conversations.get("bils 2024")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, "a\x1b[0m"])
def test_a_bad_conversation_name_is_refused(memory: Memory, name: str) -> None:
    with pytest.raises(InvalidInput, match="can't name a conversation; give 1 to 200 printable characters"):
        memory.conversations.create(name)
    assert memory.conversations.list() == []


def test_a_taken_conversation_name_is_refused(memory: Memory) -> None:
    memory.conversations.create("one")
    memory.conversations.create("two")
    with pytest.raises(InvalidInput, match="there is a conversation named 'one' already"):
        memory.conversations.create("one")
    with pytest.raises(InvalidInput, match="there is a conversation named 'one' already"):
        memory.conversations.rename("two", "one")


def test_a_fork_refers_to_no_turn_that_it_does_not_have(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    bill = memory.pictures.add(chat, noise(1), name="bill")
    question = memory.turns.append(chat, Turn("user", (ImagePart("bill"), TextPart("q"))))
    first = memory.turns.append(chat, answer("let me look"))
    crop = memory.pictures.add_recipe(
        chat, Recipe(bill.key, "crop", (0, 0, 9, 9), (9, 9)), stem="bill.zoom", turn=first.id
    )
    memory.conversations.set_head(chat, question.id)
    memory.turns.append(chat, Turn("tool", (ToolResultPart("1", "zoom", ""), ImagePart(crop.name))))
    fork = memory.conversations.fork(chat)
    assert [(picture.name, picture.turn) for picture in memory.pictures.all(fork)] == [
        ("bill", None),
        ("bill.zoom1", None),
    ]
    assert memory.pictures.get(chat, crop.name).turn == first.id


def test_a_fork_after_an_undo_keeps_the_pictures_that_no_turn_shows_any_more(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    memory.pictures.add(chat, noise(1), name="bill")
    memory.turns.append(chat, Turn("user", (ImagePart("bill"), TextPart("q"))))
    memory.conversations.set_head(chat, None)
    fork = memory.conversations.fork(chat)
    assert memory.pictures.all(fork) == memory.pictures.all(chat)


def test_a_circle_of_turns_which_only_damage_makes_comes_to_an_end(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    kept = [memory.turns.append(chat, user(str(number))) for number in range(40)]
    spoil(memory, f"UPDATE turns SET parent = {kept[9].id} WHERE id = {kept[5].id}")
    for last in (None, 60, 2**70):
        with pytest.raises(StoreError, match=f"turns row {kept[5].id} has the parent {kept[9].id}, which came after"):
            memory.turns.branch(kept[-1].id, last=last)
    assert memory.conversations.fork(chat).head == kept[-1].id


def test_ids_are_never_used_again_so_what_is_stale_finds_nothing(memory: Memory) -> None:
    old = memory.conversations.create("old")
    turn = memory.turns.append(old, user("q"))
    call = ToolCallPart("c1", "pay", {"euro": 1})
    asked = memory.approvals.ask(old, turn.id, call, reason="", state={})
    memory.conversations.delete(old)
    new = memory.conversations.create("new")
    other = memory.turns.append(new, user("another question"))
    memory.approvals.ask(new, other.id, ToolCallPart("c1", "pay", {"euro": 9999}), reason="", state={})
    for stale in (
        lambda: memory.turns.append(old, user("secret")),
        lambda: memory.turns.update(turn.id, parts=[TextPart("overwritten")]),
        lambda: memory.approvals.decide(asked.id, True),
    ):
        with pytest.raises(UnknownName):
            stale()
    assert memory.turns.all(new) == [other]


def test_a_deleted_conversation_can_not_be_written_to(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    memory.conversations.delete("trip")
    for write in (lambda: memory.turns.append(chat, user("q")), lambda: memory.pictures.add(chat, noise(1))):
        with pytest.raises(UnknownName, match="no conversation named 'trip'"):
            write()


def test_atomic_keeps_all_or_nothing_and_nests(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    with pytest.raises(KeyError), memory.atomic():
        memory.turns.append(chat, user("lost"))
        raise KeyError
    with memory.atomic():
        memory.turns.append(chat, user("kept"))
        with pytest.raises(KeyError), memory.atomic():
            memory.pictures.add(chat, noise(1))
            memory.turns.append(chat, user("undone"))
            raise KeyError
    assert texts(memory.turns.all(chat)) == ["kept"]
    assert memory.pictures.all(chat) == []


def test_an_interrupt_while_waiting_for_the_lock_leaves_no_transaction_open(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    other = sqlite3.connect(memory.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timers = [
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)),
        threading.Timer(0.4, other.execute, ("COMMIT",)),
    ]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it may be ignored
    try:
        for timer in timers:
            timer.start()
        with pytest.raises(KeyboardInterrupt):
            memory.turns.append(chat, user("one"))
    finally:
        signal.signal(signal.SIGINT, before)
    for timer in timers:
        timer.join()
    other.close()
    kept = memory.turns.append(chat, user("two"))
    with Memory(memory.path, timeout=0.1) as second:
        second.conversations.create("other")
        assert second.turns.all("trip") == [kept]


def test_a_transaction_that_an_interrupt_left_open_is_undone_before_the_next(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    database = memory._db  # type: ignore[attr-defined]
    database.connection.execute("BEGIN IMMEDIATE")
    database.connection.execute("UPDATE conversations SET name = 'half'")
    kept = memory.turns.append(chat, user("q"))
    with Memory(memory.path) as second:
        assert second.turns.all("trip") == [kept]
    database.connection.execute("BEGIN")
    with database.snapshot():
        assert memory.turns.all(chat) == [kept]
    assert not database.connection.in_transaction


def test_after_a_transaction_was_undone_as_a_whole_nothing_more_is_kept_in_it(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    with pytest.raises(StoreError, match="has undone the transaction as a whole"), memory.atomic():
        memory.turns.append(chat, user("first"))
        memory._db.connection.execute("ROLLBACK")  # type: ignore[attr-defined]  # as SQLite does on some failures
        memory.turns.append(chat, user("second"))
    assert memory.turns.all(chat) == []


def test_writing_inside_a_snapshot_is_refused_instead_of_lost(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    database = memory._db  # type: ignore[attr-defined]
    with (
        database.snapshot(),
        database.snapshot(),
        pytest.raises(StoreError, match="is being read; write to it once the reading has ended"),
    ):
        memory.turns.append(chat, user("lost"))
    kept = memory.turns.append(chat, user("kept"))
    with memory.atomic(), database.snapshot():
        later = memory.turns.append(chat, user("in a transaction"))
    assert memory.turns.all(chat) == [kept, later]


@pytest.mark.parametrize("writes", [False, True])
def test_a_process_forked_inside_a_transaction_leaves_its_parents_alone(tmp_path: Path, writes: bool) -> None:
    with Memory(tmp_path / "chat.db", timeout=0.1) as memory:
        chat = memory.conversations.create("trip")
        assert fork_inside(memory, chat, writes=writes) == 7
        memory.turns.append(chat, user("kept"))
        with Memory(memory.path) as second:
            assert texts(second.turns.all(chat)) == ["kept"]
            assert second.verify() == []


def fork_inside(memory: Memory, chat: Conversation, *, writes: bool) -> int:
    """The exit status of a child that leaves the block, 7 if it should; the parent then undoes its own part."""
    parent, status = os.getpid(), 0
    try:
        with memory.atomic():
            memory.turns.append(chat, user("undone"))
            child = os.fork()
            if child:
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                raise KeyError
            if writes:
                with pytest.raises(StoreError, match="is locked"):
                    memory.turns.append(chat, user("child"))
    except KeyError:
        return status
    except StoreError as error:
        if "the process was forked inside a transaction" in str(error) and memory.turns.all(chat) == []:
            os._exit(7)
    finally:
        if os.getpid() != parent:
            os._exit(1)
    return status


def test_an_unreadable_row_is_named_never_dropped(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    turn = memory.turns.append(chat, Turn("user", (TextPart("a"), TextPart("b"))))
    for change in ("role = 'narrator'", "role = 'user', parts = '[{\"kind\":\"hologram\"}]'", "parts = '['"):
        spoil(memory, f"UPDATE turns SET {change}")
        for read in (lambda: memory.turns.get(turn.id), lambda: memory.turns.all(chat)):
            with pytest.raises(StoreError, match=f"turns row {turn.id} can't be read"):
                read()
        assert [(damage.table, damage.row) for damage in memory.verify()] == [("turns", turn.id)]


def test_what_a_turn_carries_is_decoded_when_looked_at(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    kept = memory.turns.append(chat, Turn("assistant", (TextPart("red"),), model="m", meta={"usage": {"new": 3}}))
    assert memory.turns.get(kept.id) == kept
    spoil(memory, "UPDATE turns SET meta = '{'")
    turn = memory.turns.get(kept.id)
    assert turn.text == "red"
    with pytest.raises(StoreError, match=f"turns row {turn.id} can't be read"):
        dict(turn.meta)
    assert [(damage.table, damage.row) for damage in memory.verify()] == [("turns", turn.id)]


def test_models_and_tokenizers_are_kept_once_and_go_with_their_last_turn(memory: Memory) -> None:
    for name, model in (("a", "m"), ("b", "m"), ("c", "n")):
        chat = memory.conversations.create(name)
        for tokenizer in ("t", None, "t"):
            kept = memory.turns.append(chat, Turn("assistant", (TextPart("x"),), model=model, tokenizer=tokenizer))
            assert memory.turns.get(kept.id) == kept
    assert rows(memory, "SELECT model, tokenizer FROM makers") == [("m", "t"), ("m", None), ("n", "t"), ("n", None)]
    memory.conversations.delete("a")
    memory.conversations.delete("c")
    assert rows(memory, "SELECT model, tokenizer FROM makers") == [("m", "t"), ("m", None)]
    late = memory.turns.append("b", Turn("assistant", (TextPart("x"),), model="p"))
    assert memory.turns.get(late.id).model == "p"


def test_the_id_of_a_deleted_turn_is_not_given_again(memory: Memory) -> None:
    for _ in range(3):
        memory.conversations.create("a")
        first, last = (memory.turns.append("a", user(text)).id for text in ("one", "two"))
        memory.conversations.delete("a")
        assert memory.turns.append(memory.conversations.open("b"), user("three")).id > last > first


def rows(memory: Memory, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(memory.path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def spoil(memory: Memory, sql: str) -> None:
    connection = sqlite3.connect(memory.path)
    with connection:
        connection.execute(sql)
    connection.close()


def test_an_approval_waits_and_is_decided_once(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    call = ToolCallPart("c1", "send", {"to": "ann"})
    turn = memory.turns.append(chat, Turn("assistant", (call,), status="paused"))
    asked = memory.approvals.ask(chat, turn.id, call, reason="it sends a message", state={"looks": 2})
    assert asked == Approval(1, "trip", turn.id, call, "it sends a message", {"looks": 2}, None, "", asked.created)
    with Memory(memory.path) as second:
        assert second.approvals.pending() == second.approvals.pending("trip") == [asked]
        decided = second.approvals.decide(asked.id, True, note="fine")
    assert memory.approvals.get(asked.id) == decided
    assert (decided.decided, decided.note, memory.approvals.pending()) == (True, "fine", [])
    with pytest.raises(InvalidInput, match="approval 1 was approved already"):
        memory.approvals.decide(asked.id, False)
    with pytest.raises(UnknownName, match="no approval named 7; known: 1"):
        memory.approvals.get(7)


def test_one_memory_serves_several_threads(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        for step in range(10):
            with memory.atomic():
                memory.pictures.add(chat, noise(number), name=f"p{number}")
                memory.turns.append(chat, Turn("user", (ImagePart(f"p{number}"), TextPart(f"{number}.{step}"))))
            memory.search(f"{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    turns = memory.turns.branch(memory.conversations.get(chat).head)
    assert sorted(texts(turns)) == sorted(f"{number}.{step}" for number in range(8) for step in range(10))
    assert memory.verify() == []


def test_a_forked_process_goes_on_with_its_own_connection(memory: Memory) -> None:
    chat = memory.conversations.create("trip")
    memory.turns.append(chat, user("parent"))
    child = os.fork()
    if child == 0:
        try:
            memory.turns.append(chat, user("child"))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    memory.turns.append(chat, user("parent again"))
    assert texts(memory.turns.all(chat)) == ["parent", "child", "parent again"]


def test_memory_in_memory_works_and_goes_away() -> None:
    with Memory(":memory:") as memory:
        chat = memory.conversations.create("trip")
        memory.pictures.add(chat, noise(1), name="bill")
        turn = memory.turns.append(chat, Turn("user", (ImagePart("bill"),)))
        assert memory.turns.all(chat) == [turn]
    with Memory(":memory:") as memory:
        assert memory.conversations.list() == []


@pytest.mark.parametrize("name", ["a\udcff", "\ud800"])
def test_half_a_character_is_invalid_input_wherever_it_is_given(memory: Memory, name: str) -> None:
    chat = memory.conversations.create("trip")
    bill = memory.pictures.add(chat, noise(1), name="bill")
    for use in (
        lambda: memory.conversations.get(name),
        lambda: memory.pictures.get(chat, name),
        lambda: memory.pictures.note(bill.key, "alt", name),
        lambda: memory.search("x" + name),
    ):
        with pytest.raises(InvalidInput, match="holds half a character"):
            use()


def test_a_number_too_big_for_the_database_is_invalid_input(memory: Memory) -> None:
    memory.conversations.create("trip")
    for use in (
        lambda: memory.turns.get(2**70),
        lambda: memory.turns.branch(2**70),
        lambda: memory.search("x", limit=2**70),
        lambda: memory._db.run("SELECT ?", (2**70,)),  # type: ignore[attr-defined]
        lambda: memory._db.run_many("DELETE FROM turns WHERE id = ?", [(2**70,)]),  # type: ignore[attr-defined]
    ):
        with pytest.raises(InvalidInput, match="a number is too large for the database"):
            use()


def test_a_closed_memory_says_so(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "a.db")
    memory.close()
    memory.close()
    with pytest.raises(StoreError, match="is closed; open it again"):
        memory.conversations.list()


def test_the_path_comes_from_the_environment_or_the_users_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("LOOKTWICE_DB", raising=False)
    with caplog.at_level(logging.INFO, "looktwice"):
        with Memory() as memory:
            assert (memory.is_new, Path(memory.path).name, tmp_path in Path(memory.path).parents) == (
                True,
                "looktwice.db",
                True,
            )
        with Memory() as memory:
            assert not memory.is_new
    assert [record.getMessage() for record in caplog.records] == [f"conversations are kept in {memory.path!r}"]
    monkeypatch.setenv("LOOKTWICE_DB", str(tmp_path / "own.db"))
    with Memory() as memory:
        assert memory.path == str(tmp_path / "own.db")
