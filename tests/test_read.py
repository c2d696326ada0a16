"""``looktwice read``: the text of pictures in order, with its doubts in words."""

from __future__ import annotations

import json
import shutil
import string
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from shell import run

from looktwice import LookTwiceError
from looktwice.agent.access import Transcript, read
from looktwice.agent.access.reading import Sum, TextLine, TextWord, add_up, codes_in, spelled
from looktwice.tools.ocr import BothEngines, Layout, Line, TesseractEngine, Word, open_engine
from looktwice.tools.ocr.languages import language, languages
from looktwice.tools.ocr.order import reading_order

needs_tesseract = pytest.mark.skipif(
    not shutil.which("tesseract"), reason="needs tesseract: apt-get install tesseract-ocr tesseract-ocr-eng"
)
RECEIPT = ["CORNER CAFE|", "Order AB-4711|", "2 x Espresso|5.00", "Sandwich|6.80", "TOTAL|11.80"]
TABLE = ["Name|Age|City", "Anna Berg|31|Bonn", "Karim Ortiz|45|New York", "Zoe Hall|27|Rome"]
PROSE = [
    "the quick brown fox|for the evil queen",
    "jumps over a lazy dog|and her brother Jack",
    "while seven wizards|who sells old boxes",
    "make a toxic brew|of liquor to sailors",
]


def drawn(rows: Sequence[str], stops: Sequence[int], size: tuple[int, int] = (640, 260)) -> Image.Image:
    """Rows of pieces, divided by |, each at its stop."""
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    for number, row in enumerate(rows):
        for x, text in zip(stops, row.split("|"), strict=False):
            pen.text((x, 20 + 40 * number), text, fill="black", font=ImageFont.load_default(24))
    return image


def rows(*texts: str, uncertain: str = "") -> list[TextLine]:
    """Lines without a picture; words that are part of ``uncertain`` are doubtful."""
    return [
        TextLine(tuple(TextWord(word, (0, 0, 9, 9), 0.9, word in uncertain.split()) for word in text.split()))
        for text in texts
    ]


def added(*texts: str) -> Sum:
    found = add_up(rows(*texts))
    assert found is not None
    return found


class Told:
    """An engine that was told what stands in every picture."""

    name = "told"
    scripts = ("Latin",)

    def __init__(self, *lines: Line) -> None:
        self.lines = list(lines)

    def read(self, image: Image.Image) -> list[Line]:
        return self.lines

    def read_line(self, image: Image.Image) -> Line:
        return self.lines[0]


def line(text: str, *scores: float, y: int = 20) -> Line:
    """A line of words that are 100 px apart."""
    words = tuple(
        Word(word, (100 * n, y, 100 * n + 90, y + 20), score)
        for n, (word, score) in enumerate(zip(text.split(), scores, strict=True))
    )
    return Line(text, (0, y, 100 * len(words), y + 20), 0.95, words=words)


@pytest.fixture(scope="module")
def receipt() -> Transcript:
    return read(drawn(RECEIPT, (20, 500)))


def test_a_receipt_is_read_row_by_row_and_added_up(receipt: Transcript) -> None:
    assert receipt.text.splitlines() == [row.replace("|", " ").strip() for row in RECEIPT]
    assert (receipt.layout, receipt.rotated, receipt.unread, receipt.foreign) == ("rows", 0, (), None)
    assert list(receipt.notes()) == ["The items add up to 11.80, as the total says."]


def test_every_word_has_its_box_and_score(receipt: Transcript) -> None:
    two, times, espresso, price = receipt.lines[2].words
    assert (two.text, times.text, espresso.text, price.text) == ("2", "x", "Espresso", "5.00")
    assert two.box[0] < times.box[0] < espresso.box[0] < espresso.box[2] < price.box[0]
    wanted = ImageFont.load_default(24)
    assert abs(espresso.box[0] - 20 - wanted.getlength("2 x ")) < 14
    assert abs(espresso.box[2] - 20 - wanted.getlength("2 x Espresso")) < 14
    assert all(word.box[1] >= 95 and word.box[3] <= 140 and 0.8 < word.score <= 1 for word in (two, espresso, price))


def test_codes_are_spelled_where_that_is_wanted(receipt: Transcript) -> None:
    said = "AB-4711 is spelled: A as in Alfa, B as in Bravo, dash, four, seven, one, one"
    assert said in list(receipt.said(spell=True))
    assert said not in list(receipt.said())


@pytest.mark.parametrize("turned", [0, 90])
def test_a_table_is_said_with_its_headers(turned: int) -> None:
    found = read(drawn(TABLE, (20, 300, 450)).rotate(turned, expand=True))
    assert found.text.splitlines() == [
        "Name: Anna Berg; Age: 31; City: Bonn",
        "Name: Karim Ortiz; Age: 45; City: New York",
        "Name: Zoe Hall; Age: 27; City: Rome",
    ]
    assert (found.layout, found.rotated) == ("table", (360 - turned) % 360)
    notes = list(found.notes())
    assert notes == (["The text is turned by 270 degrees; it was read upright."] if turned else [])


def test_a_page_is_read_by_columns_unless_rows_are_asked_for() -> None:
    lines = [
        Line(text, (x, 20 + 40 * n, x + 200, 44 + 40 * n), 0.99)
        for n, row in enumerate(PROSE)
        for x, text in zip((20, 340), row.split("|"), strict=True)
    ]
    left, right = zip(*(row.split("|") for row in PROSE), strict=True)

    def order(layout: Layout) -> list[str]:
        return [" ".join(line.text for line in row) for row in reading_order(lines, layout)]

    assert order("auto") == order("columns") == [*left, *right]
    across = Line("A HEADING THAT BRIDGES", (20, 0, 400, 16), 0.99)
    assert [line.text for row in reading_order([*lines, across]) for line in row] == [across.text, *left, *right]
    assert order("rows") == [row.replace("|", " ") for row in PROSE]
    prices = [Line(text[:9], line.box, 0.99) for line, text in ((line, line.text) for line in lines)]
    assert [len(row) for row in reading_order(prices, "auto")] == [2] * 4
    assert [len(row) for row in reading_order(prices, "columns")] == [1] * 8


def test_doubts_are_said_in_words() -> None:
    engine = Told(line("Best before 12.04.", 0.99, 0.99, 0.4), line("a b c", 0.3, 0.2, 0.1, y=60))
    found = read(Image.new("RGB", (400, 120), "white"), engine=engine)
    assert list(found.said()) == [
        "Best before 12.04. (uncertain)",
        "a b c (all of this is uncertain)",
        "Note: Most of the text is uncertain; a sharper or larger picture may help.",
    ]
    (first, second) = found.to_json()["lines"]
    assert first["words"][2] == {"text": "12.04.", "box": [200, 20, 290, 40], "score": 0.4, "uncertain": True}
    assert (first["box"], second["text"]) == ([0, 20, 290, 40], "a b c")


def test_a_picture_without_text_says_so() -> None:
    assert list(read(Image.new("RGB", (200, 200), "white"), engine=Told()).said()) == ["No text was read."]


@pytest.mark.parametrize(
    "texts",
    [
        ["Soup 6.50", "Bread 2.20", "TOTAL 8.70"],
        ["Suppe 6,50", "Brot 2,20 A", "SUMME EUR 8,70", "Bar 10,00", "Rückgeld 1,30"],
        ["2 x Soup 13.00", "Bread 2.20", "TOTAL 15.20"],
        ["2 Soup 6.50", "Bread 2.20", "TOTAL 15.20"],
        ["Soup 2 x 6.50 13.00", "Bread 2.20", "TOTAL 15.20"],
        ["Soup 2 x 6.50", "Bread 2.20", "TOTAL 15.20"],
        ["Soup 13.00", "2 x 6.50", "Bread 2.20", "TOTAL 15.20"],
        ["Bananas 2.04", "0.512 kg x 3.99", "Bread 2.20", "TOTAL 4.24"],
        ["Soup 6.50", "Bread 2.20", "Subtotal 8.70", "VAT 10% 0.87", "TOTAL 9.57"],
        ["Soup 6.50", "Bread 2.20", "Total excl. VAT 7.91", "VAT 0.79", "Total incl. VAT 8.70"],
        ["Soup 6.50", "Bread 2.20", "TOTAL 8.70", "incl. VAT 10% 0.79", "Card 8.70"],
        ["Soup 6.50", "Bread 2.20", "Discount -1.00", "TOTAL 7.70"],
        ["Soup 6.50", "Bread 2.20", "Remise 1.00", "TOTAL 7.70", "You saved 1.00"],
        ["Soup 6.50", "Bread 2.20", "Total 8.70", "Tip 1.30", "Total 10.00", "Visa 10.00"],
        ["Granola bar 2.20", "Table wine 4.50", "Birthday card 3.00", "TOTAL 9.70", "Cash 10.00", "Change 0.30"],
        ["Open 8.00", "Soup 6.50", "Bread 2.20", "TOTAL 8.70"],
        ["TV 1,099.00", "Cable 20.50", "TOTAL 1,119.50"],
        ["Soup 6.50-", "Soup 6.50", "Bread 2.20", "Cake 3.00", "Total 5.20"],
    ],
)
def test_a_right_receipt_is_not_accused(texts: list[str]) -> None:
    assert added(*texts).verdict == "agrees"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["Soup 6.50", "Bread 2.20", "TOTAL 8.90"], "The items add up to 8.70, but the total says 8.90."),
        (["Suppe 6,50", "Brot 2,20", "SUMME 9,70 €"], "The items add up to 8,70, but the total says 9,70."),
        (
            ["Soup 6.50", "Bread 2.20", "Discount -1.00", "TOTAL 8.80"],
            "The items add up to 7.70, but the total says 8.80.",
        ),
        (
            ["Soup 6.50", "Ice 2.20", "TOTAL 9.90", "Cash 20.00", "Change 10.10"],
            "The items add up to 8.70, but the total says 9.90.",
        ),
    ],
)
def test_a_wrong_total_is_told(texts: list[str], said: str) -> None:
    from looktwice.agent.words import words

    assert added(*texts).said(words("en")) == said


def test_what_was_added_is_said() -> None:
    from looktwice.agent.words import words

    found = added("Soup 6.50", "Bread 2.20", "Discount -1.00", "VAT 0.77", "TOTAL 8.47")
    assert found.said(words("en")) == "The items, with discounts and tax, add up to 8.47, as the total says."


def test_a_doubtful_receipt_is_left_open() -> None:
    from looktwice.agent.words import words

    wrong = ("Soup 6.50", "Bread 2.20", "TOTAL 8.90")
    unsure, unread = add_up(rows(*wrong, uncertain="6.50")), add_up(rows(*wrong), unread=1)
    assert unsure and unread
    assert unsure.said(words("en")) == (
        "The total says 8.90; the items can't be added up, because some amounts are uncertain."
    )
    assert (unread.verdict, unread.why) == ("open", "unread")


@pytest.mark.parametrize(
    "texts",
    [
        ["Soup 6.50", "Bread 2.20"],
        ["Bread 2.20", "TOTAL 2.20"],
        ["Dear Sir", "the total of your last four orders is 120.50", "and the total is due"],
        ["Date 12.04.2026", "Total 3 pages"],
    ],
)
def test_what_is_no_receipt_is_not_added_up(texts: list[str]) -> None:
    assert add_up(rows(*texts)) is None


def test_letters_are_spelled_in_each_language() -> None:
    assert spelled("B7-x", "en") == "capital B as in Bravo, seven, dash, small x as in X-ray"
    assert spelled("ÄB0", "de") == "Ä wie Ärger, B wie Berta, null"
    assert spelled("QZ", "fr") == "Q comme Quintal, Z comme Zoé"
    assert spelled("Ñ9", "es-MX") == "Ñ de Ñoño, nueve"
    for lang, like in (("en", " as in "), ("de", " wie "), ("fr", " comme "), ("es", " de ")):
        names = [part.partition(like)[2] for part in spelled(string.ascii_uppercase, lang).split(", ")]
        assert len(set(names)) == 26 and "" not in names
        assert len(set(spelled(string.digits, lang).split(", "))) == 10


def test_codes_are_not_prices_dates_or_words() -> None:
    text = (
        "Order AB-4711 on 12.04.2026 at 18:30, 2 x 250 g for 1,234.50 EUR; IBAN DE89370400440532013000, Tel 0301234567"
    )
    assert codes_in(text) == ["AB-4711", "DE89370400440532013000", "0301234567"]
    assert codes_in("well-known 3rd 10kg 5x A4 covid") == []


def test_a_language_is_found_by_its_names() -> None:
    assert {language(name).code for name in ("de", "de-AT", "deu", "German", " DE ")} == {"de"}
    assert len({each.code for each in languages()}) == len(languages())
    with pytest.raises(LookTwiceError, match=r"no language named .klingon.; known: "):
        language("klingon")


def test_a_language_outside_an_engine_is_said_with_what_installs_another() -> None:
    with pytest.raises(LookTwiceError, match=r"not Russian; .*--engine tesseract .*apt-get install tesseract-ocr-rus"):
        open_engine("rapidocr", lang="ru")


def test_an_agreement_makes_a_word_surer_and_a_contradiction_doubtful() -> None:
    first = Told(line("Lot L4711 of May", 0.9, 0.9, 0.9, 0.9))
    second = Told(line("Lot L471l of", 0.9, 0.9, 0.9))
    (found,) = BothEngines(first, second).read(Image.new("RGB", (400, 60)))
    assert [round(word.score, 3) for word in found.words] == [0.95, 0.675, 0.95, 0.9]
    blind = Told(line("ooo iii ll", 0.9, 0.9, 0.9))
    assert BothEngines(first, blind).read(Image.new("RGB", (400, 60))) == first.lines


@needs_tesseract
def test_tesseract_reads_a_page_and_both_agree(receipt: Transcript) -> None:
    found = read(drawn(RECEIPT, (20, 500)), engine="both")
    assert found.text == receipt.text
    assert found.engine == "rapidocr and tesseract"
    assert not found.num_uncertain
    alone = read(drawn(RECEIPT, (20, 500)), engine="tesseract")
    assert {"CORNER", "Espresso", "Sandwich", "TOTAL", "11.80"} <= set(alone.text.split())


@needs_tesseract
def test_missing_data_of_a_language_is_one_line_with_the_package() -> None:
    with pytest.raises(
        LookTwiceError, match=r"no data to read Khmer \('khm'\); run: apt-get install tesseract-ocr-khm"
    ):
        TesseractEngine(["km"])


def test_without_tesseract_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from looktwice.tools.ocr.tesseract import installed

    monkeypatch.setenv("PATH", "/nowhere")
    installed.cache_clear()
    with pytest.raises(LookTwiceError, match=r"run: apt-get install tesseract-ocr$"):
        open_engine("tesseract")


def test_a_foreign_script_is_said_and_not_invented() -> None:
    try:
        face = ImageFont.truetype("DejaVuSans.ttf", 26)
    except OSError:
        pytest.skip("needs a font with Cyrillic letters: apt-get install fonts-dejavu-core")
    image = Image.new("RGB", (560, 100), "white")
    for number, text in enumerate(("Добрый день, уважаемые гости", "Сегодня в меню суп и хлеб")):
        ImageDraw.Draw(image).text((20, 10 + 42 * number), text, fill="black", font=face)
    (note,) = [note for note in read(image).notes() if "rapidocr" in note]
    assert "--ocr-lang ru" in note


def test_the_command_reads_on_after_a_broken_picture(tmp_path: Path) -> None:
    bill, broken = tmp_path / "bill.png", tmp_path / "broken.png"
    drawn(RECEIPT, (20, 500)).save(bill)
    broken.write_bytes(b"\x89PNG\r\n\x1a\nno more")
    ran = run(f"looktwice read {broken} {bill} --spell")
    assert ran.status == 1
    assert ran.stderr.count("\n") == 1 and ran.stderr.startswith("error: ") and "broken.png" in ran.stderr
    assert ran.stdout.splitlines() == [
        f"Image 1 of 2: {broken}",
        f"Image 2 of 2: {bill}",
        *(row.replace("|", " ").strip() for row in RECEIPT),
        "AB-4711 is spelled: A as in Alfa, B as in Bravo, dash, four, seven, one, one",
        "Note: The items add up to 11.80, as the total says.",
    ]
    told = run(f"looktwice read {broken} {bill} --json")
    first, second = json.loads(told.stdout)
    assert (told.status, first["picture"], set(first)) == (1, str(broken), {"picture", "error"})
    assert (second["sum"]["verdict"], second["layout"], len(second["lines"])) == ("agrees", "rows", 5)


def test_the_command_spells_without_a_picture() -> None:
    ran = run("looktwice read --spell-out 'K-9'")
    assert (ran.status, ran.stdout) == (0, "K as in Kilo, dash, nine\n")
    assert run("looktwice read").status == 2
    assert "--spell-out has no text" in run("looktwice read --spell-out ' '").stderr
