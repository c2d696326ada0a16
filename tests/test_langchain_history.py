"""The chat history: every message comes back as it went in, from any process, and pictures are kept once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.exceptions import ModelInvalidRequestError
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.runnables.history import RunnableWithMessageHistory
from scenes import scene

from looktwice import Agent, ScriptedBackend
from looktwice.agent.langchain import ChatLookTwice, LookTwiceChatMessageHistory, as_langchain_tools
from looktwice.memory import ImagePart, Memory, TextPart, ToolResultPart, Turn

OF_LANGCHAIN = pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")


def encoded(colour: str, shape: str, place: str) -> bytes:
    buffer = io.BytesIO()
    scene((colour, shape, place), size=(336, 336)).save(buffer, "PNG")
    return buffer.getvalue()


WALL, DOOR = encoded("red", "circle", "top left"), encoded("blue", "square", "right")


def block(data: bytes, **extras: str) -> dict[str, Any]:
    made = {"type": "image", "base64": base64.b64encode(data).decode(), "mime_type": "image/png"}
    return made | ({"extras": extras} if extras else {})


def kept(data: bytes, **extras: str) -> dict[str, Any]:
    """What stands where ``block`` of the same stood."""
    key = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"type": "image", "file_id": key, "mime_type": "image/png", "extras": extras}


def call(name: str, **args: Any) -> ToolCall:
    return ToolCall(name=name, args=args, id="call_1", type="tool_call")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def memory(path: Path) -> Iterator[Memory]:
    with Memory(path) as memory:
        yield memory


@pytest.fixture
def history(memory: Memory) -> LookTwiceChatMessageHistory:
    return LookTwiceChatMessageHistory("alice", memory=memory)


ODD: list[BaseMessage] = [
    SystemMessage("Be brief."),
    SystemMessage("", id="s"),
    SystemMessage([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, "b"]),
    HumanMessage("What is it?", name="Alice", id="run-1", additional_kwargs={"x": [1, None]}),
    HumanMessage(""),
    HumanMessage([]),
    HumanMessage([{"type": "text", "text": "alone"}], mood="extra fields are allowed"),
    HumanMessage(["two", "strings\nof lines"]),
    AIMessage(""),
    AIMessage("", tool_calls=[call("zoom", picture="wall", box=[0, 0, 500, 500])]),
    AIMessage("I look.", tool_calls=[call("a"), ToolCall(name="b", args={"c": {"d": "ü"}}, id=None, type="tool_call")]),
    AIMessage(
        "", invalid_tool_calls=[{"name": "x", "args": "{", "id": "1", "error": "e", "type": "invalid_tool_call"}]
    ),
    AIMessage([{"type": "reasoning", "reasoning": "hm", "id": "r"}, {"type": "text", "text": "So."}]),
    AIMessage(
        [{"type": "text", "text": "x"}, {"type": "tool_use", "id": "call_1", "name": "zoom", "input": {}}],
        tool_calls=[call("zoom")],
        response_metadata={"model_provider": "anthropic", "stop_reason": "tool_use"},
    ),
    AIMessage(
        "Red.",
        usage_metadata={
            "input_tokens": 5,
            "output_tokens": 2,
            "total_tokens": 7,
            "input_token_details": {"cache_read": 3},
        },
        response_metadata={
            "finish_reason": "stop",
            "looktwice": {"ids": [5, 6], "tokenizer": "t", "confidence": 0.5, "looks": [{"tool": "zoom"}]},
        },
    ),
    AIMessage("Blue.", response_metadata={"looktwice": {"ids": [5, 6], "tokenizer": "t"}}),
    AIMessage("Green.", response_metadata={"looktwice": {"ids": [], "tokenizer": None}, "logprobs": None}),
    AIMessageChunk(content="Half", id="run-2", chunk_position="last"),
    AIMessageChunk(
        content="",
        tool_call_chunks=[{"name": "zoom", "args": '{"a": 1', "id": "1", "index": 0, "type": "tool_call_chunk"}],
    ),
    ToolMessage(content="3 coins", tool_call_id="call_1", name="count", artifact={"looktwice": {"data": {"coins": 3}}}),
    ToolMessage(
        content="no", tool_call_id="nobody made this call", status="error", artifact=[1, "two", None, {"x": 2.5}]
    ),
    ToolMessage(
        content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], tool_call_id="", artifact="text"
    ),
]


@pytest.mark.parametrize("message", ODD, ids=repr)
def test_a_message_alone_comes_back_equal_from_another_opening(path: Path, message: BaseMessage) -> None:
    with Memory(path) as memory:
        LookTwiceChatMessageHistory("alice", memory=memory).add_messages([message])
    with Memory(path) as memory:
        (back,) = LookTwiceChatMessageHistory("alice", memory=memory).messages
        assert (type(back), back) == (type(message), message)
        assert memory.verify() == []


def test_messages_come_back_in_the_order_in_which_they_came(history: LookTwiceChatMessageHistory) -> None:
    for message in ODD:
        history.add_message(message)
    history.add_messages(ODD)
    assert history.messages == [*ODD, *ODD]


def test_pictures_of_every_kind_of_message_come_back_by_file_id(
    history: LookTwiceChatMessageHistory, memory: Memory
) -> None:
    text = {"type": "text", "text": "and this"}
    history.add_messages(
        [
            HumanMessage([block(WALL, name="wall"), text, block(DOOR, name="door"), text]),
            AIMessage([block(WALL), {"type": "text", "text": "is like this"}, block(DOOR)]),
            AIMessage("", tool_calls=[call("zoom")]),
            ToolMessage(content=[block(DOOR), text], tool_call_id="call_1"),
        ]
    )
    wall, door = kept(WALL, name="wall"), kept(DOOR, name="door")
    assert [message.content for message in history.messages] == [
        [wall, text, door, text],
        [kept(WALL, name="picture"), {"type": "text", "text": "is like this"}, kept(DOOR, name="picture2")],
        "",
        [kept(DOOR, name="picture2"), text],
    ]
    assert [type(message) for message in history.messages] == [HumanMessage, AIMessage, AIMessage, ToolMessage]
    assert len({picture.key for picture in memory.pictures.all("alice")}) == 2


@pytest.mark.parametrize(
    "shape",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,{}"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "{}"}},
        {"type": "image", "source_type": "base64", "mime_type": "image/png", "data": "{}"},
        {"type": "image", "url": "data:image/png;base64,{}"},
    ],
)
def test_every_shape_of_a_picture_becomes_a_file_id(
    history: LookTwiceChatMessageHistory, path: Path, shape: dict[str, Any]
) -> None:
    given = json.loads(json.dumps(shape).replace("{}", base64.b64encode(WALL).decode()))
    history.add_messages([HumanMessage([given, {"type": "text", "text": "?"}])])
    (message,) = history.messages
    assert isinstance(message.content, list)
    image = message.content[0]
    assert isinstance(image, dict)
    assert {k: image[k] for k in ("type", "file_id")} == {k: kept(WALL)[k] for k in ("type", "file_id")}
    assert base64.b64encode(WALL) not in path.read_bytes() + Path(f"{path}-wal").read_bytes()


def test_what_was_read_can_be_kept_again_in_another_session(
    history: LookTwiceChatMessageHistory, memory: Memory
) -> None:
    history.add_messages([HumanMessage([block(WALL), block(DOOR)])])
    other = LookTwiceChatMessageHistory("bob", memory=memory)
    other.add_messages(history.messages)
    assert other.messages == history.messages


def test_a_picture_known_by_its_name_is_enough(history: LookTwiceChatMessageHistory) -> None:
    history.add_messages([HumanMessage([block(WALL, name="wall")])])
    history.add_messages([HumanMessage([{"type": "image", "file_id": "Wall"}])])
    assert [message.content for message in history.messages] == [[kept(WALL, name="wall")]] * 2


NAMES = st.text(st.characters(codec="utf-8"), max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | NAMES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=2)
TEXTS = st.fixed_dictionaries({"type": st.just("text"), "text": NAMES})
IMAGES = st.sampled_from([block(WALL, name="wall"), block(DOOR, name="door")])
CONTENTS = NAMES | st.lists(TEXTS | IMAGES | NAMES, max_size=4)
THOUGHTS = st.fixed_dictionaries({"type": st.just("reasoning"), "reasoning": NAMES})
CALLS = st.fixed_dictionaries({"name": NAMES, "args": OBJECTS, "id": NAMES, "type": st.just("tool_call")})
COMMON: dict[str, Any] = {
    "id": st.none() | NAMES,
    "name": st.none() | NAMES,
    "additional_kwargs": OBJECTS,
    "response_metadata": OBJECTS,
}
MESSAGES: st.SearchStrategy[list[BaseMessage]] = st.lists(
    st.one_of(
        st.builds(SystemMessage, NAMES | st.lists(TEXTS, max_size=3), **COMMON),
        st.builds(HumanMessage, CONTENTS, **COMMON),
        st.builds(
            AIMessage,
            NAMES | st.lists(TEXTS | IMAGES | THOUGHTS, max_size=4),
            tool_calls=st.lists(CALLS, max_size=2),
            **COMMON,
        ),
        st.builds(
            ToolMessage,
            CONTENTS,
            tool_call_id=NAMES,
            status=st.sampled_from(["success", "error"]),
            artifact=JSON,
            **COMMON,
        ),
    ),
    max_size=5,
)


def lean(message: BaseMessage) -> BaseMessage:
    """The message as it has to come back."""
    if isinstance(message.content, str):
        return message
    names = {block(WALL)["base64"]: kept(WALL, name="wall"), block(DOOR)["base64"]: kept(DOOR, name="door")}
    content = [names.get(item.get("base64"), item) if isinstance(item, dict) else item for item in message.content]
    return message.model_copy(update={"content": content})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches=st.lists(MESSAGES, max_size=3))
def test_nothing_is_lost_on_the_way(batches: Sequence[Sequence[BaseMessage]]) -> None:
    with Memory(":memory:") as memory:
        history = LookTwiceChatMessageHistory("alice", memory=memory)
        for batch in batches:
            history.add_messages(batch)
        assert history.messages == [lean(message) for batch in batches for message in batch]
        assert memory.verify() == []


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (RemoveMessage(id="1"), "a RemoveMessage can't be read; use system, human, AI and tool messages"),
        (
            ChatMessage(content="x", role="pirate"),
            "a ChatMessage can't be read; use system, human, AI and tool messages",
        ),
        (HumanMessage([{"type": "audio", "base64": "AAAA"}]), "a block of type 'audio' can't be read; .*"),
        (
            HumanMessage([{"type": "image", "url": "https://example.org/a.png"}]),
            "'https://example.org/a.png' is a URL.*",
        ),
        (HumanMessage([{"type": "image", "url": "/etc/hostname"}]), "'/etc/hostname' is a path, .*"),
        (HumanMessage([{"type": "image", "file_id": "nobody"}]), "no picture is kept under the file_id 'nobody'; .*"),
        (HumanMessage([block(b"words")]), "the given data holds text, not a picture; .*"),
        (SystemMessage([block(WALL)]), "a system message is words alone, .*"),
        (HumanMessage("half \ud800"), ".* holds half a character .*"),
        (
            ToolMessage(content="x", tool_call_id="1", artifact=(1, 2)),
            r"the artifact of a ToolMessage is not plain JSON: \(1, 2\); .*",
        ),
        (
            ToolMessage(content="x", tool_call_id="1", artifact=[Document("x")]),
            "the artifact of a ToolMessage is not plain JSON: .*",
        ),
        (AIMessage("", tool_calls=[call("a", when={1: 2})]), "the tool_calls of a AIMessage is not plain JSON: .*"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_nothing_of_it_stays(
    history: LookTwiceChatMessageHistory, message: BaseMessage, why: str
) -> None:
    before = [HumanMessage([kept(WALL, name="wall")])]
    history.add_messages([HumanMessage([block(WALL, name="wall")])])
    with pytest.raises(ModelInvalidRequestError, match=f"(?s)^{why}$") as caught:
        history.add_messages([HumanMessage([block(DOOR)]), AIMessage("Blue."), message])
    assert isinstance(caught.value, ValueError)
    assert history.messages == before
    history.add_messages([HumanMessage([block(DOOR)])])
    assert history.messages == [*before, HumanMessage([kept(DOOR, name="picture")])]


@pytest.mark.parametrize("session", ["", "  ", "a\nb", "x" * 201, None, 7])
def test_a_session_that_cannot_be_is_refused_at_once(memory: Memory, session: str) -> None:
    with pytest.raises(ModelInvalidRequestError):
        LookTwiceChatMessageHistory(session, memory=memory)
    assert memory.conversations.list() == []


def test_a_path_is_a_memory_too_and_none_is_one_for_this_process(path: Path) -> None:
    LookTwiceChatMessageHistory("alice", memory=path).add_ai_message("Yes.")
    assert LookTwiceChatMessageHistory("alice", memory=str(path)).messages == [AIMessage("Yes.")]
    LookTwiceChatMessageHistory("of this process").add_user_message("Really?")
    assert LookTwiceChatMessageHistory("of this process").messages == [HumanMessage("Really?")]
    LookTwiceChatMessageHistory("of this process").clear()


def test_a_cleared_session_is_empty_and_its_pictures_are_gone_from_the_file(path: Path) -> None:
    with Memory(path) as memory:
        history = LookTwiceChatMessageHistory("alice", memory=memory)
        seen_before = LookTwiceChatMessageHistory("alice", memory=memory)
        other = LookTwiceChatMessageHistory("bob", memory=memory)
        for one, data in ((history, WALL), (other, DOOR)):
            one.add_messages([HumanMessage([block(data)]), AIMessage("It is the old story.")])
        history.clear()
        history.clear()
        assert (history.messages, len(other.messages)) == ([], 2)
        seen_before.add_messages([AIMessage("Anew."), HumanMessage([block(DOOR, name="wall")])])
        assert [message.text for message in history.messages] == ["Anew.", ""]
    assert WALL[100:200] not in path.read_bytes()
    assert DOOR[100:200] in path.read_bytes()


async def test_the_async_ways_are_the_same_and_do_not_block(history: LookTwiceChatMessageHistory) -> None:
    ticks: list[int] = []

    async def tick() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    clock = asyncio.create_task(tick())
    await history.aadd_messages([HumanMessage([block(WALL)]), AIMessage("Red.")])
    during = len(ticks)
    assert (
        await history.aget_messages()
        == history.messages
        == [HumanMessage([kept(WALL, name="picture")]), AIMessage("Red.")]
    )
    with pytest.raises(ModelInvalidRequestError):
        await history.aadd_messages([RemoveMessage(id="1")])
    await history.aclear()
    assert await history.aget_messages() == []
    clock.cancel()
    assert during > 1


def test_what_our_agent_said_in_the_conversation_is_read_too(memory: Memory) -> None:
    history = LookTwiceChatMessageHistory("alice", memory=memory)
    history.add_messages([HumanMessage("Hello."), AIMessage("Hi.")])
    with Agent(ScriptedBackend(["Red."]), memory=memory) as agent:
        agent.chat("alice").ask("What colour is it?")
    memory.turns.append(
        "alice", Turn("tool", (ToolResultPart("1", "count", "three"), ToolResultPart("2", "count", "two")))
    )
    history.add_messages([AIMessage("Done.", id="x")])
    said = [(type(message), message.text) for message in history.messages]
    assert said[-6:] == [
        (AIMessage, "Hi."),
        (HumanMessage, "What colour is it?"),
        (AIMessage, "Red."),
        (ToolMessage, "three"),
        (ToolMessage, "two"),
        (AIMessage, "Done."),
    ]


def test_the_memory_shows_and_finds_what_langchain_said(history: LookTwiceChatMessageHistory, memory: Memory) -> None:
    history.add_messages(
        [HumanMessage([block(WALL, name="wall"), {"type": "text", "text": "What stands there?"}], id="7")]
    )
    (turn,) = memory.turns.branch(memory.conversations.get("alice").head)
    assert (turn.role, turn.parts) == ("user", (ImagePart("wall"), TextPart("What stands there?")))
    assert dict(turn.meta) == {"langchain": {"id": "7"}}
    assert [hit.turn for hit in memory.search("stands there")] == [turn.id]


WRITER = """
import sys
from langchain_core.messages import AIMessage, HumanMessage
from looktwice.agent.langchain import LookTwiceChatMessageHistory
path, who, image = sys.argv[1:]
history = LookTwiceChatMessageHistory("alice", memory=path)
print("ready", flush=True)
sys.stdin.readline()
for number in range(25):
    block = {"type": "image", "base64": image, "mime_type": "image/png"}
    history.add_messages([HumanMessage([block], id=f"{who} {number}"), AIMessage(f"{who} {number}")])
"""


def test_two_processes_append_to_one_session_at_once_and_nothing_is_lost(path: Path, memory: Memory) -> None:
    image = base64.b64encode(WALL).decode()
    commands = [[sys.executable, "-c", WRITER, str(path), who, image] for who in ("a", "b")]
    pipe = subprocess.PIPE
    writers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for command in commands]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    messages = LookTwiceChatMessageHistory("alice", memory=memory).messages
    pairs = [(question.id, answer.text) for question, answer in zip(messages[::2], messages[1::2], strict=True)]
    assert all(asked == answered for asked, answered in pairs)
    for who in ("a", "b"):
        assert [asked for asked, _ in pairs if asked and asked.startswith(who)] == [f"{who} {n}" for n in range(25)]
    assert len(pairs) == 50
    assert len(memory.pictures.all("alice")) == 1
    assert memory.verify() == []


def with_history(model: ChatLookTwice, memory: Memory) -> RunnableWithMessageHistory:
    def opened(session_id: str) -> LookTwiceChatMessageHistory:
        return LookTwiceChatMessageHistory(session_id, memory=memory)

    return RunnableWithMessageHistory(model, opened)


QUESTIONS = ("What colour is the circle?", "Is there a square?", "How many circles are there?", "What shape is red?")


@OF_LANGCHAIN
def test_ten_turns_compute_only_what_is_new(memory: Memory) -> None:
    model = ChatLookTwice(memory=memory, max_tokens=24)
    chain = with_history(model, memory)
    config: Any = {"configurable": {"session_id": "alice"}}
    chain.invoke([HumanMessage([block(WALL, name="wall"), {"type": "text", "text": QUESTIONS[0]}])], config)
    for turn in range(1, 10):
        chain.invoke([HumanMessage(QUESTIONS[turn % 4])], config)
    messages = LookTwiceChatMessageHistory("alice", memory=memory).messages
    assert [message.type for message in messages] == ["human", "ai"] * 10
    prompts, answers, computed = zip(*map(spent, messages[1::2]), strict=True)
    new = prompts[-1] - sum(answers[:-1])  # what the prompt grew by, without the answers, which were never a prompt
    print(f"computed {sum(computed)}, new {new}: {sum(computed) / new:.3f}")
    assert sum(computed) / new <= 1.05
    assert len(memory.pictures.all("alice")) == 1


def spent(message: BaseMessage) -> tuple[int, int, int]:
    """Of an answer: the tokens of its prompt, its own, and those of the prompt that were computed."""
    assert isinstance(message, AIMessage) and message.usage_metadata is not None
    usage = message.usage_metadata
    read = usage.get("input_token_details", {}).get("cache_read", 0)
    return usage["input_tokens"], usage["output_tokens"], usage["input_tokens"] - read


@OF_LANGCHAIN
async def test_the_session_goes_on_in_async_and_streamed_turns(memory: Memory) -> None:
    model = ChatLookTwice(backend=ScriptedBackend(["One.", "Two.", "Three."]), memory=memory)
    chain = with_history(model, memory)
    config: Any = {"configurable": {"session_id": "alice"}}
    await chain.ainvoke([HumanMessage("First?")], config)
    async for _ in chain.astream([HumanMessage([block(WALL), {"type": "text", "text": "Second?"}])], config):
        pass
    for _ in chain.stream([HumanMessage("Third?")], config):
        pass
    texts = [message.text for message in LookTwiceChatMessageHistory("alice", memory=memory).messages]
    assert texts == ["First?", "One.", "Second?", "Two.", "Third?", "Three."]


@OF_LANGCHAIN
def test_a_looked_up_crop_stays_in_the_session(memory: Memory) -> None:
    (zoom,) = as_langchain_tools(["zoom"], memory=memory, conversation="alice")
    history = LookTwiceChatMessageHistory("alice", memory=memory)
    asked = call("zoom", image="wall", box=[0, 0, 500, 500])
    history.add_messages([HumanMessage([block(WALL, name="wall")])])
    history.add_messages([AIMessage("", tool_calls=[asked])])
    result: ToolMessage = zoom.invoke(asked)
    history.add_messages([result])
    assert history.messages[-1] == result
    assert [picture.name for picture in memory.pictures.all("alice")] == ["wall", "wall.zoom1"]
