"""The page of a server in a real browser: without a mouse, without scripts, on a small screen, in the dark."""

from __future__ import annotations

import re
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
import scenes
from browser import open_page, violations
from playwright.sync_api import Page, expect
from serving import Served, served

from looktwice import Agent, Memory, ScriptedBackend
from looktwice.agent.prompt import Prompt
from looktwice.agent.server import Caps
from looktwice.agent.server.web import web_routes
from looktwice.memory import ImagePart, Picture, TextPart, Turn
from looktwice.tools import find_tools

EVIDENCE = [
    {"image": "bill", "box": [40, 60, 200, 100], "claim": "42.10", "read": "42.70", "verdict": "conflict",
     "span": [7, 12]},
    {"image": "bill", "box": None, "claim": "seven items", "read": "", "verdict": "unchecked"},
]  # fmt: skip
SMALL = """[...document.querySelectorAll('a, button, input, select, textarea, summary')]
    .filter((each) => each.checkVisibility() && !each.matches('.skip'))
    .map((each) => [each.outerHTML, each.getBoundingClientRect()])
    .filter(([_, box]) => box.width < 24 || box.height < 24)
    .map(([html]) => html)"""
HEARD = """window.heard = [];
    const status = document.getElementById('status');
    const everything = {childList: true, characterData: true, subtree: true};
    new MutationObserver(() => window.heard.push(status.textContent)).observe(status, everything);
    0"""
BRING = """([kind, holder]) => {
    const data = new DataTransfer(), event = new Event(kind, {bubbles: true});
    data.items.add(new File([new Uint8Array(9)], `${kind}.png`, {type: 'image/png'}));
    event[holder] = data;
    document.body.dispatchEvent(event);
}"""
BILL = Picture.load(scenes.receipt("TOTAL 42.70"))


RELEASED = threading.Event()


def waiting(_: Prompt) -> str:
    RELEASED.wait(60)
    return "late"


@pytest.fixture(scope="module")
def server() -> Generator[Served]:
    with Memory(":memory:") as memory:
        memory.conversations.create("long")
        memory.pictures.add("long", BILL, name="bill")
        for number in range(12):
            shown = [ImagePart("bill")] if not number else []
            memory.turns.append("long", Turn("user", (*shown, TextPart(f"What is the total on @bill, {number}?"))))
            meta = {"finish": "stop", "evidence": EVIDENCE, "notices": ["it was cut"]}
            memory.turns.append("long", Turn("assistant", (TextPart("It is: 42.10 " + "long " * 60),), meta=meta))
        slow = Agent(ScriptedBackend([waiting]), memory=memory, tools=())
        agent = Agent("pocket", memory=memory, tools=())
        options = {"tools": find_tools(["zoom"]), "caps": Caps(pictures=3), "routes": web_routes()}
        with served({"pocket": agent, "slow": slow}, **options) as running:
            yield running


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for name, shape in (("wall", ("red", "circle", "top left")), ("door", ("blue", "square", "right"))):
        scenes.scene(shape).save(folder / f"{name}.png")
    return [folder / "wall.png", folder / "door.png"]


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until that has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} can't be reached with the keyboard")


def test_from_two_pictures_to_the_evidence_with_the_keyboard_alone(server: Served, pictures: list[Path]) -> None:
    with open_page(server.url) as page:
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("filechooser", lambda chooser: chooser.set_files(pictures))
        assert violations(page) == []
        tab_to(page, "#new")
        page.keyboard.type("keys")
        page.keyboard.press("Enter")
        expect(page).to_have_title("keys - looktwice")
        assert violations(page) == []
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to your question"
        page.keyboard.press("Enter")
        page.keyboard.type("Zoom into the square in @door.")
        tab_to(page, "#pictures")
        page.keyboard.press("Enter")
        expect(page.locator("#chosen button")).to_have_text(["Remove wall.png", "Remove door.png"])
        page.evaluate(HEARD)
        tab_to(page, "#ask button.main")
        page.keyboard.press("Enter")
        expect(page).to_have_title("Answered: keys - looktwice")
        answer = page.locator("article.answer > p").first.text_content()
        assert page.evaluate("window.heard") == ["The model is answering.", answer]
        assert page.evaluate("document.activeElement.textContent") == "Ask"
        assert violations(page) == []
        expect(page.locator("#talk figure")).to_have_count(3)
        tab_to(page, "a[href='#picture-door.zoom1']")
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#picture-door.zoom1"
        assert page.evaluate("document.querySelectorAll('h1').length") == 1
        tab_to(page, "form[action^='/chat/retry'] button")
        page.keyboard.press("Enter")
        expect(page).to_have_title("Answered: keys - looktwice")
        assert page.evaluate("document.activeElement.textContent") == "Answer the last question again"
        assert errors == []


def test_a_long_conversation_a_failed_question_and_a_small_screen(server: Served) -> None:
    with open_page(f"{server.url}/chat?name=long", width=320, height=640) as page:
        assert violations(page) == []
        tab_to(page, "[aria-label='Evidence for answer 1']")
        expect(page.locator("article.answer > p").first).to_contain_text("42.10 (two readings: 42.10 and 42.70)")
        page.fill("#question", "What is on @nobody?")
        page.keyboard.press("Control+Enter")
        expect(page).to_have_title("Error: long - looktwice")
        expect(page.locator("#status")).to_have_text(re.compile("^There is a problem: no picture named 'nobody'"))
        assert page.input_value("#question") == "What is on @nobody?"
        assert page.evaluate("document.activeElement.id") == "question"
        assert violations(page) == []
        page.locator("#problem a").press("Enter")
        assert page.evaluate("document.activeElement.id") == "question"
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        assert page.evaluate(SMALL) == []
        page.emulate_media(forced_colors="active", reduced_motion="reduce")
        assert page.evaluate("getComputedStyle(document.querySelector('svg .line')).stroke") != "rgb(179, 38, 30)"


def test_a_slow_answer_is_spoken_of_every_thirty_seconds_and_can_be_stopped(server: Served) -> None:
    with open_page(f"{server.url}/chat?name=long") as page:
        page.clock.install()
        page.select_option("#model", "slow")
        page.fill("#question", "Are you there?")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#status")).to_have_text("The model is answering.")
        expect(page).to_have_title("Answering: long - looktwice")
        page.clock.fast_forward(31_000)
        expect(page.locator("#status")).to_have_text(re.compile(r"^Still answering, \d+ seconds so far\.$"))
        page.keyboard.press("Control+Enter")  # asks nothing twice
        page.click("#stop")
        expect(page.locator("#status")).to_have_text("The answer was stopped.")
        expect(page).to_have_title("long - looktwice")
        assert page.evaluate("document.activeElement.id") == "question"
        expect(page.locator("#stop")).to_be_hidden()
        RELEASED.set()


def test_names_are_offered_after_an_at_and_pictures_come_by_paste_and_drop(server: Served) -> None:
    with open_page(f"{server.url}/chat?name=long") as page:
        page.fill("#question", "Compare @b")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.input_value("#question") == "Compare @bill "
        page.fill("#question", "a@x @z")
        expect(page.locator("#names")).to_be_hidden()
        for kind, holder in (("paste", "clipboardData"), ("drop", "dataTransfer")):
            page.evaluate(BRING, [kind, holder])
        expect(page.locator("#chosen button")).to_have_text(["Remove paste.png", "Remove drop.png"])
        page.click("text=Remove paste.png")
        assert page.evaluate("document.getElementById('pictures').files.length") == 1
        assert page.evaluate("document.activeElement.id") == "pictures"


def test_without_scripts_the_page_does_the_same(server: Served, pictures: list[Path]) -> None:
    with open_page(server.url, scripts=False) as page:
        page.fill("#new", "plain")
        page.click("text=Start")
        page.set_input_files("#pictures", pictures)
        page.fill("#question", "What colour is the circle in @wall?")
        page.click("#ask button.main")
        expect(page.locator("article.answer > p").first).to_have_text("red")
        page.fill("#question", "And in @nobody?")
        page.click("#ask button.main")
        expect(page).to_have_title("Error: plain - looktwice")
        expect(page.locator("#problem")).to_be_focused()
        assert page.input_value("#question") == "And in @nobody?"
        page.click("text=Deutsch")
        expect(page.locator("h1")).to_have_text("Gespräche")
