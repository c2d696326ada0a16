"""The page of a server, without a browser: what forms change, what they refuse, and what the pages are made of."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Generator

import httpx
import pytest
import scenes
from serving import Served, served
from visitors import Tags, Visitor, problem, upload

from looktwice import Agent, Memory, ScriptedBackend
from looktwice.agent.prompt import Prompt
from looktwice.agent.server import Caps, Owners
from looktwice.agent.server.web import web_routes
from looktwice.tools import find_tools

ANNA, BERT = "anna-0123456789abcdef", "bert-0123456789abcdef"
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
RED = scenes.scene(("red", "circle", "top left"))
BLUE = scenes.scene(("blue", "square", "right"))


def answering(_: Prompt) -> str:
    return f"an answer {HOSTILE}"


@pytest.fixture(scope="module")
def server() -> Generator[Served]:
    with Memory(":memory:") as memory:
        agents = {
            "pocket": Agent("pocket", memory=memory, tools=()),
            "scripted": Agent(ScriptedBackend([answering] * 100), memory=memory, tools=()),
        }
        caps = Caps(body=300_000, pictures=3)
        with served(agents, caps=caps, tools=find_tools(["zoom"]), routes=web_routes()) as running:
            yield running


@pytest.fixture(scope="module")
def private() -> Generator[Served]:
    agent = Agent(ScriptedBackend([answering] * 50), memory=":memory:", tools=())
    owners = Owners({"anna": ANNA, "bert": BERT})
    with served({"scripted": agent}, owners=owners, routes=web_routes()) as running:
        yield running


@pytest.fixture
def visitor(server: Served) -> Generator[Visitor]:
    with Visitor(server.url) as visiting:
        yield visiting


def turns(server: Served, name: str) -> list[str]:
    """The words of a conversation as they are kept."""
    memory = next(iter(server.house.agents.values())).memory
    branch = memory.turns.branch(memory.conversations.get(name).head)
    return [turn.text for turn in branch if turn.role in ("user", "assistant") and turn.text]


# --- what forms do


def test_two_pictures_are_asked_about_without_a_script(server: Served, visitor: Visitor) -> None:
    visitor.begin("walk")
    files = upload(RED, "wall.png"), upload(BLUE, "Front door.png")
    sent = visitor.ask("walk", "What colour is the circle in @wall?", *files, model="pocket", look="yes")
    assert (sent.status_code, sent.headers["location"].partition("#")[0]) == (303, "/chat?name=walk")
    page = visitor.get("/chat", name="walk")
    assert turns(server, "walk") == ["What colour is the circle in @wall?", "red"]
    assert "<bdi>front-door</bdi>" in page.text
    assert f'id="{sent.headers["location"].partition("#")[2]}" class="answer"' in page.text
    visitor.ask("walk", "Zoom into the square in @front-door.", model="pocket", look="yes")
    tags = Tags(visitor.get("/chat", name="walk").text)
    assert [len(tags.all("figure")), len(tags.all("svg")), len(tags.all("h1"))] == [3, 1, 1]
    shown = [visitor.client.get(str(img["src"])) for img in tags.all("img")]
    assert {(each.status_code, each.headers["content-type"]) for each in shown} == {(200, "image/png")}
    assert all(img["alt"] and img["width"] for img in tags.all("img"))
    again = visitor.client.get(str(tags.all("img")[0]["src"]), headers={"If-None-Match": shown[0].headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_script_follows_an_answer_as_it_comes(visitor: Visitor) -> None:
    visitor.begin("followed")
    visitor.client.headers["accept"] = "text/event-stream"
    got = visitor.send("/chat/ask", {"question": "Well?", "model": "scripted"}, name="followed", code=visitor.code())
    told = [json.loads(line[6:]) for line in got.text.splitlines() if line.startswith("data: ")]
    assert "".join(each.get("text", "") for each in told) == told[-1]["answer"] == f"an answer {HOSTILE}"
    assert re.fullmatch(r"/chat\?name=followed#turn-\d+", told[-1]["done"])
    failed = visitor.send("/chat/ask", {"question": "And @nobody?", "model": "scripted"}, name="followed")
    assert json.loads(failed.text.partition("data: ")[2])["failed"].startswith("no picture named 'nobody'")
    empty = visitor.send("/chat/ask", {"question": "x"}, name="followed", code="wrong")
    assert (empty.status_code, empty.json()["lang"]) == (403, "en")


def test_pictures_are_added_without_a_question_and_get_names(visitor: Visitor) -> None:
    visitor.begin("album")
    files = upload(RED, "IMG 1.png"), upload(BLUE, "IMG 2.png")
    assert visitor.send("/chat/ask", {"names-given": "wall, door"}, files, name="album").status_code == 303
    page = visitor.get("/chat", name="album").text
    assert re.findall(r"data-name=\"(.*?)\"", page) == ["wall", "door"]
    assert "Pictures outside these questions" in page
    asked = visitor.send("/chat/ask", {"names-given": "one two"}, [upload(RED)], name="album")
    assert problem(asked) == "there are 2 names for 1 pictures; give one for each, or none"


def test_fork_retry_undo_export_and_delete(server: Served, visitor: Visitor) -> None:
    visitor.begin("tree")
    for question in ("First?", "Second?"):
        visitor.ask("tree", question, model="scripted")
    at = re.findall(r'name="at" value="(\d+)"', visitor.get("/chat", name="tree").text)
    forked = visitor.send("/chat/fork", {"at": at[0]}, name="tree")
    assert forked.headers["location"] == "/chat?name=tree.2"
    assert turns(server, "tree.2") == ["First?", f"an answer {HOSTILE}"]
    assert visitor.send("/chat/retry", {"model": "scripted"}, name="tree").status_code == 303
    assert len(turns(server, "tree")) == 4
    assert visitor.send("/chat/undo", name="tree").status_code == 303
    assert len(turns(server, "tree")) == 2
    packed = visitor.get("/chat/export", name="tree")
    assert packed.headers["content-disposition"] == "attachment; filename*=UTF-8''tree.zip"
    assert "conversation.json" in zipfile.ZipFile(io.BytesIO(packed.content)).namelist()
    assert "can&#x27;t be brought back" in visitor.get("/chat/delete", name="tree").text
    assert visitor.send("/chat/delete", name="tree").headers["location"] == "/"
    assert visitor.get("/chat", name="tree").status_code == 404


def test_a_conversation_without_a_name_gets_one_and_is_found_by_its_words(visitor: Visitor) -> None:
    where = visitor.send("/new", {"new": ""}).headers["location"]
    name = where.partition("name=")[2]
    assert re.fullmatch(r"chat-\d{8}-\d{6}(-\d+)?", name)
    visitor.ask(name, "Where is the lighthouse?", model="scripted")
    found = visitor.get("/", q="lighthouse").text
    assert "1 place with lighthouse" in found
    assert re.search(rf'href="/chat\?name={name}#turn-\d+"', found)
    nothing = visitor.get("/", q="!!")
    assert (nothing.status_code, problem(nothing)[:16]) == (400, "there is no word")


# --- what is refused


def test_a_form_without_its_code_changes_nothing(server: Served, visitor: Visitor) -> None:
    visitor.begin("guarded")
    with Visitor(server.url) as other:
        codes = ("", "0" * 64, "\u00e9", other.code())
    for code in codes:
        for path in ("/chat/ask", "/chat/retry", "/chat/undo", "/chat/fork", "/chat/delete", "/new", "/language"):
            sent = visitor.send(
                path, {"question": "Kept <words>?", "new": "more", "to": "de"}, code=code, name="guarded"
            )
            assert (sent.status_code, problem(sent)) == (403, "This page is too old. Send the form again."), path
    assert "Kept &lt;words&gt;?" in visitor.ask("guarded", "Kept <words>?", code="no").text
    assert turns(server, "guarded") == []
    assert visitor.get("/chat", name="more").status_code == 404


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_form_of_another_page_is_refused(server: Served, visitor: Visitor, headers: dict[str, str]) -> None:
    code = visitor.code()
    visitor.client.headers.update(headers)
    assert visitor.send("/new", {"new": "foreign"}, code=code).status_code == 403
    memory = server.house.agents["pocket"].memory
    assert "foreign" not in {each.name for each in memory.conversations.list()}


def test_cookies_are_out_of_reach_of_other_pages_and_scripts(visitor: Visitor) -> None:
    cookie = visitor.get("/").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_what_people_and_models_wrote_is_text(server: Served, visitor: Visitor) -> None:
    visitor.begin(HOSTILE.replace("/", "|"))
    name = HOSTILE.replace("/", "|")
    visitor.ask(name, HOSTILE, upload(RED, f"{HOSTILE}.png"), model="scripted")
    broken = visitor.ask(name, HOSTILE, upload(b"<html>", f"{HOSTILE}.png"), model="scripted")
    pages = [visitor.get("/chat", name=name), broken, visitor.get("/", q="script"), visitor.get("/")]
    pages += [visitor.get("/chat/delete", name=name), visitor.get("/chat", name=f"no {HOSTILE}")]
    for page in pages:
        tags = Tags(page.text)
        scripts = [attributes.get("src") for attributes in tags.all("script")]
        assert (scripts, page.text.count("<script")) == (["/static/page.js"], 1)
        assert not any("onerror" in attributes for _, attributes in tags.tags)
    assert "&lt;script&gt;" in pages[0].text


def test_pages_hold_no_script_and_no_style_of_their_own(visitor: Visitor) -> None:
    visitor.begin("policy")
    visitor.ask("policy", "What is it?", upload(RED), model="scripted")
    for page in (visitor.get("/"), visitor.get("/chat", name="policy"), visitor.get("/chat/delete", name="policy")):
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
        assert "unsafe" not in policy
        tags = Tags(page.text)
        assert not any(name == "style" or name.startswith("on") for _, each in tags.tags for name in each)
        assert tags.all("style") == []
        addresses = [
            str(each.get("src") or each.get("href")) for _, each in tags.tags if "src" in each or "href" in each
        ]
        assert all(address.startswith(("/", "#")) for address in addresses)
    for path in ("/static/page.js", "/static/page.css", "/static/icon.svg"):
        loaded = visitor.get(path)
        assert (loaded.status_code, loaded.headers["x-content-type-options"]) == (200, "nosniff")
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", loaded.text)


@pytest.fixture
def anna(private: Served) -> Generator[Visitor]:
    with Visitor(private.url, ANNA) as visiting:
        yield visiting


@pytest.fixture
def bert(private: Served) -> Generator[Visitor]:
    with Visitor(private.url, BERT) as visiting:
        yield visiting


def test_another_s_conversation_can_t_be_reached(private: Served, anna: Visitor, bert: Visitor) -> None:
    anna.begin("diary")
    anna.ask("diary", "Where is the treasure?", upload(RED, "map.png"))
    memory = private.house.agents["scripted"].memory
    picture = memory.pictures.all("anna/diary")[0].key
    turn = str(memory.conversations.get("anna/diary").head)
    assert "treasure" in anna.get("/chat", name="diary").text
    bert.begin("own")
    for name in ("diary", "anna/diary", "../anna/diary", ""):
        for path in ("/chat", "/chat/export", "/chat/delete", "/chat/picture"):
            gone = bert.get(path, name=name, key=picture)
            assert (gone.status_code, "treasure" in gone.text, "anna" in problem(gone)) == (404, False, "anna" in name)
        for path in ("/chat/ask", "/chat/retry", "/chat/undo", "/chat/fork", "/chat/delete"):
            assert bert.send(path, {"question": "x", "at": turn}, name=name).status_code == 404
    assert bert.get("/chat/picture", name="own", key=picture).status_code == 404
    assert bert.send("/chat/fork", {"at": turn}, name="own").status_code == 400
    found = bert.get("/", q="treasure").text
    assert ("0 places with treasure" in found, "Where is" in found) == (True, False)
    assert "diary" not in bert.get("/").text
    assert "diary" in anna.get("/").text
    assert len(memory.turns.branch(memory.conversations.get("anna/diary").head)) >= 2
    assert bert.send("/new", {"new": "x"}, code=anna.code()).status_code == 403


def test_a_browser_is_asked_for_the_token_as_a_password(private: Served) -> None:
    for headers in ({"Sec-Fetch-Mode": "navigate"}, {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}):
        refused = httpx.get(private.url, headers=headers)
        assert (refused.status_code, refused.headers["www-authenticate"].partition(" ")[0]) == (401, "Basic")


def test_a_name_that_can_t_be_taken_stays_in_its_field(visitor: Visitor) -> None:
    refused = visitor.send("/new", {"new": 'a/b "c"'})
    assert (refused.status_code, problem(refused)[:24]) == (400, "'a/b \"c\"' can't name a c")
    assert 'value="a/b &quot;c&quot;"' in refused.text
    assert '<a href="#new">' in refused.text


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ([upload(b"no picture", "notes.txt")], "'notes.txt' holds text, not a picture"),
        ([upload(RED, "wall.png"), upload(b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "bad.png")], "'bad.png' is damaged"),
        ([upload(b"\0" * 400_000, "big.png")], "the pictures have more than 0.3 MB together; send fewer, or smaller"),
        ([upload(RED, f"{n}.png") for n in range(4)], "there are more than 3 pictures; send fewer at a time"),
        ([upload(scenes.scene(size=(2, 300)), "thin.png")], "'thin.png' has 2x300 pixels"),
    ],
)
def test_pictures_that_can_t_be_taken_are_one_line_and_the_question_stays(
    server: Served, visitor: Visitor, files: list[object], why: str
) -> None:
    name = f"rejected {why[:9]}"
    visitor.begin(name)
    told = visitor.ask(name, "What is on it,\nplease?", *files, model="scripted")
    assert told.status_code == 400
    assert problem(told).startswith(why)
    assert "\n" not in problem(told)
    assert "\nWhat is on it,\nplease?</textarea>" in told.text
    assert "<title>Error: " in told.text
    assert '<a href="#question">' in told.text
    memory = server.house.agents["pocket"].memory
    assert (turns(server, name), memory.pictures.all(name)) == ([], [])


def test_a_form_that_never_ends_and_one_of_another_kind_are_refused(server: Served, visitor: Visitor) -> None:
    visitor.begin("odd")
    head = "POST /chat/ask?name=odd HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    far = server.raw(f"{head}Content-Length: 1300000\r\nConnection: close\r\n\r\n".encode())
    assert far.startswith(b"HTTP/1.1 413")
    assert b"more than 0.3 MB" in far
    assert visitor.send("/language", {"to": "de", "back": "/" + "x" * 200_000}).status_code == 400
    plain = visitor.client.post("/chat/ask?name=odd", data={"question": "x", "code": visitor.code()})
    assert (plain.status_code, problem(plain)) == (415, "this is no form of this page; load the page again")
    long = visitor.ask("odd", "x" * 100_001, model="scripted")
    assert (long.status_code, problem(long)) == (400, "the text has more than 100000 bytes; ask in fewer words")
    assert turns(server, "odd") == []


# --- languages


@pytest.mark.parametrize(
    ("wished", "language"),
    [("de-AT,en;q=0.8", "de"), ("pt, fr;q=0.3, es;q=0.7", "es"), ("pt-BR", "en"), ("*", "en"), (";;q=x,fr", "fr")],
)
def test_pages_speak_the_language_that_the_browser_wishes(visitor: Visitor, wished: str, language: str) -> None:
    visitor.client.headers["accept-language"] = wished
    assert f'<html lang="{language}">' in visitor.get("/").text


def test_a_language_can_be_chosen(visitor: Visitor) -> None:
    visitor.begin("sprache")
    visitor.ask("sprache", "Was ist das?", upload(RED), model="scripted")
    sent = visitor.send("/language", {"to": "de", "back": "/chat?name=sprache"})
    assert sent.headers["location"] == "/chat?name=sprache"
    page = visitor.get("/chat", name="sprache").text
    for words in ('<html lang="de">', "Frage 1", "Antwort 1", "320 mal 320 Pixel", "Alle Gespräche", 'lang="en"'):
        assert words in page
    for back in ("//evil.example", "/\\evil.example", "https://evil.example", ""):
        assert visitor.send("/language", {"to": "en", "back": back}).headers["location"] == "/"
    assert visitor.send("/language", {"to": "xx"}).status_code == 400
