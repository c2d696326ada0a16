"""What a server must not do, each tried; ``pytest -v`` prints the list."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
import scenes
from PIL import Image
from serving import Served, asking, events, served, shown, user, wait_until
from shell import run
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from looktwice import Agent, ScriptedBackend
from looktwice.agent.prompt import Prompt
from looktwice.agent.server import Caps, Owners
from looktwice.agent.server.asked import Asked
from looktwice.errors import InvalidInput
from looktwice.tools import find_tools

CAPS = Caps(body=200_000, messages=5, pictures=2, tools=2, schema=2000, choices=2, max_tokens=50, looks=2)
SLOW = Caps(headers=0.3, reading=0.3, sending=0.3, waiting=2)
PICTURE = scenes.scene(("red", "circle", "top"))
ANNA, BERT = "anna-0123456789abcdef", "bert-0123456789abcdef"
SECRET = "the-safe-is-behind-the-picture"


def answering(_: Prompt) -> str:
    return "words"


def counting(prompt: Prompt) -> str:
    return str(len(prompt.messages))


def failing(_: Prompt) -> str:
    raise RuntimeError(f"at /srv/models/secret.bin with {SECRET}")


async def broken(request: Request) -> Response:
    raise RuntimeError(SECRET)


@pytest.fixture(scope="module")
def server() -> Generator[Served]:
    agents = {
        "pocket": Agent(ScriptedBackend([answering] * 500), memory=":memory:", tools=()),
        "failing": Agent(ScriptedBackend([failing] * 20), memory=":memory:", tools=()),
    }
    routes = [Route("/broken", broken)]
    with served(agents, caps=CAPS, tools=find_tools(["zoom"]), routes=routes) as running:
        yield running


@pytest.fixture(scope="module")
def private() -> Generator[Served]:
    owners = Owners({"anna": ANNA, "bert": BERT})
    agent = Agent(ScriptedBackend([counting] * 50), memory=":memory:", tools=())
    with served({"pocket": agent}, owners=owners, origins=["https://chat.example"], hosts=["box.example"]) as running:
        yield running


def told(response: httpx.Response, status: int) -> str:
    """The message of an error object, which is all that a refusal holds."""
    body = response.json()
    assert response.status_code == status, body
    assert list(body) == ["error"]
    assert sorted(body["error"]) == ["code", "message", "param", "type"]
    assert "\n" not in body["error"]["message"]
    return str(body["error"]["message"])


# --- where from


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost@evil", ""])
def test_a_name_that_was_made_to_point_here_is_refused(server: Served, host: str) -> None:
    assert "is not served here" in told(server.post(asking(), Host=host), 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:99", "192.168.1.5"])
def test_localhost_and_plain_addresses_are_served(server: Served, host: str) -> None:
    assert server.post(asking(), Host=host).status_code == 200


def test_two_hosts_are_refused(server: Served) -> None:
    answer = server.raw(
        b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    )
    assert b" 400 " in answer.splitlines()[0] or b" 403 " in answer.splitlines()[0]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "file://", ""])
def test_a_foreign_page_is_refused(server: Served, origin: str) -> None:
    response = server.post(asking(), Origin=origin)
    assert "pages from elsewhere" in told(response, 403)
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_browser_calls_cross_site_is_refused(server: Served, site: str) -> None:
    assert "pages from elsewhere" in told(server.post(asking(), Sec_Fetch_Site=site), 403)
    assert "pages from elsewhere" in told(server.get("/v1/models", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors"), 403)


def test_the_server_s_own_page_may_ask(server: Served) -> None:
    own = {"Origin": server.url, "Sec_Fetch_Site": "same-origin"}
    assert server.post(asking(), **own).status_code == 200


def test_there_is_no_cors_unless_an_origin_was_allowed(server: Served, private: Served) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Origin": "https://chat.example"}
    refusal = server.client.options("/v1/chat/completions", headers=asks)
    assert (refusal.status_code, "access-control-allow-origin" in refusal.headers) == (403, False)
    allowed = private.client.options("/v1/chat/completions", headers=asks)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, "https://chat.example")
    other = private.client.options("/v1/chat/completions", headers={**asks, "Origin": "https://evil.example"})
    assert (other.status_code, "access-control-allow-origin" in other.headers) == (403, False)


def test_a_form_can_t_ask(server: Served) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        sent = server.send(json.dumps(asking()), kind)
        assert "must be JSON" in told(sent, 415)


# --- who


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_an_address_that_others_reach_is_not_bound_without_a_token(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOOKTWICE_TOKEN", raising=False)
    ran = run(f"looktwice serve --host {address} --db :memory:")
    assert ran.status == 1
    assert ran.stderr.startswith(f"error: {address!r} can be reached from elsewhere, and there is no token")


@pytest.mark.parametrize("sent", ["", "Bearer", f"Bearer {ANNA}x", f"Bearer {ANNA[:-1]}", f"Token {ANNA}", "Basic !"])
def test_without_the_right_token_nothing_is_answered(private: Served, sent: str) -> None:
    for response in (
        private.post(asking(), Authorization=sent),
        private.get("/v1/models", Authorization=sent),
        private.get("/metrics", Authorization=sent),
        private.get("/nothing", Authorization=sent),
    ):
        assert "no token, or a wrong one" in told(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"
    assert private.get("/healthz").status_code == 200


def test_a_browser_may_send_the_token_as_a_password(private: Served) -> None:
    sent = base64.b64encode(f"me:{ANNA}".encode()).decode()
    assert private.get("/v1/models", Authorization=f"Basic {sent}").status_code == 200


def test_a_conversation_can_t_be_read_with_another_s_token(private: Served) -> None:
    def turns_seen(token: str, chat: str, **more: Any) -> str:
        sent = private.post(asking(**more), Authorization=f"Bearer {token}", X_Looktwice_Chat=chat)
        return str(sent.json()["choices"][0]["message"]["content"])

    assert [turns_seen(ANNA, "diary"), turns_seen(ANNA, "diary")] == ["1", "3"]
    assert turns_seen(BERT, "diary") == "1"
    by_metadata = private.post(asking(metadata={"looktwice_chat": "diary"}), Authorization=f"Bearer {BERT}")
    assert by_metadata.json()["choices"][0]["message"]["content"] == "3"  # bert's own second question
    for name in ("anna/diary", "../anna/diary", "bert/../anna/diary"):
        sent = private.post(asking(), Authorization=f"Bearer {BERT}", X_Looktwice_Chat=name)
        assert "it has a slash" in told(sent, 400)


def test_tokens_come_from_a_file_or_the_environment_and_are_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# who may ask\nanna {ANNA}\nbert {BERT}\n", encoding="utf-8")
    monkeypatch.setenv("LOOKTWICE_TOKEN", "0123456789abcdef")
    owners = Owners.read(file)
    asked = ["Bearer 0123456789abcdef", f"bearer {ANNA}", f"Bearer {BERT}", "Bearer other", None]
    assert [owners.of(header) for header in asked] == ["", "anna", "bert", None, None]
    for tokens in ({"anna": "short"}, {"an/na": ANNA}):
        with pytest.raises(InvalidInput):
            Owners(tokens)
    with pytest.raises(InvalidInput, match="can't be read"):
        Owners.read(tmp_path / "nothing")


# --- what


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://example.org/a.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "wall.png",
        "ftp://example.org/a.png",
        "data:image/png,plain",
        "data:text/html;base64",
        " data:image/png;base64,AAAA",
        "DATA:image/png;base64,AAAA",
    ],
)
def test_nothing_is_fetched_and_no_file_is_read(server: Served, url: str) -> None:
    for body in (asking(user(shown(url))), asking(user(shown(url)), looktwice={})):
        assert "fetches nothing and reads no file" in told(server.post(body), 400)
    kept = server.post(asking(user(shown(url), "What?")), X_Looktwice_Chat="urls")
    assert "fetches nothing and reads no file" in told(kept, 400)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"no picture", "holds text"),
        (b"%PDF-1.7", "is a PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is SVG"),
        (b"\x89PNG\r\n\x1a\n cut", "is damaged"),
        (b"", "is empty"),
    ],
)
def test_what_is_no_picture_is_refused(server: Served, data: bytes, why: str) -> None:
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    assert why in told(server.post(asking(user(shown(url)))), 400)


def test_a_small_file_of_too_many_pixels_is_refused(server: Served) -> None:
    bomb = Image.new("1", (10_000, 6000))
    assert "over the limit of 50 million" in told(server.post(asking(user(shown(bomb)))), 400)


def test_base64_that_is_none_is_refused(server: Served) -> None:
    assert "can't be decoded" in told(server.post(asking(user(shown("data:image/png;base64,A*B")))), 400)


FUNCTION: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
FORM: Any = {"type": "json_schema", "json_schema": {"name": "f", "schema": {"type": "object", "properties": {}}}}
LAUGHS: Any = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 9} for n in range(20)} | {"d20": {"type": "null"}}


def named(name: str, **parameters: Any) -> Any:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", **parameters}}}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (asking(n=3), "n is 3 here; this server takes 2 at most"),
        (asking(n=0), "n: Input should be greater"),
        (asking(max_tokens=51), "max_tokens is 51"),
        (asking(max_completion_tokens=10**30), "max_tokens is 1000000000"),
        (asking(*[user("a")] * 6), "messages is 6"),
        (asking(user(*[shown(PICTURE)] * 3)), "pictures is 3"),
        (asking(tools=[FUNCTION] * 3), "tools is 3"),
        (asking(tools=[named("f", description="x" * 3000)]), "characters"),
        (asking(tools=[named("a b")]), "can't name a tool"),
        (asking(tools=[FUNCTION, FUNCTION]), "names two"),
        (asking(tools=[named("f", properties={"a": {"$ref": "#/$defs/d0"}}, **{"$defs": LAUGHS})]), "characters"),
        (asking(tools=[named("f", properties={"a": {"$ref": "#/properties/a"}})]), "refers to itself"),
        (asking(tools=[named("f", properties={"a": {"$ref": "https://example.org/s"}})]), "leads out of the schema"),
        (asking(tools=[named("f", properties={"a": {"type": "text"}})]), "can't be made into a grammar"),
        (asking(tools=["f"]), "tools.0: Input should be"),
        (asking(tools=[{}]), "is no tool"),
        (asking(tools=[FUNCTION], tool_choice="g"), "'g' is not a tool"),
        (asking(response_format={"type": "json_object"}), "has no schema"),
        (asking(tools=[FUNCTION], response_format=FORM), "'f' can't name a tool, or names two"),
        (asking(stop=["a"] * 17), "stop is 17"),
        (asking(stop="a" * 201), "the length of stop is 201"),
        (asking(stop=""), "stop [''] can't be used"),
        (asking(temperature=-1), "temperature: Input should be"),
        (asking(top_logprobs=21, logprobs=True), "top_logprobs: Input should be"),
        (asking(frequency_penalty=1), "frequency_penalty is not supported"),
        (asking(logit_bias={"1": 1}), "logit_bias is not supported"),
        (asking(looktwice={"looks": 3}), "looktwice.looks is 3"),
        (asking(looktwice={"tools": ["os:system"]}), "no tool 'os:system' is offered here; offered: zoom"),
        (asking(looktwice={"module": "os"}), "looktwice.module: Extra inputs"),
        (asking({"role": "wizard", "content": "a"}), "messages.0.role: Input should be"),
        (asking(user({"type": "input_audio"})), "messages.0.content"),
        (asking({"role": "assistant", "content": "a"}), "the last message must be"),
        (asking({"role": "tool", "content": "a", "tool_call_id": "x"}), "answers a call that no message"),
        ({"model": "pocket", "messages": []}, "messages: List should have"),
        ([], "the body: Input should be"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_too_much_and_what_makes_no_sense_is_refused(server: Served, body: Any, why: str) -> None:
    assert why in told(server.post(body), 400)


def test_few_words_of_a_schema_can_t_say_too_much(server: Served) -> None:
    laughs = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 3} for n in range(16)} | {"d16": {"type": "null"}}
    tool = named("f", properties={"a": {"$ref": "#/$defs/d0"}}, **{"$defs": laughs})
    assert len(json.dumps(tool)) < CAPS.schema
    assert "more than 5000 parts" in told(server.post(asking(tools=[tool])), 400)


def test_a_body_that_is_too_long_is_not_read(server: Served) -> None:
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = server.raw(f"{head}Content-Length: 99999999999999999999999999\r\n\r\n".encode())
    assert b" 413 " in answer.splitlines()[0] or b" 400 " in answer.splitlines()[0]
    assert b" 413 " in server.raw(f"{head}Content-Length: 200001\r\n\r\n".encode()).splitlines()[0]
    chunks = b"".join(b"ffff\r\n" + b"a" * 0xFFFF + b"\r\n" for _ in range(4))
    assert b" 413 " in server.raw(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks).splitlines()[0]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 50_000, b'{"a":' * 30_000, b"\xff", b'{"model":"\\ud800"}', b"NaN"])
def test_a_body_that_is_no_json_is_refused(server: Served, body: bytes) -> None:
    sent = server.send(body)
    told(sent, 400)


ODD: list[Any] = [
    None,
    True,
    -1,
    2**70,
    1e999,
    "",
    "x",
    [],
    [1],
    [[]],
    {},
    {"a": 1},
    {"type": "function"},
    [{}],
    [None],
]


@pytest.mark.parametrize("place", sorted(Asked.model_fields))
def test_no_value_of_a_field_makes_the_server_fail(server: Served, place: str) -> None:
    for value in ODD:
        body = json.dumps(asking(tools=[FUNCTION], max_tokens=5) | {place: value})
        sent = server.send(body)
        assert sent.status_code in (200, 400, 404), (place, value, sent.text)


def test_no_odd_part_of_a_message_makes_the_server_fail(server: Served) -> None:
    for value in ODD:
        for message in (
            {"role": "user", "content": value},
            {"role": value, "content": "x"},
            user({"type": "text", "text": value}),
            user({"type": "image_url", "image_url": value}),
            user({"type": "image_url", "image_url": {"url": value}}),
            user(shown(PICTURE) | {"name": value}),
        ):
            assert server.post(json.loads(json.dumps(asking(message)).replace("Infinity", "0"))).status_code in (
                200,
                400,
            )
        for calls in (value, [value], [{"id": value, "function": value}]):
            said = {"role": "assistant", "content": value, "tool_calls": calls}
            body = json.loads(json.dumps(asking(said, user("a"))).replace("Infinity", "0"))
            assert server.post(body).status_code in (200, 400)


# --- how long


def test_slow_clients_are_left(tmp_path: Path) -> None:
    agent = Agent(ScriptedBackend([answering] * 5), memory=":memory:", tools=())
    with served({"pocket": agent}, caps=SLOW) as running:
        assert running.raw(b"") == b""  # nothing said
        assert running.raw(b"POST /v1/chat") == b""  # headers without an end
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        late = running.raw(head + b"Content-Length: 100\r\n\r\n{")
        assert b" 408 " in late.splitlines()[0]
        assert running.post(asking()).status_code == 200


async def test_a_client_that_does_not_take_its_answer_is_left() -> None:
    import asyncio

    from looktwice.agent.server import create_app

    agent = Agent(ScriptedBackend(["word " * 100_000], pace=0.001), memory=":memory:", tools=())
    app = create_app({"pocket": agent}, caps=SLOW)
    body = json.dumps(asking(stream=True)).encode()
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers, "query_string": b""}
    sent: list[Any] = []
    asked = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if asked:
            return asked.pop()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > 3:
            await asyncio.Event().wait()

    async with asyncio.timeout(60):
        await app(scope, receive, send)  # pyright: ignore[reportArgumentType]
    assert len(sent) == 4
    assert app.state.house.running == 0


def test_more_requests_than_there_are_places_for_are_turned_away() -> None:
    agent = Agent(ScriptedBackend(["word " * 100_000], pace=0.01), memory=":memory:", tools=())
    with served({"pocket": agent}, caps=Caps(waiting=1, ending=0.1)) as running, contextlib.ExitStack() as stack:
        body = asking(stream=True)
        stack.enter_context(running.client.stream("POST", "/v1/chat/completions", json=body))
        wait_until(lambda: running.house.running == 1)
        refusal = running.post(asking())
        assert "too many requests" in told(refusal, 503)
        assert refusal.headers["retry-after"] == "2"


def test_one_owner_can_t_take_all_places() -> None:
    agent = Agent(ScriptedBackend(["word " * 100_000, "words"], pace=0.01), memory=":memory:", tools=())
    owners, caps = Owners({"anna": ANNA, "bert": BERT}), Caps(waiting=2, ending=0.1)
    with served({"pocket": agent}, owners=owners, caps=caps) as running, contextlib.ExitStack() as stack:
        sent = {"Authorization": f"Bearer {ANNA}"}
        body = asking(stream=True)
        stack.enter_context(running.client.stream("POST", "/v1/chat/completions", json=body, headers=sent))
        wait_until(lambda: running.house.running == 1)
        assert "too many requests" in told(running.post(asking(), **sent), 503)
        assert running.post(asking(), Authorization=f"Bearer {BERT}").status_code == 200


# --- what is told


def test_a_failure_tells_nothing_of_the_inside(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answers = [
            server.post({**asking(user(SECRET)), "model": "failing"}),
            server.post({**asking(user(SECRET)), "model": "failing", "looktwice": {}}),
            server.get("/broken"),
        ]
    for answer in answers:
        assert told(answer, 500) == "the server failed; its log says where"
    stream = server.post({**asking(user(SECRET), stream=True), "model": "failing"})
    assert events(stream)[-2]["error"]["message"] == "the server failed; its log says where"
    assert "RuntimeError" in caplog.text  # and where
    assert SECRET not in caplog.text


def test_no_word_of_a_question_is_logged(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        server.post(asking(user(shown(PICTURE, name="safe"), SECRET)), X_Looktwice_Chat=SECRET)
        server.post(asking(user(f"@{SECRET}")), X_Looktwice_Chat="other")
        server.get(f"/v1/models?{SECRET}")
        server.get(f"/{SECRET}")
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert any("/v1/chat/completions 200" in record.getMessage() for record in ours)
    assert [record.getMessage() for record in ours if SECRET in record.getMessage()] == []


def test_an_unknown_path_or_method_is_an_error_object(server: Served) -> None:
    assert told(server.get("/v1/nothing"), 404) == "there is nothing under this path"
    assert told(server.get("/v1/chat/completions"), 405) == "this path takes another method"
    assert told(server.post({**asking(), "model": "gpt-4"}), 404).startswith("no model named 'gpt-4'")


def test_replies_can_t_be_taken_for_pages(server: Served) -> None:
    headers = server.get("/v1/models").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
