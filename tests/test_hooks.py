"""Hooks: LangChain's places and order; cancel, replace, pause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import scenes
from scripts import call, pay, shout

from looktwice import Agent, Answer, Chat, Hook, ScriptedBackend
from looktwice.agent.backends import Done
from looktwice.agent.hooks import Cancel, ModelRequest, Pause, ToolRequest
from looktwice.errors import InvalidInput
from looktwice.memory.parts import Turn
from looktwice.tools import ToolResult


def hooked(*script: str, hooks: Sequence[Hook]) -> Chat:
    chat = Agent(ScriptedBackend(script), memory=":memory:", tools=["zoom", shout, pay], hooks=hooks).chat("t")
    chat.add(scenes.scene(("red", "circle", "top")), "bill")
    return chat


class Logged(Hook):
    """Writes down each place it is called at."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log

    def before_agent(self, conversation: str, turns: Sequence[Turn]) -> None:
        self.log.append(f"{self.name} before_agent {conversation} {turns[-1].role}")

    def before_model(self, request: ModelRequest) -> None:
        self.log.append(f"{self.name} before_model {request.looks_left}")

    def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], Done]) -> Done:
        self.log.append(f"{self.name} wrap_model_call")
        return handler(request)

    def after_model(self, request: ModelRequest, response: Done) -> None:
        self.log.append(f"{self.name} after_model")

    def before_tool(self, request: ToolRequest) -> None:
        self.log.append(f"{self.name} before_tool {request.call.tool}")

    def wrap_tool_call(self, request: ToolRequest, handler: Callable[[ToolRequest], ToolResult]) -> ToolResult:
        self.log.append(f"{self.name} wrap_tool_call")
        return handler(request)

    def after_tool(self, request: ToolRequest, result: ToolResult) -> None:
        self.log.append(f"{self.name} after_tool {result.text}")

    def after_agent(self, answer: Answer) -> None:
        self.log.append(f"{self.name} after_agent {answer.text}")


def test_befores_run_in_order_afters_in_reverse_and_wraps_nest() -> None:
    log: list[str] = []
    hooked(call("shout", words="hi"), "done", hooks=[Logged("A", log), Logged("B", log)]).ask("What?", looks=1)
    model = ["A wrap_model_call", "B wrap_model_call", "B after_model", "A after_model"]
    assert log == [
        "A before_agent t user", "B before_agent t user",
        "A before_model 1", "B before_model 1", *model,
        "A before_tool shout", "A wrap_tool_call", "B before_tool shout", "B wrap_tool_call",
        "B after_tool HI", "A after_tool HI",
        "A before_model 0", "B before_model 0", *model,
        "B after_agent done", "A after_agent done",
    ]  # fmt: skip


def test_a_hook_replaces_requests_results_and_answers() -> None:
    class Replacing(Hook):
        def before_tool(self, request: ToolRequest) -> ToolRequest:
            return request.replace(call=replace(request.call, arguments={"words": "other"}))

        def after_tool(self, request: ToolRequest, result: ToolResult) -> ToolResult:
            return ToolResult(text=f"{result.text}!")

        def after_agent(self, answer: Answer) -> Answer:
            return replace(answer, text=f"could be: {answer.text}")

    chat = hooked(call("shout", words="hi"), "done", hooks=[Replacing()])
    answer = chat.ask("What?")
    assert (answer.looks[0].text, answer.text) == ("OTHER!", "could be: done")
    assert chat.turns[-1].text == "could be: done"


def test_a_hook_can_bring_the_result_itself_so_that_the_tool_does_not_run() -> None:
    class Cached(Hook):
        def before_tool(self, request: ToolRequest) -> ToolResult:
            return ToolResult(text="from the cache")

    assert hooked(call("pay", amount=3), "done", hooks=[Cached()]).ask("What?").looks[0].text == "from the cache"


def test_a_hook_can_answer_in_the_models_place_and_change_what_it_said() -> None:
    class Canned(Hook):
        def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], Done]) -> Done:
            return replace(handler(request), text="canned", ids=None)

    assert hooked("free", hooks=[Canned()]).ask("What?").text == "canned"


def test_a_refused_call_is_told_to_the_model() -> None:
    class Refusing(Hook):
        def before_tool(self, request: ToolRequest) -> None:
            raise Cancel("not on Sundays")

    answer = hooked(call("shout", words="hi"), "fine", hooks=[Refusing()]).ask("What?")
    assert (answer.looks[0].text, answer.looks[0].error) == ("the call was refused: not on Sundays", True)


def test_a_hook_can_end_the_ask() -> None:
    class Closed(Hook):
        def before_model(self, request: ModelRequest) -> None:
            raise Cancel("closed for today")

    answer = hooked("never", hooks=[Closed()]).ask("What?")
    assert (answer.text, answer.finish) == ("closed for today", "cancelled")


def test_a_hook_can_pause_any_call() -> None:
    class Careful(Hook):
        def before_tool(self, request: ToolRequest) -> None:
            if not request.approved:
                raise Pause("please look at this first")

    chat = hooked(call("shout", words="hi"), "done", hooks=[Careful()])
    assert chat.ask("What?").finish == "paused"
    (waiting,) = chat.approvals()
    assert waiting.reason == "please look at this first"
    assert chat.decide(waiting.id, True).looks[0].text == "HI"


def test_what_a_hook_raises_by_mistake_reaches_the_caller_and_the_question_stays() -> None:
    class Broken(Hook):
        def before_model(self, request: ModelRequest) -> None:
            raise KeyError("oops")

    chat = hooked("never", hooks=[Broken()])
    with pytest.raises(KeyError):
        chat.ask("What?")
    assert chat.turns[-1].role == "user"


def test_hooks_hear_what_is_offered() -> None:
    seen: list[tuple[str, ...]] = []

    class Seeing(Hook):
        def before_model(self, request: ModelRequest) -> ModelRequest:
            seen.append(tuple(tool.name for tool in request.tools))
            return request.replace(tools=request.tools[:1])

    chat = hooked("done", hooks=[Seeing()])
    chat.ask("What?")
    backend = chat.agent.backend
    assert isinstance(backend, ScriptedBackend)
    assert seen == [("zoom", "shout", "pay")]
    assert [spec.name for offer in backend.offers if offer for spec in offer.tools] == ["zoom"]


def test_a_question_that_a_hook_refuses_is_kept_without_an_answer() -> None:
    class Closed(Hook):
        def before_agent(self, conversation: str, turns: Sequence[Turn]) -> None:
            raise Cancel("closed on Sundays")

    chat = hooked("never", hooks=[Closed()])
    with pytest.raises(InvalidInput, match="a hook refused the question: closed on Sundays"):
        chat.ask("What?")
    assert chat.unfinished == chat.turns[-1]
