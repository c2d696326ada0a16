"""``looktwice serve`` as a process: what it says, whom it lets in, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sysconfig
from pathlib import Path

import httpx
import scenes
from serving import PATIENCE, asking, shown, user
from shell import run

from looktwice import Memory

TOKEN = "0123456789abcdef"
PROGRAM = str(Path(sysconfig.get_path("scripts")) / "looktwice")


def test_a_process_serves_until_it_is_told_to_end_and_keeps_what_it_answered(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    command = [PROGRAM, "serve", "--port", "0", "--db", str(path), "--model", "small=pocket", "--log-requests"]
    environment = {**os.environ, "LOOKTWICE_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment)
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        while said and "answers for" not in said:
            said = process.stderr.readline()
        assert "answers for small; a token is needed" in said
        url = re.findall(r"http://127\.0\.0\.1:\d+/v1", said)[0]
        picture = shown(scenes.scene(("red", "circle", "top left")))
        body = {**asking(user(picture, "What colour is the circle?")), "model": "small"}
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Looktwice-Chat": "walk"}
        assert httpx.post(f"{url}/chat/completions", json=body, timeout=PATIENCE).status_code == 401
        reply = httpx.post(f"{url}/chat/completions", json=body, headers=headers, timeout=PATIENCE).json()
        assert reply["choices"][0]["message"]["content"] == "red"
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(PATIENCE) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert re.search(r"status: POST /v1/chat/completions 401 .*\nstatus: POST /v1/chat/completions 200 ", rest)
    assert "Traceback" not in rest
    with Memory(path) as memory:
        turns = memory.turns.branch(memory.conversations.get("walk").head)
        assert [(turn.role, turn.status) for turn in turns] == [("user", "complete"), ("assistant", "complete")]
        assert memory.verify() == []


def test_what_can_t_be_served_is_said_in_one_line(tmp_path: Path) -> None:
    for options, why in (
        ("--model nothing", "no model 'nothing'"),
        ("--tokens nothing", "can't be read: No such file"),
        ("--host 999.1.1.1", "can be reached from elsewhere"),
        ("--tools nothing", "no tool named 'nothing'"),
    ):
        ran = run(f"looktwice serve --port 0 --db {tmp_path / 'chat.db'} {options}")
        assert (ran.status, ran.stdout) == (1, "")
        assert why in ran.stderr
        assert ran.stderr.count("\n") <= 2
