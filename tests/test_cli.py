"""The command line, run in this process on a real database, with the pocket checkpoint where a model answers."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageDraw

from looktwice import Agent, Answer, ScriptedBackend
from looktwice.agent.cli import main
from looktwice.agent.cli.follow import Progress, ended, follow, stopped_by_interrupt
from looktwice.agent.cli.output import Lines, as_json, printable
from looktwice.agent.cli.program import COMMANDS, Program
from looktwice.agent.cli.repl import Repl
from looktwice.agent.events import Answered, Called, Event, Started
from looktwice.memory import Memory, Picture
from looktwice.memory.parts import ImagePart, TextPart, ToolCallPart, Turn

Run = Callable[..., Result]
HOSTILE = "total\x1b]0;owned\x07 \u202e01.24\u202c\x9b31m"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty folder, on the database ``chat.db`` there."""
    for name in ("LOOKTWICE_MODEL", "LOOKTWICE_CHAT", "LOOKTWICE_DEVICE", "LOOKTWICE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOOKTWICE_DB", "chat.db")
    monkeypatch.chdir(tmp_path)

    def runner(*arguments: str, stdin: str | None = None, status: int = 0) -> Result:
        result = CliRunner().invoke(main, arguments, prog_name="looktwice", input=stdin)
        assert result.exit_code == status, (arguments, result.stdout, result.stderr)
        assert "Traceback" not in result.stderr
        return result

    return runner


def draw(path: str, circle: str, square: str) -> None:
    image = Image.new("RGB", (576, 576), "#f4f1e8")
    pen = ImageDraw.Draw(image)
    pen.ellipse((50, 50, 190, 190), fill=circle)
    pen.rectangle((380, 380, 520, 520), fill=square)
    image.save(path)


def loaded(result: Result) -> Any:
    return json.loads(result.stdout)


@pytest.fixture
def receipts(run: Run) -> Run:
    """A conversation of two pictures, two questions, and a crop, without a model."""
    draw("a.png", "red", "blue")
    draw("b.png", "green", "orange")
    zoom = '<tool_call>{"name":"zoom","arguments":{"image":"bill","box":[0,0,400,400]}}</tool_call>'
    with Agent(ScriptedBackend([zoom, "The circle is red.", "Green."]), memory="chat.db", tools=["zoom"]) as agent:
        chat = agent.chat("receipts")
        chat.add("a.png", "bill", alt="A red circle")
        chat.add("b.png", "menu")
        chat.ask("What colour is the circle in @bill?")
        chat.ask("And in @menu?")
    return run


def test_ask_answers_in_json_with_everything(run: Run) -> None:
    draw("photo.png", "red", "blue")
    draw("menu.jpg", "green", "orange")
    question = "What colour is the circle in @bill?"
    answer = loaded(run("ask", "-i", "bill=photo.png", "-i", "menu.jpg", question, "--chat", "receipts", "--json"))
    assert answer["answer"] == "red"
    assert answer["conversation"] == "receipts"
    assert answer["model"] == "pocket"
    keys = {"answer", "conversation", "turn", "images", "looks", "evidence", "usage", "timing", "model"}
    assert keys <= set(answer)
    with Memory("chat.db") as memory:
        key = memory.pictures.get("receipts", "bill").key.removeprefix("sha256:")
    assert answer["images"][0] == {
        "name": "bill",
        "sha256": key,
        "width": 576,
        "height": 576,
        "tokens": 192,
        "tier": "full",
    }
    assert [image["name"] for image in answer["images"]] == ["bill", "menu"]


def test_a_conversation_goes_on_after_its_files_are_gone(run: Run) -> None:
    draw("photo.png", "red", "blue")
    draw("menu.png", "green", "orange")
    run("ask", "-i", "bill=photo.png", "-i", "menu.png", "What colour is the circle in @bill?", "--chat", "c")
    Path("photo.png").unlink()
    Path("menu.png").unlink()
    assert run("ask", "What colour is the circle in @menu?", "--chat", "c").stdout == "green\n"


def test_the_answer_goes_to_standard_output_and_the_rest_to_standard_error(run: Run) -> None:
    draw("photo.png", "red", "blue")
    result = run("ask", "-i", "photo.png", "What colour is the circle?")
    assert result.stdout == "red\n"
    lines = result.stderr.splitlines()
    assert all(line.startswith("status: ") for line in lines)
    assert "status: pocket answers" in lines
    assert any("pocket knows drawn shapes" in line for line in lines)
    assert lines[-1].startswith("status: kept as conversation 'chat-")


def test_a_command_that_is_run_again_shows_its_picture_once(run: Run) -> None:
    draw("photo.png", "red", "blue")
    for _ in range(2):
        run("ask", "-i", "bill=photo.png", "What colour is the circle?", "--chat", "c")
    turns = loaded(run("log", "--chat", "c", "--json"))
    shown = [part["name"] for turn in turns for part in turn["parts"] if part["kind"] == "image"]
    assert shown == ["bill"]


def test_a_question_is_read_from_standard_input(run: Run) -> None:
    draw("photo.png", "red", "blue")
    assert run("ask", "-i", "photo.png", "-", stdin="What colour is the circle?\n").stdout == "red\n"


def test_options_come_from_the_environment_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    draw("photo.png", "red", "blue")
    for name, value in {"MODEL": "pocket", "CHAT": "env", "DEVICE": "cpu", "DB": "other.db"}.items():
        monkeypatch.setenv(f"LOOKTWICE_{name}", value)
    assert loaded(run("ask", "-i", "photo.png", "What colour is the circle?", "--json"))["conversation"] == "env"
    assert [turn["role"] for turn in loaded(run("log", "--json"))] == ["user", "assistant"]
    assert [chat["name"] for chat in loaded(run("log", "--all", "--json"))] == ["env"]
    assert Path("other.db").exists() and not Path("chat.db").exists()


def test_a_look_can_be_demanded_or_forbidden(run: Run) -> None:
    draw("photo.png", "red", "blue")
    shared = ["What colour is the circle?", "--tools", "zoom", "--json", "--tool-choice"]
    looked = run("ask", "-i", "photo.png", *shared, "zoom")
    (look, *_) = loaded(looked)["looks"]
    assert (look["tool"], look["images"]) == ("zoom", ["photo.zoom1"])
    assert "tool: zoom brought: picture photo.zoom1" in looked.stderr.splitlines()
    assert loaded(run("ask", "-i", "photo.png", *shared, "none"))["looks"] == []
    assert "no tool named 'ocr'; known: zoom" in run("ask", "-i", "photo.png", *shared, "ocr", status=1).stderr


def test_an_answer_is_asked_again(run: Run) -> None:
    draw("photo.png", "red", "blue")
    run("ask", "-i", "photo.png", "What colour is the circle?", "--chat", "c")
    assert run("ask", "--retry", "--chat", "c").stdout == "red\n"
    assert [turn["role"] for turn in loaded(run("log", "--chat", "c", "--json"))] == ["user", "assistant"]


def test_an_answer_that_broke_off_is_offered_and_finished(run: Run) -> None:
    draw("photo.png", "red", "blue")
    with Agent(ScriptedBackend(["It is red, I think."]), memory="chat.db") as agent:
        chat, cancel = agent.chat("c"), threading.Event()
        chat.add("photo.png")
        cancel.set()
        assert chat.ask("What colour is the circle?", cancel=cancel).finish == "cancelled"
    result = run("ask", "--go-on", "--chat", "c")
    assert result.stdout == "red\n"
    assert [turn["status"] for turn in loaded(run("log", "--chat", "c", "--json"))] == ["complete", "complete"]


def test_go_on_says_after_which_words_it_goes_on(run: Run) -> None:
    draw("photo.png", "red", "blue")
    with Memory("chat.db") as memory:
        memory.conversations.create("c")
        memory.pictures.add("c", Picture.load("photo.png"))
        question = Turn("user", (ImagePart("photo"), TextPart("What colour is the circle?")))
        memory.turns.append("c", question)
        memory.turns.append("c", Turn("assistant", (TextPart("red"),), status="partial", model="pocket"))
    result = run("ask", "--go-on", "--chat", "c")
    assert "status: going on after: red" in result.stderr.splitlines()
    assert "status: the answer was whole already" in result.stderr.splitlines()
    assert result.stdout == "red\n"


CHATTY = """
from looktwice.tools import View
print("noise of an import")

def brightness(image: View) -> int:
    "Measure how bright a picture is."
    print("noise of a tool")
    return 200
"""


def test_a_tool_in_the_current_folder_is_found_and_what_it_prints_stays_out_of_the_answer(run: Run) -> None:
    draw("photo.png", "red", "blue")
    Path("chatty_for_test.py").write_text(CHATTY)
    before = list(sys.path)
    question = ["ask", "-i", "photo.png", "What colour is the circle?", "--tools", "chatty_for_test:brightness"]
    result = run(*question, "--tool-choice", "brightness", "--chat", "c", "--json")
    assert loaded(result)["looks"][0]["text"] == "200"
    assert [line for line in result.stderr.splitlines() if line.startswith("noise")] == [
        "noise of an import",
        "noise of a tool",
    ]
    assert sys.path == before
    later = run("ask", "What colour is the square?", "--chat", "c").stderr
    told = "status: the tool 'brightness' of this conversation is not installed here; name it again to offer it"
    assert told in later.splitlines()


def test_the_library_prints_nothing_by_itself() -> None:
    code = "import logging, looktwice; logging.getLogger('looktwice.memory').warning('unasked')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_turn_is_one_line_of_the_log(run: Run) -> None:
    with Agent(ScriptedBackend(["One.\n\nTwo."]), memory="chat.db") as agent:
        agent.chat("c").ask("In\ntwo   lines?")
    lines = [line.split("  ", 2)[2] for line in run("log", "--chat", "c").stdout.splitlines()]
    assert lines == ["you: In two lines?", "assistant: One. Two."]


def test_log_lists_conversations_and_turns(receipts: Run) -> None:
    assert receipts("log").stdout.splitlines()[1].split()[0] == "receipts"
    lines = [line.split("  ", 2)[2] for line in receipts("log", "--chat", "receipts").stdout.splitlines()]
    assert lines == [
        "instructions: [tools: zoom]",
        "you: [bill] [menu] What colour is the circle in @bill?",
        'assistant: zoom(image="bill", box=[0, 0, 400, 400])',
        "tool: zoom brought: [bill.zoom1]",
        "assistant: The circle is red.",
        "you: And in @menu?",
        "assistant: Green.",
    ]
    assert len(receipts("log", "--chat", "receipts", "-n", "2").stdout.splitlines()) == 2


def test_images_lists_pictures_and_where_crops_come_from(receipts: Run) -> None:
    assert receipts("images", "--chat", "receipts").stdout.splitlines()[1].split("  ")[-1] == "A red circle"
    bill, menu, crop = loaded(receipts("images", "--chat", "receipts", "--json"))
    assert (bill["name"], bill["alt"], bill["parent"]) == ("bill", "A red circle", None)
    assert (menu["name"], menu["mime"], menu["bytes"] > 0) == ("menu", "image/png", True)
    assert (crop["name"], crop["parent"], crop["tool"], crop["bytes"]) == ("bill.zoom1", "bill", "zoom", 0)
    assert crop["box"][:2] == [0, 0]


def test_images_finds_pictures_that_look_alike(receipts: Run) -> None:
    assert loaded(receipts("images", "--like", "b.png", "--json"))[0] == {
        "conversation": "receipts",
        "name": "menu",
        "distance": 0,
    }


def test_search_finds_words(receipts: Run) -> None:
    hits = {(hit["kind"], hit["role"], hit["picture"]) for hit in loaded(receipts("search", "circle", "--json"))}
    assert hits == {("turn", "assistant", None), ("turn", "user", None), ("note", None, "bill")}
    assert "receipts, assistant: " in receipts("search", "green").stdout
    nothing = receipts("search", '"violet AND (')
    assert nothing.stdout == ""
    assert nothing.stderr.startswith("status: nothing holds ")


def test_fork_shares_the_turns_so_far(receipts: Run) -> None:
    assert receipts("fork", "--chat", "receipts").stdout == "receipts.2\n"
    first = loaded(receipts("log", "--chat", "receipts", "--json"))
    receipts("fork", "--chat", "receipts", "--at", str(first[4]["id"]), "--name", "early")
    assert loaded(receipts("log", "--chat", "early", "--json")) == first[:5]


def test_conversations_are_listed_in_json(receipts: Run) -> None:
    made = loaded(receipts("fork", "--chat", "receipts", "--name", "side", "--json"))
    assert set(made) == {"id", "name", "head", "created", "updated"}
    assert [chat["name"] for chat in loaded(receipts("log", "--json"))] == ["side", "receipts"]
    receipts("export", "--chat", "side")
    again = loaded(receipts("import", "side.zip", "--name", "again", "--json"))
    assert (again["name"], set(again)) == ("again", set(made))


def test_forget_removes_a_picture_and_its_crops(receipts: Run) -> None:
    assert receipts("forget", "@bill", "--chat", "receipts").stdout == "forgotten: bill, bill.zoom1\n"
    rows = loaded(receipts("images", "--chat", "receipts", "--json"))
    assert {row["name"]: row["forgotten"] for row in rows} == {"bill": True, "menu": False, "bill.zoom1": True}


def test_forget_says_what_stays(receipts: Run) -> None:
    receipts("fork", "--chat", "receipts", "--name", "side")
    words = "status: what was said and read about it stays in the turns of {!r} until that is deleted\n"
    first = receipts("forget", "bill", "--chat", "receipts")
    there = "status: the bytes stay: also in 'side'; forget the picture there, too\n"
    assert first.stderr == there + words.format("receipts")
    again = receipts("forget", "bill", "--chat", "receipts")
    assert (again.stdout, again.stderr) == ("", "status: 'bill' was forgotten already\n")
    assert receipts("forget", "bill", "--chat", "side").stderr == words.format("side")
    menu = loaded(receipts("forget", "menu", "--chat", "side", "--json"))
    assert menu == {"forgotten": ["menu"], "elsewhere": ["receipts"]}


def test_check_says_what_is_wrong_with_pictures(run: Run) -> None:
    Image.new("RGB", (300, 200), (2, 2, 2)).save("night.png")
    drawn = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(drawn).ellipse((80, 40, 200, 160), fill="red")
    drawn.save("day.png")
    black = "the picture is black; see that nothing covers the lens, and take it again with light"
    said = run("check", "night.png", "day.png", "--no-text")
    assert said.stdout == f"night.png: {black}\nday.png: nothing is wrong with it\n"
    (night, day) = loaded(run("check", "night.png", "day.png", "--json"))
    assert ([fault["kind"] for fault in night["faults"]], day["faults"]) == (["black"], [])
    assert "'nowhere.png' does not exist" in run("check", "nowhere.png", status=1).stderr


def test_delete_removes_a_conversation_and_leaves_its_forks(receipts: Run) -> None:
    receipts("fork", "--chat", "receipts", "--name", "side")
    before = loaded(receipts("log", "--chat", "side", "--json"))
    unasked = receipts("delete", "receipts", status=2)
    assert "deleting asks first, and there is no terminal to ask at; give --yes" in unasked.stderr
    assert receipts("delete", "receipts", "--yes").stdout == "deleted: receipts\n"
    assert [chat["name"] for chat in loaded(receipts("log", "--all", "--json"))] == ["side"]
    assert loaded(receipts("log", "--chat", "side", "--json")) == before
    assert receipts("verify").stdout == "everything is as it was kept\n"
    assert loaded(receipts("delete", "side", "--yes", "--json")) == {"deleted": "side"}
    assert "no conversation named 'side'" in receipts("delete", "side", "--yes", status=1).stderr


def test_a_conversation_is_exported_and_imported(receipts: Run) -> None:
    assert receipts("export", "--chat", "receipts").stdout == "receipts.zip\n"
    assert receipts("import", "receipts.zip", "--name", "again", "--db", "other.db").stdout == "again\n"

    def spoken(database: str, chat: str) -> list[Any]:
        return [turn["parts"] for turn in loaded(receipts("log", "--chat", chat, "--db", database, "--json"))]

    assert spoken("other.db", "again") == spoken("chat.db", "receipts")


def test_page_writes_one_file(receipts: Run) -> None:
    assert receipts("page", "--chat", "receipts").stdout == "receipts.html\n"
    page = Path("receipts.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and 'alt="A red circle"' in page
    assert receipts("page", "--chat", "receipts", "-o", "-").stdout == page
    error = receipts("page", "--chat", "receipts", status=1).stderr
    assert error == "error: 'receipts.html' exists already; choose the file with -o\n"


def test_verify_reports_damage_and_changes_nothing(receipts: Run) -> None:
    assert receipts("verify").stdout == "everything is as it was kept\n"
    with Memory("chat.db") as memory:
        key = memory.pictures.get("receipts", "bill").key
    connection = sqlite3.connect("chat.db")
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    with connection:
        held = [
            (table, column)
            for table in tables
            for column, kind in connection.execute(f"SELECT name, type FROM pragma_table_info('{table}')")
            if kind == "BLOB"
            and "key" in {name for (name,) in connection.execute(f"SELECT name FROM pragma_table_info('{table}')")}
        ]
        (table, column) = held[0]
        connection.execute(f"UPDATE {table} SET {column} = {column} || x'00' WHERE key = ?", (key,))
    connection.close()
    damage = loaded(receipts("verify", "--json", status=1))
    assert any(key in str(item["row"]) for item in damage)


def test_prompt_counts_tokens_and_keeps_nothing(receipts: Run) -> None:
    before = receipts("log", "--chat", "receipts", "--json").stdout
    counted = loaded(receipts("prompt", "What is in @menu?", "--chat", "receipts", "--json"))
    assert counted["tokens"] == sum(row["tokens"] for row in counted["rows"])
    images = [(row["image"], row["tokens"]) for row in counted["rows"] if row["image"]]
    assert images[:2] == [("bill", 192), ("menu", 192)]
    assert receipts("log", "--chat", "receipts", "--json").stdout == before
    assert f"{counted['tokens']} tokens of 4096" in receipts("prompt", "What is in @menu?", "--chat", "receipts").stdout


def test_prompt_show_prints_each_part_whole(receipts: Run) -> None:
    question = "What is in @menu? " + "Say it slowly. " * 10
    assert repr("\n" + question)[3:-1] not in receipts("prompt", question, "--chat", "receipts").stdout
    assert repr("\n" + question)[3:-1] in receipts("prompt", question, "--chat", "receipts", "--show").stdout


def test_tools_and_models_and_doctor_tell_what_there_is(run: Run) -> None:
    assert {tool["name"] for tool in loaded(run("tools", "--json"))} >= {"ocr", "zoom"}
    assert run("tools").stdout.splitlines()[-1].startswith("zoom(image, box): ")
    names = [model["name"] for model in loaded(run("models", "--json"))]
    assert names[0] == "pocket" and "llava-hf/llava-v1.6-mistral-7b-hf" in names
    found = {item["name"]: item for item in loaded(run("doctor", "--json"))}
    assert found["torch"]["fine"] and found["device"]["found"]
    assert found["database"]["found"] == "chat.db (made by the first question)"


def test_doctor_says_what_is_wrong_with_a_database_and_leaves_it(receipts: Run) -> None:
    assert "ok: database: chat.db" in receipts("doctor").stdout.splitlines()
    sound = Path("chat.db").read_bytes()
    Path("cut.db").write_bytes(sound[: len(sound) // 2])
    Path("text.db").write_text("not a database " * 100)
    for name, statement in {"newer.db": "PRAGMA user_version = 99", "other.db": "PRAGMA application_id = 7"}.items():
        Path(name).write_bytes(sound)
        with contextlib.closing(sqlite3.connect(name)) as connection:
            connection.execute(statement)
    wrong = {
        "cut.db": "it is damaged (",
        "text.db": "it is damaged (file is not a database)",
        "newer.db": "it has schema 99, this looktwice knows up to ",
        "other.db": "it belongs to another program",
        "none/chat.db": "the folder 'none' does not exist; make it first",
        ".": "it is a folder; give a file in it",
    }
    for name, problem in wrong.items():
        before = Path(name).read_bytes() if Path(name).is_file() else b""
        (line,) = [
            line for line in receipts("doctor", "--db", name, status=1).stdout.splitlines() if "database" in line
        ]
        assert line.startswith(f"wrong: database: {name}: {problem}")
        assert not before or Path(name).read_bytes() == before


STAMPS = """
from pathlib import Path
from looktwice import tool

@tool(acts=True)
def stamp(text: str) -> str:
    "Stamp a text on paper."
    Path("stamped.txt").write_text(text)
    return "stamped"
"""


@pytest.fixture
def paused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A conversation whose call waits for an approval."""
    (tmp_path / "stamps_for_test.py").write_text(STAMPS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    call = '<tool_call>{"name":"stamp","arguments":{"text":"PAID"}}</tool_call>'
    with Agent(ScriptedBackend([call]), memory="chat.db", tools=["stamps_for_test:stamp"]) as agent:
        assert agent.chat("c").ask("Stamp it.").finish == "paused"
    return run


def test_a_call_that_waits_is_listed(paused: Run) -> None:
    (waiting,) = loaded(paused("approve", "--json"))
    assert (waiting["id"], waiting["conversation"], waiting["call"]["tool"]) == (1, "c", "stamp")
    assert 'stamp(text="PAID")' in paused("approve").stdout
    assert not Path("stamped.txt").exists()


def test_an_approved_call_runs_and_the_answer_goes_on(paused: Run) -> None:
    result = paused("approve", "1", "--tools", "stamps_for_test:stamp")
    assert Path("stamped.txt").read_text() == "PAID"
    assert "tool: stamp brought: stamped" in result.stderr.splitlines()
    assert result.stdout.strip() != ""
    assert paused("approve").stdout == "no call waits\n"


def test_a_refused_call_does_not_run(paused: Run) -> None:
    result = paused("approve", "1", "--deny", "--note", "not today", "--tools", "stamps_for_test:stamp")
    assert result.stdout.strip() != ""
    assert not Path("stamped.txt").exists()
    assert paused("approve").stdout == "no call waits\n"


def test_the_tool_of_an_approved_call_has_to_be_named(paused: Run) -> None:
    told = "the tool 'stamp' is not on offer; give --tools with MODULE:NAME of that tool, as when it was asked\n"
    assert paused("approve", "1", status=1).stderr.endswith(f"error: {told}")
    assert paused("chat", "--chat", "c", stdin="/approve 1\n", status=1).stderr.endswith(f"error: {told}")
    assert 'stamp(text="PAID")' in paused("approve").stdout


def test_a_conversation_whose_call_waits_says_so_instead_of_going_on(paused: Run) -> None:
    asked = paused("ask", "And now?", "--chat", "c", status=1).stderr
    assert 'status: stamp(text="PAID") waits: looktwice approve 1, with --deny to refuse it' in asked.splitlines()
    assert "--go-on" not in asked
    waits = 'stamp(text="PAID") waits; /approve 1 lets it run, /deny 1 refuses it'
    _, greeting, *refused = paused("chat", "--chat", "c", stdin="And now?\n/go-on\n", status=1).stderr.splitlines()
    assert greeting == f"status: {waits}"
    assert refused == [f"error: {waits}"] * 2
    done = paused("chat", "--chat", "c", "--tools", "stamps_for_test:stamp", stdin="/approve 1\nAnd now?\n")
    assert "tool: stamp brought: stamped" in done.stderr.splitlines()


def test_chat_answers_lines_with_labels(run: Run) -> None:
    draw("photo.png", "red", "blue")
    lines = ["/add photo.png as bill", "What colour is the circle in @bill?", "/images", "/why", "/quit", "never read"]
    result = run("chat", "--chat", "c", stdin="\n".join(lines) + "\n")
    spoken = result.stdout.splitlines()
    assert spoken[:6] == [
        "you: /add photo.png as bill",
        "you: What colour is the circle in @bill?",
        "assistant: red",
        "you: /images",
        "@bill, 576 by 576",
        "you: /why",
    ]
    assert "picture: bill, 192 tokens, full" in spoken
    assert spoken[-1] == "you: /quit"
    assert "status: @bill is 576 by 576 pixels" in result.stderr.splitlines()


def test_chat_names_the_model_once(run: Run) -> None:
    draw("photo.png", "red", "blue")
    result = run("chat", "-i", "photo.png", stdin="What colour is the circle?\nWhat colour is the square?\n")
    assert result.stdout.splitlines()[1::2] == ["assistant: red", "assistant: blue"]
    assert result.stderr.count("pocket answers") == 1
    assert result.stderr.count("pocket knows") == 1


Type = Callable[..., tuple[list[str], list[str]]]


@pytest.fixture
def type_lines(run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types lines into the conversation "c" of an agent; gives what went to standard output and to standard error."""

    def typed(agent: Agent, *lines: str) -> tuple[list[str], list[str]]:
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
        Repl(agent.chat("c"), Lines(), {}, echo=True).run()
        out, err = capsys.readouterr()
        return out.splitlines(), err.splitlines()

    return typed


def test_chat_forks_undoes_and_retries(type_lines: Type) -> None:
    with Agent(ScriptedBackend(["one", "two", "three"]), memory="chat.db") as agent:
        out, err = type_lines(agent, "First?", "/fork side", "Second?", "/retry", "/undo")
        spoken = [line for line in out if not line.startswith("you: ")]
        assert spoken == ["assistant: one", "assistant: two", "assistant: three"]
        assert err == [
            "status: scripted answers",
            "status: this is now conversation 'side'",
            "status: taken back: Second?",
        ]
        assert [turn.text for turn in agent.chat("side").turns] == ["First?", "one"]
        assert [turn.text for turn in agent.chat("c").turns] == ["First?", "one"]


def test_chat_goes_on_after_lines_that_it_can_not_read(type_lines: Type) -> None:
    with Agent(ScriptedBackend(["one"]), memory="chat.db") as agent:
        out, err = type_lines(
            agent,
            "/wyh",
            "/add",
            "/add 'a",
            "/add my photo.png",
            "/why",
            "/undo",
            "/approve x",
            "What is @bill?",
            "Hello?",
        )
        assert [line for line in out if not line.startswith("you: ")] == ["assistant: one"]
        assert err == [
            "error: no command named '/wyh'; did you mean '/why'?; /help explains them",
            "error: can't read ''; write: /add FILE, or /add FILE as NAME",
            "error: can't read \"'a\" (No closing quotation); close the quotes",
            "error: can't read 'my photo.png'; write: /add FILE, or /add FILE as NAME; "
            "quote a file name with blanks: /add 'my photo.png'",
            "error: nothing was answered yet; ask something first",
            "error: there is nothing to take back; ask something first",
            "error: 'x' doesn't begin with a call's number; looktwice approve lists them",
            "error: no picture named 'bill'; add it first, or write \\@ for a plain @",
            "status: scripted answers",
        ]


def test_chat_help_explains_every_command(type_lines: Type) -> None:
    with Agent(ScriptedBackend([]), memory="chat.db") as agent:
        out, _ = type_lines(agent, "/help")
    words = ["/add", "/approve", "/deny", "/fork", "/go-on", "/help", "/images", "/quit", "/retry", "/undo", "/why"]
    assert [line.split(":")[0].split()[0] for line in out[1:]] == words


def test_interrupt_stops_an_answer_and_keeps_it(type_lines: Type) -> None:
    def interrupted(prompt: object) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        return "never said"

    with Agent(ScriptedBackend([interrupted, "now it is said"]), memory="chat.db") as agent:
        out, err = type_lines(agent, "Hello?", "/retry")
        assert out == ["you: Hello?", "you: /retry", "assistant: now it is said"]
        assert any(line.startswith("status: stopped; what was said is kept") for line in err)


def test_the_second_interrupt_ends_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), stopped_by_interrupt() as cancel:
        os.kill(os.getpid(), signal.SIGINT)
        assert cancel.wait(1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


@pytest.mark.parametrize(
    ("finish", "status"), [("stop", 0), ("length", 0), ("cancelled", 130), ("timeout", 1), ("paused", 1)]
)
def test_each_end_of_an_answer_has_its_exit_status(finish: Any, status: int) -> None:
    assert ended(Answer("", "c", 1, "pocket", finish), Lines()) == status


def test_progress_is_told_after_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(Lines()):
        time.sleep(0.5)
        assert capsys.readouterr().err == ""
        time.sleep(0.8)
    assert capsys.readouterr().err == "status: working; Ctrl-C stops\n"


def test_progress_tells_loading_until_the_model_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    def slow() -> Iterator[Event]:
        yield Started("pocket", "c", 1)
        time.sleep(1.3)
        yield Called(ToolCallPart("1", "zoom", {}))
        time.sleep(1.3)
        yield Answered(Answer("", "c", 1, "pocket"))

    follow(slow(), Lines())
    assert capsys.readouterr().err.splitlines()[1:] == [
        "status: loading the model; Ctrl-C stops",
        "tool: zoom()",
        "status: working; Ctrl-C stops",
    ]


def test_an_interrupt_before_the_question_says_that_nothing_was_asked(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("looktwice.agent.backends.open_backend", interrupted)
    assert run("ask", "Hello?", status=130).stderr == "status: stopped; nothing was asked\n"
    assert not Path("chat.db").exists()


def test_errors_are_not_dimmed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def styled(text: str, **how: object) -> str:
        return f"<{text}>"

    monkeypatch.setattr("click.style", styled)
    Lines(plain=False).tell("error", "no")
    Lines(plain=False).tell("status", "yes")
    assert capsys.readouterr().err == "error: no\n<status: yes>\n"


def test_nothing_that_is_printed_can_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    shown = "total\\u001b]0;owned\\u0007 \\u202e01.24\\u202c\\u009b31m"
    assert printable(HOSTILE) == shown
    assert json.loads(as_json({HOSTILE: HOSTILE})) == {HOSTILE: HOSTILE}
    assert "\x1b" not in as_json(HOSTILE) and "\u202e" not in as_json(HOSTILE)
    Lines().tell("tool", HOSTILE)
    assert capsys.readouterr().err == f"tool: {shown}\n"


def test_every_command_says_in_its_help_what_the_list_says(run: Run) -> None:
    assert isinstance(main, Program)
    for name, (_, summary) in COMMANDS.items():
        command = main.get_command(main.make_context("looktwice", ["log"]), name)
        assert command is not None and command.name == name
        assert command.short_help == summary
        assert "Usage: looktwice " + name in run(name, "--help").stdout


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version").stdout == "looktwice 0.1.0\n"
