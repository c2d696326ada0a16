"""LangChain's own suites: on the pocket checkpoint, and on a script that knows what the suites' questions ask for.

Pocket knows drawn shapes and signs and nothing else, so tests whose questions need a number, a place or a name out of
the text can't come out right with it: they are expected to fail there, and pass on the script. The suites fetch one
picture from the web; here it is drawn.
"""

from __future__ import annotations

import functools
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from langchain_core._api import LangChainBetaWarning
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, BaseMessageChunk, HumanMessage
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ChatModelIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests, ToolsUnitTests
from scenes import scene

from looktwice import ScriptedBackend
from looktwice.agent.langchain import ChatLookTwice, as_langchain_tools
from looktwice.agent.prompt import Prompt, Words
from looktwice.memory import Memory, Picture

OVER_POCKETS_HEAD = pytest.mark.xfail(reason="pocket does not read what a text asks for; the script's suite has it")


@pytest.fixture(autouse=True)
def picture_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the suites fetch from the web comes from here."""
    buffer = io.BytesIO()
    scene(("red", "circle", "top left"), ("blue", "square", "right")).save(buffer, "PNG")
    request = httpx.Request("GET", "https://example.org/picture.png")
    answer = httpx.Response(200, content=buffer.getvalue(), request=request)

    def get(*_: Any, **__: Any) -> httpx.Response:
        return answer

    monkeypatch.setattr(httpx, "get", get)


class _Flags:
    """What the chat model can honestly do. Left off: URLs (nothing is fetched), PDF, audio and video (it sees
    pictures), JSON mode (schemas do it), recorded cassettes (there is no server to record)."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatLookTwice

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return True


class TestUnit(_Flags, ChatModelUnitTests):
    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "pocket"}

    @pytest.mark.xfail(reason="langchain-core revives only classes of its own list where all are allowed")
    def test_serdes(self, model: BaseChatModel, snapshot: Any) -> None:
        super().test_serdes(model, snapshot)


def test_a_model_is_written_down_and_revived_where_its_class_is_allowed() -> None:
    model = ChatLookTwice(temperature=0.2, max_tokens=7, stop=["."], memory=":memory:")
    written = dumps(model)
    with pytest.warns(LangChainBetaWarning):
        revived = loads(written, allowed_objects=[ChatLookTwice], valid_namespaces=["looktwice"])
    assert isinstance(revived, ChatLookTwice)
    assert revived.model_dump() == model.model_dump()
    assert "memory" not in json.loads(written)["kwargs"]


class TestPocket(_Flags, ChatModelIntegrationTests):
    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "pocket"}

    @property
    def model_override_value(self) -> str:
        return "pocket"

    @property
    def supported_usage_metadata_details(self) -> Any:
        return {"invoke": ["cache_read_input"], "stream": ["cache_read_input"]}

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        model = ChatLookTwice()
        question = [HumanMessage("What colour is the circle in the picture, which is not here?")]
        model.invoke(question)
        if not stream:
            return model.invoke(question)
        full: BaseMessageChunk | None = None
        for chunk in model.stream(question):
            full = chunk if full is None else full + chunk
        assert isinstance(full, AIMessage)
        return full

    @OVER_POCKETS_HEAD
    def test_tool_calling(self, model: BaseChatModel) -> None:
        super().test_tool_calling(model)

    @OVER_POCKETS_HEAD
    async def test_tool_calling_async(self, model: BaseChatModel) -> None:
        await super().test_tool_calling_async(model)

    @OVER_POCKETS_HEAD
    def test_agent_loop(self, model: BaseChatModel) -> None:
        super().test_agent_loop(model)

    @OVER_POCKETS_HEAD
    def test_unicode_tool_call_integration(
        self, model: BaseChatModel, *, tool_choice: str | None = None, force_tool_call: bool = True
    ) -> None:
        super().test_unicode_tool_call_integration(model, tool_choice=tool_choice, force_tool_call=force_tool_call)


def obedient(prompt: Prompt) -> str:
    """Calls the tool that is announced, with arguments out of the question; else says something."""
    spoken = [
        (message.role, "".join(part.text for part in message.segments if isinstance(part, Words)))
        for message in prompt.messages
    ]
    announced = "".join(text for role, text in spoken if role == "system")
    asked = spoken[-1][1]
    offered = re.findall(r"^- (\w+):", announced, re.MULTILINE)
    if offered and "sunny" not in asked:
        arguments = CALLS.get(offered[0], JOKE)
        if quoted := re.search("'(\\w+)'", asked):
            arguments = {"customer_name": quoted[1], "description": "a company"}
        return f"<tool_call>{json.dumps({'name': offered[0], 'arguments': arguments}, ensure_ascii=False)}</tool_call>"
    return "It is a picture of shapes, and the answer is three words more."


CALLS: dict[str, Any] = {
    "magic_function": {"input": 3},
    "magic_function_no_args": {},
    "get_weather": {"location": "San Francisco, CA"},
    "greeting_generator": {"answer_style": "pirate"},
    "my_adder_tool": {"a": 1, "b": 2},
}
JOKE = {"setup": "Why?", "punchline": "Because."}


class TestScript(_Flags, ChatModelIntegrationTests):
    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"backend": ScriptedBackend([obedient] * 50)}

    @property
    def supports_model_override(self) -> bool:
        return False


def test_the_drawn_picture_is_what_the_suites_get(picture_from_here: Iterator[None]) -> None:
    assert httpx.get("https://upload.wikimedia.org/any.png").content.startswith(b"\x89PNG")


@functools.cache
def zoom() -> BaseTool:
    """Our zoom on a memory that knows one picture."""
    memory = Memory(":memory:")
    name = "langchain"
    memory.conversations.create(name)
    memory.pictures.add(name, Picture.load(scene(("red", "circle", "top left"))), name="wall")
    return as_langchain_tools(["zoom"], memory=memory)[0]


class _Zoom:
    @property
    def tool_constructor(self) -> BaseTool:
        return zoom()

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"image": "wall", "box": [0, 0, 400, 400]}


class TestZoomUnit(_Zoom, ToolsUnitTests):
    pass


class TestZoom(_Zoom, ToolsIntegrationTests):
    pass
