"""Export and import: one zip, equal when it comes back, and nothing kept of a zip that isn't one of ours."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import stat
import tracemalloc
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
    ToolsPart,
    ToolSpec,
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


def words(document: dict[str, Any]) -> dict[str, Any]:
    return next(part for turn in document["turns"] for part in turn["parts"] if part["kind"] == "text")


def call(document: dict[str, Any]) -> dict[str, Any]:
    return next(part for turn in document["turns"] for part in turn["parts"] if part["kind"] == "tool_call")


def tools(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "name": name,
        "description": "",
        "parameters": {},
        "pictures": [],
        "boxes": [],
        "acts": False,
    }
    return {"kind": "tools", "tools": [spec]}


CHANGES: dict[str, tuple[Change, str]] = {
    "version": (lambda d: d.update(version=2), "it has version 2 and this looktwice knows 1; upgrade"),
    "format": (lambda d: d.update(format="x"), "format: Input should be"),
    "extra field": (lambda d: d.update(more=1), "more: Extra inputs are not permitted"),
    "missing field": (lambda d: d.pop("turns"), "turns: Field required"),
    "role": (lambda d: d["turns"][0].update(role="narrator"), "turns.0.role: Input should be"),
    "part": (lambda d: d["turns"][0]["parts"].append({"kind": "hologram"}), "Input tag 'hologram' found using 'kind'"),
    "part without words": (
        lambda d: d["turns"][0]["parts"].append({"kind": "text"}),
        "turns.0.parts.3.text.text: Field required",
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
    "forgotten and no such picture": (
        lambda d: d["names"][0].update(key="sha256:0", forgotten=True),
        "the picture of 'Bill' is not there",
    ),
    "name twice": (lambda d: d["names"].append(d["names"][0]), "a name is there twice"),
    "picture twice": (lambda d: d["pictures"].append(d["pictures"][0]), "is there twice, or before its parent"),
    "no parent": (lambda d: d["pictures"].reverse(), "is there twice, or before its parent"),
    "lost picture": (lambda d: d["names"].remove(d["names"][1]) or d["pictures"].remove(menu(d)), "differ in"),
    "recipe": (lambda d: d["pictures"][-1].update(recipe="{}"), "is not a recipe"),
    "recipe's key": (
        lambda d: d["pictures"][-1].update(key=f"recipe:{0:064}"),
        f"the recipe of 'recipe:{0:064}' doesn't match its key",
    ),
    "no recipe": (lambda d: d["pictures"][-1].update(recipe=None), "doesn't match its key"),
    "recipe under a hash": (lambda d: d["pictures"][-1].update(key=menu(d)["key"]), "doesn't match its key"),
    "key": (lambda d: d["pictures"][0].update(key="sha256:../x"), "pictures.0.key: String should match pattern"),
    "mime": (lambda d: d["pictures"][0].update(mime="text/html"), "pictures.0.mime: Input should be 'image/avif'"),
    "size": (lambda d: d["pictures"][0].update(size=2**70), "pictures.0.size: Input should be less than or equal"),
    "width": (lambda d: d["pictures"][0].update(width=0), "pictures.0.width: Input should be greater than or equal"),
    "parent gone": (lambda d: menu(d).update(gone=True), "the picture of 'menu' is not there"),
    "text is a number": (lambda d: words(d).update(text=5), ".text.text: Input should be a valid string"),
    "call's arguments": (lambda d: call(d).update(arguments=[["a", 1]]), ".tool_call.arguments: Input should be"),
    "call's id": (lambda d: call(d).update(id=["a"]), ".tool_call.id: Input should be a valid string"),
    "approved tool": (lambda d: d["approvals"][0]["call"].update(tool="os:system"), "approvals.0.call.tool: String"),
    "offered tool": (lambda d: d["turns"][0]["parts"].append(tools("os:system")), ".tools.tools.0.name: String should"),
    "no turns but numbers": (lambda d: d.update(turns=[1, 2, 3]), "turns.0: Input should be"),
    "far future": (lambda d: d["turns"][0].update(created=1e18), "turns.0.created: Input should be less than or equal"),
    "before 1970": (lambda d: d["names"][0].update(created=-1), "names.0.created: Input should be greater than or"),
    "many fields": (lambda d: d.update(dict.fromkeys(map(str, range(99)))), "it has more than 20 fields"),
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


def zipped(entries: dict[str, bytes] | None = None, **fields: Any) -> BytesIO:
    """A conversation by a stranger: an empty one but for the fields that are given."""
    document: dict[str, Any] = {"format": "looktwice conversation", "version": 1, "name": "strange", "head": None}
    document |= {"created": 1.0, "updated": 1.0, "turns": [], "pictures": [], "names": [], "approvals": []}
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversation.json", json.dumps(document | fields))
        for entry, data in (entries or {}).items():
            archive.writestr(entry, data)
    return out


def gone(key: str, recipe: Recipe | None = None, **notes: str) -> dict[str, Any]:
    """What a stranger says of a picture that is not in the zip: all of it wrong."""
    wrong: dict[str, Any] = {"mime": "image/gif", "size": 1, "width": 1, "height": 1, "frames": 7, "gone": True}
    return {"key": key, "recipe": None if recipe is None else recipe.dump(), "notes": notes, **wrong}


def named(key: str, name: str = "x", *, forgotten: bool = True) -> dict[str, Any]:
    return {"name": name, "key": key, "tool": None, "turn": None, "forgotten": forgotten, "created": 1.0}


def test_what_an_import_says_of_a_gone_picture_is_not_believed_when_it_is_added(memory: Memory, other: Memory) -> None:
    picture = noise(1)
    cut = Recipe(picture.key, "crop", (0, 0, 20, 20), (40, 40))
    for target in (memory, other):
        if target is memory:
            target.import_(
                zipped(
                    pictures=[gone(picture.key), gone(cut.key, cut)], names=[named(picture.key), named(cut.key, "y")]
                )
            )
        target.conversations.create("mine")
        target.pictures.add("mine", picture, name="bill")
        target.pictures.add_recipe("mine", cut, stem="bill.zoom")
    columns = "key, mime, bytes, width, height, frames, phash, pixel_hash, parent, recipe, maker, gone, data"
    rows = [target._db.rows(f"SELECT {columns} FROM pictures ORDER BY key") for target in (memory, other)]  # type: ignore[attr-defined]
    assert rows[0] == rows[1]
    assert memory.pictures.pixels(cut.key).size == (40, 40)
    assert memory.verify() == []


def test_an_import_never_changes_what_is_known_of_a_picture(memory: Memory) -> None:
    picture = noise(1)
    memory.conversations.create("mine")
    kept = memory.pictures.add("mine", picture, name="bill", alt="my words")
    memory.import_(zipped(pictures=[gone(picture.key, alt="a stranger's")], names=[named(picture.key)]), name="one")
    there = {**gone(picture.key, alt="a stranger's", caption="new"), "gone": False, "mime": "image/jpeg"}
    entries = {f"pictures/{picture.key[7:]}.jpeg": picture.data}
    memory.import_(zipped(entries, pictures=[there], names=[named(picture.key)]), name="two")
    assert memory.pictures.notes(picture.key) == {"alt": "my words", "caption": "new"}
    assert memory.pictures.get("mine", "bill") == dataclasses.replace(kept, caption="new")
    assert memory.verify() == []


def test_a_gone_picture_brings_no_notes(other: Memory) -> None:
    key = noise(1).key
    other.import_(zipped(pictures=[gone(key, text="IBAN")], names=[named(key)]))
    assert other.search("IBAN") == []
    assert other.verify() == []


def test_a_document_of_millions_of_errors_is_refused_for_the_first(other: Memory) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match=r"turns.0: Input should be a valid dictionary"):
            other.import_(zipped(turns=[[]] * 50_000))
        with pytest.raises(InvalidInput, match=r"turns.0.id: Field required"):
            other.import_(zipped(turns=[{"tokens": ["x"] * 50_000, "parts": [{}] * 50_000}] * 2))
        with pytest.raises(InvalidInput, match=r"it has more than 20 fields"):
            other.import_(zipped(turns=[{str(number): 1 for number in range(50_000)}]))
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_a_document_over_the_limit_is_neither_written_nor_read(
    memory: Memory, other: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rich(memory)
    memory.export("receipts", tmp_path / "out.zip")
    monkeypatch.setattr("looktwice.memory.transfer.MAX_JSON", 2000)
    with pytest.raises(InvalidInput, match=r"'conversation.json' is over the limit of 2000 bytes"):
        other.import_(tmp_path / "out.zip")
    with pytest.raises(InvalidInput, match=r"'receipts' has .* MB of words and tokens, over the limit"):
        memory.export("receipts", tmp_path / "again.zip")
    assert [path.name for path in tmp_path.glob("*") if "db" not in path.name] == ["out.zip"]


def chain(steps: int, size: tuple[int, int]) -> BytesIO:
    """A picture and crops that are cut from each other, each as large as the picture."""
    base = Picture.load(Image.new("RGB", size))
    entry: dict[str, Any] = {**gone(base.key), "gone": False, "mime": "image/png"}
    pictures, names = [entry], [named(base.key, forgotten=False)]
    for step in range(steps):
        cut = Recipe(pictures[-1]["key"], "crop", (0, 0, size[0] - 1, size[1] - 1), (size[0], size[1] - step % 2))
        pictures.append({**gone(cut.key, cut), "gone": False})
        names.append(named(cut.key, f"x{step}", forgotten=False))
    return zipped({f"pictures/{base.key[7:]}.png": base.data}, pictures=pictures, names=names)


def test_crops_of_an_import_have_an_end(other: Memory) -> None:
    assert len(other.pictures.all(other.import_(chain(32, (8, 9)), name="deep"))) == 33
    with pytest.raises(InvalidInput, match="it has 33 steps from crop to crop, over the limit of 32"):
        other.import_(chain(33, (8, 9)))
    with pytest.raises(InvalidInput, match="it has 179970000 pixels in crops of crops, over the limit of 150"):
        other.import_(chain(20, (3000, 3000)))
    assert other.verify() == []


def test_others_can_write_while_the_pictures_of_an_import_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Memory(tmp_path / "a.db") as memory, Memory(tmp_path / "a.db", timeout=0.1) as writer:
        file, load, apply = chain(1, (8, 9)), Picture.load, Recipe.apply

        def load_and_write(data: bytes) -> Picture:
            writer.conversations.create("loaded")
            return load(data)

        def apply_and_write(recipe: Recipe, image: Image.Image) -> Image.Image:
            writer.conversations.create("cropped")
            return apply(recipe, image)

        monkeypatch.setattr(Picture, "load", load_and_write)
        monkeypatch.setattr(Recipe, "apply", apply_and_write)
        memory.import_(file)
        assert [chat.name for chat in memory.conversations.list()] == ["cropped", "loaded", "strange"]


def test_an_export_leaves_the_files_beside_it_alone(memory: Memory, tmp_path: Path) -> None:
    rich(memory)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.zip.part").write_text("precious")
    (folder / "b.zip.part").symlink_to(folder / "a.zip.part")
    memory.export("receipts", folder / "a.zip")
    memory.export("receipts", folder / "b.zip")
    with pytest.raises(UnknownName):
        memory.export("nope", folder / "a.zip")
    assert sorted(path.name for path in folder.iterdir()) == ["a.zip", "a.zip.part", "b.zip", "b.zip.part"]
    assert (folder / "a.zip.part").read_text() == "precious"
    assert not (folder / "b.zip").is_symlink()
    assert stat.S_IMODE((folder / "a.zip").stat().st_mode) == 0o600


def test_a_name_of_a_turn_that_is_not_exported_comes_back_without_it(memory: Memory, other: Memory) -> None:
    rich(memory)
    alone = memory.turns.append(memory.conversations.create("alone"), Turn("user", (TextPart("x"),)))
    connection: sqlite3.Connection = memory._db.connection  # type: ignore[attr-defined]
    connection.execute("UPDATE names SET turn = ? WHERE name = 'bill.zoom1'", (alone.id,))
    buffer = BytesIO()
    memory.export("receipts", buffer)
    other.import_(buffer)
    crop = other.pictures.get("receipts", "bill.zoom1")
    assert (crop.tool, crop.turn) == ("zoom", None)


def test_a_call_that_no_tool_could_have_comes_back_as_the_model_wrote_it(memory: Memory, other: Memory) -> None:
    turn = Turn("assistant", (ToolCallPart("c1", "look at: it!", {"a": [1]}),))
    memory.turns.append(memory.conversations.create("trip"), turn)
    buffer = BytesIO()
    memory.export("trip", buffer)
    other.import_(buffer)
    assert [found.parts for found in other.turns.all("trip")] == [turn.parts]


def test_an_export_that_could_not_come_back_says_so(memory: Memory) -> None:
    spec = ToolSpec("os:system", "")
    memory.turns.append(memory.conversations.create("trip"), Turn("system", (ToolsPart((spec,)),)))
    with pytest.raises(StoreError, match=r"'trip' can't be exported: parts.0.tools.tools.0.name: String should match"):
        memory.export("trip", BytesIO())
