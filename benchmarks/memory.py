"""What keeping a conversation costs, against plain ``sqlite3`` that stores the same facts in the same run.

    python benchmarks/memory.py            # 100, 1000 and 10000 turns; a few minutes
    python benchmarks/memory.py --quick    # 100 and 1000 turns

The workload: questions of 35 words and answers of 70 words with their token ids, every fifth question with a JPEG
of about 221 kB, half of those sent before. The opponent (``Raw``) has prepared statements, one transaction a turn,
each blob once by its SHA-256, and FTS5; both write to the same disk, in turns of a few appends, so that noise
hits both. Checking and hashing a picture happens before the clock starts, for both. Ratios are medians over blocks.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image
from report import Report, add_json

from looktwice.memory import ImagePart, Memory, Picture, TextPart, Turn

BLOCK = 10
WINDOW = 300
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("lo", "mer", "nt", "sia", "ck")]


@dataclass(frozen=True)
class Step:
    """One turn to keep, as both sides get it."""

    role: Literal["user", "assistant"]
    text: str
    tokens: tuple[int, ...] | None
    picture: Picture | None


def steps(count: int, seed: int = 7) -> Iterator[Step]:
    """``count`` turns, questions and answers in turn."""
    chance = random.Random(seed)
    base = jpeg()
    sent: list[Picture] = []
    for number in range(count):
        if number % 2:
            tokens = tuple(chance.randrange(32000) for _ in range(95))
            yield Step("assistant", words(chance, 70), tokens, None)
            continue
        picture = None
        if number % 10 == 0:
            is_new = number % 20 == 0 or not sent
            picture = variant(base, number) if is_new else chance.choice(sent)
            if is_new:
                sent.append(picture)
        yield Step("user", words(chance, 35), None, picture)


def words(chance: random.Random, count: int) -> str:
    return " ".join(chance.choices(WORDS, k=count))


def jpeg() -> Picture:
    """Noise of 640x480, which no compression makes smaller: about 221 kB."""
    buffer = BytesIO()
    Image.merge("RGB", [Image.effect_noise((640, 480), 90) for _ in range(3)]).save(buffer, "JPEG", quality=82)
    return Picture.load(buffer.getvalue())


def variant(base: Picture, number: int) -> Picture:
    """The same pixels under another hash and in another size: bytes after a JPEG's end don't matter to decoders."""
    tail = random.Random(number).randbytes(4 + number * 61 % 4096)
    picture = Picture(base.data + tail, base.mime, base.width, base.height, name=f"photo{number}")
    picture.__dict__.update(likeness=base.likeness)
    picture.key  # noqa: B018 - hashed before the clock starts
    return picture


class Raw:
    """Plain sqlite3: what one would write by hand for the same facts."""

    def __init__(self, path: Path, durability: str) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute(f"PRAGMA synchronous = {durability}")
        self.db.executescript(
            "CREATE TABLE conversations (id INTEGER PRIMARY KEY, name TEXT UNIQUE, head INTEGER, created REAL,"
            " updated REAL);"
            "CREATE TABLE blobs (key TEXT PRIMARY KEY, mime TEXT, width INTEGER, height INTEGER, data BLOB);"
            "CREATE TABLE names (conversation INTEGER, name TEXT, key TEXT, UNIQUE (conversation, name));"
            "CREATE TABLE turns (id INTEGER PRIMARY KEY, conversation INTEGER, parent INTEGER, role TEXT, image TEXT,"
            " created REAL, text TEXT, tokens BLOB);"
            "CREATE INDEX turns_conversation ON turns (conversation);"
            "CREATE VIRTUAL TABLE turns_fts USING fts5 (text, content=turns, content_rowid=id);"
            "INSERT INTO conversations VALUES (1, 'bench', NULL, 0, 0);"
        )

    def append(self, step: Step) -> None:
        """One transaction."""
        self.db.execute("BEGIN IMMEDIATE")
        self.keep(step)
        self.db.execute("COMMIT")

    def keep(self, step: Step) -> None:
        """The rows of one turn."""
        db, picture, now = self.db, step.picture, time.time()
        if picture and not db.execute("SELECT 1 FROM blobs WHERE key = ?", (picture.key,)).fetchone():
            size = (picture.width, picture.height)
            db.execute("INSERT INTO blobs VALUES (?, ?, ?, ?, ?)", (picture.key, picture.mime, *size, picture.data))
            db.execute("INSERT INTO names VALUES (1, ?, ?)", (picture.name, picture.key))
        tokens = None if step.tokens is None else struct.pack(f"<{len(step.tokens)}i", *step.tokens)
        (head,) = db.execute("SELECT head FROM conversations WHERE id = 1").fetchone()
        turn = db.execute(
            "INSERT INTO turns (conversation, parent, role, image, created, text, tokens) VALUES (1, ?, ?, ?, ?, ?, ?)",
            (head, step.role, picture.name if picture else None, now, step.text, tokens),
        ).lastrowid
        db.execute("INSERT INTO turns_fts (rowid, text) VALUES (?, ?)", (turn, step.text))
        db.execute("UPDATE conversations SET head = ?, updated = ? WHERE id = 1", (turn, now))

    def last(self, count: int) -> list[object]:
        """The last turns, newest first."""
        query = "SELECT id, role, text, tokens, image FROM turns WHERE conversation = 1 ORDER BY id DESC LIMIT ?"
        return self.db.execute(query, (count,)).fetchall()

    def search(self, word: str) -> list[object]:
        """The newest turns that hold a word."""
        return self.db.execute(
            "SELECT rowid, snippet(turns_fts, 0, '', '', '...', 16) FROM turns_fts WHERE turns_fts MATCH ? "
            "ORDER BY rowid DESC LIMIT 20",
            (f'"{word}"',),
        ).fetchall()

    def list(self) -> list[object]:
        """The conversations, last changed first."""
        return self.db.execute(
            "SELECT id, name, head, created, updated FROM conversations ORDER BY updated DESC"
        ).fetchall()


class Ours:
    """looktwice's memory, used as the agent uses it."""

    def __init__(self, path: Path, durability: Literal["full", "normal"]) -> None:
        self.memory = Memory(path, durability=durability)
        self.chat = self.memory.conversations.open("bench")

    def append(self, step: Step) -> None:
        """As a question with its pictures is kept before a model runs, and an answer after."""
        memory, parts = self.memory, (TextPart(step.text),)
        if step.picture is None:
            memory.turns.append(self.chat, Turn(step.role, parts, tokens=step.tokens))
            return
        with memory.atomic():
            name = memory.pictures.add(self.chat, step.picture).name
            memory.turns.append(self.chat, Turn(step.role, (ImagePart(name), *parts)))


def measure_appends(
    report: Report, folder: Path, durability: Literal["full", "normal"], sizes: list[int]
) -> tuple[Raw, Ours]:
    """Print append times when the conversation reaches each size; returns both sides, filled."""
    raw, ours = Raw(folder / f"raw-{durability}.db", durability), Ours(folder / f"ours-{durability}.db", durability)
    supply, done = steps(sizes[-1]), 0
    for size in sizes:
        fill(raw, ours, supply, size - min(WINDOW, size) - done)
        left = min(WINDOW, size)
        pairs = [timed_block(raw, ours, supply, number) for number in range(left // BLOCK)]
        done = size
        ratio = statistics.median(b / a for a, b in pairs)
        goal = 1.15 if durability == "full" else 1.5
        theirs, mine = (statistics.median(side) / BLOCK * 1e3 for side in zip(*pairs, strict=True))
        report.row(f"append at {size} turns, {durability}, ms", theirs, mine, ratio, f"{goal} times", ratio <= goal)
    return raw, ours


def fill(raw: Raw, ours: Ours, supply: Iterator[Step], count: int) -> None:
    """Append without the clock, and start both with an empty log."""
    raw.db.execute("BEGIN")
    with ours.memory.atomic():
        for _ in range(count):
            step = next(supply)
            raw.keep(step)
            ours.append(step)
    raw.db.execute("COMMIT")
    raw.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    beside = sqlite3.connect(ours.memory.path)
    beside.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    beside.close()


def timed_block(raw: Raw, ours: Ours, supply: Iterator[Step], number: int) -> tuple[float, float]:
    """Seconds for the same few turns on each side; who goes first alternates."""
    block = [next(supply) for _ in range(BLOCK)]
    sides: list[Raw | Ours] = [raw, ours] if number % 2 else [ours, raw]
    spent: dict[int, float] = {}
    for side in sides:
        start = time.perf_counter()
        for step in block:
            side.append(step)
        spent[id(side)] = time.perf_counter() - start
    return spent[id(raw)], spent[id(ours)]


def measure_file(report: Report, ours: Ours, raw: Raw, count: int) -> None:
    unique: dict[str, int] = {}
    text = 0
    for step in steps(count):
        text += len(step.text.encode()) + 4 * len(step.tokens or ())
        if step.picture:
            unique[step.picture.key] = len(step.picture.data)
    payload = text + sum(unique.values())
    ours.memory.close()
    raw.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    theirs = Path(raw.db.execute("PRAGMA database_list").fetchone()[2]).stat().st_size
    size = Path(ours.memory.path).stat().st_size
    ratio = size / payload
    what = f"file / unique payload, {count} turns ({payload / 1e6:.1f} MB)"
    report.row(what, theirs / payload, ratio, size / theirs, "1.03 of the payload", ratio <= 1.03)


def measure_reads(report: Report, ours: Ours, raw: Raw, count: int) -> None:
    memory = ours.memory
    head = memory.conversations.get("bench").head
    compare(report, f"last 20 of {count} turns", lambda: raw.last(20), lambda: memory.turns.branch(head, last=20), 0.5)
    raw_open = lambda: raw.last(1000)  # noqa: E731
    compare(report, "open 1000 turns, pictures lazily", raw_open, lambda: open_1000(memory), 2.0)
    word = WORDS[17]
    compare(
        report, f"search a common word in {count} turns", lambda: raw.search(word), lambda: memory.search(word), 0.5
    )


def open_1000(memory: Memory) -> list[Turn]:
    return memory.turns.branch(memory.conversations.get("bench").head, last=1000)


def measure_list(report: Report, folder: Path) -> None:
    raw, memory = Raw(folder / "raw-list.db", "normal"), Memory(folder / "ours-list.db", durability="normal")
    with memory.atomic():
        for number in range(1000):
            memory.conversations.create(f"chat {number}")
            raw.db.execute(
                "INSERT INTO conversations (name, created, updated) VALUES (?, 0, ?)", (f"chat {number}", number)
            )
    compare(report, "list 1000 conversations", raw.list, memory.conversations.list, 1.0)


def compare(report: Report, what: str, raw: Callable[[], object], ours: Callable[[], object], goal: float) -> None:
    """Print the medians of both, run in turn; ``goal`` is milliseconds."""
    pairs = [(clock(raw), clock(ours)) for _ in range(41)]
    theirs, mine = (statistics.median(side) * 1e3 for side in zip(*pairs, strict=True))
    report.row(f"{what}, ms", theirs, mine, mine / theirs, f"{goal} ms", mine <= goal)


def clock(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="100 and 1000 turns only")
    parser.add_argument("--folder", default=".", help="where to write, about 600 MB; a real disk (default: here)")
    add_json(parser)
    options = parser.parse_args()
    sizes = [100, 1000] if options.quick else [100, 1000, 10000]
    about = f"up to {sizes[-1]} turns, against plain sqlite3"
    with (
        tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as name,
        Report(options, about, "sqlite", "pillow") as report,
    ):
        sides = {"sqlite3": "{:.3f}", "looktwice": "{:.3f}", "ratio": "{:.2f}"}
        report.table({"": "{}"} | sides | {"goal": "{}", "met": "{}"})
        folder = Path(name)
        for durability in ("full", "normal"):
            raw, ours = measure_appends(report, folder, durability, sizes)
            if durability == "full":
                measure_reads(report, ours, raw, sizes[-1])
                measure_file(report, ours, raw, sizes[-1])
            ours.memory.close()
            raw.db.close()
        measure_list(report, folder)


if __name__ == "__main__":
    sys.exit(main())
