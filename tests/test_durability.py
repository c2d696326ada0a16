"""What was acknowledged stays: processes killed while they append, and many that write at once.

``LOOKTWICE_KILLS`` is how many processes to kill (20 if not set); a release is tried with 200.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from looktwice.memory import Memory

KILLS = int(os.environ.get("LOOKTWICE_KILLS", "20"))

APPENDS = """
import os, sys
from PIL import Image
from looktwice.memory import ImagePart, Memory, Picture, TextPart, Turn
memory = Memory(sys.argv[1])
chat = memory.conversations.open("trip")
step = 0
while True:
    step += 1
    picture = Picture.load(Image.frombytes("RGB", (100, 100), os.urandom(30_000)))
    with memory.atomic():
        name = memory.pictures.add(chat, picture).name
        turn = memory.turns.append(chat, Turn("user", (TextPart(f"step {step}"), ImagePart(name))))
    os.write(1, f"{turn.id} {picture.key}\\n".encode())
"""

WRITES = """
import sys
from looktwice.memory import ImagePart, Memory, Picture, TextPart, Turn
from PIL import Image
number = int(sys.argv[2])
memory = Memory(sys.argv[1], timeout=60)
chat = memory.conversations.open("trip")
for step in range(25):
    with memory.atomic():
        head = memory.conversations.get(chat).head
        picture = memory.pictures.add(chat, Picture.load(Image.new("RGB", (9, 9), (number, step, 0))))
        turn = memory.turns.append(chat, Turn("user", (TextPart(f"{number}.{step}"), ImagePart(picture.name))))
        assert turn.parent == head
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


def test_a_killed_process_loses_nothing_it_acknowledged_and_leaves_no_half_turn(tmp_path: Path) -> None:
    path = str(tmp_path / "chat.db")
    Memory(path).close()
    chance = random.Random(3)
    acknowledged: list[str] = []
    for _ in range(KILLS):
        child = start(APPENDS, path)
        assert child.stdout is not None
        acknowledged.append(child.stdout.readline())
        time.sleep(chance.uniform(0, 0.03))
        child.send_signal(signal.SIGKILL)
        acknowledged += child.stdout.readlines()
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
    with Memory(path) as memory:
        turns = {turn.id: turn for turn in memory.turns.all("trip")}
        keys = {picture.name: picture.key for picture in memory.pictures.all("trip")}
        for line in acknowledged:
            turn_id, key = line.split()
            assert keys[turns[int(turn_id)].images[0]] == key
        # Each turn has its words and its picture, each picture its turn, and the tree is one line.
        assert all(turn.text.startswith("step ") and len(turn.images) == 1 for turn in turns.values())
        assert sorted(name for turn in turns.values() for name in turn.images) == sorted(keys)
        assert memory.turns.branch(memory.conversations.get("trip").head) == list(turns.values())
        assert memory.verify() == []
    assert len(acknowledged) >= KILLS


def test_eight_processes_write_at_once_without_a_failure(tmp_path: Path) -> None:
    path = str(tmp_path / "chat.db")
    children = [start(WRITES, path, str(number)) for number in range(8)]
    for child in children:
        child.communicate(timeout=120)
    assert [child.returncode for child in children] == [0] * 8
    with Memory(path) as memory:
        turns = memory.turns.branch(memory.conversations.get("trip").head)
        assert sorted(turn.text for turn in turns) == sorted(f"{n}.{step}" for n in range(8) for step in range(25))
        assert len(memory.pictures.all("trip")) == 200
        assert memory.verify() == []
