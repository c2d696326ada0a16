"""Export and import: one zip, equal when it comes back, and nothing kept of a zip that isn't one of ours."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from looktwice.errors import InvalidInput, StoreError, UnknownName
from looktwice.memory import (
    Conversation,
    ImagePart,
    Memory,
    Picture,
    Recipe,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Turn,
)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "chat.db") as memory:
        yield memory


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "other.db") as memory:
        memory.turns.append(memory.conversations.create("in the way"), Turn("user", (TextPart("x"),)))
        yield memory


def noise(seed: int, format: str = "JPEG") -> Picture:
    buffer = BytesIO()
    Image.effect_noise((64 + seed, 48), 90).convert("RGB").save(buffer, format)
    return Picture.load(buffer.getvalue())


def rich(memory: Memory) -> Conversation:
    """A conversation with everything: pictures, crops of crops, a retry, tokens, a forgotten picture, approvals."""
    chat = memory.conversations.create("receipts")
    bill = memory.pictures.add(chat, noise(1), name="Bill", alt="A bill")
    memory.pictures.add(chat, noise(2, "PNG"), name="menu")
    memory.pictures.add(chat, noise(3), name="secret")
    memory.pictures.note(bill.key, "text", "TOTAL 42.10 ü")
    question = memory.turns.append(chat, Turn("user", (ImagePart("bill"), TextPart("q"), ImagePart("secret"))))
    call = ToolCallPart("c1", "zoom", {"image": "bill", "box": [0, 0, 9, 9]})
    look = memory.turns.append(chat, Turn("assistant", (call,), tokens=(5, 6), tokenizer="t", model="m"))
    crop = memory.pictures.add_recipe(
        chat, Recipe(bill.key, "crop", (1, 1, 30, 30), (60, 60)), stem="bill.zoom", tool="zoom", turn=look.id
    )
    memory.pictures.add_recipe(chat, Recipe(crop.key, "crop", (5, 5, 30, 30), (50, 50)), stem="bill.zoom")
    memory.turns.append(chat, Turn("tool", (ToolResultPart("c1", "zoom", "", {"a": [1]}), ImagePart("bill.zoom1"))))
    memory.turns.append(chat, Turn("assistant", (TextPart("42"),), meta={"score": float("inf"), "n": 2**70}))
    memory.turns.append(chat, Turn("assistant", (TextPart("never"),), status="partial"), parent=question.id)
    memory.approvals.ask(chat, look.id, call, reason="why", state={"looks": 1})
    memory.approvals.decide(1, False, note="no")
    memory.pictures.forget(chat, "secret")
    return memory.conversations.get(chat)


def content(memory: Memory, name: str) -> dict[str, Any]:
    """Everything of a conversation, with turns counted from 0 instead of their ids."""
    chat = memory.conversations.get(name)
    turns = memory.turns.all(chat)
    number: dict[int | None, int | None] = {turn.id: index for index, turn in enumerate(turns)}
    number[None] = None
    pictures = memory.pictures.all(chat)
    return {
        "chat": (chat.created, chat.updated, number[chat.head]),
        "turns": [turn.replace(id=0, parent=number[turn.parent]) for turn in turns],
        "names": [
            (p.name, p.key, p.size, p.recipe, p.tool, number[p.turn], p.alt, p.forgotten, p.created) for p in pictures
        ],
        "notes": [memory.pictures.notes(p.key) for p in pictures],
        "bytes": [None if p.forgotten else memory.pictures.data(p.key) for p in pictures],
        "approvals": [
            (a.call, a.reason, a.state, a.decided, a.note, number[a.turn]) for a in memory.approvals.all(chat)
        ],
    }


def test_a_conversation_comes_back_equal(memory: Memory, other: Memory, tmp_path: Path) -> None:
    rich(memory)
    memory.export("receipts", tmp_path / "out.zip")
    back = other.import_(tmp_path / "out.zip")
    assert back == other.conversations.get("receipts")
    assert content(other, "receipts") == content(memory, "receipts")
    assert other.verify() == []


def test_it_comes_back_equal_into_the_same_file_and_again(memory: Memory, tmp_path: Path) -> None:
    rich(memory)
    before = content(memory, "receipts")
    memory.export("receipts", tmp_path / "out.zip")
    memory.import_(tmp_path / "out.zip", name="copy")
    memory.export("copy", tmp_path / "again.zip")
    memory.conversations.delete("receipts")
    memory.import_(str(tmp_path / "again.zip"), name="third")
    assert content(memory, "copy") == content(memory, "third") == before
    assert memory.verify() == []


def test_a_fork_is_exported_with_the_turns_it_shares(memory: Memory, other: Memory) -> None:
    chat = rich(memory)
    fork = memory.conversations.fork(chat)
    memory.turns.append(fork, Turn("user", (ImagePart("bill.zoom1"),)))
    buffer = BytesIO()
    memory.export(fork, buffer)
    other.import_(buffer)
    assert content(other, fork.name) == content(memory, fork.name)


def test_the_zip_holds_the_original_files(memory: Memory, tmp_path: Path) -> None:
    rich(memory)
    memory.export("receipts", tmp_path / "out.zip")
    bill = memory.pictures.get("receipts", "bill")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert sorted(Path(entry).suffix for entry in archive.namelist()) == [".jpeg", ".json", ".png"]
        assert archive.read(f"pictures/{bill.key[7:]}.jpeg") == memory.pictures.data(bill.key)
    assert [path.name for path in tmp_path.glob("out*")] == ["out.zip"]


def test_a_taken_name_is_refused_and_another_may_be_given(memory: Memory, tmp_path: Path) -> None:
    rich(memory)
    memory.export("receipts", tmp_path / "out.zip")
    with pytest.raises(InvalidInput, match="there is a conversation named 'receipts' already"):
        memory.import_(tmp_path / "out.zip")


def test_an_export_that_cannot_be_written_is_one_line(memory: Memory, tmp_path: Path) -> None:
    rich(memory)
    with pytest.raises(StoreError, match=r"can't write .*nowhere.*; choose another place"):
        memory.export("receipts", tmp_path / "nowhere" / "out.zip")
    with pytest.raises(UnknownName, match="no conversation named 'recipts'"):
        memory.export("recipts", tmp_path / "out.zip")
    assert not list(tmp_path.glob("out*"))


Change = Callable[[dict[str, Any]], object]


def menu(document: dict[str, Any]) -> dict[str, Any]:
    return next(picture for picture in document["pictures"] if picture["mime"] == "image/png" and picture["size"])


CHANGES: dict[str, tuple[Change, str]] = {
    "version": (lambda d: d.update(version=2), "it has version 2 and this looktwice knows 1; upgrade"),
    "format": (lambda d: d.update(format="x"), "format: Input should be"),
    "extra field": (lambda d: d.update(more=1), "more: Extra inputs are not permitted"),
    "missing field": (lambda d: d.pop("turns"), "turns: Field required"),
    "role": (lambda d: d["turns"][0].update(role="narrator"), "turns.0.role: Input should be"),
    "part": (lambda d: d["turns"][0]["parts"].append({"kind": "hologram"}), "unknown kind of part 'hologram'"),
    "part without words": (
        lambda d: d["turns"][0]["parts"].append({"kind": "text"}),
        "turns.0.parts: Value error, KeyError 'text'",
    ),
    "parent": (lambda d: d["turns"][1].update(parent=77), "it refers to a turn 77 that it doesn't have"),
    "later parent": (lambda d: d["turns"][0].update(parent=d["turns"][1]["id"]), "it refers to a turn"),
    "head": (lambda d: d.update(head=77), "it refers to a turn 77"),
    "twice": (lambda d: d["turns"][1].update(id=d["turns"][0]["id"]), "is there twice"),
    "picture missing": (lambda d: d["turns"][0]["parts"].append({"kind": "image", "name": "x"}), "which is not there"),
    "call": (lambda d: d["approvals"][0].update(call={"id": "1"}), "approvals.0.call"),
    "tokens": (lambda d: d["turns"][1].update(tokens=[2**40]), "tokens of a turn must be whole numbers"),
    "name": (lambda d: d["names"][0].update(name="../x"), "'../x' can't be a name"),
    "no such picture": (lambda d: d["names"][0].update(key="sha256:0"), "the picture of 'Bill' is not there"),
    "name twice": (lambda d: d["names"].append(d["names"][0]), "a name is there twice"),
    "picture twice": (lambda d: d["pictures"].append(d["pictures"][0]), "is there twice, or before its parent"),
    "no parent": (lambda d: d["pictures"].reverse(), "is there twice, or before its parent"),
    "lost picture": (lambda d: d["names"].remove(d["names"][1]) or d["pictures"].remove(menu(d)), "differ in"),
    "recipe": (lambda d: d["pictures"][-1].update(recipe="{}"), "is not a recipe"),
    "recipe's key": (
        lambda d: d["names"].remove(d["names"][-1]) or d["pictures"][-1].update(key="recipe:0"),
        "the recipe of 'recipe:0' doesn't match its key",
    ),
    "endless time": (lambda d: d.update(created=float("inf")), "created: Input should be a finite number"),
    "conversation's name": (lambda d: d.update(name="a\nb"), "can't name a conversation"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_document_is_refused_and_nothing_is_kept(
    change: str, memory: Memory, other: Memory, tmp_path: Path
) -> None:
    rich(memory)
    memory.export("receipts", tmp_path / "out.zip")
    alter, expected = CHANGES[change]
    with pytest.raises(InvalidInput) as caught:
        other.import_(rewritten(tmp_path / "out.zip", alter))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [chat.name for chat in other.conversations.list()] == ["in the way"]
    assert other.verify() == []


def rewritten(path: Path, alter: Change, extra: dict[str, bytes] | None = None) -> BytesIO:
    """The zip with its document altered and entries replaced or added."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    document = json.loads(entries["conversation.json"])
    alter(document)
    entries["conversation.json"] = json.dumps(document).encode()
    entries.update(extra or {})
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, data in entries.items():
            archive.writestr(entry, data)
    return out


def keep(document: dict[str, Any]) -> None:
    """Alter nothing."""


@pytest.mark.parametrize(
    "entry", ["../../evil.py", "/etc/passwd", "pictures/../x.png", "pictures/x.png", "readme.txt", "a\\b"]
)
def test_an_entry_that_we_never_write_is_refused(entry: str, memory: Memory, other: Memory, tmp_path: Path) -> None:
    rich(memory)
    memory.export("receipts", tmp_path / "out.zip")
    with pytest.raises(InvalidInput, match="it has an entry"):
        other.import_(rewritten(tmp_path / "out.zip", keep, {entry: b"x"}))


def test_other_bytes_under_a_hash_are_refused(memory: Memory, other: Memory, tmp_path: Path) -> None:
    rich(memory)
    memory.export("receipts", tmp_path / "out.zip")
    bill = memory.pictures.get("receipts", "bill")
    entry = f"pictures/{bill.key[7:]}.jpeg"
    with pytest.raises(InvalidInput, match="don't match their hash"):
        other.import_(rewritten(tmp_path / "out.zip", keep, {entry: noise(9).data}))
    with pytest.raises(InvalidInput, match="holds text, not a picture"):
        other.import_(rewritten(tmp_path / "out.zip", keep, {entry: b"import os"}))
    assert len(other.conversations.list()) == 1


def test_a_bomb_is_refused_at_the_limit(memory: Memory, other: Memory, tmp_path: Path) -> None:
    rich(memory)
    memory.export("receipts", tmp_path / "out.zip")
    entry = f"pictures/{memory.pictures.get('receipts', 'bill').key[7:]}.jpeg"
    with pytest.raises(InvalidInput, match="is over the limit of 25000000 bytes"):
        other.import_(rewritten(tmp_path / "out.zip", keep, {entry: bytes(30_000_000)}))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "File is not a zip file"),
        (b"just text", "File is not a zip file"),
        (b"PK\x05\x06" + bytes(18), "no item named 'conversation.json'"),
    ],
)
def test_a_file_that_is_no_zip_is_one_line(data: bytes, expected: str, other: Memory, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        other.import_(path)
    assert f"{str(path)!r} is not a conversation that looktwice exported" in str(caught.value)
    assert expected in str(caught.value)


def test_a_cut_zip_is_refused_wherever_it_is_cut(memory: Memory, other: Memory, tmp_path: Path) -> None:
    rich(memory)
    memory.export("receipts", tmp_path / "out.zip")
    data = (tmp_path / "out.zip").read_bytes()
    for length in range(0, len(data), len(data) // 25):
        with pytest.raises(InvalidInput, match="is not a conversation that looktwice exported"):
            other.import_(BytesIO(data[:length]))
    assert len(other.conversations.list()) == 1


def test_a_missing_zip_is_one_line(other: Memory) -> None:
    with pytest.raises(InvalidInput, match=r"'nowhere.zip' is not a conversation .*No such file"):
        other.import_("nowhere.zip")
