# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
"""A LangGraph with a checkpointer: pictures that travel by ``file_id`` keep the checkpoints small.

The same conversation twice, once with the pictures' bytes in the messages and once with their ``file_id`` alone; it
prints how many bytes each step's checkpoint takes. Run it without arguments; it draws its pictures and keeps nothing.
Needs: pip install 'looktwice[langchain]'
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

from drawing import scene
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from PIL import Image

from looktwice.agent.langchain import ChatLookTwice
from looktwice.memory import Memory

QUESTIONS = (
    "What colour is the circle in @wall?",
    "What colour is the circle in @door?",
    "Where is the blue square in @wall?",
)
SIZE = (1440, 1440)
THREAD: RunnableConfig = {"configurable": {"thread_id": "house"}}


def photo(image: Image.Image, name: str) -> dict[str, Any]:
    """A content block with the picture's bytes: a JPEG of a camera's size, with a camera's grain."""
    grain = Image.effect_noise(SIZE, 60).convert("RGB")
    buffer = io.BytesIO()
    Image.blend(image.resize(SIZE), grain, 0.1).save(buffer, "JPEG", quality=90)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return {"type": "image", "base64": encoded, "mime_type": "image/jpeg", "extras": {"name": name}}


def hold(model: ChatLookTwice, pictures: Sequence[dict[str, Any]], saver: InMemorySaver) -> list[str]:
    """Ask all questions in one thread of a graph, the pictures with the first; gives the answers."""

    def look(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("look", look)
    graph.add_edge(START, "look")
    compiled: Any = graph.compile(checkpointer=saver)
    answers: list[str] = []
    for number, question in enumerate(QUESTIONS):
        blocks: list[Any] = [*(pictures if number == 0 else ()), {"type": "text", "text": question}]
        state = compiled.invoke({"messages": [HumanMessage(blocks)]}, THREAD)
        answers.append(state["messages"][-1].text)
    return answers


def step_sizes(saver: InMemorySaver) -> list[int]:
    """Bytes of each checkpoint that holds messages, oldest first, as a checkpointer writes them."""
    checkpoints = [kept.checkpoint for kept in saver.list(THREAD)]
    return [len(saver.serde.dumps_typed(c)[1]) for c in reversed(checkpoints) if "messages" in c["channel_values"]]


def main() -> None:
    model = ChatLookTwice(model="pocket", memory=Memory(":memory:"))
    wall = scene("red circle at top left", "green triangle at top right", "blue square at bottom right")
    door = scene("purple square at left", "yellow circle at centre", "orange triangle at bottom")
    whole = [photo(wall, "wall"), photo(door, "door")]
    by_name = [model.album.block(model.album.keep(block)) for block in whole]  # the bytes stay in the model's memory

    with_bytes, with_ids = InMemorySaver(), InMemorySaver()
    answers = hold(model, whole, with_bytes)
    assert hold(model, by_name, with_ids) == answers
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(question, answer)
    sizes = list(zip(step_sizes(with_bytes), step_sizes(with_ids), strict=True))
    for step, (large, small) in enumerate(sizes, 1):
        print(f"step {step}: {large} bytes with base64, {small} with file_id")
    print(f"all steps: {sum(large for large, _ in sizes)} bytes, {sum(small for _, small in sizes)} bytes")
    kept = sum(model.album.named(name).size for name in model.album.names())
    print(f"the pictures, kept once in the model's memory: {kept} bytes")


if __name__ == "__main__":
    main()
