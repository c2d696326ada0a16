"""A server under load, and one that is killed in the middle of it.

    python benchmarks/server.py                                # 32 clients for two minutes, then 10 s and kill -9
    python benchmarks/server.py --clients 8 --seconds 20       # shorter

The server is ``looktwice serve`` with pocket in a process of its own; the clients are OpenAI's, on loopback, all at
once. Each client has a picture of its own with a truth of its own, asks about it in turns, and holds every answer
against what the model says to the same question asked alone before: an answer that belongs to another client is found.
Half of them keep a conversation on the server, half send the whole conversation each time, streamed; both begin anew
after so many turns. Then once more, all with conversations that are kept, and a kill -9 in the middle: what a client
was told must be in the file.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import io
import os
import platform
import random
import re
import signal
import statistics
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import starlette
import torch
import uvicorn
from openai import AsyncOpenAI

from looktwice import Agent, Memory
from looktwice.world import Scene, Shape, random_scene

TURNS = 6  # of a conversation, before the next one
REUSE_MB = 100  # for computed prefixes, so that they are full before the clients are done


@dataclass(frozen=True)
class Client:
    """Somebody with a picture: its data URL, and the questions about it with what they are answered alone."""

    number: int
    url: str
    answers: dict[str, str]


@dataclass
class Told:
    """What came back, over all clients."""

    seconds: list[float] = field(default_factory=list[float])
    first: list[float] = field(default_factory=list[float])
    lost: int = 0
    mixed: int = 0
    kept: list[tuple[str, int, str]] = field(default_factory=list[tuple[str, int, str]])
    memory: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])


def pictures(number: int) -> list[Scene]:
    """Scenes of one thing each, no two alike."""
    rng, found = random.Random(11), dict[tuple[str, ...], Scene]()
    while len(found) < number:
        scene = random_scene(rng, shapes=1)
        thing = scene.things[0]
        if isinstance(thing, Shape):
            found.setdefault((thing.colour, thing.kind, scene.place(thing)), scene)
    return list(found.values())


def make_clients(number: int) -> list[Client]:
    made: list[Client] = []
    with Agent("pocket", memory=":memory:", tools=()) as agent:
        for place, scene in enumerate(pictures(number)):
            buffer = io.BytesIO()
            scene.image().save(buffer, "PNG")
            kind, answers = scene.shapes[0].kind, dict[str, str]()
            chat = agent.chat(str(place))
            chat.add(buffer.getvalue(), "picture")
            for question in (f"What colour is the {kind}?", f"Where is the {kind}?"):
                answers[question] = chat.fork().ask(question).text
            made.append(Client(place, f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}", answers))
    return made


@contextlib.contextmanager
def serving(database: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    program = Path(sysconfig.get_path("scripts")) / "looktwice"
    command = [str(program), "serve", "--port", "0", "--db", str(database), "--reuse-mb", str(REUSE_MB)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"http://\S+/v1", line):
                yield process, found.group()
                break
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def message(client: Client, question: str, *, with_picture: bool) -> dict[str, Any]:
    picture: list[Any] = [{"type": "image_url", "image_url": {"url": client.url}}] if with_picture else []
    return {"role": "user", "content": [*picture, {"type": "text", "text": question}]}


async def keep_asking(client: Client, url: str, told: Told, end: float, *, kept: bool) -> None:
    """Ask until the time is over, and hold every answer against the right one."""
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=120) as api:
        turn, history, rng = 0, list[Any](), random.Random(client.number)
        while time.monotonic() < end:
            question = rng.choice(list(client.answers))
            history = [] if turn % TURNS == 0 else history
            history.append(message(client, question, with_picture=not history))
            name = f"client {client.number}, {turn // TURNS}"
            began = time.monotonic()
            try:
                text = await (kept_answer if kept else streamed_answer)(api, history, name, told)
            except openai.OpenAIError:
                told.lost += time.monotonic() < end
                return
            told.seconds.append(time.monotonic() - began)
            told.mixed += text != client.answers[question]
            history.append({"role": "assistant", "content": text})
            turn += 1


async def kept_answer(api: AsyncOpenAI, history: list[Any], name: str, told: Told) -> str:
    headers = {"X-Looktwice-Chat": name}
    reply: Any = await api.chat.completions.create(model="pocket", messages=history[-1:], extra_headers=headers)
    text = reply.choices[0].message.content
    told.kept.append((name, reply.looktwice["turn"], text))
    return text


async def streamed_answer(api: AsyncOpenAI, history: list[Any], name: str, told: Told) -> str:
    began, text = time.monotonic(), ""
    stream: Any = await api.chat.completions.create(model="pocket", messages=history, stream=True)
    async for chunk in stream:
        piece = chunk.choices[0].delta.content or ""
        if piece and not text:
            told.first.append(time.monotonic() - began)
        text += piece
    return text


async def watch(process: subprocess.Popen[str], told: Told, end: float) -> None:
    """Resident memory of the server, in MB, every two seconds."""
    began = time.monotonic()
    while time.monotonic() < end:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+)", status)
        told.memory.append((time.monotonic() - began, int(found.group(1)) / 1024 if found else 0.0))
        await asyncio.sleep(2)


async def load(clients: list[Client], process: subprocess.Popen[str], url: str, seconds: float) -> Told:
    told, end = Told(), time.monotonic() + seconds
    asking = [keep_asking(client, url, told, end, kept=client.number % 2 == 0) for client in clients]
    await asyncio.gather(*asking, watch(process, told, end))
    return told


async def killed(clients: list[Client], process: subprocess.Popen[str], url: str, seconds: float) -> Told:
    """Everybody keeps a conversation; the server is killed while they ask."""
    told, end = Told(), time.monotonic() + seconds
    asking = [keep_asking(client, url, told, end + 60, kept=True) for client in clients]

    async def kill() -> None:
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGKILL)

    await asyncio.gather(*asking, kill())
    return told


def missing(database: Path, told: Told) -> tuple[int, int]:
    """How many acknowledged turns are not in the file as they were told, and how much of the file is damaged."""
    with Memory(database) as memory:
        names = {name for name, _, _ in told.kept}
        turns = {turn.id: turn.text for name in names for turn in memory.turns.all(name)}
        return sum(turns.get(turn) != text for _, turn, text in told.kept), len(memory.verify())


def line(name: str, seconds: list[float]) -> str:
    ordered = sorted(seconds)
    cuts = [ordered[int(len(ordered) * part)] for part in (0.5, 0.95, 0.99)]
    return f"| {name} | {' | '.join(f'{cut:.2f}' for cut in cuts)} | {ordered[-1]:.2f} |"


def report(told: Told, given: argparse.Namespace) -> None:
    print(f"{given.clients} clients, {given.seconds:g} s: {len(told.seconds)} answers, "
          f"{len(told.seconds) / given.seconds:.1f} a second, {told.lost} lost, {told.mixed} mixed up\n")  # fmt: skip
    print("| seconds | p50 | p95 | p99 | most |\n|---|---|---|---|---|")
    print(line("to the answer", told.seconds))
    print(line("to the first word of a stream", told.first))
    quarters = [statistics.mean(quarter(told.memory, given.seconds, number)) for number in range(4)]
    print(f"\nmemory of the server in each quarter of the time, MB: {', '.join(f'{mb:.0f}' for mb in quarters)}")


def quarter(memory: list[tuple[float, float]], seconds: float, number: int) -> list[float]:
    return [mb for second, mb in memory if number <= 4 * second / seconds < number + 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--kill-after", type=float, default=10.0)
    given = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}, "
        f"starlette {starlette.__version__}, uvicorn {uvicorn.__version__}, openai {openai.__version__}\n"
    )
    clients = make_clients(given.clients)
    with tempfile.TemporaryDirectory() as folder:
        with serving(Path(folder) / "load.db") as (process, url):
            report(asyncio.run(load(clients, process, url, given.seconds)), given)
        with serving(Path(folder) / "killed.db") as (process, url):
            told = asyncio.run(killed(clients, process, url, given.kill_after))
        lost, damaged = missing(Path(folder) / "killed.db", told)
        print(f"\nkill -9 after {given.kill_after:g} s: {len(told.kept)} answers acknowledged, {lost} of them missing, "
              f"{damaged} rows damaged")  # fmt: skip


if __name__ == "__main__":
    main()
