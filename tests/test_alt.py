"""Alternative texts: checked, suggested by a model, reviewed at a keyboard, written into documents."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from documents import book, draw_pictures, pandoc, word
from terminal import Terminal, stop

from looktwice import Agent, ScriptedBackend
from looktwice.agent.access.alt import (
    Entry,
    Prompts,
    Review,
    ReviewFile,
    apply,
    check_alternatives,
    open_document,
    suggest,
    write_suggestions,
)
from looktwice.agent.cli import main
from looktwice.errors import InvalidInput

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def pocket() -> Iterator[Agent]:
    with Agent("pocket", memory=":memory:") as agent:
        yield agent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with three pictures."""
    for name in ("LOOKTWICE_MODEL", "LOOKTWICE_DEVICE", "LOOKTWICE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    draw_pictures(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    def runner(*arguments: str, stdin: str | None = None, status: int = 0) -> Result:
        result = CliRunner().invoke(main, ["alt", *arguments], prog_name="looktwice", input=stdin)
        assert result.exit_code == status, (arguments, result.stdout, result.stderr)
        assert "Traceback" not in result.stderr
        return result

    return runner


def page(folder: Path, body: str, name: str = "page.html") -> Path:
    path = folder / name
    path.write_text(body, encoding="utf-8")
    return path


def suggestions(folder: Path, body: str, agent: Agent, **wanted: Any) -> list[Entry]:
    return suggest(open_document(page(folder, body)), agent, **wanted)


def reviewed(folder: Path, body: str, *texts: str) -> ReviewFile:
    """A page with suggestions that a script made, one for each picture."""
    with Agent(ScriptedBackend([line for text in texts for line in ("photo", text)]), memory=":memory:") as agent:
        document = open_document(page(folder, body))
        entries = suggest(document, agent, read_text=False, prompts=Prompts())
        return write_suggestions(folder / "page.txt", document, entries, model="scripted")


# --- check


@pytest.mark.parametrize(
    ("markup", "kinds"),
    [
        ('<img src="a.png">', ["missing"]),
        ('<img src="a.png" alt=" ">', ["missing"]),
        ('<img src="a.png" alt="">', []),
        ('<img src="a.png" alt="A red circle">', []),
        ('<img src="cat.png" alt="cat">', []),
        ('<img src="x/IMG_0042.JPG" alt="img_0042">', ["file name"]),
        ('<img src="a.png" alt="scan-17.tiff">', ["file name"]),
        ('<img src="team-2.png" alt="team-2">', ["file name"]),
        ('<img src="a.png" alt="Photo">', ["filler"]),
        ('<img src="a.png" alt="An image of a red circle">', ["image of"]),
        ('<img src="a.png" alt="Das Bild zeigt einen Kreis">', ["image of"]),
        ('<img src="a.png" alt="Imagenes">', []),
        (f'<img src="a.png" alt="{"word " * 26}">', ["too long"]),
        ('<figure><img src="a.png" alt="A dog."><figcaption>a  <b>dog</b></figcaption></figure>', ["caption"]),
        ('<img src="a.png" alt="*">', []),
        ('<a href="x"><img src="a.png" alt=""></a>', ["nameless link"]),
        ('<a href="x"><img src="a.png" alt=""> Home</a>', []),
        ('<p aria-hidden="true"><img src="a.png"></p>', []),
        ('<svg role="img"></svg><svg></svg>', ["missing"]),
        ('<input type="image" src="a.png" alt="">', ["nameless link"]),
    ],
)
def test_faults_of_alternative_texts(folder: Path, markup: str, kinds: list[str]) -> None:
    assert [fault.kind for fault in check_alternatives(page(folder, markup))] == kinds


def test_check_names_the_line_and_fails(run: Run, folder: Path) -> None:
    page(folder, 'x\n<img src="wall.png">\n<img src="door.jpg" alt="A closed door">', "page.md")
    book(folder)
    word(folder)
    said = run("check", ".", status=1)
    assert said.stdout.splitlines() == [
        "made.docx: paragraph 3: missing: word/media/image1.png has no alternative text",
        "made.docx: paragraph 5: missing: word/media/image2.jpg has no alternative text",
        "made.epub:EPUB/one.xhtml:9: missing: img/wall.png has no alternative text",
        'made.epub:EPUB/one.xhtml:9: file name: "door.jpg" is the name of a file',
        "page.md:2: missing: wall.png has no alternative text",
    ]
    assert said.stderr == "status: 3 documents, 5 faults\n"
    (found,) = json.loads(run("check", "page.md", "--json", status=1).stdout)
    fault = {"kind": "missing", "said": "wall.png has no alternative text", "member": None, "line": 2}
    assert found == {"document": "page.md", "faults": [fault | {"picture": "wall.png", "alt": None}]}


def test_check_annotates_for_github(run: Run, folder: Path) -> None:
    page(folder, 'x\n<img src="a,b.png"><img src="c.png" alt="100% image.png">', "a,b.html")
    book(folder)
    assert run("check", "a,b.html", "made.epub", "--github", status=1).stdout.splitlines() == [
        "::warning file=a%2Cb.html,line=2,title=alternative text%3A missing::a,b.png has no alternative text",
        "::warning file=made.epub,title=alternative text%3A missing"
        "::EPUB/one.xhtml line 9: img/wall.png has no alternative text",
        "::warning file=made.epub,title=alternative text%3A file name"
        '::EPUB/one.xhtml line 9: "door.jpg" is the name of a file',
    ]


def test_check_goes_on_after_a_document_that_can_not_be_read(run: Run, folder: Path) -> None:
    page(folder, "none", "bad.epub")
    page(folder, "<p>no pictures", "good.html")
    said = run("check", "bad.epub", "good.html", status=1)
    assert said.stderr.splitlines()[0].startswith("error: 'bad.epub' is no zip file, or cut short")
    assert said.stderr.splitlines()[1] == "status: 1 document, 0 faults"
    assert run("check", "good.html").stdout == ""
    (folder / "empty").mkdir()
    assert "no document in 'empty'; give one of .html" in run("check", "empty", status=1).stderr


# --- suggest


TREE = """<h1>Tour</h1><p>A wall: <img src="wall.png"></p>
<p>The sign says EXIT. <img src="sign.png"></p><h2>Door</h2><p><img src="sign.png"></p>
<a href="home.html"><img src="sign.png"></a><a href="home.html">Home <img src="door.jpg"></a>
<img src="white.png"><img src="door.jpg"><img src="https://x.example/a.png">
<img src="wall.png" alt="image"><img src="wall.png" alt="">"""


def test_suggestions_follow_the_decision_tree(folder: Path, pocket: Agent) -> None:
    from PIL import Image

    Image.new("RGB", (200, 100), "white").save(folder / "white.png")
    before = [chat.name for chat in pocket.memory.conversations.list()]
    told: list[tuple[int, int, str]] = []

    def on_progress(number: int, count: int, name: str) -> None:
        told.append((number, count, name))

    entries = suggestions(folder, TREE, pocket, on_progress=on_progress)
    assert [(entry.source, entry.branch, entry.text) for entry in entries] == [
        ("wall.png", "simple", entries[0].text),
        ("sign.png", "redundant", ""),
        ("sign.png", "text", "EXIT"),
        ("sign.png", "link", "EXIT"),
        ("door.jpg", "redundant", ""),
        ("white.png", "decorative", ""),
        ("door.jpg", "simple", entries[6].text),
        ("https://x.example/a.png", "unseen", ""),
        ("wall.png", "simple", entries[0].text),
    ]
    assert "red circle" in entries[0].text.lower() and "blue" in entries[6].text.lower()
    assert entries[0].doubts == ("Described by a model, and by nobody who saw the picture.",)
    assert entries[1].why == "The page says the same words beside it: EXIT"
    assert "nothing is fetched" in entries[7].why and entries[7].question
    assert (entries[8].now, entries[0].now) == ("image", None)
    assert told[0] == (1, 9, "wall.png")
    assert [chat.name for chat in pocket.memory.conversations.list()] == before


def said_by(
    *lines: str, folder: Path, body: str = '<img src="wall.png">', **wanted: Any
) -> tuple[list[Entry], list[str]]:
    """The suggestions where a model says these lines, and the questions that it got."""
    with Agent(ScriptedBackend(lines), memory=":memory:") as agent:
        entries = suggestions(folder, body, agent, read_text=False, **wanted)
        backend = agent.backend
        assert isinstance(backend, ScriptedBackend)
        asked = [backend.rows(prompt)[-2].text for prompt in backend.prompts]
    return entries, asked


def test_a_chart_gets_a_short_text_and_a_long_one(folder: Path) -> None:
    (entry,), _ = said_by("Chart.", "Bar chart of sales. It rises.", "Sales\n- 2020: 4\n- 2021: 5", folder=folder)
    assert (entry.branch, entry.text) == ("complex", "Bar chart of sales")
    assert entry.long == "Sales\n- 2020: 4\n- 2021: 5"


def test_a_decoration_is_a_question(folder: Path) -> None:
    (entry,), asked = said_by("decoration", folder=folder)
    assert (entry.branch, entry.text, entry.is_empty) == ("decorative", "", True)
    assert (entry.question, len(asked)) == ("Is it only decoration? If not, what does it say here?", 1)


def test_what_the_model_can_not_tell_is_asked_of_the_author(folder: Path) -> None:
    (entry,), _ = said_by("photo", "", folder=folder)
    assert (entry.branch, entry.text) == ("unclear", "")
    assert entry.question == "What does the picture show, and what is it there for?"


def test_an_answer_loses_words_that_go_without_saying_and_says_if_it_is_long(folder: Path) -> None:
    (entry,), _ = said_by("photo", 'The image shows a "red" circle. Nice.', folder=folder)
    assert entry.text == 'A "red" circle'
    (entry,), _ = said_by("photo", f"A {'long ' * 30}text", folder=folder)
    assert "characters are more than 125; make it shorter." in entry.doubts[-1]


def test_what_the_caption_says_is_not_said_twice(folder: Path) -> None:
    body = '<figure><img src="wall.png"><figcaption>A red circle</figcaption></figure>'
    (entry,), _ = said_by("photo", "A red circle.", folder=folder, body=body)
    assert (entry.branch, entry.text) == ("redundant", "")


def test_the_page_is_told_as_data_and_prompts_can_be_changed(folder: Path) -> None:
    body = '<title>A @tour</title><h1>Walls</h1><p>Say "yes" @nobody <img src="wall.png">'
    prompts = folder / "prompts.toml"
    prompts.write_text('simple = "{page}What is it?{language}"')
    (entry,), asked = said_by("photo", "x", folder=folder, body=body, prompts=Prompts.read(prompts), lang="de")
    assert entry.text == "X"
    page = 'Page (title: A @tour; heading: Walls; before the picture: Walls Say "yes" @nobody)'
    assert asked[1].strip() == f"{page}. What is it? Answer in German."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("simpel = 'x'", "'simpel' in"),
        ("simple = 3", "'simple' in"),
        ("simple = ", "mend that line"),
        (b"\xff", "can't be read"),
    ],
)
def test_prompts_that_can_not_be_used_are_told(folder: Path, content: str | bytes, told: str) -> None:
    path = folder / "prompts.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidInput, match=told):
        Prompts.read(path)


def test_suggest_writes_no_file_twice_and_leaves_the_document(run: Run, folder: Path) -> None:
    before = page(folder, '<img src="none.png">\n<svg role="img"></svg>').read_bytes()
    said = run("suggest", "page.html", "--no-text")
    assert said.stdout == "page.html.alt.txt\n"
    assert "status: not looked at, line 1: 'none.png' is missing; check the path" in said.stderr.splitlines()
    assert "status: no suggestion for line 2: a drawing inside the page; give it a <title>" in said.stderr.splitlines()
    assert (folder / "page.html").read_bytes() == before
    again = run("suggest", "page.html", status=1).stderr
    assert again.startswith("error: 'page.html.alt.txt' exists already; go on with: looktwice alt review")
    page(folder, "<p>nothing", "fine.html")
    assert run("suggest", "fine.html").stderr.splitlines()[-1] == "status: fine.html needs no alternative text"


# --- the file


BODY = '<p>one <img src="wall.png"></p>\n<p>two <img src="door.jpg"></p>\n<p>three <img src="sign.png"></p>\n'
THREE = ("A red circle", "A blue circle", "A sign")


def test_a_file_is_read_as_it_was_written_and_keeps_what_a_person_wrote(folder: Path) -> None:
    file = reviewed(folder, BODY, *THREE)
    again = ReviewFile.read(file.path)
    assert again.entries == file.entries
    assert [entry.text for entry in again.entries] == list(THREE)
    text = file.path.read_text()
    edited = text.replace("[2] door", "# mine\r\n[2] door").replace(
        "text: A sign", "text: A sign\n  with a word\n# and more"
    )
    file.path.write_text(f"\ufeff{edited}", encoding="utf-8")
    mine = ReviewFile.read(file.path)
    assert mine.entry(3).text == "A sign with a word"
    mine.decided(2, "accept", "Blue").save()
    lines = file.path.read_text().split("\n")
    assert [line for line in lines if line.startswith("#")][-2:] == ["# mine", "# and more"]
    assert ReviewFile.read(file.path).entry(2) == replace(mine.entry(2), decision="accept", text="Blue")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "decision: open",
            "decision: acept",
            "line 11: decision 'acept' is none of open, accept, decorative, skip; did you mean 'accept'?",
        ),
        ("decision: open\ntext: A red circle", "decision: accept\ntext:", "line 11: there is no text to accept"),
        (
            "text: A red",
            "txt: A red",
            "line 12: 'txt: A red circle' is nothing that is known here; did you mean 'text'?",
        ),
        ("text: A red circle", "A red circle", "line 12: 'A red circle' is nothing that is known here"),
        ("text: A red circle", "text: A\ntext: B", "line 13: 'text' stands there twice for picture 1; keep one"),
        ("[2] door.jpg", "[1] door.jpg", "picture 1 stands there twice; the first time on line 10"),
        ("[2] door.jpg", "[two door.jpg", "is no heading; write it as in: [1] wall.png, line 12"),
        ("kind: simple", "# kind: simple", "line 10: picture 1 has lost its line 'kind: ...'; put it back"),
        ("place: 1 ", "place: ", "line 10: picture 1 has lost its line 'place: ...'; put it back"),
        ("document: page.html", "", "line 1: the line 'document: ...' is missing before the first picture"),
        ("lang: en\n", "lang: en\n\n  loose\n", "an indented line goes on with a value, and there is none above it"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_told_with_its_line(folder: Path, old: str, new: str, told: str) -> None:
    path = reviewed(folder, BODY, *THREE).path
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    before = (folder / "page.html").read_bytes()
    with pytest.raises(InvalidInput) as error:
        apply(path)
    assert told in str(error.value) and "\n" not in str(error.value)
    assert (folder / "page.html").read_bytes() == before


# --- review


def walk(file: ReviewFile, *lines: str) -> list[str]:
    """What a sitting says to these lines."""
    said: list[str] = []
    typed = iter(lines)
    Review(file, lambda prompt: next(typed, None), lambda label, text: said.append(f"{label}: {text}")).run()
    return said


def decisions(path: Path) -> list[str]:
    return [entry.decision for entry in ReviewFile.read(path).entries]


def test_a_sitting_by_keyboard(folder: Path) -> None:
    file = reviewed(folder, BODY, *THREE)
    said = walk(file, "a", "e A blue disc", "u", "d", "foo", "", "s", "go 1", "w", "q")
    assert said[0] == "status: 0 accepted, 0 decorative, 0 skipped, 3 open; ? explains the commands"
    assert said[1:4] == [
        "picture: 1 of 3: wall.png, line 1",
        "suggestion: A red circle",
        "doubt: Described by a model, and by nobody who saw the picture.",
    ]
    assert "status: 2 is as it was: open" in said
    assert said.count("error: 'foo' is no command here; ? explains them") == 1
    assert "status: Everything is decided; undo or go NUMBER changes one, quit ends." in said
    assert said[-1] == "status: 1 accepted, 1 decorative, 1 skipped, 0 open"
    assert decisions(file.path) == ["accept", "decorative", "skip"]
    assert ReviewFile.read(file.path).entry(2).text == "A blue circle"
    assert "why: It shows something that the page doesn't say in words." in said


def test_a_decision_is_kept_before_the_next_picture_and_goes_on_later(folder: Path) -> None:
    file = reviewed(folder, BODY, *THREE)
    walk(file, "accept", "next")
    assert decisions(file.path) == ["accept", "open", "open"]
    said = walk(ReviewFile.read(file.path), "u", "e", "A blue disc", "e", "")
    assert said[1] == "picture: 2 of 3: door.jpg, line 2"
    assert "error: There is nothing to undo in this sitting; go NUMBER leads to an earlier one." in said
    assert "status: Nothing was changed." in said
    assert ReviewFile.read(file.path).entry(2).text == "A blue disc"


def test_an_editor_and_a_sitting_may_change_the_same_file(folder: Path) -> None:
    file = reviewed(folder, BODY, *THREE)

    def lines() -> Iterator[str]:
        yield "a"
        text = file.path.read_text()
        file.path.write_text(text.replace("text: A sign", "text: A sign that says EXIT"))
        yield "a"
        file.path.write_text(file.path.read_text().replace("decision: open", "decision: maybe"))
        yield "a"

    typed, said = lines(), list[str]()
    Review(file, lambda _: next(typed, None), lambda label, text: said.append(f"{label}: {text}")).run()
    assert "status: The file was changed meanwhile, and is read again." in said
    assert any(line.startswith("error: ") and "decision 'maybe' is none of" in line for line in said)
    assert "text: A sign that says EXIT" in file.path.read_text()
    assert "decision: maybe" in file.path.read_text()


def test_accepting_needs_a_text_and_accepting_decoration_is_decorative(folder: Path) -> None:
    page(folder, '<img src="wall.png"><a href="x">Home <img src="door.jpg"></a>')
    with Agent(ScriptedBackend(["photo", ""]), memory=":memory:") as agent:
        document = open_document(folder / "page.html")
        entries = suggest(document, agent, read_text=False)
        file = write_suggestions(folder / "page.txt", document, entries, model="scripted")
    said = walk(file, "a", "n", "a")
    assert "error: There is no text to accept; edit writes one, decorative leaves it empty." in said
    assert decisions(file.path) == ["open", "decorative"]


def test_review_in_a_terminal_of_80_columns_has_no_escape_code_and_survives_a_kill(folder: Path) -> None:
    file = reviewed(folder, BODY, *THREE)
    with Terminal(folder, "alt", "review", "page.txt") as terminal:
        terminal.type(["a"], "decision: ")
        terminal.wait_for("decision: ")
        stop(terminal)
    assert decisions(file.path) == ["accept", "open", "open"]
    with Terminal(folder, "alt", "review", "page.txt") as terminal:
        terminal.type(["?", "e A blue disc", "u", "d", "s", "q"], "decision: ")
        assert terminal.rest() == 0
    assert "\x1b" not in terminal.shown
    assert {line.partition(":")[0] for line in terminal.shown.splitlines() if line} <= {
        *("status", "picture", "suggestion", "doubt", "decision", "help", "decided"),
    }
    assert terminal.shown.splitlines()[1] == "picture: 2 of 3: door.jpg, line 2"
    assert decisions(file.path) == ["accept", "decorative", "skip"]


def test_ctrl_c_ends_a_sitting_and_says_how_to_go_on(folder: Path) -> None:
    file = reviewed(folder, BODY, *THREE)
    with Terminal(folder, "alt", "review", "page.txt") as terminal:
        terminal.type(["a"], "decision: ")
        terminal.wait_for("decision: ")
        terminal.interrupt()
        assert terminal.rest() == 130
    assert terminal.shown.endswith("status: stopped; everything decided is kept: looktwice alt review page.txt\n")
    assert decisions(file.path) == ["accept", "open", "open"]


def test_lines_may_come_from_a_pipe(run: Run, folder: Path) -> None:
    reviewed(folder, BODY, *THREE)
    said = run("review", "page.txt", stdin="a\nfoo\n").stdout.splitlines()
    assert said[4:6] == ["decision: a", "status: 1 is decided: accept"]
    assert said[-1] == "status: 1 accepted, 0 decorative, 0 skipped, 2 open"


# --- apply


def test_accepted_texts_are_written_and_a_backup_is_kept(run: Run, folder: Path) -> None:
    file = reviewed(folder, BODY, *THREE)
    walk(file, "a", "d", "s")
    os.chmod(folder / "page.html", 0o640)
    said = run("apply", "page.txt")
    assert said.stdout == "page.html\n"
    assert said.stderr == f"status: 2 texts were written; as it was: {folder / 'page.html.bak'}\n"
    written = BODY.replace('wall.png"', 'wall.png" alt="A red circle"').replace('door.jpg"', 'door.jpg" alt=""')
    assert (folder / "page.html").read_text() == written
    assert (folder / "page.html.bak").read_text() == BODY
    assert (folder / "page.html").stat().st_mode & 0o777 == 0o640
    assert run("apply", "page.txt").stderr.splitlines()[0] == "status: there already: 1, 2"
    walk(ReviewFile.read(file.path), "go 3", "e An exit sign")
    assert run("apply", "page.txt").stderr.splitlines()[-1].endswith("page.html.bak2")
    assert check_alternatives(folder / "page.html") == ()
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def test_a_text_that_is_there_stays_unless_it_is_named(run: Run, folder: Path) -> None:
    body = '<img src="wall.png" alt="image"><a href="x"><img src="door.jpg" alt=""></a>'
    page(folder, body)
    with Agent(ScriptedBackend(["photo", "Red", "Blue"]), memory=":memory:") as agent:
        document = open_document(folder / "page.html")
        entries = suggest(document, agent, read_text=False)
        write_suggestions(folder / "page.txt", document, entries, model="scripted")
    walk(ReviewFile.read(folder / "page.txt"), "a", "a")
    said = run("apply", "page.txt", status=1).stderr.splitlines()
    assert said == [
        "status: picture 1 has the text 'image' and was left so; --replace 1",
        "status: picture 2 is marked as decorative and was left so; --replace 2",
    ]
    assert (folder / "page.html").read_text() == body and not (folder / "page.html.bak").exists()
    assert "no picture 7 in" in run("apply", "page.txt", "--replace", "7", status=1).stderr
    assert "can't be read; write numbers" in run("apply", "page.txt", "--replace", "one", status=2).stderr
    run("apply", "page.txt", "--replace", "2", status=1)
    assert (folder / "page.html").read_text() == body.replace('alt=""', 'alt="Blue"')
    run("apply", "page.txt", "--replace", "all")
    assert (folder / "page.html").read_text() == body.replace('alt=""', 'alt="Blue"').replace("image", "Red")


CHANGES: dict[str, tuple[Callable[[str], str], str | None]] = {
    "moved": (lambda text: text.replace("<p>one", "<p>A new one</p>\n<p>one"), None),
    "reworded": (lambda text: text.replace("three", "a third"), None),
    "removed": (lambda text: text.replace('<img src="wall.png">', ""), "where picture 1 (wall.png) stands now isn't"),
    "doubled": (lambda text: f"{text}<p><img src='wall.png'>".replace("one", "1"), "picture 1 (wall.png) stands now"),
    "written": (lambda text: text.replace('"wall.png"', '"wall.png" alt="Mine"'), "has the text 'Mine' and was left"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_document_that_has_changed_is_written_only_where_places_are_certain(
    run: Run, folder: Path, name: str
) -> None:
    change, told = CHANGES[name]
    walk(reviewed(folder, BODY, *THREE), "a")
    path = folder / "page.html"
    path.write_text(change(BODY))
    said = run("apply", "page.txt", status=0 if told is None else 1)
    if told is None:
        assert path.read_text() == change(BODY).replace('"wall.png"', '"wall.png" alt="A red circle"')
    else:
        assert told in said.stderr
        assert path.read_text() == change(BODY)


def test_another_picture_under_the_same_name_is_refused(run: Run, folder: Path) -> None:
    walk(reviewed(folder, BODY, *THREE), "a")
    shutil.copy(folder / "sign.png", folder / "wall.png")
    said = run("apply", "page.txt", status=1).stderr
    assert said.startswith("error: picture 1 (wall.png) is another one than when its text was suggested; nothing was")
    assert (folder / "page.html").read_text() == BODY


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anything")
def test_a_read_only_document_is_refused(run: Run, folder: Path) -> None:
    walk(reviewed(folder, BODY, *THREE), "a")
    os.chmod(folder / "page.html", 0o444)
    assert "is read-only; make it writable, or work on a copy" in run("apply", "page.txt", status=1).stderr
    assert (folder / "page.html").read_text() == BODY and not (folder / "page.html.bak").exists()


def test_a_moved_document_can_be_named(run: Run, folder: Path) -> None:
    walk(reviewed(folder, BODY, *THREE), "a")
    (folder / "page.html").rename(folder / "other.html")
    assert "page.html' does not exist; check the path" in run("apply", "page.txt", status=1).stderr
    assert run("apply", "page.txt", "--document", "other.html").stdout == "other.html\n"


# --- documents by real tools, from the check to the file


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


MADE: dict[str, Callable[[Path], Path]] = {
    "page.html": lambda folder: pandoc(folder, "page.html"),
    "page.md": lambda folder: pandoc(folder, "page.md"),
    "page.epub": lambda folder: pandoc(folder, "page.epub"),
    "page.docx": lambda folder: pandoc(folder, "page.docx"),
    "made.epub": book,
    "made.docx": word,
}


@pytest.mark.parametrize("name", MADE)
def test_a_real_document_from_the_check_to_the_written_file(run: Run, folder: Path, pocket: Agent, name: str) -> None:
    path = MADE[name](folder)
    before = path.read_bytes()
    missing = len(run("check", name, status=1).stdout.splitlines())
    document = open_document(path)
    entries = suggest(document, pocket, read_text=False)
    assert len(entries) == missing >= 2
    write_suggestions(folder / "review.txt", document, entries, model="pocket")
    keys = ["e A red circle", 'e A blue "circle" & <more>', "e Exit"][: len(entries)]
    with Terminal(folder, "alt", "review", "review.txt") as terminal:
        terminal.type([*keys, "q"], "decision: ")
        assert terminal.rest() == 0
    run("apply", "review.txt", "--replace", "all")
    run("check", name)
    assert path.with_name(f"{name}.bak").read_bytes() == before
    _require_rest_unchanged(path, before, len(entries))


def _require_rest_unchanged(path: Path, before: bytes, count: int) -> None:
    """Only alternative texts differ: in text, what is left without them; in archives, one member."""
    after = path.read_bytes()
    if path.suffix in (".html", ".md"):
        texts = [
            "A red circle",
            "Exit",
            'A blue "circle" \\& \\<more\\>',
            "A blue &quot;circle&quot; &amp; &lt;more&gt;",
        ]
        plain = after.decode()
        for text in texts[:count] + texts[count:]:
            plain = plain.replace(f' alt="{text}"', "").replace(f"![{text}]", "![]")
        assert plain == before.decode()
        return
    old, new = members(path.with_name(f"{path.name}.bak")), members(path)
    assert list(old) == list(new)
    (differing,) = [name for name in old if old[name] != new[name]]
    assert differing == ("word/document.xml" if path.suffix == ".docx" else differing)
    assert re.sub(rb' (?:alt|descr)="[^"]*"', b"", old[differing]) == re.sub(
        rb' (?:alt|descr)="[^"]*"', b"", new[differing]
    )


def test_help_names_every_command(run: Run) -> None:
    said = run("--help").stdout
    assert all(f"\n  {name} " in said for name in ("apply", "check", "review", "suggest"))
    assert "usage" in run("check", "-h").stdout.lower()
    assert "no such command" in run("sugest", status=2).stderr.lower()


def test_a_check_needs_no_model(folder: Path) -> None:
    page(folder, "<p>no pictures")
    code = (
        "import sys\nfrom looktwice.agent.cli import main\n"
        "try:\n    main(['alt', 'check', 'page.html'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'torch', 'transformers', 'onnxruntime', 'langchain_core'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
