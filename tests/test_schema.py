"""Opening a file: new, newer, damaged, read-only, full, locked or not ours. What is refused stays as it is."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from looktwice.errors import StoreError
from looktwice.memory import Damage, ImagePart, Memory, Picture, Recipe, TextPart, ToolCallPart, Turn
from looktwice.memory.schema import CHECKED_BYTES, SCHEMA


def noise(side: int = 64) -> Picture:
    buffer = BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(buffer, "PNG")
    return Picture.load(buffer.getvalue())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with some turns and pictures, closed."""
    with Memory(tmp_path / "chat.db") as memory:
        chat = memory.conversations.create("trip")
        bill = memory.pictures.add(chat, noise(), name="bill", alt="a bill")
        memory.pictures.add_recipe(chat, Recipe(bill.key, "crop", (0, 0, 9, 9), (9, 9)), stem="bill.zoom")
        for number in range(50):
            memory.turns.append(chat, Turn("user", (ImagePart("bill"), TextPart(f"question {number}"))))
        memory.approvals.ask(chat, 7, ToolCallPart("c1", "send", {}), reason="", state={})
    return tmp_path / "chat.db"


def refused(path: Path, expected: str) -> None:
    """Opening raises one line, and the file is the same afterwards."""
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        Memory(path, timeout=0.1)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_new_file_has_the_schema_and_its_migrations_by_name(tmp_path: Path) -> None:
    with Memory(tmp_path / "chat.db") as memory:
        assert memory.is_new
    connection = sqlite3.connect(tmp_path / "chat.db")
    names = connection.execute("SELECT name FROM _sqlite_migrations ORDER BY rowid").fetchall()
    assert names == [("tables_and_search",), ("calibrations",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    with Memory(tmp_path / "chat.db") as memory:
        assert not memory.is_new


def test_a_new_file_is_for_its_owner_alone_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    path, link = tmp_path / "chat.db", tmp_path / "link.db"
    link.symlink_to(path)
    with Memory(link) as memory:
        memory.conversations.create("trip")
        files = [Path(f"{path}{end}") for end in ("", "-wal", "-shm")]
        assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600"] * 3
    path.chmod(0o640)
    with Memory(path) as memory:
        assert oct(path.stat().st_mode & 0o777) == "0o640"
    with Memory(":memory:"):
        assert not Path(":memory:").exists()


def test_opening_again_neither_writes_nor_imports_sqlite_utils(path: Path) -> None:
    before = path.read_bytes()
    code = f"import sys; from looktwice.memory import Memory; Memory({str(path)!r}).close()"
    code += "; sys.exit('sqlite_utils' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("normal", 1)])
def test_durability_is_what_was_asked_for(durability: str, level: int, tmp_path: Path) -> None:
    from looktwice.memory.schema import connect

    connection = connect(str(tmp_path / "a.db"), durability, 5.0)
    assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (5000,)
    connection.close()


def test_a_newer_schema_is_refused_with_both_versions(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA + 6}")
    connection.close()
    refused(path, f"has schema {SCHEMA + 6}, this looktwice knows up to {SCHEMA}; upgrade: pip install -U looktwice")


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bookmarks.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url)")
    connection.close()
    refused(path, "belongs to another program; it is left as it is; give another file")


@pytest.mark.parametrize("data", [b"hello", b"\x89PNG\r\n\x1a\n" * 99, b"SQLite format 3\0", bytes(5000)])
def test_a_file_that_is_no_database_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    refused(path, "is not a looktwice database")


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "chat.db").touch()
    with Memory(tmp_path / "chat.db") as memory:
        assert memory.is_new


def test_a_cut_file_is_refused(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path, "is damaged (")


def overwrite_page(data: bytearray, page: int) -> None:
    data[page * 4096 : (page + 1) * 4096] = os.urandom(4096)


def test_a_damaged_tree_is_found_on_opening_wherever_it_is(path: Path) -> None:
    whole = path.read_bytes()
    connection = sqlite3.connect(path)
    trees = [row[0] for row in connection.execute("SELECT rootpage FROM sqlite_master WHERE rootpage > 0")]
    connection.close()
    for page in trees:
        data = bytearray(whole)
        overwrite_page(data, page - 1)
        path.write_bytes(data)
        refused(path, "is damaged (")


def root_page(path: Path, table: str) -> int:
    connection = sqlite3.connect(path)
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    connection.close()
    return root


def test_a_damaged_file_with_a_log_keeps_both(path: Path) -> None:
    root = root_page(path, "pictures")  # which is not in the log
    with Memory(path) as memory:
        memory.turns.append("trip", Turn("user", (TextPart("in the log"),)))
        copy, log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    data = bytearray(copy)
    overwrite_page(data, root - 1)
    path.write_bytes(data)
    Path(f"{path}-wal").write_bytes(log)
    refused(path, "is damaged (")
    assert Path(f"{path}-wal").read_bytes() == log


def test_a_big_damaged_file_opens_and_says_so_when_the_damage_is_read(path: Path) -> None:
    with Memory(path, durability="normal") as memory, memory.atomic():
        for _ in range(CHECKED_BYTES // 20_000_000 + 1):
            memory.conversations.open("more")
            for number in range(90):
                big = Picture(os.urandom(200_000), "image/png", 9, 9)
                big.__dict__["likeness"] = number
                memory.pictures.add("more", big, name=f"p{number}")
    root = root_page(path, "turns")
    data = bytearray(path.read_bytes())
    assert len(data) > CHECKED_BYTES
    overwrite_page(data, root - 1)
    path.write_bytes(data)
    with Memory(path) as memory:
        with pytest.raises(StoreError, match="is damaged; keep a copy, then restore a backup or an export"):
            memory.turns.all("trip")
        assert any(damage.table == "file" for damage in memory.verify())


def test_a_big_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with Memory(path) as memory:
        memory.conversations.create("trip")
    with path.open("r+b") as file:
        file.truncate(CHECKED_BYTES + 4096)
        file.seek(28)
        file.write((CHECKED_BYTES // 4096 + 9).to_bytes(4, "big"))
    refused(path, "is damaged (it is cut short,")


def test_a_folder_and_a_missing_folder_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder; give a file in it"):
        Memory(tmp_path)
    with pytest.raises(StoreError, match=r"the folder .*nowhere' of the database does not exist; make it first"):
        Memory(tmp_path / "nowhere" / "chat.db")
    assert list(tmp_path.iterdir()) == []


READ_ONLY = """
import os, sys
from looktwice.errors import StoreError
from looktwice.memory import Memory, TextPart, Turn
if os.geteuid() == 0:
    os.setegid(65534); os.seteuid(65534)
try:
    with Memory(sys.argv[1]) as memory:
        print(len(memory.turns.all("trip")))
        memory.turns.append("trip", Turn("user", (TextPart("x"),)))
except StoreError as error:
    print(error)
"""


def test_a_read_only_file_can_be_read_and_says_so_when_written(path: Path) -> None:
    for folder in path.parents:  # pytest's own, which nobody else may enter
        if Path(tempfile.gettempdir()) in folder.parents:
            folder.chmod(folder.stat().st_mode | (0o777 if folder == path.parent else 0o755))
    path.chmod(0o444)
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", READ_ONLY, str(path)], capture_output=True, text=True, check=True)
    advice = "is read-only; change its permissions, those of its folder too, or use another file"
    assert done.stdout == f"50\nthe database {str(path)!r} {advice}\n"
    assert path.read_bytes() == before


def test_a_full_disk_is_one_line_and_nothing_is_half_kept(path: Path) -> None:
    with Memory(path) as memory:
        limit_pages(memory, 20)
        chat = memory.conversations.get("trip")
        with pytest.raises(StoreError, match="can't grow: the disk is full; nothing was written"), memory.atomic():
            memory.turns.append(chat, Turn("user", (TextPart("lost with it"),)))
            memory.pictures.add(chat, noise(400), name="big")
        assert [picture.name for picture in memory.pictures.all(chat)] == ["bill", "bill.zoom1"]
        assert memory.conversations.get("trip") == chat
        assert memory.verify() == []


def limit_pages(memory: Memory, more: int) -> None:
    """Let the file grow by a few pages only, as on a full disk; SQLite has this limit for each connection."""
    connection: sqlite3.Connection = memory._db.connection  # type: ignore[attr-defined]
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + more}")


def test_a_locked_file_is_one_line_after_the_timeout(path: Path) -> None:
    with Memory(path) as holder, Memory(path, timeout=0.1) as waiter:
        with (
            holder.atomic(),
            pytest.raises(
                StoreError, match="is locked by another program; try again, or open it with a longer timeout"
            ),
        ):
            waiter.turns.append("trip", Turn("user", (TextPart("x"),)))
        waiter.turns.append("trip", Turn("user", (TextPart("x"),)))


def flip(path: Path, find: Callable[[bytes], int]) -> None:
    data = bytearray(path.read_bytes())
    data[find(bytes(data))] ^= 1
    path.write_bytes(data)


def test_verify_finds_one_flipped_bit_of_a_picture(path: Path) -> None:
    with Memory(path) as memory:
        bill = memory.pictures.get("trip", "bill")
        data = memory.pictures.data(bill.key)
        assert memory.verify() == []
    flip(path, lambda file: file.index(data[4000:4020]))
    with Memory(path) as memory:
        damages = memory.verify()
    assert damages[0] == Damage("pictures", bill.key, "its bytes don't match their hash")
    assert {(damage.table, damage.row.split(":")[0]) for damage in damages if isinstance(damage.row, str)} <= {
        ("pictures", "sha256"),
        ("pictures", "recipe"),
    }


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE pictures SET data = NULL WHERE recipe IS NULL", ("pictures", "its bytes are missing")),
        (
            "UPDATE pictures SET pixel_hash = 'x' WHERE recipe IS NOT NULL",
            ("pictures", "its pixels come out different"),
        ),
        ("UPDATE pictures SET recipe = '{}' WHERE recipe IS NOT NULL", ("pictures", "is not a recipe")),
        ("UPDATE turns SET parent = 999 WHERE id = 7", ("turns", "its parent, turn 999, is not there")),
        ("UPDATE conversations SET head = 999", ("conversations", "its head, turn 999, is not there")),
        ("DELETE FROM names WHERE name = 'bill'", ("turns", "shows the picture 'bill'")),
        ("UPDATE turns SET tokens = x'01' WHERE id = 7", ("turns", "can't be read")),
        ("UPDATE turns SET conversation = 5 WHERE id = 7", ("turns", "refers to a row of conversations")),
        ("UPDATE turns SET parent = 9 WHERE id = 7", ("turns", "its parent, turn 9, came after it")),
        ("UPDATE pictures SET width = 65", ("pictures", "its width is kept as 65 and comes out as 64")),
        ("UPDATE pictures SET height = 65", ("pictures", "its height is kept as 65 and comes out as 9")),
        ("UPDATE pictures SET mime = 'image/gif'", ("pictures", "its mime is kept as 'image/gif' and comes out as")),
        ("UPDATE pictures SET bytes = 5", ("pictures", "its bytes is kept as 5 and comes out as 0")),
        ("UPDATE pictures SET frames = 5", ("pictures", "its frames is kept as 5 and comes out as 1")),
        ("UPDATE pictures SET parent = NULL", ("pictures", "its parent is kept as None and comes out as 'sha256:")),
        ("UPDATE pictures SET gone = 1", ("pictures", "it was forgotten and something of it is still there")),
        ("UPDATE names SET folded = 'bil' WHERE name = 'bill'", ("names", "its name 'bill' is looked up as 'bil'")),
        ("UPDATE approvals SET turn = 999", ("approvals", "its turn, turn 999, is not there")),
        ("UPDATE approvals SET call = '{bad'", ("approvals", "approvals row 1 can't be read")),
        ('UPDATE approvals SET call = \'{"id":1,"tool":"a","arguments":{}}\'', ("approvals", "has 1 where str")),
        ("UPDATE approvals SET state = 'x'", ("approvals", "approvals row 1 can't be read")),
        ("DROP TRIGGER turns_changed; UPDATE turns SET text = 'x' WHERE id = 7", ("turns_fts", "doesn't match")),
    ],
)
def test_verify_names_the_damaged_row(path: Path, sql: str, expected: tuple[str, str]) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(sql)
    connection.close()
    with Memory(path) as memory:
        found = [(damage.table, damage.problem) for damage in memory.verify()]
    assert any(table == expected[0] and expected[1] in problem for table, problem in found), found
