from __future__ import annotations

import contextvars
import functools
import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel, BeforeValidator, Field

from looktwice.errors import BadArguments, InvalidInput, ToolError, UnknownName
from looktwice.memory import Recipe, ToolSpec
from looktwice.tools import Box1000, Crop, Tool, ToolResult, View, available_tools, find_tools, tool
from looktwice.tools.result import DATA_LIMIT, PICTURE_LIMIT, TEXT_LIMIT

RED = Image.new("RGB", (640, 480), "red")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Money(BaseModel):
    amount: float
    currency: str = Field(max_length=3)


class Node(BaseModel):
    children: list[Node]


@dataclass
class Point:
    x: int
    y: int


def view(name: str) -> View:
    return View(name, f"sha256:{name}", RED.size, lambda: RED)


def run(function: Callable[..., Any], arguments: dict[str, Any] | None = None, **options: Any) -> ToolResult:
    made = function if isinstance(function, Tool) else tool(function, **options)
    return made.run(arguments or {}, view)


def look(image: View, box: Box1000 | None = None, *, colour: Colour = Colour.RED, times: int = 1) -> str:
    """Look at a picture,
    again and again.

    Never mind this.

    Args:
        image: the picture
            to look at
        times (int): how often
    """
    return f"{image.name} {box} {colour} {times}"


LOOK = tool(look)


def test_a_typed_function_becomes_a_tool() -> None:
    assert tool(look, acts=True).spec == ToolSpec(
        name="look",
        description="Look at a picture, again and again.",
        parameters={
            "type": "object",
            "properties": {
                "image": {"type": "string", "maxLength": 65, "description": "the picture to look at"},
                "box": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0, "maximum": 1000},
                    "minItems": 4,
                    "maxItems": 4,
                    "description": "x0, y0, x1, y1 in 0..1000 of the picture's width and height",
                },
                "colour": {"type": "string", "enum": ["red", "blue"]},
                "times": {"type": "integer", "default": 1, "description": "how often"},
            },
            "additionalProperties": False,
            "required": ["image"],
        },
        pictures=("image",),
        boxes=("box",),
        acts=True,
    )


def test_the_decorator_takes_options_and_the_function_stays_callable() -> None:
    @tool(name="sum-up", description="Add.", timeout=5, max_calls=2)
    def add(a: int, b: int = 2) -> int:
        """Not this."""
        return a + b

    assert (add.name, add.description, add.acts, add.timeout, add.max_calls) == ("sum-up", "Add.", False, 5, 2)
    assert (add(1), repr(add)) == (3, "Tool('sum-up')")


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string", "maxLength": 400}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (list[str], {"type": "array", "items": {"type": "string", "maxLength": 400}, "maxItems": 16}),
        (date, {"type": "string", "format": "date"}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (
            Money,
            {
                "type": "object",
                "properties": {"amount": {"type": "number"}, "currency": {"type": "string", "maxLength": 3}},
                "required": ["amount", "currency"],
            },
        ),
    ],
)
def test_a_parameters_type_becomes_a_compact_schema(hint: Any, schema: dict[str, Any]) -> None:
    def take(value: Any) -> None: ...

    take.__annotations__["value"] = hint
    assert tool(take).parameters["properties"] == {"value": schema}


def test_parameters_may_have_names_that_pydantic_keeps_for_itself() -> None:
    def take(schema: int, json: int, _x: int, model_config: int) -> list[int]:
        return [schema, json, _x, model_config]

    arguments = {"schema": 1, "json": 2, "_x": 3, "model_config": 4}
    assert tool(take).validate(arguments, []) == arguments
    assert run(take, arguments).data == [1, 2, 3, 4]


def no_type(image: View, what) -> None: ...  # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]


def star(*images: View) -> None: ...


def keywords(**options: int) -> None: ...


def several(images: list[View]) -> None: ...


def callback(f: Callable[[], None]) -> None: ...


def recursive(node: Node) -> None: ...


def unresolved(image: Nowhere) -> None: ...  # noqa: F821  # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]


NO_TOOLS: list[tuple[Any, str]] = [
    (no_type, "tool 'no_type': parameter 'what' has no type; write one, as in what: View"),
    (star, "tool 'star': a model can't fill '*images'; give each parameter a name of its own"),
    (keywords, "tool 'keywords': a model can't fill '**options'; give each parameter a name of its own"),
    (several, "tool 'several': parameter 'images' has a type that a model can't write: list["),
    (callback, "tool 'callback': parameter 'f' has a type that a model can't write: "),
    (recursive, "the type 'Node' contains itself; a tool's parameter can't be recursive"),
    (unresolved, "tool 'unresolved': its annotations can't be read (name 'Nowhere' is not defined)"),
    (lambda: None, "has no name to call it by; write tool(function, name='...')"),
    (functools.partial(look), "has no name to call it by; write tool(function, name='...')"),
    ("zoom", "'zoom' can't be a tool; give a function"),
]


@pytest.mark.parametrize(("function", "message"), NO_TOOLS)
def test_a_function_that_cannot_be_a_tool_is_refused_at_once(function: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as error:
        tool(function)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options", [{"name": "a.b"}, {"name": "1"}, {"timeout": 0}, {"max_calls": 0}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        tool(look, **options)


def test_exchanged_edges_mean_the_same_box() -> None:
    checked = tool(look).validate({"image": "bill", "box": [900, 500, 100, 500]}, ["bill"])
    assert checked["box"] == [100, 500, 900, 500]


@pytest.mark.parametrize(
    ("arguments", "correction"),
    [
        ({}, "look: image is missing"),
        ({"image": "bil"}, "look: no picture named 'bil'; did you mean 'bill'?"),
        ({"image": "xyz"}, "look: no picture named 'xyz'; known: bill, menu"),
        ({"image": 3}, "look: image: input should be a valid string, got 3"),
        (
            {"image": "bill", "box": [1, 2]},
            "look: box needs four integers 0..1000: left, top, right, bottom, got [1, 2]",
        ),
        (
            {"image": "bill", "box": [500, 0, 100, 1900]},
            "look: box needs four integers 0..1000: left, top, right, bottom, got [500, 0, 100, 1900]",
        ),
        (
            {"image": "bill", "box": [0, 0, True, 1.5]},
            "look: box needs four integers 0..1000: left, top, right, bottom, got [0, 0, True, 1.5]",
        ),
        ({"image": "bill", "colour": "green"}, "look: colour: input should be 'red' or 'blue', got 'green'"),
        ({"image": "bill", "size": 3}, "look: there is no 'size'; it takes image, box, colour, times"),
        (["bill"], "look: the arguments must be a JSON object, got ['bill']"),
    ],
)
def test_wrong_arguments_bring_a_one_line_correction(arguments: Any, correction: str) -> None:
    with pytest.raises(BadArguments) as error:
        tool(look).validate(arguments, ["menu", "bill"])
    assert str(error.value) == correction


def test_a_correction_stays_short_whatever_the_model_wrote() -> None:
    with pytest.raises(BadArguments) as error:
        tool(look).validate({"image": "x\n" * 100_000, "times": "9" * 100_000, "y" * 9999: 1}, ["bill"])
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)


texts = st.text("ab@[]{}'\"\\\n\u2028 9é", max_size=9)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["image", "box", "colour", "times", "x"]), json_values | st.just("bill")))
def test_whatever_a_model_writes_is_checked_or_corrected_in_one_line(arguments: dict[str, Any]) -> None:
    try:
        checked = LOOK.validate(arguments, ["bill"])
    except BadArguments as error:
        assert str(error).startswith("look: ") and len(str(error).splitlines()) == 1
    else:
        assert checked["image"] == "bill"
        assert LOOK.validate(checked, ["bill"]) == checked


def test_checked_arguments_are_plain_json_with_the_pictures_own_name() -> None:
    given = {"image": " @BILL ", "box": [1.0, 2, 3, 4], "colour": "blue", "times": None}
    checked = tool(look).validate(given, ["menu", "Bill"])
    assert checked == {"image": "Bill", "box": [1, 2, 3, 4], "colour": "blue"}
    assert json.loads(json.dumps(checked)) == checked


def test_the_function_gets_views_boxes_and_its_own_types() -> None:
    arguments = {"image": "bill", "box": [1, 2, 3, 4], "colour": "blue", "times": 2}
    assert run(look, arguments) == ToolResult("bill (1, 2, 3, 4) Colour.BLUE 2")
    assert run(look, {"image": "bill"}) == ToolResult("bill None Colour.RED 1")


def test_a_parameter_typed_as_an_image_gets_rgb_pixels() -> None:
    def colour(image: Image.Image, other: Image.Image | None = None) -> str:
        return f"{image.mode} {image.size} {image.getpixel((0, 0))} {other}"

    assert tool(colour).spec.pictures == ("image", "other")
    assert run(colour, {"image": "bill"}).text == "RGB (640, 480) (255, 0, 0) None"


def test_a_view_loads_its_pixels_once_and_only_when_asked() -> None:
    loads: list[str] = []

    def load() -> Image.Image:
        loads.append("load")
        return Image.new("L", (4, 3), 9)

    seen = View("a", "sha256:a", (4, 3), load, lambda box: (box[0] + 10, box[1], box[2] + 10, box[3]))
    assert (seen.to_original((0, 1, 2, 3)), loads, repr(seen)) == ((10, 1, 12, 3), [], "View('a', 4x3)")
    assert (seen.pixels() is seen.pixels(), seen.pixels().mode, loads) == (True, "RGB", ["load"])


CROP = Crop(view("bill"), (10, 20, 110, 70), (200, 100))


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("text", ToolResult("text")),
        (None, ToolResult("finished; it returned nothing")),
        (42, ToolResult("42", 42)),
        (True, ToolResult("true", True)),
        ({"a": [1, "é"]}, ToolResult('{"a":[1,"é"]}', {"a": [1, "é"]})),
        ([1, None], ToolResult("[1,null]", [1, None])),
        (("a", 1), ToolResult('["a",1]', ["a", 1])),
        (
            Money(amount=1.5, currency="EUR"),
            ToolResult('{"amount":1.5,"currency":"EUR"}', {"amount": 1.5, "currency": "EUR"}),
        ),
        (Point(1, 2), ToolResult('{"x":1,"y":2}', {"x": 1, "y": 2})),
        ({"when": date(2026, 1, 2)}, ToolResult('{"when":"2026-01-02"}', {"when": "2026-01-02"})),
        (RED, ToolResult(pictures=(RED,))),
        (CROP, ToolResult(pictures=(CROP,))),
        (("a", CROP, {"n": 1}, RED, None, "b"), ToolResult('a\n{"n":1}\nb', {"n": 1}, (CROP, RED))),
        ([RED, 1, 2], ToolResult("1\n2", [1, 2], (RED,))),
        (ToolResult("t", [1], readings={"k": "r"}), ToolResult("t", [1], readings={"k": "r"})),
        ("half a pair \ud83d", ToolResult("half a pair ?")),
    ],
)
def test_what_a_function_returns_becomes_a_result(value: object, result: ToolResult) -> None:
    assert ToolResult.of(value) == result


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, "the tool returned a set; return text, a picture, plain data or a ToolResult"),
        (b"bytes", "the tool returned a bytes; return text, a picture, plain data or a ToolResult"),
        (Point, "the tool returned a type; return text, a picture, plain data or a ToolResult"),
        (float("nan"), "the tool returned a float that JSON can't hold: "),
        ({"x": object()}, "the tool returned a dict that JSON can't hold: "),
        (LOOP, "the tool returned a list that JSON can't hold: "),
        (ToolResult(3), "the tool returned a ToolResult whose text is an int; give a str"),  # pyright: ignore[reportArgumentType]
        (ToolResult(pictures=("a",)), "the tool returned a ToolResult whose pictures are not all Crop or PIL pictures"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_cannot_be_a_result_is_said(value: object, message: str) -> None:
    with pytest.raises(ToolError) as error:
        ToolResult.of(value)
    assert str(error.value).startswith(message)


def test_a_crop_is_a_recipe_and_stays_inside_its_picture() -> None:
    assert CROP.recipe() == Recipe("sha256:bill", "crop", (10, 20, 110, 70), (200, 100))
    assert CROP.pixels().size == (200, 100)
    for box in [(0, 0, 641, 10), (5, 5, 5, 9), (-1, 0, 5, 5)]:
        with pytest.raises(ToolError, match="can't crop bill: "):
            Crop(view("bill"), box, (10, 10))


def raises(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("two\nlines\x00"), "fail failed: ValueError: two lines\x00"),
        (ToolError("no text in this picture"), "fail failed: no text in this picture"),
        (UnknownName("picture", "x"), "fail failed: no picture named 'x'"),
        (SystemExit(3), "fail failed: SystemExit: 3"),
        (ValueError("a" * 10_000), f"fail failed: ValueError: {'a' * 275}..."),
    ],
)
def test_an_exception_is_one_line_for_the_model(error: BaseException, text: str, caplog: Any) -> None:
    with caplog.at_level(logging.DEBUG, "looktwice.tools"):
        assert run(raises(error)) == ToolResult(text, error=True)
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


def test_endless_recursion_is_contained() -> None:
    def dive(n: int = 0) -> int:
        return dive(n + 1)

    result = run(dive)
    assert result.error
    assert result.text.startswith("dive failed: RecursionError: ")


def test_a_tool_that_hangs_is_abandoned_and_that_is_said(caplog: Any) -> None:
    def sleep() -> None:
        time.sleep(5)

    start = time.monotonic()
    result = run(sleep, timeout=0.1)
    assert time.monotonic() - start < 2
    assert result == ToolResult("sleep took longer than 0.1 s and was abandoned; it may still run", error=True)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_the_caller_may_shorten_the_time_but_not_lengthen_it() -> None:
    def sleep() -> None:
        time.sleep(5)

    slow = tool(sleep, timeout=0.2)
    assert "0.1 s" in slow.run({}, view, timeout=0.1).text
    assert "0.2 s" in slow.run({}, view, timeout=60).text
    assert slow.run({}, view, timeout=0).text == "sleep was not run: no time is left for this question"


def test_async_functions_work() -> None:
    async def later(word: str) -> str:
        return word.upper()

    assert run(later, {"word": "now"}) == ToolResult("NOW")


def test_a_function_sees_the_context_of_its_caller() -> None:
    user = contextvars.ContextVar("user", default="nobody")

    def who() -> str:
        return user.get()

    user.set("ada")
    assert run(who).text == "ada"


def test_ten_megabytes_of_text_are_cut_and_that_is_said() -> None:
    result = ToolResult.of("x" * 10_000_000).bounded()
    assert result.text == f"{'x' * TEXT_LIMIT}\n(cut, {10_000_000 - TEXT_LIMIT} characters more)"


def test_long_text_is_cut_between_lines() -> None:
    def count() -> str:
        return "\n".join(f"line {number:04}" for number in range(1000))

    lines = run(count).text.split("\n")
    assert lines == [f"line {number:04}" for number in range(800)] + ["(cut, 200 lines more)"]


def test_too_much_data_and_too_many_pictures_are_left_out_and_that_is_said() -> None:
    result = ToolResult("done", ["x" * DATA_LIMIT], (RED,) * (PICTURE_LIMIT + 2)).bounded()
    note = f"data left out, {DATA_LIMIT + 4} characters of JSON are over the limit of {DATA_LIMIT}"
    assert result == ToolResult(f"done\n({note}; cut, 2 pictures more)", None, (RED,) * PICTURE_LIMIT)


def test_a_missing_picture_is_an_error_for_the_model() -> None:
    def views(name: str) -> View:
        raise UnknownName("picture", name, ["bill"])

    result = tool(look).run({"image": "bil"}, views)
    assert result == ToolResult("look failed: no picture named 'bil'; did you mean 'bill'?", error=True)


def test_tools_are_found_by_name_by_reference_and_as_functions() -> None:
    made = tool(look)
    found = find_tools(["zoom", " ocr", made, made])
    assert [item.name for item in found] == ["zoom", "ocr", "look"]
    assert found[2] is made


def test_a_reference_names_a_function_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_weather.py").write_text("def rain(city: str) -> bool:\n    'Is it raining?'\n    return True\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (rain,) = find_tools(["my_weather:rain"])
    assert (rain.name, rain.description, rain("Oslo")) == ("rain", "Is it raining?", True)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["zom"], "no tool named 'zom'; did you mean 'zoom'?; your own: 'package.module:function'"),
        (["no_such_module:f"], "tool 'no_such_module:f' can't be loaded: ModuleNotFoundError: "),
        (["json:no_such"], "tool 'json:no_such' can't be loaded: AttributeError: "),
        (["json:__doc__"], "json:__doc__ is 'str', not a tool; give a name, a function or a Tool"),
        ([3], "3 is 'int', not a tool; give a name, a function or a Tool"),
        (["zoom", tool(look, name="zoom")], "two tools are named 'zoom'; give one of them another name"),
        ("zoom,ocr", "'zoom,ocr' is one text; give a list of tools, as in ['zoom', 'ocr']"),
    ],
)
def test_what_is_not_a_tool_is_refused_with_one_line(wanted: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as error:
        find_tools(wanted)
    assert str(error.value).startswith(message)


def test_installed_packages_offer_tools_by_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "barcodes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: barcodes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[looktwice.tools]\nbarcode = bar_codes:read\nbroken = bar_codes:gone\nzoom = bar_codes:read\n"
    )
    (tmp_path / "bar_codes.py").write_text("def read(code: str) -> str:\n    'Read a bar code.'\n    return code\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = available_tools()
    assert [(name, type(item)) for name, item in found.items()] == [
        ("barcode", Tool),
        ("broken", str),
        ("ocr", Tool),
        ("zoom", Tool),
    ]
    assert str(found["broken"]).startswith("tool 'broken' can't be loaded: AttributeError: ")
    assert find_tools(["barcode"])[0].description == "Read a bar code."
    assert find_tools(["zoom"])[0].description == "Look at a part of a picture, enlarged."


def test_a_missing_reader_is_told_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    reason = "the text reader rapidocr is not installed; run: pip install 'looktwice[ocr]'"
    assert available_tools()["ocr"] == reason


def test_an_exception_that_can_not_even_be_told_is_contained() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    @tool
    def fails() -> str:
        """Fail."""
        raise Mute

    result = fails.run({}, view, timeout=5)
    assert (result.text, result.error) == ("fails failed: Mute: (its message can't be read)", True)


def test_a_validator_that_fails_on_its_own_is_a_correction() -> None:
    def code(text: Annotated[str, BeforeValidator(str.upper)]) -> str:
        """Read a code."""
        return text

    with pytest.raises(BadArguments, match="code: TypeError"):
        tool(code).validate({"text": 5}, [])


def test_readings_are_texts_of_bounded_length() -> None:
    assert len(ToolResult.of(ToolResult(readings={"k": "x" * 500_000})).readings["k"]) <= 100_000
    wrong: Any = {"k": 5}
    with pytest.raises(ToolError, match="readings are not all texts"):
        ToolResult.of(ToolResult(readings=wrong))
