"""A conversation as one HTML page."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import open_page, violations
from PIL import Image, ImageDraw

from looktwice.agent.page import render
from looktwice.errors import InvalidInput, StoreError, UnknownName
from looktwice.memory import (
    ImagePart,
    Memory,
    Picture,
    Recipe,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolsPart,
    ToolSpec,
    Turn,
)

HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)> & "quoted" \u202e\x00\x1b[31m'
META = {
    "finish": "stop",
    "confidence": 0.93,
    "usage": {"prompt": 310, "reused": 192, "new": 118, "image": 192, "output": 9},
    "timing": {"first_token": 0.21, "total": 1.4},
    "notices": ["pocket knows drawn scenes and printed words only"],
    "looks": [],
    "images": [],
    "evidence": [
        {"image": "bill", "box": [40, 60, 200, 100], "claim": "42.10", "read": "42.10", "verdict": "agree"},
        {"image": "bill", "box": None, "claim": "seven items", "read": "", "verdict": "unchecked"},
    ],
}


class Tags(HTMLParser):
    """Collects every start tag with its attributes, and checks that tags are closed in order."""

    VOID = frozenset({"img", "meta"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(page: str) -> Tags:
    parser = Tags()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def photo(width: int = 640, height: int = 480, *, words: str = "TOTAL 42.10") -> Picture:
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).text((40, 60), words, fill="black")
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "SECRETCAMERA"
    image.save(out, "JPEG", exif=exif)
    assert b"SECRETCAMERA" in out.getvalue()
    return Picture.load(out.getvalue())


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory(":memory:") as opened:
        yield opened


@pytest.fixture
def receipts(memory: Memory) -> Memory:
    """A conversation with a question, a zoom, and an answer with evidence."""
    memory.conversations.create("receipts")
    bill = memory.pictures.add("receipts", photo(), name="bill")
    zoom = ToolSpec("zoom", "Look at a part of a picture, enlarged.")
    memory.turns.append("receipts", Turn("system", (TextPart("Be brief."), ToolsPart((zoom,)))))
    memory.turns.append("receipts", Turn("user", (ImagePart("bill"), TextPart("What is the total on @bill?"))))
    call = ToolCallPart("call_1", "zoom", {"image": "bill", "box": [50, 100, 350, 250]})
    asked = memory.turns.append("receipts", Turn("assistant", (call,), model="pocket"))
    recipe = Recipe(bill.key, "crop", (32, 48, 224, 120), (384, 144))
    crop = memory.pictures.add_recipe("receipts", recipe, stem="bill.zoom", tool="zoom", turn=asked.id)
    memory.turns.append("receipts", Turn("tool", (ToolResultPart("call_1", "zoom", ""), ImagePart(crop.name))))
    memory.turns.append("receipts", Turn("assistant", (TextPart("42.10"),), model="pocket", meta=META))
    return memory


def test_a_page_loads_nothing_and_runs_nothing(receipts: Memory) -> None:
    page = render(receipts, "receipts")
    tags = read(page)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    (policy,) = [meta["content"] for meta in tags.all("meta") if meta.get("http-equiv")]
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert {tag for tag, _ in tags.tags} & {"script", "link", "iframe", "object", "form", "base"} == set()
    assert all((image["src"] or "").startswith("data:image/") for image in tags.all("img"))
    assert all((link["href"] or "").startswith("#") for link in tags.all("a"))
    assert "url(" not in style.group(1) and "@import" not in style.group(1)
    assert not any(name.startswith("on") or name == "style" for _, found in tags.tags for name in found)


def test_every_picture_has_an_alternative(receipts: Memory) -> None:
    images = read(render(receipts, "receipts")).all("img")
    assert [image["alt"] for image in images] == ["Picture bill, 640 by 480", "Picture bill.zoom1, 384 by 144"]


def test_an_alternative_that_was_given_is_used(memory: Memory) -> None:
    memory.conversations.create("c")
    memory.pictures.add("c", photo(), name="bill", alt='A receipt from "Chez Nous"')
    memory.turns.append("c", Turn("user", (ImagePart("bill"), TextPart("What is it?"))))
    (image,) = read(render(memory, "c")).all("img")
    assert image["alt"] == 'A receipt from "Chez Nous"'


def test_boxes_of_crops_and_evidence_are_drawn_in_the_pixels_of_the_picture(receipts: Memory) -> None:
    page = render(receipts, "receipts")
    tags = read(page)
    (overlay,) = tags.all("svg")
    assert overlay["viewbox"] == "0 0 640 480"
    drawn = [(r["x"], r["y"], r["width"], r["height"]) for r in tags.all("rect") if r["class"] == "line"]
    assert drawn == [("32", "48", "192", "72"), ("40", "60", "160", "40")]
    titles = re.findall(r"<g[^>]*><title>(.*?)</title>", page)
    assert titles == ["bill.zoom1, the part from 32, 48 to 224, 120", "42.10: agree, read &#x27;42.10&#x27;"]


def test_looks_evidence_and_cost_are_shown(receipts: Memory) -> None:
    page = render(receipts, "receipts")
    text = " ".join(read(page).text)
    assert "zoom(image=&quot;bill&quot;, box=[50, 100, 350, 250])" in page
    assert "310 tokens: 192 reused, 118 new; 192 of them for pictures" in text
    assert "1.4, first word after 0.2" in text
    assert "93%, the mean probability" in text
    assert "pocket knows drawn scenes and printed words only" in text
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    assert [re.sub(r"(<.*?>)+", "|", row).strip("|").split("|") for row in rows] == [
        ["Picture", "Box", "Claim", "Read", "Seen closely", "Verdict"],
        ["bill", "40, 60 to 200, 100", "42.10", "42.10", "\u2713 agree"],
        ["bill", "whole picture", "seven items", "\u2013 unchecked"],
    ]


def test_every_message_has_one_heading(receipts: Memory) -> None:
    page = render(receipts, "receipts")
    headings = [
        (level, re.sub(r"<time.*?</time>|<.*?>", "", text).strip())
        for level, text in re.findall(r"<h(\d)[^>]*>(.*?)</h\d>", page)
    ]
    assert headings == [("1", "receipts"), ("2", "Question 1"), ("2", "Answer 1 pocket")]


def test_tools_are_in_details_that_stand_open(receipts: Memory) -> None:
    details = read(render(receipts, "receipts")).all("details")
    told = [("open" in found, found.get("class")) for found in details]
    assert told == [(False, None), (True, "look"), (False, None)]


def test_whatever_stands_in_a_conversation_is_only_text(memory: Memory) -> None:
    memory.conversations.create("</title><script>alert(1)</script>")
    name = "</title><script>alert(1)</script>"
    memory.pictures.add(name, photo(), name="bill", alt=HOSTILE)
    memory.turns.append(name, Turn("system", (TextPart(HOSTILE), ToolsPart((ToolSpec("zoom", HOSTILE),)))))
    memory.turns.append(name, Turn("user", (ImagePart("bill"), TextPart(HOSTILE))))
    call = ToolCallPart("call_1", HOSTILE, {HOSTILE: HOSTILE})
    memory.turns.append(name, Turn("assistant", (TextPart(HOSTILE), call), model=HOSTILE))
    memory.turns.append(name, Turn("tool", (ToolResultPart("call_1", HOSTILE, HOSTILE, error=True),)))
    evidence = [{"image": HOSTILE, "box": [0, 0, 9, 9], "claim": HOSTILE, "read": HOSTILE, "verdict": "conflict"}]
    meta = {"evidence": evidence, "notices": [HOSTILE]}
    memory.turns.append(name, Turn("assistant", (TextPart(HOSTILE),), model=HOSTILE, meta=meta))
    page = render(memory, name)
    tags = read(page)
    assert tags.all("script") == []
    assert len(tags.all("img")) == 1
    assert tags.all("img")[0]["alt"] == HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    assert not any(found.startswith("on") for _, attributes in tags.tags for found in attributes)
    assert "\x00" not in page and "\x1b" not in page


def test_pictures_are_small_and_carry_nothing_of_the_camera(memory: Memory) -> None:
    memory.conversations.create("c")
    memory.pictures.add("c", photo(3000, 1500), name="wide")
    memory.turns.append("c", Turn("user", (ImagePart("wide"), TextPart("What is it?"))))
    (image,) = read(render(memory, "c")).all("img")
    data = base64.b64decode((image["src"] or "").partition(",")[2])
    with Image.open(io.BytesIO(data)) as embedded:
        assert embedded.size == (1000, 500)
        assert dict(embedded.getexif()) == {}
    assert b"SECRETCAMERA" not in data
    assert (image["width"], image["height"]) == ("560", "280")


def test_a_small_picture_is_shown_large_enough_to_see(memory: Memory) -> None:
    memory.conversations.create("c")
    memory.pictures.add("c", photo(96, 48), name="tiny")
    memory.turns.append("c", Turn("user", (ImagePart("tiny"), TextPart("What is it?"))))
    (image,) = read(render(memory, "c")).all("img")
    assert (image["width"], image["height"]) == ("320", "160")


def test_a_picture_is_embedded_once_and_then_referred_to(receipts: Memory) -> None:
    receipts.turns.append("receipts", Turn("user", (ImagePart("bill"), TextPart("And the tax?"))))
    page = render(receipts, "receipts")
    assert len(read(page).all("img")) == 2
    assert '<a href="#picture-bill"><bdi>bill</bdi></a> stands above.' in page
    assert "There is no answer yet." in page


def test_a_forgotten_picture_leaves_a_note(receipts: Memory) -> None:
    receipts.pictures.forget("receipts", "bill")
    page = render(receipts, "receipts")
    assert read(page).all("img") == []
    assert "Picture bill was removed." in page
    assert "Picture bill.zoom1 was removed." in page


def test_a_damaged_picture_leaves_a_note_that_names_it(receipts: Memory) -> None:
    receipts._db.run("UPDATE pictures SET data = substr(data, 1, 200)")  # type: ignore[attr-defined]
    page = render(receipts, "receipts")
    assert read(page).all("img") == []
    assert "Picture bill can&#x27;t be shown: the picture &#x27;sha256:" in page
    assert "Picture bill.zoom1 can&#x27;t be shown: the picture &#x27;recipe:" in page
    assert "What is the total on @bill?" in page


def test_a_picture_that_no_question_shows_is_shown_at_the_end(memory: Memory) -> None:
    memory.conversations.create("c")
    memory.pictures.add("c", photo(), name="later")
    page = render(memory, "c")
    assert "Pictures outside these questions" in page
    assert [image["alt"] for image in read(page).all("img")] == ["Picture later, 640 by 480"]


def test_a_broken_answer_is_marked(memory: Memory) -> None:
    memory.conversations.create("c")
    memory.turns.append("c", Turn("user", (TextPart("Hello?"),)))
    memory.turns.append("c", Turn("assistant", (TextPart("I was ab"),), status="partial", meta={"finish": "cancelled"}))
    page = render(memory, "c")
    assert re.findall(r'<p class="note">(.*?)</p>', page) == ["The answer was stopped."]


def test_instructions_stand_before_the_question_that_they_are_for(receipts: Memory) -> None:
    receipts.turns.append("receipts", Turn("system", (ToolsPart(()),)))
    receipts.turns.append("receipts", Turn("user", (TextPart("And the tax?"),)))
    page = render(receipts, "receipts")
    marks = re.findall(r"Question \d|Answer \d|Instructions and tools", page)
    assert marks == ["Instructions and tools", "Question 1", "Answer 1", "Instructions and tools", "Question 2"]


def test_words_carry_their_language_and_labels_stay_english(receipts: Memory) -> None:
    tags = read(render(receipts, "receipts", lang="pt-BR"))
    assert tags.all("html") == [{"lang": "en"}]
    assert {p.get("lang") for p in tags.all("p") if p.get("dir") == "auto"} == {"pt-BR"}


@pytest.mark.parametrize("lang", ["", "en us", '"><script>', "x"])
def test_a_language_that_is_none_is_refused(receipts: Memory, lang: str) -> None:
    with pytest.raises(InvalidInput, match="is not a language tag"):
        render(receipts, "receipts", lang=lang)


def test_an_unknown_conversation_is_refused(receipts: Memory) -> None:
    with pytest.raises(UnknownName, match="did you mean 'receipts'"):
        render(receipts, "receipt")


def test_a_record_that_cannot_be_read_names_its_turn(memory: Memory) -> None:
    memory.conversations.create("c")
    kept = memory.turns.append("c", Turn("assistant", (TextPart("yes"),), meta={"usage": {"prompt": "many"}}))
    with pytest.raises(StoreError, match=f"turn {kept.id}: usage.prompt can't be read"):
        render(memory, "c")


def test_axe_finds_nothing_wrong_in_a_browser(receipts: Memory, tmp_path: Path) -> None:
    receipts.turns.append("receipts", Turn("user", (TextPart(HOSTILE),)))
    file = tmp_path / "page.html"
    file.write_text(render(receipts, "receipts"), encoding="utf-8")
    with open_page(file) as page:
        assert violations(page) == []
        assert page.get_by_role("heading", level=1).inner_text() == "receipts"
