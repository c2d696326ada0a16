"""The server as its clients see it: OpenAI's own client, unchanged but for the address, answered by pocket."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import scenes
from openai import NotFoundError, OpenAI
from pydantic import BaseModel
from serving import Served, asking, events, served, shown, user, wait_until
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from looktwice import Agent, Memory, ScriptedBackend
from looktwice.tools import find_tools

RED = scenes.scene(("red", "circle", "top left"))
BLUE = scenes.scene(("blue", "circle", "bottom right"))
PAINT: Any = {
    "type": "function",
    "function": {
        "name": "paint",
        "description": "Paint something.",
        "parameters": {"type": "object", "properties": {"colour": {"$ref": "#/$defs/colour"}}, "required": ["colour"],
                       "$defs": {"colour": {"enum": ["red", "green"]}}},
    },
}  # fmt: skip


class Seen(BaseModel):
    colour: str
    shapes: int


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.scope['owner']!r} {sorted(request.app.state.house.agents)}")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server") / "chat.db"


@pytest.fixture(scope="module")
def server(path: Path) -> Generator[Served]:
    with Memory(path) as memory:
        agents = {
            "pocket": Agent("pocket", memory=memory, tools=()),
            "scripted": Agent(ScriptedBackend(["One two three", "four"]), memory=memory, tools=()),
        }
        with served(agents, tools=find_tools(["zoom"]), routes=[Route("/hello", hello)]) as running:
            yield running


@pytest.fixture(scope="module")
def client(server: Served) -> Generator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as made:
        yield made


def ask(client: OpenAI, *messages: Any, **more: Any) -> Any:
    create: Any = client.chat.completions.create
    return create(model="pocket", messages=list(messages), **more)


def test_a_question_about_a_picture_is_answered(client: OpenAI) -> None:
    reply = ask(client, user(shown(RED), "What colour is the circle?"))
    assert reply.choices[0].message.content == "red"
    assert (reply.choices[0].finish_reason, reply.model, reply.object) == ("stop", "pocket", "chat.completion")
    usage = reply.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 200


def test_the_second_turn_of_a_stateless_chat_computes_its_own_words_alone(client: OpenAI) -> None:
    green = scenes.scene(("green", "triangle", "right"))
    messages: list[Any] = [user(shown(green), "Where is the triangle?")]
    first = ask(client, *messages)
    assert first.choices[0].message.content == "right"
    messages += [{"role": "assistant", "content": "right"}, user("What colour is the triangle?")]
    second = ask(client, *messages)
    assert second.choices[0].message.content == "green"
    cached = second.usage.prompt_tokens_details.cached_tokens
    assert cached == first.usage.prompt_tokens + first.usage.completion_tokens


def test_several_pictures_are_told_apart_by_their_names(client: OpenAI) -> None:
    parts = (shown(RED, name="wall"), shown(BLUE, name="door"))
    for name, colour in (("wall", "red"), ("door", "blue")):
        reply = ask(client, user(*parts, f"What colour is the circle in @{name}?"))
        assert reply.choices[0].message.content == colour


def test_a_stream_brings_the_words_as_they_come_and_the_usage_on_request(client: OpenAI) -> None:
    chunks = list(
        ask(client, user(shown(RED), "Where is the circle?"), stream=True, stream_options={"include_usage": True})
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "top left"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 2
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_ends_with_done(server: Served) -> None:
    response = server.post(asking(user(shown(RED), "What colour is the circle?"), stream=True))
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert events(response)[-1] == "[DONE]"
    assert all(event["choices"] for event in events(response)[:-1])  # no usage was asked for


def test_a_function_is_called_and_its_result_taken(client: OpenAI) -> None:
    messages: list[Any] = [user(shown(RED), "What colour is the circle?")]
    reply = ask(client, *messages, tools=[PAINT], tool_choice="required")
    (call,) = reply.choices[0].message.tool_calls
    assert (reply.choices[0].finish_reason, call.function.name) == ("tool_calls", "paint")
    assert json.loads(call.function.arguments)["colour"] in ("red", "green")
    messages += [reply.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "painted"}]
    after = ask(client, *messages, tools=[PAINT], tool_choice="none", max_tokens=8)
    assert after.choices[0].message.tool_calls is None
    # the tools stand before the picture, and the call is reused as the model wrote it
    assert after.usage.prompt_tokens_details.cached_tokens >= reply.usage.prompt_tokens


def test_a_call_in_a_stream_comes_as_one_delta(client: OpenAI) -> None:
    named: Any = {"type": "function", "function": {"name": "paint"}}
    chunks = list(ask(client, user(shown(RED), "Paint it."), tools=[PAINT], tool_choice=named, stream=True))
    (call,) = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert (call.index, call.function.name) == (0, "paint")
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    assert not any(chunk.choices[0].delta.content for chunk in chunks)


def test_an_answer_in_a_schema_is_parsed_by_the_client_itself(client: OpenAI) -> None:
    message: Any = user(shown(RED), "What is this?")
    reply = client.chat.completions.parse(model="pocket", messages=[message], response_format=Seen)
    assert isinstance(reply.choices[0].message.parsed, Seen)
    assert reply.choices[0].finish_reason == "stop"


def test_log_probabilities_come_with_their_alternatives(client: OpenAI) -> None:
    asked = user(shown(RED), "Where is the circle?")
    reply = ask(client, asked, logprobs=True, top_logprobs=3)
    tokens = reply.choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == "top left"
    assert bytes(tokens[0].bytes).decode() == tokens[0].token
    for token in tokens:
        assert token.top_logprobs[0].token == token.token.strip() or token.top_logprobs[0].token == token.token
        assert [top.logprob for top in token.top_logprobs] == sorted(
            (top.logprob for top in token.top_logprobs), reverse=True
        )
        assert len(token.top_logprobs) == 3
    streamed = ask(client, asked, logprobs=True, stream=True)
    told = [token for chunk in streamed if chunk.choices[0].logprobs for token in chunk.choices[0].logprobs.content]
    assert [token.token for token in told] == [token.token for token in tokens]


def test_several_choices_sampling_and_stop_words(client: OpenAI) -> None:
    asked = user(shown(RED), "Where is the circle?")
    reply = ask(client, asked, n=2, temperature=1.5, seed=5, top_p=0.9)
    again = ask(client, asked, n=2, temperature=1.5, seed=5, top_p=0.9)
    assert [choice.index for choice in reply.choices] == [0, 1]
    assert [c.message.content for c in reply.choices] == [c.message.content for c in again.choices]
    cut = ask(client, asked, stop=[" left"])
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("top", "stop")
    short = ask(client, asked, max_completion_tokens=1)
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("top", "length")


def test_a_conversation_is_kept_by_its_name(client: OpenAI, path: Path) -> None:
    named = {"X-Looktwice-Chat": "walk"}
    first = ask(client, user(shown(RED, name="wall"), "What colour is the circle in @wall?"), extra_headers=named)
    assert (first.choices[0].message.content, first.looktwice["chat"]) == ("red", "walk")
    second = ask(client, user("Where is the circle in @wall?"), metadata={"looktwice_chat": "walk"})
    assert second.choices[0].message.content == "top left"
    with Memory(path) as memory:  # another connection
        turns = memory.turns.branch(memory.conversations.get("walk").head)
        assert [turn.role for turn in turns] == ["user", "assistant"] * 2
        assert (turns[-1].text, turns[-1].id) == ("top left", second.looktwice["turn"])


def test_a_kept_conversation_takes_only_what_is_new_of_a_whole_history(client: OpenAI) -> None:
    named = {"X-Looktwice-Chat": "history"}
    messages: list[Any] = [{"role": "system", "content": "Answer shortly."}, user(shown(RED), "Where is the circle?")]
    ask(client, *messages, extra_headers=named)
    messages += [{"role": "assistant", "content": "top left"}, user("What colour is the circle?")]
    reply = ask(client, *messages, extra_headers=named)
    assert reply.choices[0].message.content == "red"
    assert len(reply.looktwice["images"]) == 1


def test_a_second_look_on_request_brings_its_crop_and_is_told_while_it_happens(client: OpenAI) -> None:
    sign = scenes.receipt("STOP")
    asked = user(shown(sign, name="street"), "Zoom into the sign in @street.")
    chunks = list(ask(client, asked, stream=True, extra_body={"looktwice": {"tools": ["zoom"], "looks": 1}}))
    told = [chunk.looktwice["event"] for chunk in chunks if "event" in (getattr(chunk, "looktwice", None) or {})]
    assert told[:3] == ["notice", "called", "returned"]
    own = chunks[-1].looktwice
    assert [(look["tool"], look["images"]) for look in own["looks"]] == [("zoom", ["street.zoom1"])]
    assert "chat" not in own


def test_a_conversation_that_nobody_named_leaves_nothing(client: OpenAI, server: Served, path: Path) -> None:
    with Memory(path) as memory:
        before = {conversation.name for conversation in memory.conversations.list()}
        reply = ask(
            client,
            user(shown(RED), "What colour is the circle?"),
            {"role": "assistant", "content": "red"},
            user("Where is the circle?"),
            extra_body={"looktwice": {"look_again": False}},
        )
        assert reply.choices[0].message.content == "top left"
        assert {conversation.name for conversation in memory.conversations.list()} == before
    assert server.house._fleeting.conversations.list() == []  # pyright: ignore[reportPrivateUsage]


def test_models_are_listed_and_found_by_name(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["pocket", "scripted"]
    assert client.models.retrieve("pocket").owned_by == "looktwice"
    with pytest.raises(NotFoundError, match="no model named 'poket'; did you mean 'pocket'"):
        client.models.retrieve("poket")


def test_the_other_model_answers_by_its_name(server: Served) -> None:
    reply = server.post({**asking(), "model": "scripted"}).json()
    assert (reply["model"], reply["choices"][0]["message"]["content"]) == ("scripted", "One two three")


def test_health_metrics_and_routes_of_others(server: Served) -> None:
    assert server.get("/healthz").json() == {"status": "ok"}
    assert server.get("/hello").text == "'' ['pocket', 'scripted']"
    server.post(asking(user(shown(RED), "What colour is the circle?")))
    text = server.get("/metrics").text
    assert 'looktwice_requests_total{path="/v1/chat/completions",status="200"}' in text
    assert 'looktwice_tokens_total{kind="reused"}' in text
    assert "# TYPE looktwice_answer_seconds histogram" in text
    assert "looktwice_running 0" in text
    for line in text.splitlines():
        assert line.startswith("#") or float(line.rsplit(" ", 1)[1]) >= 0


def test_a_client_that_leaves_ends_its_answer(tmp_path: Path) -> None:
    agent = Agent(ScriptedBackend(["word " * 100_000], pace=0.01), memory=tmp_path / "chat.db", tools=())
    with served({"pocket": agent}) as running:
        body = asking(user("Tell."), stream=True)
        headers = {"X-Looktwice-Chat": "long"}
        with running.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response:
            heard = response.iter_text()
            while "word" not in next(heard):
                pass
        wait_until(lambda: running.house.running == 0)
        (turn,) = [turn for turn in agent.chat("long").turns if turn.role == "assistant"]
        assert (turn.status, turn.text[:4]) == ("partial", "word")


def test_a_server_that_stops_sends_and_keeps_what_there_is_of_an_answer(tmp_path: Path) -> None:
    from looktwice.agent.server import Caps

    path = tmp_path / "chat.db"
    with Memory(path) as memory:
        agent = Agent(ScriptedBackend(["word " * 100_000], pace=0.01), memory=memory, tools=())
        with served({"pocket": agent}, caps=Caps(ending=0.5)) as running:
            body = asking(user("Tell."), stream=True)
            headers = {"X-Looktwice-Chat": "long"}
            with running.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response:
                heard = response.iter_text()
                text = ""
                while "word" not in text:
                    text += next(heard)
                running.server.should_exit = True
                text += "".join(heard)
        assert text.rstrip().endswith("data: [DONE]")
        assert '"finish":"cancelled"' in text
        turn = agent.memory.turns.branch(memory.conversations.get("long").head)[-1]
        assert (turn.role, turn.status) == ("assistant", "partial")
