"""The chat model and the tools in LangChain's hands: messages in, messages out, and nothing lost on the way."""

from __future__ import annotations

import asyncio
import base64
import io
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.exceptions import ContextOverflowError, ModelInvalidRequestError, ModelNotFoundError
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.chat import ChatMessage
from langchain_core.tools import tool as langchain_tool
from pydantic import BaseModel
from scenes import scene
from typing_extensions import TypedDict

from looktwice import Agent, ScriptedBackend, tool
from looktwice.agent.backends import Token
from looktwice.agent.langchain import ChatLookTwice, as_langchain_tools, from_langchain_tool
from looktwice.agent.langchain.album import Album
from looktwice.agent.langchain.messages import messages_of, turns_of
from looktwice.agent.prompt import Prompt, Shown, Words
from looktwice.memory import ImagePart, Memory, Picture, TextPart, ToolCallPart, ToolResultPart, Turn

WALL = scene(("red", "circle", "top left"), ("green", "triangle", "top right"), ("blue", "square", "bottom right"))
DOOR = scene(("purple", "square", "left"), ("yellow", "circle", "centre"), ("orange", "triangle", "bottom"))


def encoded(image: PIL.Image.Image = WALL) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def picture(image: PIL.Image.Image = WALL, name: str | None = None) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "image", "base64": encoded(image), "mime_type": "image/png"}
    return block if name is None else {**block, "extras": {"name": name}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def asked(*blocks: dict[str, Any], text: str = "What colour is the circle?") -> HumanMessage:
    return HumanMessage([*blocks, {"type": "text", "text": text}])


def raw(data: str) -> dict[str, Any]:
    return {"type": "image", "base64": data, "mime_type": "image/png"}


def scripted(*lines: str, **options: Any) -> tuple[ChatLookTwice, ScriptedBackend]:
    backend = ScriptedBackend(lines)
    return ChatLookTwice(backend=backend, memory=Memory(":memory:"), **options), backend


def spoken(prompt: Prompt) -> list[str]:
    return ["".join(part.text for part in m.segments if isinstance(part, Words)) for m in prompt.messages]


# --- pictures


SHAPES: dict[str, Any] = {
    "standard": picture(),
    "data URL": {"type": "image", "url": f"data:image/png;base64,{encoded()}"},
    "OpenAI": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded()}"}},
    "Anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded()}},
    "LangChain 0": {"type": "image", "source_type": "base64", "data": encoded(), "mime_type": "image/png"},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_picture_comes_in_whatever_its_blocks_shape(shape: str) -> None:
    model, backend = scripted("red")
    assert model.invoke([asked(SHAPES[shape])]).content == "red"
    (shown,) = backend.prompts[0].pictures
    assert shown.size == WALL.size
    stored = model.album.memory.pictures.pixels(shown.key)
    assert stored.tobytes() == WALL.tobytes()


def test_pictures_stand_where_they_were_put_in_human_ai_and_tool_messages() -> None:
    model, backend = scripted("fine")
    call: dict[str, Any] = {"name": "look", "args": {}, "id": "c1", "type": "tool_call"}
    model.invoke(
        [
            HumanMessage([text("before"), picture(WALL, "wall"), text("after")]),
            AIMessage([text("here"), picture(DOOR, "door")], tool_calls=[call]),
            ToolMessage([text("brought"), picture(WALL, "wall")], tool_call_id="c1", name="look"),
        ]
    )
    flat = [
        segment.name if isinstance(segment, Shown) else segment.text.strip()
        for message in backend.prompts[0].messages
        for segment in message.segments
        if isinstance(segment, Shown | Words) and (isinstance(segment, Shown) or segment.text.strip())
    ]
    late_name = "The image above is called wall."
    assert flat == ["before", "wall", "after", late_name, "Image door:", "door", "brought", "Image wall:", "wall"]


def test_the_same_picture_is_kept_once_and_goes_by_one_name(tmp_path: Any) -> None:
    memory = Memory(tmp_path / "chat.db")
    model = ChatLookTwice(backend=ScriptedBackend(["a", "b", "c"]), memory=memory)
    for text in ("one", "two", "three"):
        model.invoke([asked(picture(WALL, "wall"), picture(WALL, "wall"), text=text)])
    assert [p.name for p in memory.pictures.all("langchain")] == ["wall"]


def test_a_conversation_that_was_deleted_meanwhile_begins_anew() -> None:
    model, backend = scripted("a", "b")
    model.invoke([asked(picture(WALL, "wall"))])
    model.album.memory.conversations.delete("langchain")
    model.invoke([asked(picture(WALL, "wall"))])
    assert [prompt.pictures[0].name for prompt in backend.prompts] == ["wall", "wall"]
    assert model.album.names() == ["wall"]


def test_what_stands_under_our_key_and_is_not_ours_does_no_harm() -> None:
    model, _ = scripted("fine")
    call: dict[str, Any] = {"name": "look", "args": {}, "id": "c1", "type": "tool_call"}
    strange: list[BaseMessage] = [
        HumanMessage("a"),
        AIMessage("b", tool_calls=[call], response_metadata={"looktwice": [1]}),
        ToolMessage("c", tool_call_id="c1", artifact={"looktwice": "x"}),
    ]
    assert model.invoke(strange).content == "fine"


def test_a_file_id_is_a_name_or_a_hash_of_what_is_kept() -> None:
    model, backend = scripted("a", "b", "c")
    key = model.album.keep(picture(WALL, "wall")).key
    for file_id in ("wall", "WALL", key):
        model.invoke([asked({"type": "image", "file_id": file_id})])
    assert [prompt.pictures[0].key for prompt in backend.prompts] == [key] * 3


BAD: dict[str, tuple[Sequence[BaseMessage], str]] = {
    "audio": (
        [HumanMessage([{"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}])],
        "a block of type 'audio' can't be read; looktwice takes text and images",
    ),
    "unknown": ([HumanMessage([{"type": "hologram"}])], "a block of type 'hologram' can't be read"),
    "file_id": ([asked({"type": "image", "file_id": "bill"})], "no picture is kept under the file_id 'bill'"),
    "hash": ([asked({"type": "image", "file_id": "sha256:00"})], "no picture is kept under the file_id 'sha256:00'"),
    "URL": ([asked({"type": "image", "url": "https://example.org/a.png"})], "is a URL, and looktwice fetches nothing"),
    "path": ([asked({"type": "image", "url": "/etc/passwd"})], "is a path, which a message must not open"),
    "file URL": ([asked({"type": "image", "url": "file:///etc/passwd"})], "is a path, which a message must not open"),
    "nothing": ([asked({"type": "image", "mime_type": "image/png"})], "needs base64 or file_id"),
    "base64": ([asked(raw("%%%"))], "can't be decoded"),
    "no picture": ([asked(raw(base64.b64encode(b"hello").decode()))], "not a picture"),
    "60 MB": ([asked(raw(base64.b64encode(bytes(60_000_000)).decode()))], "60"),
    "name": ([asked(picture(WALL, "a name!"))], "'a name!' can't be a name"),
    "late system": ([HumanMessage("a"), SystemMessage("b")], "a system message stands after other messages"),
    "no call": ([HumanMessage("a"), ToolMessage("b", tool_call_id="c9")], "answers the call 'c9', which no message"),
    "empty": ([HumanMessage("")], "a human message is empty"),
    "blank": ([HumanMessage([{"type": "text", "text": " "}])], "a human message is empty"),
    "no question": ([SystemMessage("be brief")], "the messages hold no question"),
    "nobody": ([HumanMessage("a"), ChatMessage(content="b", role="critic")], "a ChatMessage can't be read"),
    "picture in system": ([SystemMessage([picture()])], "a system message is words alone"),
}


ORDER = ("late system", "no call", "empty", "blank", "no question")


@pytest.mark.parametrize("case", BAD)
def test_bad_messages_are_refused_in_langchains_words(case: str) -> None:
    model, backend = scripted("never said")
    messages, told = list(BAD[case][0]), BAD[case][1]
    for ask in (model.invoke, model.get_num_tokens_from_messages):
        if ask == model.get_num_tokens_from_messages and case in ORDER:
            assert (
                model.get_num_tokens_from_messages(messages) > 0
            )  # LangChain counts parts of dialogues while it trims
            continue
        with pytest.raises(ModelInvalidRequestError) as caught:
            ask(messages)
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)
    assert backend.prompts == []


def test_settings_that_make_no_sense_are_refused_when_the_model_is_made() -> None:
    with pytest.raises(ValueError, match=r"temperature -1.0 can't be used"):
        ChatLookTwice(temperature=-1)
    with pytest.raises(ValueError, match="memory 7 can't be used"):
        ChatLookTwice(memory=7)
    with pytest.raises(ModelNotFoundError, match="no model 'poket'"):
        ChatLookTwice(model="poket").invoke("hello")


def test_a_prompt_that_does_not_fit_says_what_to_drop() -> None:
    model = ChatLookTwice(backend=ScriptedBackend(["x"], context=300), memory=Memory(":memory:"))
    with pytest.raises(ContextOverflowError, match=r"the costliest here: wall \(100\)"):
        model.invoke([asked(picture(WALL, "wall"), picture(DOOR, "door"))])


def test_a_stop_word_can_not_cut_a_call_that_is_demanded() -> None:
    model, _ = scripted("x")
    bound = model.bind_tools([Person], tool_choice="any")
    with pytest.raises(ModelInvalidRequestError, match=r"stop .* can't be used with tool_choice 'any'"):
        bound.invoke("Anna", stop=["."])
    with pytest.raises(ModelInvalidRequestError, match="tool_choice 'frob' is not a tool here; the tools are Person"):
        model.bind_tools([Person], tool_choice="frob")


# --- what turns and messages say

NAMES = st.sampled_from(["wall", "door"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ASKED = st.lists(TEXTS.map(TextPart) | NAMES.map(ImagePart), min_size=1, max_size=4).map(
    lambda parts: Turn("user", tuple(parts))
)


@st.composite
def looks(draw: st.DrawFn) -> list[Turn]:
    """An answer that calls a tool, and the result."""
    number = draw(st.integers(0, 10**9))
    call = ToolCallPart(f"c{number}", "zoom", draw(st.dictionaries(TEXTS, JSON, max_size=3)))
    words = draw(st.lists(TEXTS.map(TextPart), max_size=2))
    result = ToolResultPart(call.id, "zoom", draw(TEXTS), draw(JSON), draw(st.booleans()))
    pictures = draw(st.lists(NAMES.map(ImagePart), max_size=2))
    return [Turn("assistant", (*words, call)), Turn("tool", (result, *pictures))]


def answer(texts: list[str], ids: tuple[int, ...] | None) -> Turn:
    return Turn("assistant", tuple(map(TextPart, texts)), tokens=ids, tokenizer="t" if ids else None)


ANSWERS = st.builds(
    answer,
    st.lists(TEXTS, min_size=1, max_size=2),
    st.none() | st.lists(st.integers(0, 999), min_size=1, max_size=5).map(tuple),
)
DIALOGUES = st.lists(
    ASKED.map(lambda turn: [turn]) | ANSWERS.map(lambda turn: [turn]) | looks(), min_size=1, max_size=5
).map(lambda found: [Turn("user", (TextPart("hello"),)), *(turn for several in found for turn in several)])


@settings(max_examples=150, deadline=None)
@given(DIALOGUES)
def test_turns_become_messages_and_the_same_turns_again(turns: list[Turn]) -> None:
    album = Album(Memory(":memory:"), "there and back")
    album.keep(picture(WALL, "wall"))
    album.keep(picture(DOOR, "door"))
    assert turns_of(messages_of(turns, album), album) == turns


def test_no_message_of_ours_carries_bytes() -> None:
    album = Album(Memory(":memory:"), "light")
    album.keep(picture(WALL, "wall"))
    (message,) = messages_of([Turn("user", (ImagePart("wall"), TextPart("what?")))], album)
    key = Picture.load(base64.b64decode(encoded())).key
    assert message.content == [
        {"type": "image", "file_id": key, "mime_type": "image/png", "extras": {"name": "wall"}},
        {"type": "text", "text": "what?"},
    ]


# --- answers


class Person(BaseModel):
    """A person."""

    name: str
    age: int


class Place(TypedDict):
    """A place."""

    town: str


@pytest.mark.parametrize("schema", [Person, Place, Person.model_json_schema()])
def test_structured_output_always_parses(schema: Any) -> None:
    """Pocket has no idea what is asked; the grammar makes it answer in the schema all the same."""
    structured = ChatLookTwice(max_tokens=200).with_structured_output(schema)
    for question in ("Anna is 5", "Paris", "?", "no"):
        found = structured.invoke(question)
        assert isinstance(found, Person if schema is Person else dict)


def test_an_answer_says_what_it_cost_and_how_sure_the_model_was() -> None:
    model = ChatLookTwice(memory=Memory(":memory:"))
    question = asked(picture(WALL, "wall"), text="What colour is the circle in @wall?")
    first = model.invoke([question])
    assert first.content == "red"
    usage = first.usage_metadata
    assert usage is not None
    assert usage["input_tokens"] == model.get_num_tokens_from_messages([question])
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    details: Any = usage.get("input_token_details")
    assert details["image"] == 192
    assert first.response_metadata["finish_reason"] == "stop"
    assert first.response_metadata["model_name"] == "pocket"
    logprobs = first.response_metadata["logprobs"]["content"]
    assert len(logprobs) == usage["output_tokens"]
    assert all(entry["logprob"] <= 0 for entry in logprobs)
    assert 0.5 < first.response_metadata["looktwice"]["confidence"] <= 1


def test_the_tenth_call_computes_only_what_is_new() -> None:
    """LangChain hands over all messages each time, bytes and all; prefixes are found by content."""
    model = ChatLookTwice(memory=Memory(":memory:"))
    model.invoke("warm")
    messages: list[BaseMessage] = []
    computed = before = 0
    for number in range(10):
        blocks = [picture(WALL, "wall")] if number == 0 else [picture(DOOR, "door")] if number == 5 else []
        messages.append(asked(*blocks, text=f"How many shapes do you see in @wall? {number}"))
        answer = model.invoke(messages)
        usage: Any = answer.usage_metadata
        computed += usage["input_tokens"] - usage["input_token_details"]["cache_read"]
        before = usage["input_tokens"] + usage["output_tokens"]
        messages.append(answer)
    new = before  # every token of the conversation once, answers among them
    assert computed / new <= 1.05


def test_streams_give_the_words_then_everything_else_once() -> None:
    model = ChatLookTwice(memory=Memory(":memory:"), seed=1)
    question = [asked(picture(WALL, "wall"), text="Where is the circle in @wall?")]
    whole = model.invoke(question)
    chunks = [chunk for chunk in model.stream(question)]
    assert "".join(str(chunk.content) for chunk in chunks) == whole.content == "top left"
    assert len(chunks) > 2
    assert [chunk.usage_metadata is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    joined = chunks[0]
    for chunk in chunks[1:]:
        joined += chunk
    assert isinstance(joined, AIMessageChunk)
    assert joined.response_metadata["finish_reason"] == "stop"


def test_calls_are_streamed_whole_and_never_as_words() -> None:
    call = '<tool_call>{"name":"Person","arguments":{"name":"Ann","age":7}}</tool_call>'
    model, _ = scripted("I see. " + call)
    joined: Any = None
    for chunk in model.bind_tools([Person]).stream("Ann is 7"):
        joined = chunk if joined is None else joined + chunk
    assert joined.content == "I see. "
    assert [(c["name"], c["args"]) for c in joined.tool_calls] == [("Person", {"name": "Ann", "age": 7})]


def test_async_calls_do_not_block_the_loop_and_can_be_cancelled() -> None:
    backend = ScriptedBackend(["one two three four"] * 3, pace=0.05)
    model = ChatLookTwice(backend=backend, memory=Memory(":memory:"))

    async def run() -> tuple[int, str, bool]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        answer = await model.ainvoke("hello")
        words = [str(chunk.content) async for chunk in model.astream("hello")]
        task = asyncio.create_task(model.ainvoke("hello"))
        await asyncio.sleep(0.08)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ticking.cancel()
        return ticks, str(answer.content), "".join(words) == answer.content

    ticks, content, same = asyncio.run(run())
    assert content == "one two three four"
    assert same
    assert ticks > 10
    assert not [thread for thread in threading.enumerate() if thread.name == "looktwice-langchain"]


def test_an_answer_that_time_or_length_ended_says_so() -> None:
    backend = ScriptedBackend(["one two three four five"] * 2, pace=0.1)
    model = ChatLookTwice(backend=backend, memory=Memory(":memory:"))
    assert model.invoke("a", timeout=0.25).response_metadata["finish_reason"] == "timeout"
    assert model.invoke("a", max_tokens=2).response_metadata["finish_reason"] == "length"


def test_instances_of_one_checkpoint_share_its_weights() -> None:
    one, other = ChatLookTwice(), ChatLookTwice(temperature=0.5)
    assert one.engine is other.engine
    assert ChatLookTwice(dtype="bfloat16").engine is not one.engine


def test_it_looks_again_by_itself_when_it_may() -> None:
    zoom = '<tool_call>{"name":"zoom","arguments":{"image":"wall","box":[0,0,400,400]}}</tool_call>'
    model, backend = scripted(zoom, "red", looks=1)
    answer = model.invoke([asked(picture(WALL, "wall"))])
    assert answer.content == "red"
    assert answer.tool_calls == []
    (look,) = answer.response_metadata["looktwice"]["looks"]
    assert (look["tool"], look["images"]) == ("zoom", ("wall.zoom1",))
    assert [shown.name for shown in backend.prompts[1].pictures] == ["wall", "wall.zoom1"]
    assert backend.offers[1] is not None
    assert not backend.offers[1].is_open


def test_callbacks_hear_each_word() -> None:
    from langchain_core.callbacks import BaseCallbackHandler

    class Ear(BaseCallbackHandler):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
            self.heard.append(token)

    model, _ = scripted("one two")
    ear = Ear()
    model.invoke("hello", config={"callbacks": [ear]})
    assert "".join(ear.heard) == "one two"
    assert Token("x").text == "x"


# --- tools


def test_our_tools_work_on_the_pictures_that_the_model_was_shown() -> None:
    memory = Memory(":memory:")
    model = ChatLookTwice(memory=memory)
    tools = as_langchain_tools(["zoom"], memory=memory)
    question = asked(picture(WALL, "wall"), text="Look at the circle in @wall.")
    answer = model.bind_tools(tools, tool_choice="zoom").invoke([question])
    (call,) = answer.tool_calls
    assert call["args"]["image"] == "wall"
    result = tools[0].invoke(call)
    assert isinstance(result, ToolMessage)
    (block,) = result.content
    assert isinstance(block, dict)
    assert block["extras"] == {"name": "wall.zoom1"}
    assert "base64" not in block
    final = model.bind_tools(tools).invoke([question, answer, result])
    usage: Any = final.usage_metadata
    assert usage["input_token_details"]["image"] > 192
    assert usage["input_token_details"]["cache_read"] > 192


def test_a_call_that_can_not_be_made_is_told_in_one_line() -> None:
    memory = Memory(":memory:")
    (zoom,) = as_langchain_tools(["zoom"], memory=memory)
    result = zoom.invoke(
        {"name": "zoom", "args": {"image": "bill", "box": [0, 0, 9, 9]}, "id": "c", "type": "tool_call"}
    )
    assert result.content == "zoom: no picture named 'bill'"


def test_their_tools_work_in_our_agent() -> None:
    @langchain_tool
    def price(item: str, count: int = 1) -> str:
        """The price of an item."""
        return f"{count} {item}: {3 * count}.00"

    @langchain_tool
    async def later(item: str) -> str:
        """The same, some time later."""
        await asyncio.sleep(0)
        return f"{item}: soon"

    @langchain_tool
    def draw() -> list[dict[str, Any]]:
        """A picture."""
        return [{"type": "text", "text": "drawn"}, {"type": "image", "base64": encoded(DOOR), "mime_type": "image/png"}]

    def called(name: str, **arguments: Any) -> str:
        import json

        return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"

    lines = [called("price", item="tea", count=2), "6", called("later", item="tea"), "soon", called("draw"), "a door"]
    backend = ScriptedBackend([*lines, called("price", count=2), "what?"])
    with Agent(backend, memory=":memory:", tools=[price, later, from_langchain_tool(draw)]) as agent:
        chat = agent.chat("shop")
        assert [chat.ask("a").looks[0].text, chat.ask("b").looks[0].text] == ["2 tea: 6.00", "tea: soon"]
        look = chat.ask("c").looks[0]
        assert (look.text, look.images) == ("drawn", ("draw1",))
        assert chat.memory.pictures.pixels(chat.images[0].key).tobytes() == DOOR.tobytes()
        wrong = chat.ask("d").looks[0]
        assert (wrong.error, wrong.text) == (True, "price: item is missing")


def test_our_own_functions_become_langchains_tools() -> None:
    @tool
    def weigh(image: PIL.Image.Image, unit: str = "g") -> str:
        """How heavy a picture is."""
        return f"{image.width} {unit}"

    memory = Memory(":memory:")
    Album(memory, "langchain").keep(picture(WALL, "wall"))
    (adapted,) = as_langchain_tools([weigh], memory=memory)
    assert adapted.invoke({"image": "wall"}) == f"{WALL.width} g"
    assert adapted.args_schema == weigh.parameters


def test_importing_it_brings_no_torch_and_looktwice_no_langchain() -> None:
    script = (
        "import sys, looktwice, looktwice.memory, looktwice.tools\n"
        "assert not [m for m in sys.modules if m.startswith('langchain')]\n"
        "from looktwice.agent.langchain import ChatLookTwice, as_langchain_tools\n"
        "ChatLookTwice(); as_langchain_tools(['zoom'])\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
