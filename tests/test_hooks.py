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
from looktwice.memory.parts import TextPart, Turn
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
    assert (answer.text, answer.finish, answer.notices) == ("", "cancelled", ("closed for today",))


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


def test_tools_that_a_hook_takes_away_can_not_be_called_and_those_it_adds_can() -> None:
    class Taking(Hook):
        def before_model(self, request: ModelRequest) -> ModelRequest:
            return request.replace(tools=())

    class Adding(Hook):
        def before_model(self, request: ModelRequest) -> ModelRequest:
            return request.replace(tools=(*request.tools, shout))

    script = call("shout", words="hi")
    assert hooked(script, hooks=[Taking()]).ask("What?").text == script
    chat = Agent(ScriptedBackend([script, "done"]), memory=":memory:", tools=["zoom"], hooks=[Adding()]).chat("t")
    assert [look.text for look in chat.ask("What?").looks] == ["HI"]


def test_words_that_a_hook_changed_are_not_kept_as_the_models_ids() -> None:
    class Redacting(Hook):
        def after_model(self, request: ModelRequest, response: Done) -> Done:
            return replace(response, text="[removed]")

    with Agent(memory=":memory:", hooks=[Redacting()]) as agent:
        chat = agent.chat("t")
        chat.add(scenes.scene(("red", "circle", "top")), "a")
        assert chat.ask("What colour is the circle in @a?").text == "[removed]"
        assert not chat.turns[-1].tokens
        assert "".join(row.text for row in chat.prompt()).count("[removed]") == 1


def test_an_answer_is_kept_whatever_a_hook_does_after_it() -> None:
    class Broken(Hook):
        def after_agent(self, answer: Answer) -> None:
            raise KeyError("oops")

    class Refusing(Hook):
        def after_agent(self, answer: Answer) -> None:
            raise Cancel("not for you")

    chat = hooked("the answer", hooks=[Broken()])
    with pytest.raises(KeyError):
        chat.ask("What?")
    assert chat.turns[-1].text == "the answer"
    refused = hooked("the answer", hooks=[Refusing()])
    answer = refused.ask("What?")
    assert (answer.text, answer.notices) == ("", ("a hook refused the answer: not for you",))
    assert refused.turns[-1].text == ""


def test_cancel_keeps_the_part_of_an_answer_that_was_there() -> None:
    class Broke(Hook):
        def before_model(self, request: ModelRequest) -> None:
            raise Cancel("budget exceeded")

    chat = hooked("never", hooks=[Broke()])
    chat.memory.turns.append(chat.conversation, Turn("user", (TextPart("Count."),)))
    chat.memory.turns.append(chat.conversation, Turn("assistant", (TextPart("one "),), status="partial"))
    answer = chat.go_on()
    assert (answer.text, answer.finish, answer.notices) == ("one ", "cancelled", ("budget exceeded",))
    assert (chat.turns[-1].text, chat.turns[-1].status) == ("one ", "partial")


def test_a_model_that_is_asked_twice_by_a_hook_answers_twice_from_the_start() -> None:
    class Best(Hook):
        def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], Done]) -> Done:
            handler(request)
            return handler(request)

    backend = ScriptedBackend(["first one", "second one"], pace=0.6)
    chat = Agent(backend, memory=":memory:", hooks=[Best()]).chat("t")
    answer = chat.ask("What?")
    assert answer.text == "second one"
    assert [prompt.open_answer for prompt in backend.prompts] == [False, False]
    assert answer.usage.output == 4
    assert [turn.text for turn in chat.turns] == ["What?", "second one"]


def test_a_hook_that_asks_in_its_own_conversation_is_told() -> None:
    class Asking(Hook):
        chat: Chat

        def after_agent(self, answer: Answer) -> None:
            self.chat.ask("And?")

    hook = Asking()
    hook.chat = hooked("the answer", hooks=[hook])
    with pytest.raises(InvalidInput, match="is being answered; a hook can't ask in it, but in a fork of it"):
        hook.chat.ask("What?")


def test_an_approved_call_can_be_paused_again() -> None:
    class Strict(Hook):
        def before_tool(self, request: ToolRequest) -> None:
            raise Pause("never")

    chat = hooked(call("shout", words="hi"), hooks=[Strict()])
    chat.ask("What?")
    answer = chat.decide(chat.approvals()[0].id, True)
    assert answer.finish == "paused"
    assert len(chat.approvals()) == 1
