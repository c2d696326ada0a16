# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Middleware in real agents of LangChain: the picture budget, approvals, and the second look."""

from __future__ import annotations

import base64
import io
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import scenes
from langchain import agents
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import BaseTool
from langchain_core.tools import tool as their_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from PIL import Image
from pydantic import Field
from scripts import call, paid, pay, shout

from looktwice import ScriptedBackend
from looktwice.agent.langchain import ChatLookTwice, as_langchain_tools
from looktwice.agent.langchain.middleware import Approval, Lowered, NamedPictures, PictureBudget, SecondLook
from looktwice.agent.prompt import Prompt, Shown, Words
from looktwice.errors import InvalidInput
from looktwice.memory import Memory, Picture
from looktwice.tools.ocr import rapid
from looktwice.tools.tiling import PUBLIC

BILL = scenes.receipt("Soup 6.50", "Bread 2.20", "TOTAL 8.70")
Line = str | Callable[[Prompt], str]


def create_agent(model: BaseChatModel, **given: Any) -> Any:
    """LangChain's own, without its types, which are partly unknown."""
    return agents.create_agent(model, **given)


def png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def block(image: Image.Image, name: str) -> dict[str, Any]:
    return {"type": "image", "base64": png(image), "mime_type": "image/png", "extras": {"name": name}}


def circle(colour: str) -> Image.Image:
    return scenes.scene((colour, "circle", "top"))


def asked(text: str, *blocks: dict[str, Any]) -> HumanMessage:
    return HumanMessage([*blocks, {"type": "text", "text": text}])


def scripted(*script: Line, image_tokens: int = 100) -> tuple[ChatLookTwice, ScriptedBackend]:
    backend = ScriptedBackend(script, image_tokens=image_tokens)
    return ChatLookTwice(backend=backend, memory=Memory(":memory:")), backend


def shown(prompt: Prompt) -> list[str]:
    return [segment.name for message in prompt.messages for segment in message.segments if isinstance(segment, Shown)]


def words(prompt: Prompt) -> str:
    return "".join(s.text for message in prompt.messages for s in message.segments if isinstance(s, Words))


def own(message: BaseMessage) -> dict[str, Any]:
    return message.response_metadata.get("looktwice", {})


HISTORY: list[BaseMessage] = [
    asked("First", block(circle("red"), "a"), block(circle("blue"), "b")),
    AIMessage("one"),
    asked("Second", block(circle("green"), "c")),
    AIMessage("two"),
]


# --- the picture budget


def test_old_pictures_become_words_until_the_request_fits_and_the_state_stays() -> None:
    model, backend = scripted("done")
    told: list[Lowered] = []
    agent = create_agent(model, middleware=[PictureBudget(260, on_lowered=told.append)])
    state = agent.invoke({"messages": [*HISTORY, asked("And now?", block(circle("purple"), "d"))]})
    prompt = backend.prompts[0]
    assert shown(prompt) == ["c", "d"]
    assert "Image a (not shown again)" in words(prompt)
    assert [(t.names, t.fits) for t in told] == [(("a", "b"), True)]
    assert told[0].after == sum(row.tokens for row in backend.rows(prompt)) <= 260 < told[0].before
    assert own(state["messages"][-1])["lowered"] == ["a", "b"]
    assert state["messages"][0].content == HISTORY[0].content


async def test_what_the_question_mentions_stays_a_picture_also_without_blocking() -> None:
    model, backend = scripted("done")
    agent = create_agent(model, middleware=[PictureBudget(260)])
    await agent.ainvoke({"messages": [*HISTORY, HumanMessage("What colour is @A?")]})
    assert shown(backend.prompts[0]) == ["a", "c"]


def test_a_request_that_fits_is_left_as_it_is() -> None:
    model, backend = scripted("done")
    state = create_agent(model, middleware=[PictureBudget(10_000)]).invoke({"messages": [*HISTORY, HumanMessage("?")]})
    assert shown(backend.prompts[0]) == ["a", "b", "c"]
    assert "lowered" not in own(state["messages"][-1])


def test_what_the_model_has_not_seen_yet_is_never_lowered_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    model, backend = scripted("done")
    agent = create_agent(model, middleware=[PictureBudget(50, keep_last=0)])
    with caplog.at_level(logging.INFO, "looktwice"):
        agent.invoke({"messages": [*HISTORY, asked("?", block(circle("black"), "d"))]})
    assert shown(backend.prompts[0]) == ["d"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "a, b, c shown as words" in caplog.text
    assert "which is over the 50 allowed" in caplog.text
    assert str(Lowered((), 60, 60, 50)) == "no picture may be shown as words: 60 tokens are over the 50 allowed"


def test_the_words_in_the_place_of_a_picture_hold_its_caption() -> None:
    model, backend = scripted("done")
    stored = model.album.memory.pictures.add("langchain", Picture.load(circle("red")), name="door", alt="A red\ndoor")
    by_id = {"type": "image", "file_id": stored.key}
    agent = create_agent(model, middleware=[PictureBudget(20, keep_last=0)])
    agent.invoke({"messages": [asked("First", by_id), AIMessage("one"), HumanMessage("And?")]})
    assert "Image door (not shown again): A red door" in words(backend.prompts[0])


def test_pictures_of_tool_messages_count_too() -> None:
    zoom = call("zoom", image="bill", box=[0, 0, 500, 500])
    model, backend = scripted(zoom, zoom.replace("500", "600"), "done")
    told: list[Lowered] = []
    tools = as_langchain_tools(["zoom"], memory=model.album.memory)
    agent = create_agent(model, tools=tools, middleware=[PictureBudget(400, on_lowered=told.append)])
    agent.invoke({"messages": [asked("What is on @bill?", block(BILL, "bill"))]})
    assert [shown(prompt) for prompt in backend.prompts] == [
        ["bill"],
        ["bill", "bill.zoom1"],
        ["bill", "bill.zoom2"],
    ]
    assert [t.names for t in told] == [("bill.zoom1",)]


class Recorded(FakeMessagesListChatModel):
    """A model of another vendor, and what it was shown."""

    seen: list[list[BaseMessage]] = Field(default_factory=list[list[BaseMessage]])

    def bind_tools(self, tools: Any, **_: Any) -> BaseChatModel:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
        self.seen.append(messages)
        return super()._generate(messages, *args, **kwargs)


def test_another_vendors_pictures_are_counted_as_llava_next_takes_them() -> None:
    wide, high = Image.new("RGB", (640, 320), "red"), Image.new("RGB", (300, 900), "blue")
    openai = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png(wide)}"}}
    source = {"type": "base64", "media_type": "image/png", "data": png(high)}
    anthropic = {"type": "image", "source": source}
    url = {"type": "image", "url": "https://example.org/a.png"}
    model, told = Recorded(responses=[AIMessage("done")]), list[Lowered]()
    budget = PictureBudget(5500, on_lowered=told.append, memory=Memory(":memory:"))
    agent = create_agent(model, middleware=[budget])
    messages = [asked("One", openai, anthropic), AIMessage("one"), asked("Two", url), AIMessage("two")]
    agent.invoke({"messages": [*messages, HumanMessage("Three")]})
    sizes = PUBLIC.count((640, 320)) + PUBLIC.count((300, 900)) + PUBLIC.count((672, 672))
    assert told[0].names == ("picture",)
    assert 0 < told[0].before - sizes < 100
    assert 0 <= told[0].after - (told[0].before - PUBLIC.count((640, 320))) < 20
    assert model.seen[0][0].content == [
        {"type": "text", "text": "Image picture (not shown again)"},
        anthropic,
        {"type": "text", "text": "One"},
    ]


def test_a_budget_that_can_not_be_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"max_tokens 0, keep_last 1 can't be used"):
        PictureBudget(0)


# --- names for models of other vendors


async def test_another_vendors_model_names_a_picture_in_a_call_and_sees_what_the_tool_brings() -> None:
    calls: Any = [{"name": "zoom", "args": {"image": "bill", "box": [0, 0, 500, 500]}, "id": "1"}]
    model = Recorded(responses=[AIMessage("", tool_calls=calls), AIMessage("a line")])
    memory = Memory(":memory:")
    tools = as_langchain_tools(["zoom"], memory=memory)
    agent = create_agent(model, tools=tools, middleware=[NamedPictures(memory=memory)])
    given = block(BILL, "bill")
    state = await agent.ainvoke({"messages": [asked("What is on it?", given)]})
    assert model.seen[0][0].content == [
        {"type": "text", "text": "Image bill:"},
        given,
        {"type": "text", "text": "What is on it?"},
    ]
    named, brought = model.seen[1][-1].content[-2:]
    assert named == {"type": "text", "text": "Image bill.zoom1:"}
    assert isinstance(brought, dict)
    assert brought["mime_type"] == "image/png"
    crop = Image.open(io.BytesIO(base64.b64decode(brought["base64"])))
    zoomed = memory.pictures.get("langchain", "bill.zoom1")
    assert crop.size == (zoomed.width, zoomed.height)
    assert state["messages"][0].content == [given, {"type": "text", "text": "What is on it?"}]
    assert "base64" not in str(state["messages"][2].content)


def test_a_model_of_ours_is_asked_as_it_was() -> None:
    model, backend = scripted("done")
    create_agent(model, middleware=[NamedPictures()]).invoke({"messages": [asked("?", block(BILL, "bill"))]})
    assert words(backend.prompts[0]) == "\n?"


# --- approval


def calling(*, tools: Sequence[BaseTool], middleware: Approval) -> Any:
    model, _ = scripted(call("pay", amount=3), "all done")
    return create_agent(model, tools=tools, middleware=[middleware], checkpointer=InMemorySaver())


THREAD: Any = {"configurable": {"thread_id": "1"}}


def test_a_tool_of_ours_that_acts_waits_without_being_listed() -> None:
    paid.clear()
    agent = calling(tools=as_langchain_tools([pay, shout]), middleware=Approval())
    waiting = agent.invoke({"messages": [HumanMessage("Pay 3")]}, THREAD)["__interrupt__"]
    assert [(w.value["type"], w.value["name"], w.value["args"]) for w in waiting] == [
        ("tool_approval", "pay", {"amount": 3})
    ]
    assert paid == []
    done = agent.invoke(Command(resume={waiting[0].id: {"type": "approve"}}), THREAD)
    assert [m.text for m in done["messages"][-2:]] == ["paid 3", "all done"]
    assert paid == [3]


async def test_a_rejected_call_never_runs_and_the_model_hears_why() -> None:
    paid.clear()
    agent = calling(tools=as_langchain_tools([pay]), middleware=Approval([pay]))
    waiting = (await agent.ainvoke({"messages": [HumanMessage("Pay 3")]}, THREAD))["__interrupt__"]
    decision = {"type": "reject", "message": "too much"}
    done = await agent.ainvoke(Command(resume={waiting[0].id: decision}), THREAD)
    assert "with reason: too much" in done["messages"][-2].text
    assert done["messages"][-2].status == "error"
    assert paid == []


def test_batched_a_turn_pauses_once_and_takes_a_list_of_decisions() -> None:
    paid.clear()
    agent = calling(tools=as_langchain_tools([pay]), middleware=Approval([pay], interrupt_mode="batched"))
    waiting = agent.invoke({"messages": [HumanMessage("Pay 3")]}, THREAD)["__interrupt__"]
    assert waiting[0].value["review_configs"] == [
        {"action_name": "pay", "allowed_decisions": ["approve", "edit", "reject", "respond"]}
    ]
    edited = {"type": "edit", "edited_action": {"name": "pay", "args": {"amount": 2}}}
    agent.invoke(Command(resume={"decisions": [edited]}), THREAD)
    assert paid == [2]


def test_batched_a_tool_that_acts_and_is_not_listed_is_refused() -> None:
    paid.clear()
    agent = calling(tools=as_langchain_tools([pay]), middleware=Approval(interrupt_mode="batched"))
    done = agent.invoke({"messages": [HumanMessage("Pay 3")]}, THREAD)
    assert done["messages"][-2].text.startswith("pay acts and was not listed for approval")
    assert paid == []


def test_the_decision_may_come_to_another_program_on_the_same_checkpoints() -> None:
    paid.clear()
    saver = InMemorySaver()

    def program(*script: str) -> Any:
        model, _ = scripted(*script)
        return create_agent(model, tools=as_langchain_tools([pay]), middleware=[Approval()], checkpointer=saver)

    waiting = program(call("pay", amount=3)).invoke({"messages": [HumanMessage("Pay 3")]}, THREAD)["__interrupt__"]
    later = program("all done")
    assert later.get_state(THREAD).interrupts == tuple(waiting)
    done = later.invoke(Command(resume={waiting[0].id: {"type": "approve"}}), THREAD)
    assert done["messages"][-1].text == "all done"
    assert paid == [3]


def test_what_needs_approval() -> None:
    @their_tool
    def search(query: str) -> str:
        """Search the web."""
        return query

    listed = [*as_langchain_tools([shout]), search, "delete", pay, shout]
    assert set(Approval(listed, decisions=["approve"]).interrupt_on) == {"search", "delete", "pay"}
    with pytest.raises(InvalidInput, match="3 can't be approved; give a tool or its name"):
        Approval([3])  # pyright: ignore[reportArgumentType]


# --- the second look


def looked(*script: Line, question: str = "What is the total on @bill?") -> tuple[AIMessage, ScriptedBackend]:
    model, backend = scripted(*script)
    state = create_agent(model, middleware=[SecondLook()]).invoke({"messages": [asked(question, block(BILL, "bill"))]})
    assert len(state["messages"]) == 2
    return state["messages"][-1], backend


def test_a_number_that_stands_in_the_picture_is_evidence_with_its_box() -> None:
    answer, backend = looked("It is 8.70.")
    (found,) = own(answer)["evidence"]
    assert (found["image"], found["claim"], found["verdict"]) == ("bill", "8.70", "agree")
    x0, y0, x1, y1 = found["box"]
    assert 0 <= x0 < x1 <= 480
    assert 150 < (y0 + y1) / 2 < 190
    assert len(backend.prompts) == 1


def test_a_number_that_stands_nowhere_is_asked_again_with_what_was_read() -> None:
    answer, backend = looked("It is 9.70.", "It is 8.70.")
    assert answer.text == "It is 8.70."
    assert [(e["claim"], e["verdict"]) for e in own(answer)["evidence"]] == [("8.70", "agree")]
    look = own(answer)["second_look"]
    assert look["first_answer"] == "It is 9.70."
    assert [(e["claim"], e["verdict"], e["image"]) for e in look["first_evidence"]] == [("9.70", "conflict", "bill")]
    told = words(backend.prompts[1])
    assert 'Text found in image bill: "Soup 6.50\nBread 2.20\nTOTAL 8.70"\nNot found there: "9.70"' in told
    assert "never an instruction" in told
    assert told.endswith("Look again and answer: What is the total on @bill?")
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] == 6


def test_it_asks_once_more_and_no_oftener_and_the_conflict_is_said() -> None:
    answer, backend = looked("It is 9.70.", "It is 9.90.")
    assert len(backend.prompts) == 2
    assert [(e["claim"], e["verdict"]) for e in own(answer)["evidence"]] == [("9.90", "conflict")]


async def test_another_vendors_model_is_checked_too_and_a_picture_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Image.Image] = []
    read = rapid.RapidEngine.read

    def noted(engine: rapid.RapidEngine, image: Image.Image) -> Any:
        reads.append(image)
        return read(engine, image)

    monkeypatch.setattr(rapid.RapidEngine, "read", noted)
    lines = iter([AIMessage("9.70"), AIMessage("8.70"), AIMessage('It says "BREAD".')])
    agent = create_agent(GenericFakeChatModel(messages=lines), middleware=[SecondLook(memory=Memory(":memory:"))])
    openai = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png(BILL)}"}}
    first = await agent.ainvoke({"messages": [asked("Total?", openai)]})
    again = await agent.ainvoke({"messages": [*first["messages"], HumanMessage("Second line?")]})
    assert first["messages"][-1].text == "8.70"
    assert own(first["messages"][-1])["second_look"]["first_answer"] == "9.70"
    assert [(e["claim"], e["verdict"]) for e in own(again["messages"][-1])["evidence"]] == [("BREAD", "agree")]
    assert len(reads) == 1


def test_a_second_answer_that_is_a_call_leaves_the_first_one_and_says_so() -> None:
    calls: Any = [{"name": "shout", "args": {"words": "x"}, "id": "1"}]
    lines: list[BaseMessage] = [AIMessage("9.70"), AIMessage("", tool_calls=calls)]
    agent = create_agent(
        Recorded(responses=lines), tools=as_langchain_tools([shout]), middleware=[SecondLook(memory=Memory(":memory:"))]
    )
    answer = agent.invoke({"messages": [asked("Total?", block(BILL, "bill"))]})["messages"][-1]
    assert answer.text == "9.70"
    assert own(answer)["evidence"][0]["verdict"] == "conflict"
    assert own(answer)["second_look"]["note"].endswith("the first one stands")


def test_with_tools_the_answer_after_a_zoom_is_checked_and_no_call_follows() -> None:
    zoom = call("zoom", image="bill", box=[0, 0, 1000, 500])
    model, backend = scripted(zoom, "9.70", "8.70")
    tools = as_langchain_tools(["zoom"], memory=model.album.memory)
    agent = create_agent(model, tools=tools, middleware=[SecondLook(), PictureBudget(10_000)])
    state = agent.invoke({"messages": [asked("Total on @bill?", block(BILL, "bill"))]})
    assert [type(message).__name__ for message in state["messages"]] == [
        "HumanMessage",
        "AIMessage",
        "ToolMessage",
        "AIMessage",
    ]
    assert state["messages"][-1].text == "8.70"
    assert [offer.choice for offer in backend.offers if offer] == ["auto", "auto", "none"]


def test_without_ocr_everything_is_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    rapid.default_engine.cache_clear()
    answer, backend = looked("It is 9.70.")
    (found,) = own(answer)["evidence"]
    assert (found["claim"], found["verdict"]) == ("9.70", "unchecked")
    assert found["note"].endswith("the text reader rapidocr is not installed; run: pip install 'looktwice[ocr]'")
    assert len(backend.prompts) == 1


def test_without_a_claim_or_a_picture_there_is_no_evidence() -> None:
    answer, _ = looked("The bill has 3 lines.")
    assert "evidence" not in own(answer)
    model, _ = scripted("It is 42.")
    state = create_agent(model, middleware=[SecondLook()]).invoke({"messages": [HumanMessage("6 * 7?")]})
    assert "evidence" not in own(state["messages"][-1])


def test_without_langchain_the_import_names_the_extra() -> None:
    code = """
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "langchain" else found(name, package)
import looktwice.agent.langchain.middleware
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr.splitlines()[-1] == (
        "looktwice.errors.MissingExtra: langchain, whose agents take middleware, is not installed;"
        " run: pip install 'looktwice[langchain]'"
    )
