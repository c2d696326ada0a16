"""Calls: any model writes valid ones, and whatever else it writes is read without harm."""

from __future__ import annotations

import functools
import random
from typing import Annotated, Literal

import checkpoints
import pytest
from PIL import Image
from pydantic import Field

from looktwice import Tool, tool
from looktwice.agent.backends import Backend, Done, Settings, open_backend
from looktwice.agent.calls import CLOSE, OPEN, Malformed, Offer, Read, read
from looktwice.agent.prompt import Message, Prompt, Words
from looktwice.memory.parts import ToolCallPart
from looktwice.tools import find_tools

NAMES = ("bill", "menu", "bill.zoom1")


@tool
def convert(
    amount: float,
    to: Literal["EUR", "USD"],
    note: Annotated[str, Field(max_length=40)] = "",
    days: Annotated[list[int], Field(max_length=3)] | None = None,
) -> str:
    """Convert an amount of money."""
    return f"{amount} {to} {note} {days}"


@functools.cache
def untrained(family: str) -> Backend:
    return open_backend(str(checkpoints.saved(family)), device="cpu")


def no_pixels(key: str) -> Image.Image:
    raise AssertionError(f"nothing shows {key}")


def output(backend: Backend, offer: Offer | None, *, seed: int, length: int = 700) -> str:
    prompt = Prompt((Message("user", (Words("Is the total right?"),)),))
    settings = Settings(max_new_tokens=length, temperature=1.0, seed=seed)
    done = [item for item in backend.generate(prompt, settings, pixels=no_pixels, offer=offer)][-1]
    assert isinstance(done, Done)
    return done.text


@pytest.mark.parametrize(("family", "number"), [("mistral", 170), ("chatml", 170), ("llama3", 160)])
def test_every_call_of_an_untrained_model_parses_and_validates(family: str, number: int) -> None:
    """500 calls over three kinds of tokenizer, to three tools, with sampling at temperature 1."""
    tools: list[Tool] = [*find_tools(["zoom", "ocr"]), convert]
    for seed in range(number):
        wanted = tools[seed % len(tools)]
        offer = Offer(tuple(t.spec for t in tools), NAMES, wanted.name)
        call = read(output(untrained(family), offer, seed=seed)).call
        assert isinstance(call, ToolCallPart), call
        assert call.tool == wanted.name
        wanted.validate(call.arguments, NAMES)


def test_an_untrained_model_writes_words_or_one_valid_call_when_it_may_choose() -> None:
    tools = find_tools(["zoom", "ocr"])
    offer = Offer(tuple(t.spec for t in tools), NAMES)
    for seed in range(20):
        call = read(output(untrained("mistral"), offer, seed=seed, length=60)).call
        assert call is None or isinstance(call, ToolCallPart | Malformed)


def test_a_closed_offer_makes_the_opening_tag_unwritable() -> None:
    offer = Offer((find_tools(["zoom"])[0].spec,), NAMES, "none")
    backend = untrained("mistral")
    for seed in range(10):
        assert OPEN not in output(backend, offer, seed=seed, length=60)


def test_a_tool_that_needs_a_picture_is_not_offered_without_one() -> None:
    specs = tuple(t.spec for t in (*find_tools(["zoom"]), convert))
    assert [spec.name for spec in Offer(specs, ()).callable] == ["convert"]
    assert not Offer(specs[:1], ()).is_open
    assert not Offer(specs, NAMES, "none").is_open


def test_words_and_call_are_taken_apart() -> None:
    taken = read(f'Let me look. {OPEN}{{"name":"zoom","arguments":{{"image":"bill","box":[0,0,9,9]}}}}{CLOSE} and more')
    assert taken.words == "Let me look."
    assert isinstance(taken.call, ToolCallPart)
    assert (taken.call.tool, taken.call.arguments) == ("zoom", {"image": "bill", "box": [0, 0, 9, 9]})
    assert read("  just words \n") == Read("just words")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("zoom the bill", "the call is not JSON: 'zoom the bill'"),
        ("[1,2]", "the call is not a JSON object: '[1,2]'"),
        ('{"name":7}', """a call needs "name" (text) and "arguments" (an object): '{"name":7}'"""),
        ("", "the call is not JSON: ''"),
        ('{"name":"f","arguments":{"n":1e999}}', """the call is not JSON: '{"name":"f","arguments":{"n":1e999}}'"""),
        ('{"name":"f","arguments":{"n":NaN}}', """the call is not JSON: '{"name":"f","arguments":{"n":NaN}}'"""),
    ],
)
def test_what_only_looks_like_a_call_is_malformed_in_one_line(body: str, why: str) -> None:
    assert read(OPEN + body).call == Malformed(why)


def test_no_output_of_a_model_raises() -> None:
    """10000 outputs: calls cut, doubled, with letters changed, nested too deep, and noise."""
    rng = random.Random(3)
    good = f'Look. {OPEN}{{"name":"zoom","arguments":{{"image":"bill","box":[0,10,900,1000]}}}}{CLOSE}'
    pieces = [
        OPEN,
        CLOSE,
        "{",
        "}",
        "[",
        "]",
        '"',
        ",",
        ":",
        "name",
        "arguments",
        "null",
        "1e999",
        "\\u0000",
        "\ud800",
        "NaN",
        "é",
    ]
    for _ in range(10_000):
        text = list(good)
        for _ in range(rng.randint(1, 12)):
            place = rng.randrange(len(text) + 1)
            text[place : place + rng.choice((0, 0, 1, 5))] = [rng.choice(pieces)] * rng.choice((1, 1, 2))
        taken = read("".join(text)[: rng.choice((20, 60, 1000))])
        assert isinstance(taken.words, str)
        assert taken.call is None or isinstance(taken.call, ToolCallPart | Malformed)
    for deep in ("[" * 100_000, '{"name":' * 50_000, OPEN * 1000):
        assert isinstance(read(OPEN + deep).call, Malformed)
