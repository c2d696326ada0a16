"""Calls: any model writes valid ones, and whatever else it writes is read without harm."""

from __future__ import annotations

import datetime
import functools
import json
import random
from pathlib import Path
from typing import Annotated, Any, Literal

import checkpoints
import llguidance
import llguidance.hf
import pytest
from PIL import Image
from pydantic import BaseModel, Field, TypeAdapter

from looktwice import Tool, tool
from looktwice.agent.backends import Backend, Done, Settings, open_backend
from looktwice.agent.calls import CLOSE, DEEPEST, OPEN, Malformed, Offer, Read, read, says_the_same
from looktwice.agent.prompt import Message, Prompt, Words
from looktwice.memory.parts import ToolCallPart, ToolSpec
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


def test_a_tool_that_may_do_without_a_picture_is_offered_without_one() -> None:
    spec = ToolSpec("turn", "Turn.", {"properties": {"image": {"type": "string"}}, "required": []}, pictures=("image",))
    assert Offer((spec,), ()).callable == (spec,)
    call = Offer((spec,), ()).schema()["anyOf"][0]
    assert call["properties"]["arguments"] == {
        "properties": {},
        "required": [],
        "type": "object",
        "additionalProperties": False,
    }


def matcher(tokenizer: Any, offer: Offer, **tags: int) -> Any:
    library: Any = llguidance
    return library.LLMatcher(llguidance.hf.from_tokenizer(tokenizer), offer.grammar(**tags))


def test_ordinary_tokens_can_not_spell_the_tag_of_a_tokenizer_that_has_it_whole() -> None:
    """Else the model could open a call that nothing bounds."""
    tokenizer = checkpoints.tokenizer("chatml")
    tokenizer.add_tokens([OPEN, CLOSE])
    begin, end = tokenizer.convert_tokens_to_ids([OPEN, CLOSE])
    offer = Offer((find_tools(["zoom"])[0].spec,), NAMES)

    def accepted(ids: list[int]) -> bool:
        return matcher(tokenizer, offer, open_id=begin, close_id=end).try_consume_tokens(ids) == len(ids)

    def plain(text: str) -> list[int]:
        return tokenizer._encode_without_added_tokens(text)

    good = plain('{"name":"zoom","arguments":{"image":"bill","box":[0,0,9,9]}}')
    assert accepted([*plain("Let me look. "), begin, *good, end])
    assert accepted(plain("A <tool_ and <b> are words."))
    assert not accepted(plain(f'Look. {OPEN}{{"name":"pay"'))


class Line(BaseModel):
    """An entry of a bill."""

    price: float
    note: str | None = None


KINDS: dict[str, Any] = {
    "a date": datetime.date,
    "a path": Path,
    "bytes": bytes,
    "a set": set[int],
    "a model": list[Line],
    "a large number": Annotated[int, Field(ge=2_000_000_000)],
    "a small number": Annotated[int, Field(le=-2_000_000_000)],
    "a narrow range": Annotated[float, Field(gt=0, lt=0.00005)],
    "one number": Annotated[float, Field(ge=0.5, le=0.5)],
    "a long text": Annotated[str, Field(min_length=300)],
    "a long list": Annotated[list[int], Field(min_length=30)],
    "a table": dict[str, int],
    "a table of anything": dict[str, Any],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_parameter_becomes_a_grammar(kind: str) -> None:
    schema = TypeAdapter(KINDS[kind]).json_schema()
    definitions = schema.pop("$defs", {})
    if definitions:
        schema["items"] = definitions["Line"]
    spec = ToolSpec("note", "Note.", {"type": "object", "properties": {"what": schema}, "required": ["what"]})
    grammar = matcher(checkpoints.tokenizer("chatml"), Offer((spec,), (), "note"))
    assert not grammar.is_error(), grammar.get_error()


def test_a_tool_without_parameters_takes_no_arguments() -> None:
    call = Offer((ToolSpec("now", "Now.", {"type": "object"}),), ()).schema()["anyOf"][0]
    assert call["properties"]["arguments"] == {"properties": {}, "type": "object", "additionalProperties": False}


def test_a_table_of_a_call_has_an_end() -> None:
    spec = ToolSpec("note", "Note.", {"properties": {"what": TypeAdapter(dict[str, int]).json_schema()}})
    tokenizer = checkpoints.tokenizer("chatml")

    def accepted(entries: int, key: str = "k") -> bool:
        table = ",".join(f'"{key}{number}":1' for number in range(entries))
        ids = tokenizer._encode_without_added_tokens(
            f'{OPEN}{{"name":"note","arguments":{{"what":{{{table}}}}}}}{CLOSE}'
        )
        return matcher(tokenizer, Offer((spec,), (), "note")).try_consume_tokens(ids) == len(ids)

    assert (accepted(0), accepted(16), accepted(17)) == (True, True, False)
    assert (accepted(1, "k" * 199), accepted(1, "k" * 200)) == (True, False)


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
        (
            r'{"name":"f","arguments":{"n":"\ud800"}}',
            r"""the call is not JSON: '{"name":"f","arguments":{"n":"\\ud800"}}'""",
        ),
        (r'{"name":"\ud800"}', r"""the call is not JSON: '{"name":"\\ud800"}'"""),
        ('{"name":"f","arguments":{"n":NaN}}', """the call is not JSON: '{"name":"f","arguments":{"n":NaN}}'"""),
    ],
)
def test_what_only_looks_like_a_call_is_malformed_in_one_line(body: str, why: str) -> None:
    assert read(OPEN + body).call == Malformed(why)


@pytest.mark.parametrize(("depth", "good"), [(DEEPEST - 2, True), (DEEPEST - 1, False), (300, False), (990, False)])
def test_a_call_is_nested_only_so_deep(depth: int, good: bool) -> None:
    call = read(f'{OPEN}{{"name":"f","arguments":{{"n":{"[" * depth}{"]" * depth}}}}}').call
    assert isinstance(call, ToolCallPart) is good
    assert good or (isinstance(call, Malformed) and call.why.startswith(("the call is nested", "the call is not JSON")))


def test_the_closing_tag_may_stand_in_an_argument() -> None:
    call = read(f'{OPEN}{{"name":"f","arguments":{{"words":"a {CLOSE} b"}}}}{CLOSE}').call
    assert isinstance(call, ToolCallPart)
    assert call.arguments == {"words": f"a {CLOSE} b"}


def test_two_outputs_say_the_same_whatever_the_blanks_of_their_call() -> None:
    call = f'{OPEN}{{"name":"f","arguments":{{"a":1}}}}{CLOSE}'
    assert says_the_same(f"Look. {call}", f'Look.{OPEN} {{"name": "f", "arguments": {{"a": 1}}}}')
    for other in (
        f"Look! {call}",
        f"Look. {call} and pay",
        "Look.",
        call.replace("1", "2"),
        call.replace("{", '{"a":0,'),
    ):
        assert not says_the_same(f"Look. {call}", other)
    assert not says_the_same("Look.", "Look!")


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
        "\\ud800",
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
        if isinstance(taken.call, ToolCallPart):
            json.dumps([taken.call.tool, dict(taken.call.arguments)], ensure_ascii=False).encode()
    for deep in ("[" * 100_000, '{"name":' * 50_000, OPEN * 1000):
        assert isinstance(read(OPEN + deep).call, Malformed)
