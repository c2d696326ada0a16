"""What pictures cost in LangChain: tokens computed, bytes of a kept history, bytes of LangGraph's checkpoints.

    pip install langchain-community langgraph langgraph-checkpoint-sqlite
    python benchmarks/langchain.py [--turns 10] [--size 640x480]

Everything is measured on the pocket checkpoint in one run, each way with the same questions and pictures: a new JPEG
every third turn, and the first one sent again in the last turn, as applications do.

History: `RunnableWithMessageHistory` around the chat model, once with `LookTwiceChatMessageHistory`, once with
langchain_community's `SQLChatMessageHistory` on SQLite, which keeps each message as JSON with the picture in base64.
Tokens are "new" if the prompt grew by them and no answer before had them. They are counted with ours, which runs first:
the second session finds what the first computed, as all chat models of one process share what they know.

Checkpoints: a graph of one node that answers, with langgraph's `SqliteSaver`, once with pictures in base64 in the
messages, once with the ``file_id`` of pictures that a memory keeps; the bytes of that memory's file are printed too.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import io
import platform
import random
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables.history import RunnableWithMessageHistory
from PIL import Image

from looktwice.agent.langchain import ChatLookTwice, LookTwiceChatMessageHistory
from looktwice.memory import Memory, Picture

NEEDED = ("langchain-community", "langgraph", "langgraph-checkpoint-sqlite")
QUESTIONS = ("What colour is the circle?", "Is there a square?", "How many circles are there?", "What shape is red?")
MAX_TOKENS = 24


@dataclass(frozen=True)
class Talk:
    """A session as it was kept: prompt tokens computed, those that were new, the answers, bytes of the file."""

    computed: int
    new: int
    answers: list[str]
    size: int


@dataclass(frozen=True)
class Steps:
    """A thread of the graph: its checkpoints, their bytes with the writes between them, bytes of the file."""

    count: int
    stored: int
    size: int


def jpeg(number: int, size: tuple[int, int]) -> bytes:
    """A picture with the detail of a photo."""
    rng, buffer = random.Random(number), io.BytesIO()
    small = Image.frombytes("RGB", (160, 120), rng.randbytes(160 * 120 * 3))
    small.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def in_base64(data: bytes) -> dict[str, Any]:
    return {"type": "image", "base64": base64.b64encode(data).decode(), "mime_type": "image/jpeg"}


def questions(pictures: Sequence[bytes | None], block: Callable[[bytes], dict[str, Any]]) -> list[HumanMessage]:
    """One message for each turn, with its picture if it has one."""
    asked = [QUESTIONS[turn % len(QUESTIONS)] for turn in range(len(pictures))]
    return [
        HumanMessage([block(picture), {"type": "text", "text": words}]) if picture else HumanMessage(words)
        for words, picture in zip(asked, pictures, strict=True)
    ]


def talked(
    messages: Sequence[HumanMessage], model: ChatLookTwice, open_history: Callable[[str], BaseChatMessageHistory]
) -> Talk:
    """The session through LangChain's own wrapper; ``size`` is filled in once the file is closed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LangChain has announced that this wrapper goes with version 2
        chain = RunnableWithMessageHistory(model, open_history)
    answers = [chain.invoke([message], {"configurable": {"session_id": "bench"}}) for message in messages]
    usages = [answer.usage_metadata for answer in answers if isinstance(answer, AIMessage) and answer.usage_metadata]
    reused = sum(usage.get("input_token_details", {}).get("cache_read", 0) for usage in usages)
    computed = sum(usage["input_tokens"] for usage in usages) - reused
    new = usages[-1]["input_tokens"] - sum(usage["output_tokens"] for usage in usages[:-1])
    return Talk(computed, new, [answer.text for answer in answers], 0)


def sized(talk: Talk, file: Path) -> Talk:
    return Talk(talk.computed, talk.new, talk.answers, file.stat().st_size)


def with_ours(messages: Sequence[HumanMessage], folder: Path) -> Talk:
    with Memory(folder / "ours.db") as memory:
        model = ChatLookTwice(memory=memory, max_tokens=MAX_TOKENS)
        talk = talked(messages, model, lambda session: LookTwiceChatMessageHistory(session, memory=memory))
    return sized(talk, folder / "ours.db")


def with_sql(messages: Sequence[HumanMessage], folder: Path) -> Talk:
    history: Any = importlib.import_module("langchain_community.chat_message_histories").SQLChatMessageHistory
    engine = importlib.import_module("sqlalchemy").create_engine(f"sqlite:///{folder / 'sql.db'}")
    model = ChatLookTwice(memory=Memory(":memory:"), max_tokens=MAX_TOKENS)
    talk = talked(messages, model, lambda session: history(session, connection=engine))
    engine.dispose()
    return sized(talk, folder / "sql.db")


def stepped(messages: Sequence[HumanMessage], memory: Memory, file: Path) -> Steps:
    """The thread through a graph with a checkpointer."""
    graph: Any = importlib.import_module("langgraph.graph")
    saver: Any = importlib.import_module("langgraph.checkpoint.sqlite").SqliteSaver
    model = ChatLookTwice(memory=memory, max_tokens=MAX_TOKENS)

    def answer(state: dict[str, list[BaseMessage]]) -> dict[str, list[BaseMessage]]:
        return {"messages": [model.invoke(state["messages"])]}

    plan = graph.StateGraph(graph.MessagesState)
    plan.add_node("answer", answer)
    plan.add_edge(graph.START, "answer")
    with saver.from_conn_string(str(file)) as checkpointer:
        app = plan.compile(checkpointer=checkpointer)
        for message in messages:
            app.invoke({"messages": [message]}, {"configurable": {"thread_id": "bench"}})
    with sqlite3.connect(file) as kept:
        count, stored = kept.execute("SELECT count(*), sum(length(checkpoint)) FROM checkpoints").fetchone()
        (written,) = kept.execute("SELECT sum(length(value)) FROM writes").fetchone()
    kept.close()
    return Steps(count, stored + written, file.stat().st_size)


def checkpoints(pictures: Sequence[bytes | None], folder: Path) -> tuple[Steps, Steps, int]:
    """The thread with base64, the same by file_id, and the bytes of the memory that has the pictures then."""
    with Memory(":memory:") as memory:
        plain = stepped(questions(pictures, in_base64), memory, folder / "base64.db")
    with Memory(folder / "pictures.db") as memory:
        memory.conversations.create("langchain")

        def by_id(data: bytes) -> dict[str, Any]:
            return {"type": "image", "file_id": memory.pictures.add("langchain", Picture.load(data)).key}

        lean = stepped(questions(pictures, by_id), memory, folder / "file_id.db")
    return plain, lean, (folder / "pictures.db").stat().st_size


def check_installed() -> None:
    """Stop with one line if an opponent is missing."""
    for module in ("langchain_community", "sqlalchemy", "langgraph.graph", "langgraph.checkpoint.sqlite"):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise SystemExit(f"{module} is not installed; run: pip install {' '.join(NEEDED)}") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--size", default="640x480", help="of each picture, in pixels")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)
    # This file has the name of a package that others may want to import.
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).resolve().parent]
    check_installed()
    width, height = map(int, chosen.size.split("x"))
    turns = range(chosen.turns)
    number = {turn: turn for turn in turns if turn % 3 == 0} | {turns[-1]: 0}
    pictures = [jpeg(number[turn], (width, height)) if turn in number else None for turn in turns]
    sizes = [len(picture) for picture in pictures if picture]
    distinct = len({*pictures} - {None})
    packages = ", ".join(f"{name} {version(name)}" for name in ("langchain-core", *NEEDED, "torch"))
    print(f"{platform.machine()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}")
    print(f"{chosen.turns} turns, {len(sizes)} pictures sent ({sum(sizes):,} bytes), {distinct} distinct\n")
    with tempfile.TemporaryDirectory() as folder:
        asked = questions(pictures, in_base64)
        ours, sql = with_ours(asked, Path(folder)), with_sql(asked, Path(folder))
        plain, lean, kept = checkpoints(pictures, Path(folder))
    print("| history | bytes of the file |\n|---|---|")
    for name, talk in (("LookTwiceChatMessageHistory", ours), ("SQLChatMessageHistory", sql)):
        print(f"| {name} | {talk.size:,} |")
    print(f"\nthe same answers with both: {'yes' if ours.answers == sql.answers else 'NO'}")
    print(f"prompt tokens computed / new, with ours: {ours.computed:,} / {ours.new:,} = {ours.computed / ours.new:.3f}")
    print("\n| checkpoints of LangGraph | steps | bytes per step | bytes of the file |\n|---|---|---|---|")
    for name, steps in (("pictures in base64", plain), ("pictures by file_id", lean)):
        print(f"| {name} | {steps.count} | {steps.stored // steps.count:,} | {steps.size:,} |")
    print(f"\nthe memory that keeps the pictures of the second: {kept:,} bytes")


if __name__ == "__main__":
    main()
