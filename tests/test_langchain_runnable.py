"""An agent as a Runnable: inputs, batches, chains, callbacks, and events as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import scenes
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from scripts import ZOOM

from looktwice import Agent, Answer, ScriptedBackend
from looktwice.agent.events import Answered, Called, Event, Returned, Started, Text
from looktwice.agent.prompt import Prompt
from looktwice.errors import InvalidInput, PictureRejected, UnknownName

PICTURE = scenes.scene(("red", "circle", "top"))


def agent_of(*script: Any, tools: Any = ("zoom",), pace: float = 0.0) -> Agent:
    return Agent(ScriptedBackend(script, pace=pace), memory=":memory:", tools=tools)


def names_of(prompt: Prompt) -> str:
    return " ".join(picture.name for picture in prompt.pictures)


def kinds(events: list[Event]) -> list[type]:
    return [type(event) for event in events]


def conversations(agent: Agent) -> list[str]:
    return [conversation.name for conversation in agent.memory.conversations.list()]


def test_pictures_and_a_question_become_an_answer() -> None:
    answer = agent_of(names_of).as_runnable().invoke({"images": {"bill": PICTURE}, "question": "What is on @bill?"})
    assert isinstance(answer, Answer)
    assert answer.text == "bill"


async def test_the_same_without_blocking_and_from_a_list_of_sources(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "menu.png")
    chain = agent_of(names_of).as_runnable()
    assert str(await chain.ainvoke({"images": [tmp_path / "menu.png", PICTURE], "question": "?"})) == "menu picture"


def test_each_input_of_a_batch_has_its_own_conversation() -> None:
    agent = agent_of(*[names_of] * 4)
    inputs = [{"images": {name: PICTURE}, "question": "Which?"} for name in ("a", "b", "c", "d")]
    answers = agent.as_runnable().batch(inputs)
    assert [answer.text for answer in answers] == ["a", "b", "c", "d"]
    assert len({answer.conversation for answer in answers}) == 4


async def test_a_named_conversation_goes_on_and_takes_a_picture_once() -> None:
    agent = agent_of(*[names_of] * 3)
    chain = agent.as_runnable(chat="trip")
    given = {"images": {"bill": PICTURE}, "question": "?"}
    answers = [chain.invoke(given), *await chain.abatch([given]), chain.invoke({"question": "?", "chat": "other"})]
    assert [(answer.conversation, answer.text) for answer in answers] == [
        ("trip", "bill"),
        ("trip", "bill"),
        ("other", ""),
    ]
    assert len(agent.chat("trip").turns) == 5


def test_tools_may_be_given_with_the_question() -> None:
    agent = agent_of(ZOOM, "done", tools=())
    answer = agent.as_runnable().invoke({"images": {"bill": PICTURE}, "question": "?", "tools": ["zoom"]})
    assert [look.images for look in answer.looks] == [("bill.zoom1",)]


def test_stream_gives_the_events() -> None:
    events = list(agent_of(ZOOM, "It is red").as_runnable().stream({"images": {"bill": PICTURE}, "question": "?"}))
    assert kinds(events) == [Started, Called, Returned, Text, Text, Text, Answered]


async def test_astream_gives_the_events_and_leaving_early_stops_the_answer() -> None:
    agent = agent_of("one two three four five", pace=0.05)
    stream: Any = agent.as_runnable(chat="c").astream({"question": "Count"})
    heard: list[Event] = []
    async for event in stream:
        heard.append(event)
        if isinstance(event, Text):
            break
    await stream.aclose()
    assert kinds(heard) == [Started, Text]
    last = agent.chat("c").turns[-1]
    assert (last.role, last.status) == ("assistant", "partial")


class Diary(BaseCallbackHandler):
    """What a callback hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.heard.append(("start", kwargs["name"]))

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self.heard.append(("end", outputs))

    def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        self.heard.append(("error", type(error)))

    def on_custom_event(self, name: str, data: object, **kwargs: Any) -> None:
        self.heard.append((name, type(data)))


def test_callbacks_hear_the_run_and_its_events() -> None:
    diary = Diary()
    answer = agent_of("red").as_runnable().invoke({"question": "?"}, {"callbacks": [diary], "run_name": "eyes"})
    assert diary.heard == [
        ("start", "eyes"),
        ("looktwice", Started),
        ("looktwice", Text),
        ("looktwice", Answered),
        ("end", answer),
    ]


def test_callbacks_hear_of_errors() -> None:
    diary = Diary()
    with pytest.raises(UnknownName):
        agent_of("red").as_runnable().invoke({"question": "What is @nothing?"}, {"callbacks": [diary]})
    assert diary.heard[-1] == ("error", UnknownName)


async def test_astream_events_tells_our_events() -> None:
    chain: Any = agent_of("red").as_runnable() | RunnableLambda(str)
    seen = [event async for event in chain.astream_events({"question": "?"}, version="v2")]
    assert [type(event["data"]) for event in seen if event["event"] == "on_custom_event"] == [Started, Text, Answered]
    assert seen[-1]["data"]["output"] == "red"


def worded(given: dict[str, Any]) -> str:
    return f"What colour is {given['chat']}?"


def loud(answer: Answer) -> str:
    return answer.text.upper()


async def test_in_a_chain_only_the_answer_goes_on() -> None:
    agent = agent_of(*["red"] * 4)
    before = RunnablePassthrough.assign(question=worded)
    chain: Any = before | agent.as_runnable() | RunnableLambda(loud)
    assert chain.invoke({"chat": "a"}) == "RED"
    assert await chain.ainvoke({"chat": "b"}) == "RED"
    assert list(chain.stream({"chat": "c"})) == ["RED"]
    assert [piece async for piece in chain.astream({"chat": "d"})] == ["RED"]
    assert agent.chat("c").turns[-2].text == "What colour is c?"


def test_a_question_that_a_step_before_streams_is_put_together() -> None:
    agent = agent_of("red")
    words: Any = (
        RunnableLambda(str) | GenericFakeChatModel(messages=iter([AIMessage("What colour is it?")])) | StrOutputParser()
    )
    chain: Any = {"question": words, "chat": RunnableLambda(worded)} | agent.as_runnable()
    (answer,) = chain.stream({"chat": "c"})
    assert (answer.text, answer.conversation) == ("red", "What colour is c?")
    assert agent.chat(answer.conversation).turns[-2].text == "What colour is it?"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ("What", InvalidInput, "'What' can't be asked; give a dict with 'question' and"),
        ({"question": "?", "image": 1}, InvalidInput, r"unknown keys \['image'\]; its keys are question, images, chat"),
        ({"images": {}}, InvalidInput, "the input has no 'question'"),
        ({"question": "?", "images": "bill.png"}, InvalidInput, "images 'bill.png' can't be used; give a dict"),
        ({"question": "?", "images": {"bill": b"words"}}, PictureRejected, "not a picture"),
        ({"question": "  ", "images": {"bill": PICTURE}}, InvalidInput, "the question is empty"),
        ({"question": "?", "images": {"no name": PICTURE}}, InvalidInput, "'no name' can't be a name"),
    ],
)
def test_what_can_not_be_asked_leaves_no_conversation_behind(given: Any, error: type[Exception], said: str) -> None:
    agent = agent_of("red")
    with pytest.raises(error, match=said):
        agent.as_runnable().invoke(given)
    assert conversations(agent) == []


def test_a_named_conversation_stays_after_a_question_that_can_not_be_asked() -> None:
    agent = agent_of("red")
    with pytest.raises(InvalidInput):
        agent.as_runnable(chat="trip").invoke({"question": ""})
    assert conversations(agent) == ["trip"]


def test_one_bad_input_of_a_batch_can_be_given_back_as_an_error() -> None:
    good, bad = agent_of("red").as_runnable().batch([{"question": "?"}, {"question": ""}], return_exceptions=True)
    assert good.text == "red"
    assert isinstance(bad, InvalidInput)
