"""The whole way with real parts: pocket, the OCR engine, a file, the command line, and processes that come and go."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import scenes
from PIL import Image

from looktwice import Agent, Memory, ScriptedBackend
from looktwice.memory.parts import ToolResultPart

TOOLS = '''
from looktwice import tool

@tool(acts=True)
def note(words: str) -> str:
    """Write words into the notebook."""
    with open("notebook.txt", "a", encoding="utf-8") as file:
        file.write(words)
    return "written"
'''


def looktwice(folder: Path, *words: str) -> Any:
    """A command in a process of its own, and the JSON that it printed."""
    command = [
        sys.executable,
        "-c",
        "from looktwice.agent.cli import main; main()",
        *words,
        "--db",
        "trip.db",
        "--json",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conversation over two pictures and a receipt, zoomed and read in another process; then the files deleted."""
    folder = tmp_path_factory.mktemp("trip")
    scenes.scene(("red", "circle", "top left"), ("blue", "square", "bottom right")).save(folder / "photo.png")
    scenes.scene(("green", "circle", "right")).save(folder / "menu.jpg", quality=92)
    scenes.receipt("CAFE MILANO", "1 Water 2.50", "TOTAL 8.10").save(folder / "receipt.png")
    pictures = ("-i", "bill=photo.png", "-i", "menu.jpg", "-i", "receipt.png")
    tools = ("--chat", "receipts", "--tools", "zoom,ocr", "--looks", "3")
    first = looktwice(folder, "ask", *pictures, "What colour is the circle in @bill?", *tools)
    zoomed = looktwice(folder, "ask", "What shape is red in @bill?", *tools, "--tool-choice", "zoom")
    assert first["answer"] == "red"
    assert [image["name"] for image in first["images"]] == ["bill", "menu", "receipt"]
    assert zoomed["looks"][0]["images"][0].endswith(".zoom1")
    for file in ("photo.png", "menu.jpg", "receipt.png"):
        (folder / file).unlink()
    return folder


def test_the_conversation_goes_on_in_a_new_process_and_costs_only_its_new_tokens(folder: Path) -> None:
    with Agent(memory=folder / "trip.db", tools=["zoom", "ocr"]) as agent:
        chat = agent.chat("receipts")
        first = chat.ask("What colour is the circle in @menu?")
        second = chat.ask("What colour is the square in @bill?")
        assert (first.text, second.text) == ("green", "blue")
        assert first.usage.reused == 0
        assert second.usage.reused == first.usage.prompt + first.usage.output
        assert second.usage.new < 30
        assert chat.memory.verify() == []


def test_a_crop_is_made_again_from_its_recipe_and_knows_its_place_in_the_original(folder: Path) -> None:
    with Memory(folder / "trip.db") as memory:
        crop = next(picture for picture in memory.pictures.all("receipts") if picture.recipe)
        assert crop.recipe is not None
        assert crop.parent is not None
        original = memory.pictures.pixels(crop.parent)
        again = original.crop(crop.recipe.box).resize(crop.recipe.size, Image.Resampling.LANCZOS)
        assert memory.pictures.pixels(crop.key).tobytes() == again.tobytes()
        whole = memory.pictures.to_original(crop.key, (0, 0, crop.width, crop.height))
        assert whole == (crop.parent, crop.recipe.box)


def test_a_reading_has_its_lines_in_original_pixels_and_is_found_by_search(folder: Path) -> None:
    receipt = scenes.receipt("CAFE MILANO", "1 Water 2.50", "TOTAL 8.10")
    with Agent(memory=folder / "trip.db", tools=["ocr"]) as agent:
        chat = agent.chat("reading")
        chat.add(receipt, "receipt")
        answer = chat.ask("What does @receipt say?", tool_choice="ocr", looks=1)
        hits = chat.memory.search("milano", conversation="reading")
    assert answer.looks[0].text == 'Text in receipt: "CAFE MILANO\n1 Water 2.50\nTOTAL 8.10"'
    result = chat_result(folder)
    lines = result["lines"]
    assert [line["text"] for line in lines] == ["CAFE MILANO", "1 Water 2.50", "TOTAL 8.10"]
    for line, number in zip(lines, range(3), strict=True):
        x0, y0, x1, y1 = line["box"]
        assert (x0 < 60, 40 + 60 * number - 12 < y0 < y1 < 40 + 60 * number + 52, x1 < 400) == (True, True, True)
    assert {hit.kind for hit in hits} == {"note", "turn"}


def chat_result(folder: Path) -> dict[str, Any]:
    """The data of the last tool's result in the conversation "reading", as another process would read it."""
    with Memory(folder / "trip.db") as memory:
        turns = memory.turns.branch(memory.conversations.get("reading").head)
    results = [part for turn in turns for part in turn.parts if isinstance(part, ToolResultPart)]
    assert isinstance(results[-1].data, dict)
    return results[-1].data


def test_a_call_that_waits_is_approved_in_another_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "notes.py").write_text(TOOLS)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    wanted = ("--tools", "notes:note", "--tool-choice", "note", "--looks", "1")
    asked = looktwice(folder, "ask", "Note it.", "--chat", "n", *wanted)
    assert asked["finish"] == "paused"
    assert not (folder / "notebook.txt").exists()
    (waiting,) = looktwice(folder, "approve")
    assert waiting["call"]["tool"] == "note"
    answer = looktwice(folder, "approve", str(waiting["id"]), *wanted[:2])
    assert answer["looks"][0]["text"] == "written"
    assert (folder / "notebook.txt").read_text() == waiting["call"]["arguments"]["words"]
    assert looktwice(folder, "approve") == []


TALKER = """
from looktwice import Agent, ScriptedBackend
chat = Agent(ScriptedBackend([" ".join(map(str, range(1000)))], pace=0.02), memory="killed.db").chat("t")
print("asked", flush=True)
chat.ask("Count.")
"""


def test_a_process_that_is_killed_leaves_its_question_and_a_marked_partial_answer(tmp_path: Path) -> None:
    talker = subprocess.Popen([sys.executable, "-c", TALKER], cwd=tmp_path, stdout=subprocess.PIPE)
    assert talker.stdout is not None
    assert talker.stdout.readline() == b"asked\n"
    time.sleep(2.5)  # a partial answer is saved every second
    talker.kill()
    talker.wait()
    talker.stdout.close()
    with Agent(ScriptedBackend(["and so on"]), memory=tmp_path / "killed.db") as agent:
        chat = agent.chat("t")
        question, partial = chat.turns
        assert (question.text, question.status) == ("Count.", "complete")
        assert partial.status == "partial"
        assert partial.text.startswith("0 1 2 3 ")
        assert chat.unfinished == partial
        assert chat.go_on().text == f"{partial.text}and so on"
        assert chat.memory.verify() == []
