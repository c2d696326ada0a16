"""Every program in examples/ runs and says what it should; the demo's commands run here in one process."""

from __future__ import annotations

import ast
import re
import runpy
import shutil
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scenes import scene
from shell import run

EXAMPLES = Path(__file__).parents[1] / "examples"
Play = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, a database there, and no settings of whoever runs the tests."""
    for name in ("LOOKTWICE_CHAT", "LOOKTWICE_MODEL", "LOOKTWICE_DEVICE", "LOOKTWICE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOOKTWICE_DB", "tour.db")
    monkeypatch.syspath_prepend(EXAMPLES)  # pyright: ignore[reportUnknownMemberType]
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Play:
    """Runs an example as a program, with arguments after its name, and gives the lines that it printed."""

    def player(*arguments: str) -> list[str]:
        script = str(EXAMPLES / arguments[0])
        monkeypatch.setattr("sys.argv", [script, *arguments[1:]])
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            assert not end.code, capsys.readouterr().err
        return capsys.readouterr().out.splitlines()

    return player


def test_several_pictures(play: Play) -> None:
    assert play("several_pictures.py") == [
        "wall, circle: red",
        "door, circle: yellow",
        "gate, circle: green",
        "wall, still: bottom right",
        "fork house.2: triangle",
        "tokens reused: yes",
        "the pictures of house are wall, door, gate",
        "the questions of house.2 are 2",
    ]


def test_own_tool_acts_only_after_an_approval(play: Play) -> None:
    said = play("own_tool.py")
    assert re.fullmatch(r'mean_colour: \{"red":\d+,"green":\d+,"blue":\d+\}', said[0])
    assert said[1].startswith("order_paint: order_paint: tins: input should be a valid integer")
    assert said[2:] == [
        "paused; ordered so far: []",
        "approve order_paint {'colour': 'red', 'tins': 2}: order_paint acts outside the conversation",
        "The circle is red, and two tins are ordered.",
        "ordered: ['2 x red']",
    ]


def test_hooks_see_every_step_and_refuse_the_private_picture(play: Play) -> None:
    said = play("hooks.py")
    half = said.index("asked: Zoom into the sign in @diary.")
    assert [line.partition(":")[0] for line in said[:half]] == [
        "asked",
        "model, 3 looks left",
        "tool zoom",
        "model, 2 looks left",
        "answered",
        "looked",
    ]
    assert said[half - 1] == "looked: street.zoom1"
    assert [line for line in said[half:] if line.startswith(("tool", "looked"))] == []
    assert "refused: the call was refused: diary is private" in said[half:]


def test_read_letter_says_every_row_and_the_doubts(play: Play) -> None:
    said = play("read_letter.py")
    assert [line.replace(", uncertain", "") for line in said] == [
        "Picture 1 of 2: bill, tall, 480 by 640 pixels.",
        "Text 1: CORNER CAFE.",
        "Text 2: Soup, 6.50.",
        "Text 3: Bread, 2.20.",
        "Text 4: Coffee, 3.40.",
        "Text 5: TOTAL, 12.10.",
        "Picture 2 of 2: wall, square, 576 by 576 pixels.",
        "No text was read.",
        "Question: What colour is the circle in wall?",
        "Answer: red. The model is sure.",
        "Note: pocket knows drawn shapes, signs and short printed words, and nothing else; for photos load a public"
        " checkpoint.",
    ]


def test_read_letter_takes_pictures_and_a_question(play: Play) -> None:
    play("drawing.py")
    said = play("read_letter.py", "--ask", "What colour is the circle in @door?", "door.jpg")
    assert said[0] == "Picture 1 of 1: door, square, 576 by 576 pixels."
    assert "Answer: yellow. The model is sure." in said


def test_read_letter_writes_what_it_says_as_sound(play: Play) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs a program: apt install espeak-ng")
    play("drawing.py")
    said = play("read_letter.py", "--speak-to", "letter.wav", "bill.png")
    with wave.open("letter.wav", "rb") as sound:
        assert sound.getnframes() / sound.getframerate() > len(said)  # each line takes a second and more


def test_a_watched_folder_gets_texts_for_review_and_keeps_what_was_reviewed(play: Play) -> None:
    folder = Path("photos")
    folder.mkdir()
    scene(("red", "circle", "top left")).save(folder / "a.png")
    (folder / "alternatives.txt").write_text("a.png\tA red ball\n", encoding="utf-8")
    Image.new("RGB", (300, 300), "black").save(folder / "b.jpg")
    scene(("blue", "square", "centre")).save(folder / "c.png")
    (folder / "d.png").write_text("no picture", encoding="utf-8")
    said = play("watch_folder.py", "photos", "--once")
    assert [line.partition("\t")[0] for line in said] == ["? b.jpg", "? c.png", "? d.png"]
    assert said[0].partition("\t")[2].startswith("[the picture is black; ")
    assert "blue" in said[1]
    assert said[2].partition("\t")[2].startswith("[")
    assert (folder / "alternatives.txt").read_text(encoding="utf-8").splitlines() == ["a.png\tA red ball", *said]
    assert play("watch_folder.py", "photos", "--once") == []


def test_the_hook_says_one_line_whatever_it_is_given(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    scene(("red", "circle", "top left")).save("a.png")
    (said,) = play("describe_hook.py", "a.png", "--ask", "What colour is the circle in @picture?")
    assert said == "Could be: red"
    Image.new("RGB", (300, 300), "black").save("b.png")
    for wrong in ("b.png", "nowhere.png"):
        hook: dict[str, Any] = runpy.run_path(str(EXAMPLES / "describe_hook.py"))
        assert hook["main"]([wrong]) == 1
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith("No description: ")


def test_the_gallery_asks_and_draws(play: Play) -> None:
    assert play("gallery.py", "tour.png") == [
        "What colour is the circle in @wall? red",
        "Where is the blue square in @wall? bottom right",
        "What colour is the circle in @door? yellow",
        "What shape is orange in @door? triangle",
        "What does the sign in @street say? STOP  (after zoom)",
    ]
    with Image.open("tour.png") as drawn, Image.open(EXAMPLES.parent / "docs" / "tour.png") as shown:
        assert drawn.size == shown.size


def test_a_typed_total_is_checked_without_a_model(play: Play) -> None:
    said = [re.sub(r"\(\d+, \d+, \d+, \d+\)", "BOX", line) for line in play("check_total.py")]
    assert said == [
        "The total on @bill is 12.10.",
        "  12.10: agree, '12.10' was read at BOX of bill",
        "The total on @bill is 12.70.",
        "  12.70: conflict, '12.10' was read at BOX of bill",
        "The coffee costs 2.20.",
        "  2.20: conflict, '3.40' was read at BOX of bill (stands beside 'Bread')",
    ]


def test_read_letter_fails_in_one_line(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    Path("not.png").write_text("words", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"^Error: "):
        play("read_letter.py", "not.png")


def test_an_agent_of_langchain_looks_closer_and_its_events_say_so(play: Play) -> None:
    said = play("langchain_agent.py")
    assert [re.sub(r"\[\d+, \d+, \d+, \d+\]", "BOX", line) for line in said] == [
        "human: [wall] [street] Zoom into the sign in @street.",
        "ai: zoom({'image': 'street', 'box': BOX})",
        "tool: [street.zoom1]",
        "ai: STOP",
        "tool starts: zoom {'image': 'street', 'box': BOX}",
        "tool ends: tool: [street.zoom1]",
        "words: S",
        "words: T",
        "words: O",
        "words: P",
    ]


def test_a_graphs_checkpoints_stay_small_when_pictures_travel_by_file_id(play: Play) -> None:
    said = play("langchain_graph.py")
    assert said[:3] == [
        "What colour is the circle in @wall? red",
        "What colour is the circle in @door? yellow",
        "Where is the blue square in @wall? bottom right",
    ]
    numbers = [[int(number) for number in re.findall(r"\d+(?= b)|\d+(?= with f)", line)] for line in said[3:-2]]
    assert len(numbers) == 8
    assert [large > 300 * small for large, small in numbers] == [True] * 8
    assert said[-2].startswith("all steps: ")
    assert said[-1].startswith("the pictures, kept once in the model's memory: ")


def test_an_agent_is_a_step_of_a_chain(play: Play) -> None:
    assert play("langchain_lcel.py") == [
        "circle: red (confidence high)",
        "triangle: orange (confidence high)",
        "looks: zoom street",
        "sees: street.zoom1",
        "says, word by word: S T O P",
        "kept under: street, street.zoom1",
    ]


def test_drawing_writes_real_pictures(play: Play) -> None:
    names = play("drawing.py")
    kinds: list[tuple[str, str | None, tuple[int, int]]] = []
    for name in names:
        with Image.open(name) as image:
            kinds.append((name, image.format, image.size))
    assert kinds == [
        ("wall.png", "PNG", (576, 576)),
        ("door.jpg", "JPEG", (576, 576)),
        ("street.png", "PNG", (576, 576)),
        ("bill.png", "PNG", (480, 640)),
    ]


def test_every_command_of_the_demo_says_what_it_should(tmp_path: Path) -> None:
    demo: dict[str, Any] = runpy.run_path(str(EXAMPLES / "demo.py"))
    demo["draw"](tmp_path)
    problems = {
        step.command: demo["problem_with"](ran.status, ran.output, step.expected)
        for step in demo["TOUR"]
        if (ran := run(step.command))
    }
    assert {command: problem for command, problem in problems.items() if problem} == {}


def test_the_demo_notices_what_goes_wrong() -> None:
    problem_with = runpy.run_path(str(EXAMPLES / "demo.py"))["problem_with"]
    assert problem_with(0, "status: pocket answers\nred\n", (r"^red$",)) == ""
    assert problem_with(0, "status: pocket answers\nblue\n", (r"^red$",)) == "its output doesn't match '^red$'"
    assert problem_with(2, "red\n", (r"^red$",)) == "it ended with status 2"


def test_every_example_has_a_docstring_and_imports_only_what_users_may() -> None:
    for script in EXAMPLES.glob("*.py"):
        tree = ast.parse(script.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), script.name
        inside = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]
        assert inside == [], script.name


def test_check_alternatives_fails_on_pictures_without_a_text(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    Path("docs").mkdir()
    Path("docs/tour.md").write_text("# Tour\n\n![A wall](wall.png)\n", encoding="utf-8")
    assert play("check_alternatives.py") == []
    Path("docs/wall.html").write_text('<img src="wall.png">', encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(EXAMPLES / "check_alternatives.py"), run_name="__main__")
    assert end.value.code == 1
    assert capsys.readouterr().out == f"{Path('docs/wall.html')}, line 1: wall.png has no alternative text\n"
