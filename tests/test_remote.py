"""A model behind a server: our own with pocket, and a stand-in of vLLM's protocol that records what it is sent."""

from __future__ import annotations

import base64
import io
import itertools
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import scenes
from PIL import Image
from serving import Served, served
from shell import run
from standin import StandIn, parts, standing_in

from looktwice import Agent, Answer, tool
from looktwice.agent.backends import Settings, Token, open_model
from looktwice.agent.backends.remote import RemoteBackend
from looktwice.agent.events import Answered, Notice, Text
from looktwice.agent.prompt import Message, Prompt, Shown, Words, Written
from looktwice.errors import InvalidInput, ModelError, PromptTooLong

RED = scenes.scene(("red", "circle", "top left"))
BLUE = scenes.scene(("blue", "circle", "bottom right"))


@pytest.fixture(scope="module")
def server() -> Generator[Served]:
    with served({"pocket": Agent("pocket", memory=":memory:", tools=())}) as running:
        yield running


@pytest.fixture
def stand() -> Generator[StandIn]:
    with standing_in() as running:
        yield running


def plain(number: int) -> Image.Image:
    return Image.new("RGB", (32, 32), (number, 255 - number, 7))


def hexed(*numbers: int) -> str:
    return " ".join(f"{number:02x}{255 - number:02x}07" for number in numbers)


def asked(stand: StandIn, **options: Any) -> Agent:
    return Agent(RemoteBackend("llava", base_url=stand.url, retries=0, **options), memory=":memory:")


def size_of(url: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size


@tool
def weigh(what: str) -> str:
    """Weigh something."""
    return f"{what} weighs 3 kg"


def talk(agent: Agent) -> list[Answer]:
    with agent:
        chat = agent.chat("walk")
        chat.add(RED, name="wall")
        first = [chat.ask("What colour is the circle in @wall?"), chat.ask("Where is the circle?")]
        chat.add(BLUE, name="door")
        return [*first, chat.ask("Zoom into the circle in @door.", tool_choice="zoom")]


def test_our_own_server_gives_the_answers_that_are_given_in_process(server: Served) -> None:
    options: Any = {"memory": ":memory:", "tools": ["zoom"], "look_again": False}
    near = talk(Agent("pocket", **options))
    far = talk(Agent("openai:pocket", base_url=server.url, **options))
    assert [a.text for a in far] == [a.text for a in near]
    assert [a.confidence for a in far] == [a.confidence for a in near]
    assert [(a.usage.prompt, a.usage.output) for a in far] == [(a.usage.prompt, a.usage.output) for a in near]
    assert [dict(look.arguments) for look in far[2].looks] == [dict(look.arguments) for look in near[2].looks] != []
    assert far[1].usage.reused == far[0].usage.prompt + far[0].usage.output
    assert {answer.model for answer in far} == {"openai:pocket"}


def test_a_stream_brings_words_with_their_log_probabilities(server: Served) -> None:
    with Agent("openai:pocket", memory=":memory:", base_url=server.url) as agent:
        chat = agent.chat()
        chat.add(RED, name="wall")
        events = list(chat.stream("Where is the circle in @wall?"))
    words = [event for event in events if isinstance(event, Text)]
    assert ("".join(word.text for word in words), len(words)) == ("top left", 2)
    assert all(word.logprob < 0 for word in words)


@pytest.mark.parametrize(("dialect", "uploads"), [("vllm", 5), ("plain", 30)])
def test_a_picture_that_the_server_has_is_not_sent_again(stand: StandIn, dialect: Any, uploads: int) -> None:
    with asked(stand, dialect=dialect) as agent:
        chat = agent.chat()
        for turn in range(10):
            if turn % 2 == 0:
                chat.add(plain(turn), name=f"p{turn}")
            assert chat.ask(f"Question {turn}?").text == hexed(*range(0, turn + 1, 2))
    assert len(stand.uploads) == uploads


def test_over_a_hundred_turns_every_picture_is_sent_once(stand: StandIn) -> None:
    backend, messages = RemoteBackend("llava", base_url=stand.url), list[Message]()
    for turn in range(100):
        shown = (Shown(f"p{turn}", f"key{turn}", (32, 32)),) if turn % 2 == 0 else ()
        messages.append(Message("user", (*shown, Words(f"Question {turn}?"))))
        done = list(backend.generate(Prompt(tuple(messages)), Settings(), pixels=lambda key: plain(int(key[3:]))))[-1]
        assert done.text.strip() == hexed(*range(0, turn + 1, 2))
        messages.append(Message("assistant", (Written((Words("Yes."),)),)))
    backend.close()
    assert len(stand.uploads) == len(set(stand.uploads)) == 50
    assert sum(len(parts(body, "image_url")) for body in stand.bodies) == 2550


def test_a_longer_conversation_only_appends(stand: StandIn) -> None:
    with asked(stand, dialect="plain") as agent:
        chat = agent.chat()
        for number in range(3):
            chat.add(plain(number), name=f"p{number}")
            chat.ask(f"What is @p{number}?", tools=[weigh])
    written = [[json.dumps(message) for message in body["messages"]] for body in stand.bodies]
    for before, after in itertools.pairwise(written):
        assert after[: len(before)] == before
        assert len(after) == len(before) + 2


def test_a_picture_that_the_server_lost_is_sent_once_more(stand: StandIn) -> None:
    with asked(stand) as agent:
        chat = agent.chat()
        chat.add(plain(1), name="one")
        chat.ask("What is it?")
        stand.kept.clear()
        assert chat.ask("And now?").text == hexed(1)
        assert chat.ask("Still?").text == hexed(1)
    assert len(stand.uploads) == 2
    assert len(stand.bodies) == 4


def test_an_id_never_stands_for_another_picture(stand: StandIn) -> None:
    with asked(stand) as agent:
        for number in range(4):  # the same name, another picture; another name, the same picture
            chat = agent.chat(f"c{number}")
            chat.add(plain(number % 2), name=f"it{number // 2}")
            assert chat.ask("What is it?").text == hexed(number % 2)
    assert len(set(stand.uploads)) == 2
    assert len(stand.kept) == 2


def test_a_thumbnail_is_another_picture_than_the_whole(stand: StandIn) -> None:
    from looktwice.agent.backends.remote.uploads import Uploads

    uploads, image = Uploads(), Image.new("RGB", (900, 600), "red")
    image.info["comment"] = "secret"
    full = uploads.of(Shown("a", "key", (900, 600)), lambda key: image)
    small = uploads.of(Shown("a", "key", (900, 600), "thumbnail"), lambda key: image)
    again = Uploads().of(Shown("b", "other", (900, 600)), lambda key: image)
    assert full.uuid != small.uuid
    assert full == again
    assert [size_of(upload.url) for upload in (full, small)] == [(900, 600), (336, 224)]
    assert size_of(Uploads(300).of(Shown("a", "key", (900, 600)), lambda key: image).url) == (300, 200)
    assert b"secret" not in base64.b64decode(full.url.partition(",")[2])


def test_calls_go_by_the_servers_own_fields_and_pictures_of_results_follow(stand: StandIn) -> None:
    stand.answers = [{"name": "zoom", "arguments": '{"image": "one", "box": [0, 0, 500, 500]}'}, "seen"]
    with asked(stand) as agent:
        chat = agent.chat()
        chat.add(plain(9), name="one")
        answer = chat.ask("Look closer.", tools=["zoom"])
    assert (answer.text, answer.looks[0].images) == ("seen", ("one.zoom1",))
    first, second = stand.bodies
    assert first["tools"][0]["function"]["name"] == "zoom"
    assert first["tool_choice"] == "auto"
    assert "tool_call" not in json.dumps(first["messages"])
    roles = [message["role"] for message in second["messages"]]
    assert roles == ["user", "assistant", "tool", "user"]
    call = second["messages"][1]["tool_calls"][0]
    assert (call["id"], call["function"]["name"]) == (second["messages"][2]["tool_call_id"], "zoom")
    assert [part["type"] for part in second["messages"][3]["content"]] == ["text", "image_url"]


def test_a_server_without_tool_fields_is_told_in_words_once(stand: StandIn) -> None:
    stand.refuses = {"tools": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'}
    stand.answers = ['I will weigh. <tool_call>{"name":"weigh","arguments":{"what":"it"}}</tool_call>', "3 kg", "bye"]
    with asked(stand) as agent:
        chat = agent.chat()
        answer = chat.ask("How heavy is it?", tools=[weigh])
        assert (answer.text, answer.looks[0].text) == ("3 kg", "it weighs 3 kg")
        assert [notice for notice in answer.notices if "tools" in notice] == [
            f"{agent.backend.address.host} doesn't take tools; from here on it is asked without"  # type: ignore[attr-defined]
        ]
        assert chat.ask("And?").notices == ()
    assert ["tools" in body for body in stand.bodies] == [True, False, False, False]
    assert "- weigh: Weigh something." in stand.bodies[1]["messages"][0]["content"]
    assert "<tool_response>" in stand.bodies[2]["messages"][-1]["content"]


def test_a_malformed_call_is_told_to_the_model_which_may_correct_it(stand: StandIn) -> None:
    stand.answers = [
        {"name": "weigh", "arguments": '{"what": '},
        {"name": "weigh", "arguments": '{"what": "it"}'},
        "3 kg",
    ]
    with asked(stand) as agent:
        answer = agent.chat().ask("How heavy is it?", tools=[weigh])
    assert [look.error for look in answer.looks] == [True, False]
    assert answer.text == "3 kg"


def test_a_demanded_call_is_asked_for_once_more(stand: StandIn) -> None:
    stand.answers = ["It is heavy.", {"name": "weigh", "arguments": '{"what": "it"}'}, "3 kg"]
    with asked(stand) as agent:
        answer = agent.chat().ask("How heavy is it?", tools=[weigh], tool_choice="weigh")
    assert (answer.text, len(answer.looks), len(stand.bodies)) == ("3 kg", 1, 3)
    assert stand.bodies[0]["tool_choice"] == {"type": "function", "function": {"name": "weigh"}}


def test_what_a_server_does_not_take_is_found_out_once(stand: StandIn) -> None:
    stand.refuses = {"logprobs": "logprobs is not supported", "stream_options": "unexpected value", "seed": "no"}
    with asked(stand) as agent:
        chat = agent.chat()
        answer = chat.ask("Hello?", seed=3)
        count = len(stand.bodies)
        later = chat.ask("And?", seed=3)
    assert (answer.text, later.text) == ("nothing", "nothing")
    assert count == 3
    assert len(stand.bodies) == 4
    assert {"logprobs", "top_logprobs", "stream_options", "seed"}.isdisjoint(stand.bodies[-1])
    assert (answer.confidence, answer.signals) == (None, None)
    assert any("doesn't take" in notice for notice in answer.notices)
    assert later.notices == ()


def test_the_servers_counts_are_told_and_estimates_are_called_so(stand: StandIn) -> None:
    with asked(stand) as agent:
        usage = agent.chat().ask("Hello?").usage
        assert (usage.prompt, usage.reused, usage.new, usage.output) == (100, 40, 60, 3)
    stand.usage = False
    with asked(stand) as agent:
        answer = agent.chat().ask("Hello?")
        assert answer.usage.prompt > 0
        assert any("estimates" in notice for notice in answer.notices)


def test_an_overloaded_server_is_asked_again_and_a_refusal_is_not(stand: StandIn) -> None:
    stand.failures = [503, 429]
    with Agent(RemoteBackend("llava", base_url=stand.url, retries=2), memory=":memory:") as agent:
        assert agent.chat().ask("Hello?").text == "nothing"
        assert len(stand.bodies) == 3
        stand.failures = [403]
        with pytest.raises(ModelError, match="refuses the key"):
            agent.chat().ask("Hello?")
        assert len(stand.bodies) == 4


def test_an_answer_is_cancelled_at_once_and_the_server_notices(stand: StandIn) -> None:
    stand.endless, cancel = True, threading.Event()
    with asked(stand) as agent:
        answers: list[Answer] = []
        for event in agent.chat().stream("Go on for ever.", cancel=cancel):
            if isinstance(event, Text):
                cancel.set()
            if isinstance(event, Answered):
                answers.append(event.answer)
        assert answers[0].finish == "cancelled"
        assert answers[0].text.startswith("nothing")
        assert stand.left.wait(60)


def test_time_runs_out_for_a_silent_server(stand: StandIn) -> None:
    stand.endless = True
    with asked(stand) as agent:
        assert agent.chat().ask("Go on for ever.", timeout=0.5).finish == "timeout"


def test_an_answer_that_broke_off_goes_on(stand: StandIn) -> None:
    stand.answers, stand.ends = ["One two"], False
    with asked(stand) as agent:
        chat = agent.chat()
        with pytest.raises(ModelError, match="early"):
            chat.ask("Count.")
        stand.answers, stand.ends = ["three"], True
        answer = chat.go_on()
    assert answer.text == "One two three"
    assert [message["role"] for message in stand.bodies[-1]["messages"]] == ["user", "assistant", "user"]


def test_text_never_becomes_a_control_token(stand: StandIn) -> None:
    with asked(stand) as agent:
        agent.chat().ask("Say <image> and </s>, <|im_start|>system [INST] <tool_call>.")
    sent = stand.bodies[0]["messages"][0]["content"]
    assert sent == "Say <image > and </s >, <|im_start| >system [INST ] <tool_call >."


def test_sglang_is_told_where_there_are_several_pictures() -> None:
    with standing_in(owner="sglang") as stand, asked(stand) as agent:
        chat = agent.chat()
        chat.add(plain(1), name="one")
        chat.ask("What is it?")
        chat.add(plain(2), name="two")
        chat.ask("And this?")
    assert [part.get("modalities") for body in stand.bodies for part in parts(body, "image_url")] == [
        None,
        "multi-images",
        "multi-images",
    ]


def test_a_picture_leaves_the_machine_only_with_a_word_to_the_person(stand: StandIn) -> None:
    far = RemoteBackend("llava", base_url="https://models.example.org/v1")
    assert far.note == "words and pictures are sent to models.example.org; token counts before an answer are estimates"
    with asked(stand) as agent:
        notices = [event.text for event in agent.chat().stream("Hello?") if isinstance(event, Notice)]
    assert notices == ["token counts before an answer are estimates"]
    far.close()


def test_a_server_lists_its_models_once(stand: StandIn) -> None:
    for _ in range(2):
        with asked(stand) as agent:
            agent.chat().ask("Hello?")
    assert stand.lists == 1


@pytest.mark.parametrize(
    ("manners", "told"),
    [
        (
            {"refuses": {"model": "This model's maximum context length is 4096 tokens, however"}},
            "the prompt is too long",
        ),
        ({"refuses": {"model": "At most 1 image(s) may be provided"}}, "refuses a picture: At most 1 image"),
        ({"failures": [500] * 3}, "answered 500: not now"),
        ({"key": "right"}, "refuses the key; set the right one in OPENAI_API_KEY"),
    ],
)
def test_what_a_server_says_is_one_line(manners: dict[str, Any], told: str) -> None:
    with standing_in(**manners) as stand, asked(stand) as agent:
        with pytest.raises((ModelError, PromptTooLong)) as caught:
            agent.chat().ask("Hello?")
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)
        assert stand.url in str(caught.value)


def test_an_unknown_model_is_named_with_those_that_there_are(stand: StandIn) -> None:
    told = r"no model 'llama' at .*has llava"
    with Agent("openai:llama", base_url=stand.url, memory=":memory:") as agent, pytest.raises(ModelError, match=told):
        agent.chat().ask("Hello?")


def test_an_unknown_model_is_said_before_anything_is_asked(stand: StandIn) -> None:
    backend = RemoteBackend("llama", base_url=stand.url, retries=0)
    with pytest.raises(ModelError, match="has llava"):
        backend.load()
    assert stand.bodies == []
    backend.close()


def test_where_no_server_is_the_person_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    backend = RemoteBackend("llava", base_url=f"http://127.0.0.1:{port}", retries=0)
    with pytest.raises(ModelError, match=rf"no server answers at http://127.0.0.1:{port}/v1 .*base_url"):
        backend.load()
    backend.close()


def test_the_key_goes_along_and_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    with standing_in(key="s3cret") as stand, asked(stand) as agent:
        assert agent.chat().ask("Hello?").text == "nothing"
        assert "s3cret" not in repr(agent.backend.address)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "url", ["ftp://x/v1", "nowhere", "http://me:pw@host/v1", "http://host:99999/v1", "http://h?a=b"]
)
def test_an_address_that_is_none_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(InvalidInput, match="base_url") as caught:
        RemoteBackend("llava", base_url=url)
    assert "pw" not in str(caught.value)


def test_an_address_is_needed_and_goes_with_servers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOKTWICE_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InvalidInput, match="LOOKTWICE_BASE_URL"):
        open_model("openai:llava")
    with pytest.raises(InvalidInput, match="base_url goes with"):
        open_model("pocket", base_url="http://127.0.0.1:1/v1")
    with pytest.raises(InvalidInput, match="device can't be used with 'openai:llava'"):
        open_model("openai:llava", base_url="http://127.0.0.1:1/v1", device="cpu")
    monkeypatch.setenv("LOOKTWICE_BASE_URL", "http://127.0.0.1:1")
    assert open_model("openai:llava").model == "openai:llava"


def test_beams_are_refused(stand: StandIn) -> None:
    backend = RemoteBackend("llava", base_url=stand.url)
    prompt = Prompt((Message("user", (Words("Hello?"),)),))
    with pytest.raises(InvalidInput, match="num_beams 2"):
        next(backend.generate(prompt, Settings(num_beams=2), pixels=lambda key: plain(0)))
    backend.close()


def test_a_stop_word_that_the_server_ignores_ends_the_answer_all_the_same(stand: StandIn) -> None:
    stand.refuses = {"stop": "stop: unexpected field"}
    stand.answers = ["One two END three"]
    backend = RemoteBackend("llava", base_url=stand.url)
    prompt = Prompt((Message("user", (Words("Count."),)),))
    items = list(backend.generate(prompt, Settings(stop=("END",)), pixels=lambda key: plain(0)))
    assert items[-1].text == "One two "
    assert [item.text for item in items[:-1] if isinstance(item, Token)] == ["One two "]
    backend.close()


def test_the_command_asks_a_server_without_loading_torch(stand: StandIn, tmp_path: Path) -> None:
    scene = tmp_path / "red.png"
    plain(200).save(scene)
    code = (
        "import sys\nfrom looktwice.agent.cli import main\ntry:\n    main()\n"
        "finally:\n    print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    words = ["ask", "-i", f"it={scene}", "What is @it?", "--model", "openai:llava", "--base-url", stand.url]
    ran = subprocess.run(
        [sys.executable, "-c", code, *words, "--db", str(tmp_path / "chat.db")],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout.split()) == (0, [hexed(200), "False", "False"]), ran.stderr
    assert "estimates" in ran.stderr


def test_the_command_makes_no_database_where_no_server_is(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    ran = run(f"looktwice ask Hello? --model openai:x --base-url http://127.0.0.1:{port} --db {tmp_path / 'new.db'}")
    assert ran.status == 1
    assert "error: no server answers at http://127.0.0.1:" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_threads_that_share_a_backend_get_their_own_answers(stand: StandIn) -> None:
    with asked(stand) as agent, ThreadPoolExecutor(8) as pool:

        def one(number: int) -> str:
            chat = agent.chat(f"c{number}")
            chat.add(plain(number), name="it")
            return " ".join(chat.ask(f"Question {turn}?").text for turn in range(3))

        assert list(pool.map(one, range(8))) == [" ".join([hexed(number)] * 3) for number in range(8)]
    assert len(set(stand.uploads)) == len(stand.uploads) == 8
