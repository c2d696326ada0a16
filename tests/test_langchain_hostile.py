# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""What careless and hostile programs do with the chat model: names that clash, answers that are cut, odd schemas."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any, Literal

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.exceptions import ModelError, ModelInvalidRequestError
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage, trim_messages
from pydantic import BaseModel, Field, ValidationError
from test_langchain import DOOR, WALL, asked, picture, scripted

from looktwice import Agent, ScriptedBackend
from looktwice.agent.langchain import ChatLookTwice, as_langchain_tools
from looktwice.errors import InvalidInput
from looktwice.memory import Memory

ZOOM = '<tool_call>{"name":"zoom","arguments":{"image":"page","box":[0,0,400,400]}}</tool_call>'


class Inner(BaseModel):
    """A part."""

    a: int = Field(ge=0, le=9)
    kind: Literal["x", "y"]


class Outer(BaseModel):
    """A whole with a part."""

    inner: Inner
    last: int


def test_a_name_means_a_picture_of_its_own_messages() -> None:
    """Two people who share a model both call their picture "page"."""
    model = ChatLookTwice(memory=Memory(":memory:"))
    answers = model.batch(
        [[asked(picture(image, "page"), text="What colour is the circle in @page?")] for image in (WALL, DOOR)]
    )
    assert [answer.content for answer in answers] == ["red", "yellow"]


def test_a_tool_works_on_the_picture_that_the_call_meant() -> None:
    memory = Memory(":memory:")
    (zoom,) = as_langchain_tools(["zoom"], memory=memory)
    calls: list[Any] = []
    for image in (WALL, DOOR):
        model = ChatLookTwice(backend=ScriptedBackend([ZOOM]), memory=memory).bind_tools([zoom])
        calls += model.invoke([asked(picture(image, "page"))]).tool_calls
    for image, call in zip((WALL, DOOR), calls, strict=True):
        (block,) = zoom.invoke(call).content
        crop = memory.pictures.pixels(block["file_id"])
        assert crop.getpixel((0, 0)) == image.getpixel((0, 0))
        assert crop.tobytes() == image.crop((0, 0, *crop.size)).tobytes() or crop.size[0] > 100
        parent = memory.pictures.to_original(block["file_id"], (0, 0, 1, 1))[0]
        assert memory.pictures.pixels(parent).tobytes() == image.tobytes()


def test_another_instance_has_no_pictures_by_name() -> None:
    one, other = ChatLookTwice(backend=ScriptedBackend(["a"])), ChatLookTwice(backend=ScriptedBackend(["b"]))
    one.invoke([asked(picture(WALL, "secret"))])
    with pytest.raises(ModelInvalidRequestError, match="no picture is kept under the file_id 'secret'"):
        other.invoke([asked({"type": "image", "file_id": "secret"})])


def test_an_answer_in_a_schema_is_that_schema_all_the_way_down() -> None:
    model = ChatLookTwice(max_tokens=200)
    assert isinstance(model.with_structured_output(Outer).invoke("go"), Outer)
    found = model.with_structured_output(Outer.model_json_schema()).invoke("go")
    assert isinstance(found, dict)
    assert Outer.model_validate(found)


def test_a_provider_style_format_gives_json_as_content() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "outer", "schema": Outer.model_json_schema()}}
    model = ChatLookTwice(max_tokens=200)
    answer = model.invoke("go", response_format=schema)
    assert answer.tool_calls == []
    assert Outer.model_validate_json(str(answer.content))
    assert Outer.model_validate_json(
        "".join(str(chunk.content) for chunk in model.stream("go", response_format=schema))
    )
    with pytest.raises(ModelInvalidRequestError, match="has no schema"):
        model.invoke("go", response_format={"type": "json_object"})


def test_create_agent_gives_structured_responses() -> None:
    agent = create_agent(ChatLookTwice(max_tokens=200), tools=[], response_format=Outer)
    result = agent.invoke({"messages": [HumanMessage("go")]})
    assert isinstance(result["structured_response"], Outer)


def test_an_answer_that_was_cut_is_an_error_not_nothing() -> None:
    with pytest.raises(ModelError, match=r"cut \(length\) before the call of 'any' was whole; raise max_tokens"):
        ChatLookTwice(max_tokens=5).with_structured_output(Outer).invoke("go")


@pytest.mark.parametrize("strategy", ["first", "last"])
@pytest.mark.parametrize("include_system", [False, True])
def test_messages_are_trimmed_by_exact_counts(strategy: Any, include_system: bool) -> None:
    model, _ = scripted()
    messages: list[BaseMessage] = [SystemMessage("brief")]
    for number in range(4):
        messages += [asked(picture((WALL, DOOR)[number % 2])), AIMessage("red")]
    if include_system and strategy == "first":
        pytest.skip("LangChain has no such thing")
    kept = trim_messages(
        messages, max_tokens=260, token_counter=model, strategy=strategy, include_system=include_system
    )
    assert 0 < len(kept) < len(messages)
    assert model.get_num_tokens_from_messages(list(kept)) <= 260


def test_a_changed_copy_answers_with_what_it_says() -> None:
    model = ChatLookTwice(memory=Memory(":memory:"))
    assert model.engine.model == "pocket"
    assert model.album.conversation.name == "langchain"
    other = model.model_copy(update={"model": "poket", "conversation": "other"})
    with pytest.raises(ModelError, match="no model 'poket'"):
        other.invoke("hello")
    assert other.album.conversation.name == "other"


def test_a_model_is_copied_and_pickled_without_what_it_opened() -> None:
    model = ChatLookTwice(temperature=0.5)
    model.invoke("warm")
    assert copy.deepcopy(model).engine is model.engine
    revived = pickle.loads(pickle.dumps(model))
    assert revived.temperature == 0.5
    assert revived.engine is model.engine


def test_a_count_holds_the_tools_that_the_model_uses_by_itself() -> None:
    model = ChatLookTwice(memory=Memory(":memory:"), looks=2)
    question: list[BaseMessage] = [asked(picture(WALL, "wall"), text="What colour is the circle in @wall?")]
    usage: Any = model.invoke(question).usage_metadata
    assert usage["input_tokens"] == model.get_num_tokens_from_messages(question)


def test_a_tool_that_failed_says_so_in_its_status() -> None:
    (zoom,) = as_langchain_tools(["zoom"], memory=Memory(":memory:"))
    call = {"name": "zoom", "args": {"image": "nope", "box": [0, 0, 9, 9]}, "id": "1", "type": "tool_call"}
    failed = zoom.invoke(call)
    assert isinstance(failed, ToolMessage)
    assert failed.status == "error"
    assert failed.content == "zoom: no picture named 'nope'"


@pytest.mark.parametrize("said", ['text <tool_call>{"name":"zoom",oops', "  hi there \n", "I see. " + ZOOM])
def test_a_stream_says_what_invoke_says(said: str) -> None:
    whole: list[AIMessage] = []
    for way in ("invoke", "stream"):
        model, _ = scripted(said)
        bound = model.bind_tools(as_langchain_tools(["zoom"]))
        if way == "invoke":
            whole.append(bound.invoke([asked(picture(WALL, "page"))]))
        else:
            full: Any = None
            for chunk in bound.stream([asked(picture(WALL, "page"))]):
                full = chunk if full is None else full + chunk
            whole.append(full)
    one, other = whole
    assert one.content == other.content
    assert [call["args"] for call in one.tool_calls] == [call["args"] for call in other.tool_calls]
    assert [call["args"] for call in one.invalid_tool_calls] == [call["args"] for call in other.invalid_tool_calls]


@pytest.mark.parametrize("choice", ["zoom", "any"])
def test_a_call_that_can_not_be_made_is_not_demanded(choice: str) -> None:
    model, _ = scripted("never")
    with pytest.raises(ModelInvalidRequestError, match="can't be met: the messages hold no picture"):
        model.bind_tools(as_langchain_tools(["zoom"]), tool_choice=choice).invoke("hello")
    with pytest.raises(ModelInvalidRequestError, match="can't be met: no tools are bound"):
        model.bind_tools([], tool_choice="any").invoke("hello")


ODD_BLOCKS: list[dict[str, Any]] = [
    {"extras": "wall"},
    {"extras": [1]},
    {"extras": {"name": 5}},
    {"base64": b"AAAA"},
]


@pytest.mark.parametrize("odd", ODD_BLOCKS)
def test_odd_blocks_are_refused_in_one_sentence(odd: dict[str, Any]) -> None:
    model, _ = scripted("never")
    with pytest.raises(ModelInvalidRequestError) as caught:
        model.invoke([asked({**picture(), **odd})])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ids", [5, ["a"], [1.5], [True], {"a": 1}])
def test_odd_token_ids_are_not_believed(ids: Any) -> None:
    model, backend = scripted("fine")
    before = AIMessage("red", response_metadata={"looktwice": {"ids": ids, "tokenizer": "t"}})
    assert model.invoke([HumanMessage("a"), before, HumanMessage("b")]).content == "fine"
    assert backend.prompts[0].messages[1].segments[0].ids is None  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


@pytest.mark.parametrize("odd", [{"type": "web_search_preview"}, {"type": "function", "function": {}}, 7])
def test_what_is_no_tool_is_refused(odd: Any) -> None:
    with pytest.raises(ModelInvalidRequestError, match="is no tool that can be called here"):
        ChatLookTwice().bind_tools([odd])


@pytest.mark.parametrize("question", [5, None, {"a": 1}, [7]])
def test_what_is_no_question_is_refused_by_the_runnable_too(question: Any) -> None:
    with Agent(ScriptedBackend(["never"]), memory=":memory:") as agent:
        with pytest.raises(InvalidInput, match=r"a question is made of text and Image\(...\), not"):
            agent.as_runnable().invoke({"question": question})
        assert agent.memory.conversations.list() == []


def test_settings_may_be_none_and_zero_is_not_a_default() -> None:
    backend = ScriptedBackend(["one END two"] * 3)
    model = ChatLookTwice(backend=backend, temperature=None, max_tokens=None, timeout=None, stop=None)
    assert model.invoke("hi").content == "one END two"
    assert model.invoke("hi", stop="END").content == "one "  # pyright: ignore[reportArgumentType]
    with pytest.raises(ModelInvalidRequestError, match="max_new_tokens 0 can't be used"):
        model.invoke("hi", max_tokens=0)
    with pytest.raises(ValidationError, match="max_new_tokens -1 can't be used"):
        ChatLookTwice(max_tokens=-1)


def test_a_file_that_is_gone_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "pictures.db"
    for _ in range(2):
        model = ChatLookTwice(backend=ScriptedBackend(["a"]), memory=path)
        model.invoke([asked(picture(WALL, "wall"))])
        assert model.album.names() == ["wall"]
        assert path.exists()
        model.album.memory.close()
        path.unlink()


def test_a_cached_answer_belongs_to_its_memory() -> None:
    cache = InMemoryCache()
    answers: list[Any] = []
    for word in ("red", "blue"):
        model = ChatLookTwice(backend=ScriptedBackend([word]), memory=Memory(":memory:"), cache=cache)
        model.album.keep(picture(WALL if word == "red" else DOOR, "wall"))
        question = asked({"type": "image", "file_id": "wall"})
        answers += [model.invoke([question]).content, model.invoke([question]).content]
    assert answers == ["red", "red", "blue", "blue"]


def test_token_ids_come_from_the_models_own_tokenizer() -> None:
    model = ChatLookTwice()
    assert len(model.get_token_ids("STOP 12")) == 7
    with pytest.raises(NotImplementedError, match="tells no token ids"):
        ChatLookTwice(backend=ScriptedBackend([])).get_token_ids("x")


def test_a_schema_that_prescribes_a_control_token_is_refused() -> None:
    schema = {
        "title": "pick",
        "type": "object",
        "properties": {"x": {"enum": ["a<|im_end|>b"]}},
        "required": ["x"],
    }
    with pytest.raises(ModelInvalidRequestError, match=r"which is a control token of this model"):
        ChatLookTwice(max_tokens=100).with_structured_output(schema).invoke("go")


def test_the_profile_knows_the_context() -> None:
    assert (ChatLookTwice().profile or {}).get("max_input_tokens") == 4096
