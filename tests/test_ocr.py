from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from looktwice.errors import MissingExtra
from looktwice.memory import Box, Picture
from looktwice.tools import ToolResult, View, find_tools
from looktwice.tools.ocr import Line, RapidEngine, ocr_with, read_page
from looktwice.tools.ocr.order import reading_order

(ocr,) = find_tools(["ocr"])
WHITE = (255, 255, 255)
RECEIPT = [
    ((20, "CORNER CAFE"),),
    ((20, "12 High Street"),),
    ((20, "Espresso"), (500, "2.50")),
    ((20, "Cheese sandwich"), (500, "6.80")),
    ((20, "Sparkling water"), (500, "1.90")),
    ((20, "TOTAL"), (500, "11.20")),
]
RECEIPT_TEXT = "CORNER CAFE\n12 High Street\nEspresso 2.50\nCheese sandwich 6.80\nSparkling water 1.90\nTOTAL 11.20"


def drawn(rows: Sequence[Sequence[tuple[int, str]]], *, size: int = 20, width: int = 600) -> Image.Image:
    """Rows of pieces, each at its x; the first baseline 20 px down, rows one and a half letters apart."""
    image = Image.new("RGB", (width, 40 + len(rows) * size * 3 // 2), WHITE)
    pen = ImageDraw.Draw(image)
    for number, row in enumerate(rows):
        for x, text in row:
            pen.text((x, 20 + number * size * 3 // 2), text, font=ImageFont.load_default(size), fill="black")
    return image


def tight(text: str, size: int = 20) -> Image.Image:
    """A text without any margin."""
    x0, y0, x1, y1 = ImageFont.load_default(size).getbbox(text)
    image = Image.new("RGB", (round(x1 - x0), round(y1 - y0)), WHITE)
    ImageDraw.Draw(image).text((-x0, -y0), text, font=ImageFont.load_default(size), fill="black")
    return image


def read(image: Image.Image, box1000: Box | None = None) -> ToolResult:
    """What the tool brings, in the way that an agent calls it."""
    arguments = {"image": "bill"} | ({"box": list(box1000)} if box1000 else {})
    view = View("bill", "sha256:1", image.size, lambda: image)
    return ocr.run(ocr.validate(arguments, ["bill"]), lambda name: view)


def data(result: ToolResult) -> Any:
    return result.data


def near(box: Sequence[int], expected: Sequence[int], within: int = 6) -> bool:
    return all(abs(one - other) <= within for one, other in zip(box, expected, strict=True))


RECEIPT_PICTURE = drawn(RECEIPT)


def test_a_receipt_is_read_row_by_row() -> None:
    result = read(RECEIPT_PICTURE)
    assert result.text == f'Text in bill: "{RECEIPT_TEXT}"'
    assert result.readings == {"sha256:1": RECEIPT_TEXT}
    assert (result.error, result.pictures) == (False, ())


def test_every_line_comes_with_its_box_and_score() -> None:
    found = data(read(RECEIPT_PICTURE))
    total = found["lines"][-1]
    assert {key: value for key, value in found.items() if key != "lines"} == {
        "unread": [],
        "engine": "rapidocr",
        "rotated": 0,
        "truncated": False,
    }
    assert (total["text"], total["uncertain"], len(found["lines"])) == ("11.20", False, 10)
    assert total["score"] > 0.97
    assert near(total["box"], (500, 170, 555, 195))


@pytest.mark.parametrize(
    ("turn", "rotated", "first"),
    [
        (Image.Transpose.ROTATE_180, 180, (443, 180, 582, 202)),
        (Image.Transpose.ROTATE_90, 270, (20, 443, 42, 582)),
        (Image.Transpose.ROTATE_270, 90, (178, 18, 200, 157)),
    ],
)
def test_a_turned_page_is_read_upright(turn: Image.Transpose, rotated: int, first: Box) -> None:
    result = read(RECEIPT_PICTURE.transpose(turn))
    assert result.text == f'Text in bill: "{RECEIPT_TEXT}"'
    assert data(result)["rotated"] == rotated
    assert near(data(result)["lines"][0]["box"], first)


def test_a_page_is_read_column_by_column() -> None:
    left = ["the quick brown fox", "jumps over a lazy dog", "while seven wizards", "make a toxic brew"]
    right = ["for the evil queen", "and her brother Jack", "who sells old boxes", "of liquor to sailors"]
    heading = ((20, "A HEADLINE ABOVE BOTH OF THE COLUMNS OF THE PAGE"),)
    page = drawn([heading, *(((20, one), (340, two)) for one, two in zip(left, right, strict=True))])
    assert read(page).readings == {"sha256:1": "\n".join([heading[0][1], *left, *right])}


@pytest.mark.parametrize("text", ["Invoice 100", "Total 1000.00", "101", "42.00"])
def test_a_line_in_a_wide_margin_is_read_as_large_as_it_can_be(text: str) -> None:
    result = read(drawn([((20, text),)]))
    assert result.text == f'Text in bill: "{text}"'
    (line,) = data(result)["lines"]
    assert near(line["box"][:2], (20, 24)) and line["box"][3] <= 46


def test_a_part_is_read_with_the_boxes_of_the_whole() -> None:
    result = read(RECEIPT_PICTURE, (0, 340, 1000, 640))
    assert result.text == 'Text in bill: "Espresso 2.50\nCheese sandwich 6.80"'
    assert result.readings == {}
    assert near(data(result)["lines"][1]["box"], (500, 80, 545, 105))


def test_a_price_is_not_glued_to_what_stands_far_left_of_it() -> None:
    assert read(RECEIPT_PICTURE, (0, 745, 1000, 890)).text == 'Text in bill: "TOTAL 11.20"'


def test_the_boxes_of_a_crop_are_those_of_the_original() -> None:
    crop = RECEIPT_PICTURE.crop((480, 60, 600, 140))
    view = View(
        "bill.zoom1",
        "recipe:1",
        crop.size,
        lambda: crop,
        lambda box: (box[0] + 480, box[1] + 60, box[2] + 480, box[3] + 60),
    )
    result = ocr.run({"image": "bill.zoom1"}, lambda name: view)
    assert result.text == 'Text in bill.zoom1: "2.50\n6.80"'
    assert near(data(result)["lines"][0]["box"], (500, 80, 545, 105))


@pytest.mark.parametrize("text", ["Total 42.10", "STOP", "AB 12-34", "A"])
def test_a_crop_without_any_margin_is_read(text: str) -> None:
    assert read(tight(text)).text.splitlines()[0] == f'Text in bill: "{text}"'


@pytest.mark.parametrize("size", [8, 12, 48])
def test_small_and_large_letters_are_read(size: int) -> None:
    assert read(drawn([((20, "Total 42.10"),)], size=size, width=400)).text == 'Text in bill: "Total 42.10"'


def test_letters_on_a_transparent_ground_are_read() -> None:
    for colour in ["black", "white"]:
        image = Image.new("RGBA", (300, 120), (0, 0, 0, 0))
        ImageDraw.Draw(image).text((30, 40), "Invoice 2291", font=ImageFont.load_default(28), fill=colour)
        assert read(Picture.load(image).pixels()).text == 'Text in bill: "Invoice 2291"'


def test_quotation_marks_in_the_text_do_not_end_the_quotation() -> None:
    assert read(drawn([((20, 'the "Blue Room" today'),)])).text == "Text in bill: \"the 'Blue Room' today\""


def test_a_picture_without_text_says_so() -> None:
    result = read(Image.new("RGB", (300, 200), "white"))
    assert (result.text, result.readings, data(result)["lines"]) == ('Text in bill: ""', {"sha256:1": ""}, [])


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (2000, 10), (10, 2000)])
def test_slivers_are_no_error(size: tuple[int, int]) -> None:
    assert read(Image.new("RGB", size, "white")).text == 'Text in bill: ""'


def test_blurred_letters_are_marked_uncertain() -> None:
    image = drawn([((20, "Reference QX7B-20981"),)], size=14, width=400)
    result = read(image.filter(ImageFilter.GaussianBlur(2.5)))
    (line,) = data(result)["lines"]
    assert line["uncertain"] is True
    assert f'Uncertain: "{line["text"]}" ({line["score"]:.2f})' in result.text.splitlines()


def test_letters_that_the_engine_does_not_know_are_said_to_be_there() -> None:
    """Made-up letters, since no font of another script comes with Pillow; real ones come out in the same way."""
    image = drawn([((20, "Total 42.10"),), ((20, ""),), ((20, ""),)], size=28)
    pen = ImageDraw.Draw(image)
    for number in range(9):
        x = 20 + 26 * number
        pen.arc((x, 110, x + 18, 132), 30 * number, 30 * number + 250, fill="black", width=3)
        pen.line((x + 9, 110, x + 4 * (number % 4), 134), fill="black", width=3)
    result = read(image)
    assert result.text.splitlines()[0].startswith('Text in bill: "Total 42.10')
    assert result.text.splitlines()[-1].startswith("Not fully read: ")
    assert result.text.endswith("; this engine reads Latin, Chinese and Japanese script only")


def test_a_long_text_is_cut_for_the_model_but_whole_in_the_data() -> None:
    class Endless:
        name = "endless"
        scripts = ("Latin",)

        def read(self, image: Image.Image) -> list[Line]:
            return [Line(f"row {n:04} {'x' * 60}", (0, 20 * n, 500, 20 * n + 15), 1.0) for n in range(200)]

        def read_line(self, image: Image.Image) -> Line:
            return Line("", (0, 0, *image.size), 0.0)

    page = Image.new("RGB", (500, 4000))
    result = ocr_with(Endless()).run({"image": "p"}, lambda name: View("p", "k", page.size, lambda: page))
    assert result.text.endswith('x"\n(cut, 115 lines more)')
    assert (len(data(result)["lines"]), data(result)["truncated"]) == (200, True)
    assert result.readings["k"].count("\n") == 199


def test_another_engine_says_its_own_name_and_scripts() -> None:
    class Cyrillic:
        name = "mine"
        scripts = ("Cyrillic",)

        def read(self, image: Image.Image) -> list[Line]:
            return [Line("ИТОГО 42", (1, 2, 30, 12), 0.95), Line("", (1, 20, 30, 32), 0.2)]

        def read_line(self, image: Image.Image) -> Line:
            return Line("", (0, 0, *image.size), 0.0)

    made = ocr_with(Cyrillic())
    result = made.run({"image": "p"}, lambda name: View("p", "k", (200, 200), lambda: Image.new("RGB", (200, 200))))
    assert made.description == "Read the text in a picture, or in a part of it (Cyrillic script)."
    assert result == ToolResult(
        'Text in p: "ИТОГО 42"\nUncertain: "ИТОГО 42" (0.95)\n'
        "Not fully read: 1 place holds other text; this engine reads Cyrillic script only",
        {
            "lines": [{"text": "ИТОГО 42", "box": [1, 2, 30, 12], "score": 0.95, "uncertain": True, "row": 0}],
            "unread": [[1, 20, 30, 32]],
            "engine": "mine",
            "rotated": 0,
            "truncated": False,
        },
        readings={"k": "ИТОГО 42"},
    )


def piece(text: str, x: int, y: int, width: int = 100) -> Line:
    return Line(text, (x, y, x + width, y + 20), 1.0)


def words(lines: Sequence[Line]) -> list[list[str]]:
    return [[line.text for line in row] for row in reading_order(lines)]


@pytest.mark.parametrize("degrees", [-4, 4])
def test_a_tilted_receipt_keeps_each_price_with_its_article(degrees: int) -> None:
    tilted = RECEIPT_PICTURE.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=WHITE)
    assert read(tilted).readings == {"sha256:1": RECEIPT_TEXT}


def test_cells_belong_to_the_row_on_their_left_when_the_paper_bends() -> None:
    lines = [
        piece(text, x, y + x // 50)
        for y, row in [(0, ("Tea", "1.90")), (30, ("Toast", "2.50")), (60, ("TOTAL", "4.40"))]
        for x, text in zip((0, 400), row, strict=True)
    ]
    assert words(lines[::-1]) == [["Tea", "1.90"], ["Toast", "2.50"], ["TOTAL", "4.40"]]


def test_a_menu_of_two_columns_keeps_each_price_with_its_dish() -> None:
    lines: list[Line] = []
    for column, x in enumerate((0, 500)):
        for row in range(4):
            lines.append(piece(f"a dish with a name {column}{row}", x, 30 * row, 250))
            lines.append(piece(f"{column}.{row}0", x + 320, 30 * row, 40))
    expected = [[f"a dish with a name {c}{r}", f"{c}.{r}0"] for c in range(2) for r in range(4)]
    assert words(lines) == expected


def test_a_wide_article_keeps_its_price() -> None:
    lines = [piece("a very long article on a receipt", 0, 0, 400), piece("9.99", 480, 2, 40), piece("Tea", 0, 40)]
    assert words(lines) == [["a very long article on a receipt", "9.99"], ["Tea"]]


def test_nothing_is_ever_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert [line.text for line in RapidEngine().read(tight("Total 42.10"))] == ["Total 42.10"]


def test_without_rapidocr_the_call_fails_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(MissingExtra):
        read_page(RapidEngine(), RECEIPT_PICTURE)
    result = ocr_with(RapidEngine()).run(
        {"image": "bill"}, lambda name: View("bill", "k", RECEIPT_PICTURE.size, lambda: RECEIPT_PICTURE)
    )
    reason = "the text reader rapidocr is not installed; run: pip install 'looktwice[ocr]'"
    assert result == ToolResult(f"ocr failed: {reason}", error=True)


def test_several_threads_share_one_reader() -> None:
    pages = [drawn([((20, f"Invoice {number}"),)]) for number in range(100, 108)]
    with ThreadPoolExecutor(4) as pool:
        texts = [result.readings["sha256:1"] for result in pool.map(read, pages)]
    assert texts == [f"Invoice {number}" for number in range(100, 108)]


def test_reading_prints_and_logs_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    RapidEngine().read(RECEIPT_PICTURE)
    assert capfd.readouterr() == ("", "")
