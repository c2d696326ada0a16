"""One conversation with pictures, kept by looktwice and by others: bytes of the file, time to keep a turn and to load.

    python benchmarks/stores.py --install                # the others, in a fresh environment from the package index
    python benchmarks/stores.py --python DIR/bin/python  # in one that has openai-agents, llm, langchain-community,
                                                         # langgraph and langgraph-checkpoint-sqlite already

Questions and answers in turn; every fifth question brings a JPEG, and each second of those was sent before. Each store
is used as its documentation shows it, with its own settings, in a process of its own: openai-agents' `SQLiteSession`
and LangChain's `SQLChatMessageHistory` with the picture as base64 in the message, `llm` with an attachment, langgraph's
`SqliteSaver` under a graph of one node. Nothing answers: the answers are given. Loading is a new process that reads the
whole conversation with its pictures' bytes. Some keep more than a conversation: langgraph's checkpoints are every state
of the graph, and llm's log is of the prompts.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import venv
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from report import Report, add_json

NEEDED = ("openai-agents", "llm", "langchain-community", "greenlet", "langgraph", "langgraph-checkpoint-sqlite")
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("lo", "mer", "nt", "sia", "ck")]

_BEGIN = """
import base64, json, sys, time
from importlib.metadata import version
way, workload, path = sys.argv[1:]
turns = [json.loads(line) for line in open(workload)]
url = lambda turn: "data:image/jpeg;base64," + turn["image"]
spent = []

class Clock:
    def __enter__(self):
        self.began = time.perf_counter()
    def __exit__(self, *raised):
        spent.append(time.perf_counter() - self.began)

def told(name, pictures):
    print(json.dumps({"version": version(name), "spent": spent, "pictures": pictures}))
"""

WAYS = {
    "looktwice": """
from looktwice.memory import ImagePart, Memory, Picture, TextPart, Turn
memory = Memory(path)
if way == "write":
    chat = memory.conversations.open("bench")
    for turn in turns:
        with Clock():
            parts = [TextPart(turn["text"])]
            with memory.atomic():
                if turn["image"]:
                    picture = Picture.load(base64.b64decode(turn["image"]))
                    parts.insert(0, ImagePart(memory.pictures.add(chat, picture).name))
                memory.turns.append(chat, Turn(turn["role"], tuple(parts)))
    told("looktwice", 0)
else:
    with Clock():
        chat = memory.conversations.get("bench")
        keys = {picture.name: picture.key for picture in memory.pictures.all(chat)}
        shown = [memory.pictures.data(keys[name]) for turn in memory.turns.branch(chat.head) for name in turn.images]
    told("looktwice", len(shown))
memory.close()
""",
    "llm": """
import llm, sqlite_utils
from llm.cli import load_conversation
from llm.migrations import migrate

class Given(llm.Model):
    model_id = "given"
    attachment_types = {"image/jpeg"}
    def execute(self, prompt, stream, response, conversation):
        yield self.text

given = Given()
if way == "write":
    database = sqlite_utils.Database(path)
    migrate(database)
    conversation = given.conversation()
    for question, answer in zip(turns[::2], turns[1::2]):
        given.text, attached = answer["text"], []
        if question["image"]:
            attached = [llm.Attachment(content=base64.b64decode(question["image"]), type="image/jpeg")]
        response = conversation.prompt(question["text"], attachments=attached)
        response.text()
        with Clock():
            response.log_to_db(database)
        spent[-1:] = [spent[-1] / 2] * 2
    told("llm", 0)
else:
    llm.get_model = lambda *given_: given
    llm.cli.get_model = llm.get_model
    with Clock():
        conversation = load_conversation(None, database=path)
        parts = [part for message in conversation.loaded_messages for part in message.parts]
        shown = [part.attachment.content for part in parts if getattr(part, "attachment", None)]
    told("llm", len(shown))
""",
    "openai-agents": """
import asyncio
from agents import SQLiteSession

def item(turn):
    kind = "input_text" if turn["role"] == "user" else "output_text"
    content = [{"type": kind, "text": turn["text"]}]
    if turn["image"]:
        content.insert(0, {"type": "input_image", "image_url": url(turn), "detail": "auto"})
    return {"role": turn["role"], "content": content}

async def main():
    session = SQLiteSession("bench", path)
    if way == "write":
        for turn in turns:
            with Clock():
                await session.add_items([item(turn)])
        told("openai-agents", 0)
    else:
        with Clock():
            items = await session.get_items()
        told("openai-agents", sum(part["type"] == "input_image" for one in items for part in one["content"]))
    session.close()

asyncio.run(main())
""",
    "langchain-community": """
from langchain_community.chat_message_histories import SQLChatMessageHistory
from langchain_core.messages import AIMessage, HumanMessage
from sqlalchemy import create_engine

def message(turn):
    if turn["role"] == "assistant":
        return AIMessage(turn["text"])
    picture = [{"type": "image_url", "image_url": {"url": url(turn)}}] if turn["image"] else []
    return HumanMessage([*picture, {"type": "text", "text": turn["text"]}])

history = SQLChatMessageHistory("bench", connection=create_engine("sqlite:///" + path))
if way == "write":
    for turn in turns:
        with Clock():
            history.add_message(message(turn))
    told("langchain-community", 0)
else:
    with Clock():
        messages = history.messages
    parts = [part for one in messages if isinstance(one.content, list) for part in one.content]
    told("langchain-community", sum(part["type"] == "image_url" for part in parts))
""",
    "langgraph-checkpoint-sqlite": """
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph

given = iter(turns[1::2])
graph = StateGraph(MessagesState)
graph.add_node("answer", lambda state: {"messages": [AIMessage(next(given)["text"])]})
graph.add_edge(START, "answer")
thread = {"configurable": {"thread_id": "bench"}}
with SqliteSaver.from_conn_string(path) as saver:
    app = graph.compile(checkpointer=saver)
    if way == "write":
        for turn in turns[::2]:
            picture = [{"type": "image_url", "image_url": {"url": url(turn)}}] if turn["image"] else []
            question = HumanMessage([*picture, {"type": "text", "text": turn["text"]}])
            with Clock():
                app.invoke({"messages": [question]}, thread)
            spent[-1:] = [spent[-1] / 2] * 2
        told("langgraph-checkpoint-sqlite", 0)
    else:
        with Clock():
            messages = app.get_state(thread).values["messages"]
        parts = [part for one in messages if isinstance(one.content, list) for part in one.content]
        told("langgraph-checkpoint-sqlite", sum(part["type"] == "image_url" for part in parts))
""",
}


def workload(turns: int, size: tuple[int, int]) -> tuple[list[dict[str, Any]], int]:
    """The turns, and the bytes of their words and of each distinct picture."""
    rng, sent, made, payload = random.Random(7), list[bytes](), list[dict[str, Any]](), 0
    for number in range(turns):
        text = " ".join(rng.choices(WORDS, k=70 if number % 2 else 35))
        picture: bytes | None = None
        if number % 10 == 0:
            picture = jpeg(number, size) if number % 20 == 0 or not sent else rng.choice(sent)
            payload += 0 if picture in sent else len(picture)
            sent.append(picture)
        payload += len(text)
        image = base64.b64encode(picture).decode() if picture else None
        made.append({"role": "assistant" if number % 2 else "user", "text": text, "image": image})
    return made, payload


def jpeg(number: int, size: tuple[int, int]) -> bytes:
    """A picture with the detail of a photo."""
    rng, buffer = random.Random(number), BytesIO()
    small = Image.frombytes("RGB", (160, 120), rng.randbytes(160 * 120 * 3))
    small.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def ran(python: str, name: str, way: str, workload: Path, kept: Path) -> dict[str, Any]:
    """What a store's process told."""
    command = [python, "-c", _BEGIN + WAYS[name], way, str(workload), str(kept)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def stored(path: Path) -> int:
    """The bytes of a file once its log is written back."""
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--python", help="of an environment that has the others")
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--size", default="640x480", help="of each picture, in pixels")
    add_json(parser)
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    made, payload = workload(given.turns, (width, height))
    pictures = sum(turn["image"] is not None for turn in made)
    about = (
        f"{given.turns} turns, {pictures} pictures of {given.size}, {payload:,} bytes of words and distinct pictures"
    )
    with tempfile.TemporaryDirectory() as name, Report(given, about, "sqlite") as report:
        folder = Path(name)
        python = given.python
        if given.install:
            venv.create(folder / "others", with_pip=True)
            python = str(folder / "others" / "bin" / "python")
            subprocess.run([python, "-m", "pip", "install", "--quiet", *NEEDED], check=True)
        turns = folder / "turns.jsonl"
        turns.write_text("".join(json.dumps(turn) + "\n" for turn in made))
        milliseconds = {"ms to keep a turn, median": "{:.2f}", "with a picture": "{:.2f}", "ms to load": "{:.1f}"}
        report.table({"store": "{}", "bytes": "{:,}", "of the payload": "{:.2f} times"} | milliseconds)
        for store in WAYS if python else ["looktwice"]:
            own = sys.executable if store == "looktwice" else python
            kept = folder / f"{store}.db"
            wrote = ran(own, store, "write", turns, kept)
            size = stored(kept)
            read = ran(own, store, "read", turns, kept)
            if read["pictures"] != pictures:
                raise SystemExit(f"{store} gave {read['pictures']} pictures of {pictures} back")
            spent = [1000 * seconds for seconds in wrote["spent"]]
            shown = statistics.median(ms for ms, turn in zip(spent, made, strict=True) if turn["image"])
            middle, load = statistics.median(spent), 1000 * read["spent"][0]
            report.row(f"{store} {wrote['version']}", size, size / payload, middle, shown, load)


if __name__ == "__main__":
    main()
