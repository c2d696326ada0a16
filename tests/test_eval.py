"""Whether looking again helps is measured: data are read, answers scored and kept, tables and a page made of them."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import open_page, violations
from PIL import Image
from scenes import receipt, scene
from scripts import call, pay
from shell import run

from looktwice import Agent, LookTwiceError, Memory, ScriptedBackend
from looktwice.agent.answer import Signals, Usage
from looktwice.agent.backends.backend import Done, Settings, Token
from looktwice.agent.eval import Evaluation, Mode, evaluate, read_data, replay, score
from looktwice.agent.eval.calibrating import calibrate_on
from looktwice.agent.eval.results import Results, Scored
from looktwice.agent.eval.scoring import options_in
from looktwice.agent.eval.summary import changed, interval, summarised
from looktwice.agent.prompt import Prompt, Words
from looktwice.errors import InvalidInput, ModelError, StoreError
from looktwice.world import ask, random_scene

KEVLAR = "What is the glove made of?\n(A) rubber\n(B) kevlar\n(C) a cat\nAnswer with the option's letter."


def write_lines(path: Path, *entries: object) -> Path:
    lines = (entry if isinstance(entry, str) else json.dumps(entry) for entry in entries)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def circles(folder: Path, count: int, **more: Any) -> Path:
    """Questions that a script answers: each picture has a red circle."""
    scene(("red", "circle", "top left")).save(folder / "a.png")
    entry = {"images": ["a.png"], "answers": "red"}
    return write_lines(
        folder / "items.jsonl", *({**entry, "question": f"Circle {n}?", "id": f"q{n}", **more} for n in range(count))
    )


def asked_scenes(folder: Path, count: int) -> Path:
    """Questions of the drawn world, which pocket knows."""
    rng, entries = random.Random(1), list[object]()
    while len(entries) < count:
        kind, drawn = rng.choice(["colour", "shape", "where"]), random_scene(rng, shapes=2)
        question = ask(rng, kind, [drawn])
        if question is not None:
            name = f"s{len(entries)}"
            drawn.image().save(folder / f"{name}.png")
            right = question.answer(drawn)
            entries.append({"images": [f"{name}.png"], "question": question.text(name), "answers": right, "kind": kind})
    return write_lines(folder / "items.jsonl", *entries)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


# --- scores


@pytest.mark.parametrize(
    ("answer", "right", "expected"),
    [
        ("Red", ["red"], 1.0),
        ("  dark\n red.", ["Dark Red"], 1.0),
        ("\uff32\uff25\uff24!", ["red"], 1.0),  # full width
        ("STRASSE", ["stra\u00dfe"], 1.0),
        ("12.10", ["12.1", "12.10"], 1.0),
        ("The circle is red.", ["red"], 0.0),
        ("not red", ["red"], 0.0),
        ("-5", ["5"], 0.0),
        ("", ["red"], 0.0),
    ],
)
def test_exact_folds_form_and_wants_the_whole_answer(answer: str, right: list[str], expected: float) -> None:
    assert score("exact", answer, right) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "B",
        "b",
        "(B)",
        "B.",
        "(b).",
        "B) kevlar",
        "B. Kevlar",
        "B kevlar",
        "The answer is B",
        "The correct answer is (b), as it shines.",
        "Answer: B.",
        "I choose option B, since it shines.",
        "kevlar",
        "Kevlar.",
        "The answer is kevlar.",
        "It looks like (B) to me",
    ],
)
def test_a_choice_is_found_in_every_way_of_naming_it(answer: str) -> None:
    assert score("choice", answer, ["B"], question=KEVLAR) == 1.0
    assert score("choice", answer, ["kevlar"], question=KEVLAR) == 1.0
    assert score("choice", answer, ["A"], question=KEVLAR) == 0.0


@pytest.mark.parametrize(
    "answer",
    ["Bright rubber", "BUT", "A cat sits there", "The answer is a glove", "(A) or (B)", "D", "", "rubber or B?"],
)
def test_a_letter_in_a_word_or_one_of_several_is_no_choice(answer: str) -> None:
    assert [score("choice", answer, [letter], question=KEVLAR) for letter in "AB"] == [0.0, 0.0]


def test_options_are_the_lines_with_letters() -> None:
    assert options_in(KEVLAR) == {"A": "rubber", "B": "kevlar", "C": "a cat"}
    assert options_in("Which?\nA. one\nB) two words \nCats.\n(Aa) no") == {"A": "one", "B": "two words"}


@pytest.mark.parametrize(("matches", "expected"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_vqa_is_the_published_leave_one_out_mean(matches: int, expected: float) -> None:
    people = ["Nokia"] * matches + [f"other {n}" for n in range(10 - matches)]
    assert score("vqa", "the NOKIA!", people) == pytest.approx(expected)  # pyright: ignore[reportUnknownMemberType]


def test_vqa_evens_out_numbers_and_punctuation() -> None:
    assert score("vqa", "two", ["2"] * 10) == 1.0
    assert score("vqa", "1,000", ["1000"] * 10) == 1.0
    assert score("vqa", "3.5", ["35"] * 10) == 0.0


@pytest.mark.parametrize(
    ("answer", "expected"), [("Annual Report", 1.0), ("annual repor", 12 / 13), ("annual", 0.0), ("anreport", 8 / 13)]
)
def test_anls_falls_to_nothing_at_half_the_distance(answer: str, expected: float) -> None:
    found = score("anls", answer, ["annual report", "unlike everything"])
    assert found == pytest.approx(expected)  # pyright: ignore[reportUnknownMemberType]


# --- data


def test_each_line_that_cannot_be_asked_is_told_with_its_place(tmp_path: Path) -> None:
    scene(("red", "circle", "top")).save(tmp_path / "a.png")
    good = {"images": ["a.png", {"name": "bill", "path": "a.png"}], "question": "Why?", "answers": ["x", "y"], "id": 7}
    path = write_lines(
        tmp_path / "items.jsonl",
        {**good, "metric": "anls", "kind": "read"},
        "{bad",
        "",
        {**good, "id": "b", "images": ["nowhere.png"]},
        {**good, "id": "c", "answers": []},
        {**good, "id": "d", "anwsers": "x"},
        {**good, "id": "7"},
        {**good, "id": "e", "metric": "vqa"},
        {**good, "id": "f", "images": []},
        {**good, "id": "g", "images": [{"path": "a.png", "name": "two words"}]},
        {**good, "id": "h", "answers": " "},
        "[]",
    )
    data = read_data(path)
    (item,) = data.items
    assert (item.id, item.question, item.answers, item.kind, item.metric) == ("7", "Why?", ("x", "y"), "read", "anls")
    assert [shown.name for shown in item.images] == [None, "bill"]
    told = [str(each) for each in data.refused]
    begins = [
        "items.jsonl:2: this is no JSON: ",
        "items.jsonl:4: there is no picture '",
        "items.jsonl:5: there is no right answer",
        "items.jsonl:6: anwsers: Extra inputs are not permitted",
        "items.jsonl:7: the id '7' stands at items.jsonl:1 already",
        "items.jsonl:8: the metric 'vqa' compares with 4 answers or more, not 2",
        "items.jsonl:9: images: List should have at least 1 item",
        "items.jsonl:10: 'two words' can't be a name",
        "items.jsonl:11: there is no right answer",
        "items.jsonl:12: Input should be a valid dictionary",
    ]
    assert [(line, begin) for line, begin in zip(told, begins, strict=True) if not line.startswith(begin)] == []
    assert all("\n" not in line for line in told)


def v_star(folder: Path) -> None:
    (folder / "direct_attributes").mkdir()
    scene(("red", "circle", "top")).save(folder / "direct_attributes" / "sa_1.jpg")
    entry = {"image": "direct_attributes/sa_1.jpg", "text": KEVLAR, "category": "direct_attributes", "label": "B"}
    write_lines(folder / "test_questions.jsonl", {**entry, "question_id": 0}, {**entry, "question_id": 1, "label": "?"})


def hr_bench(folder: Path) -> None:
    picture = folder / "p.png"
    scene(("red", "circle", "top"), size=(900, 900)).save(picture)
    encoded = base64.b64encode(picture.read_bytes() + b"\0" * 200_000).decode()  # over csv's default limit
    heads = ["index", "question", "answer", "A", "B", "C", "D", "category", "cycle_category", "image"]
    row = ["0", '"What ""is"" it?\nThis."', "B", "rubber", "kevlar", "wool", "silk", "single", "0", encoded]
    lines = ["\t".join(each) for each in (heads, row, [*row[:8], "1", row[9]], ["1", "broken"])]
    (folder / "hr_bench_4k.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    picture.unlink()


def text_vqa(folder: Path) -> None:
    (folder / "train_images").mkdir()
    scene(("red", "circle", "top")).save(folder / "train_images" / "0a1b.jpg")
    entry = {"question_id": 34602, "image_id": "0a1b", "question": "what brand @ all?", "answers": ["nokia"] * 10}
    data = {"data": [entry, {**entry, "question_id": 34603, "image_id": "gone"}]}
    (folder / "TextVQA_0.5.1_val.json").write_text(json.dumps(data), encoding="utf-8")


def doc_vqa(folder: Path) -> None:
    (folder / "documents").mkdir()
    receipt("TOTAL 8.70").save(folder / "documents" / "x.png")
    entry = {"questionId": 5, "question": "Total?", "image": "documents/x.png", "answers": ["8.70"]}
    data = {"data": [{**entry, "question_types": ["form", "layout"]}, {"questionId": 6}]}
    (folder / "val_v1.0_withQT.json").write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize(
    ("make", "ids", "kind", "metric", "refused", "answer"),
    [
        (v_star, ["direct_attributes/0"], "direct_attributes", "choice", "test_questions.jsonl:2", "(B)"),
        (hr_bench, ["0/0", "0/1"], "single", "choice", "hr_bench_4k.tsv:row 4", "kevlar"),
        (text_vqa, ["34602"], "textvqa", "vqa", "TextVQA_0.5.1_val.json:data[1]", "Nokia"),
        (doc_vqa, ["5"], "form", "anls", "val_v1.0_withQT.json:data[1]", "8.70"),
    ],
)
def test_a_benchmark_is_known_by_its_files(
    make: Callable[[Path], None],
    ids: list[str],
    kind: str,
    metric: str,
    refused: str,
    answer: str,
    tmp_path: Path,
) -> None:
    make(tmp_path)
    data = read_data(tmp_path)
    assert [item.id for item in data.items] == ids
    assert {(item.kind, item.metric) for item in data.items} == {(kind, metric)}
    assert [each.place for each in data.refused] == [refused]
    backend = ScriptedBackend([answer] * len(ids))
    found = evaluate(tmp_path, backend, modes=["off"], tools=["zoom"])
    assert [(each.score, each.error) for each in found.answers] == [(1.0, None)] * len(ids)
    assert [len(prompt.pictures) for prompt in backend.prompts] == [1] * len(ids)


def test_a_table_row_has_its_options_in_the_question_and_its_own_picture(tmp_path: Path) -> None:
    hr_bench(tmp_path)
    items = read_data(tmp_path).items
    assert items[1].question.startswith('What "is" it?\nThis.\n(A) rubber\n(B) kevlar\n(C) wool\n(D) silk\nAnswer')
    assert [shown.picture().width for item in items for shown in item.images] == [900, 900]


def test_a_folder_that_is_no_benchmark_is_told_what_was_looked_for(tmp_path: Path) -> None:
    looked = r"test_questions\.jsonl \(V\*Bench\), hr_bench_\*\.tsv \(HR-Bench\)"
    with pytest.raises(InvalidInput, match=looked):
        read_data(tmp_path)
    hr_bench(tmp_path)
    (tmp_path / "hr_bench_8k.tsv").write_text("x")
    with pytest.raises(InvalidInput, match=r"holds hr_bench_4k\.tsv, hr_bench_8k\.tsv; give one of these files"):
        read_data(tmp_path)
    with pytest.raises(InvalidInput, match="no data at 'nowhere'"):
        read_data("nowhere")
    with pytest.raises(InvalidInput, match=r"no question .* can be asked; the first: bad\.jsonl:1: this is no JSON"):
        read_data(write_lines(tmp_path / "bad.jsonl", "{"))


# --- runs


TOLD = [
    ("q0", "off", "blue", 0.0, 0, 1),
    ("q0", "on", "red", 1.0, 0, 1),
    ("q0", "forced", "red", 1.0, 1, 2),
    ("q1", "off", "Red.", 1.0, 0, 1),
    ("q1", "on", "green", 0.0, 1, 2),
    ("q1", "forced", "red", 1.0, 1, 2),
]
ZOOM = call("zoom", image="a", box=[0, 0, 500, 500])
SCRIPT = ["blue", "red", ZOOM, "red", "Red.", ZOOM, "green", ZOOM, "red"]


def told(found: Evaluation) -> list[tuple[Any, ...]]:
    return [(each.item, each.mode, each.answer, each.score, each.looks, each.passes) for each in found.answers]


def test_a_run_is_asked_in_its_modes_scored_and_kept(tmp_path: Path) -> None:
    out, backend = tmp_path / "results.db", ScriptedBackend(SCRIPT)
    steps = list[tuple[int, int]]()
    found = evaluate(
        circles(tmp_path, 2),
        backend,
        tools=["zoom"],
        check=False,
        out=out,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert told(found) == TOLD
    assert [None if offer is None else offer.choice for offer in backend.offers] == [
        *[None, "auto", "zoom", "auto"],
        *[None, "auto", "auto", "zoom", "auto"],
    ]
    assert steps == [(done, 6) for done in range(1, 7)]
    assert [(c.mode, c.helped, c.hurt, c.unchanged, c.difference) for c in found.summary.changes] == [
        ("on", 1, 1, 0, 0.0),
        ("forced", 1, 0, 1, 0.5),
    ]
    (crop,) = found.answers[2].trace[0].crops
    assert crop.box == (0, 0, 165, 165)
    assert crop.key == found.pictures("q0")[0].key
    assert rows(out, "SELECT item, mode, answer, score, looks, passes FROM answers ORDER BY id") == TOLD
    ((about, machine),) = rows(out, "SELECT identity, machine FROM runs")
    kept = json.loads(about)
    assert (kept["model"], kept["tools"], kept["data"]) == ("scripted", ["zoom"], "items.jsonl")
    assert kept["sha256"] == hashlib.sha256((tmp_path / "items.jsonl").read_bytes()).hexdigest()
    assert kept["versions"]["looktwice"] and "cores" in machine


def test_the_same_call_asks_nothing_twice_and_another_one_begins_anew(tmp_path: Path) -> None:
    out, data = tmp_path / "results.db", circles(tmp_path, 2)
    first = evaluate(data, ScriptedBackend(SCRIPT), tools=["zoom"], check=False, out=out)
    again = evaluate(data, ScriptedBackend([]), tools=["zoom"], check=False, out=out)
    assert again == first
    only = evaluate(data, ScriptedBackend([]), tools=["zoom"], check=False, out=out, modes=["on", "off"], limit=1)
    assert [(each.mode, each.item) for each in only.answers] in (
        [("on", "q0"), ("off", "q0")],
        [("on", "q1"), ("off", "q1")],
    )
    other = evaluate(data, ScriptedBackend(["red"] * 2), tools=["zoom"], looks=2, check=False, out=out, modes=["off"])
    circles(tmp_path, 1)
    third = evaluate(data, ScriptedBackend(["red"]), tools=["zoom"], check=False, out=out, modes=["off"])
    assert [found.run for found in (first, again, only, other, third)] == [1, 1, 1, 2, 3]
    with pytest.raises(sqlite3.IntegrityError), sqlite3.connect(out) as connection:
        connection.execute("INSERT INTO answers (run, item, mode) VALUES (1, 'q0', 'off')")
    connection.close()


def test_a_limit_draws_the_same_questions_again_and_more_of_them(tmp_path: Path) -> None:
    data, out = circles(tmp_path, 9), tmp_path / "results.db"
    few = evaluate(data, ScriptedBackend(["red"] * 3), modes=["off"], limit=3, out=out)
    more = evaluate(data, ScriptedBackend(["red"] * 2), modes=["off"], limit=5, out=out)
    ids = [[each.item for each in found.answers] for found in (few, more)]
    assert set(ids[0]) < set(ids[1])
    assert [each == sorted(each) for each in ids] == [True, True]


def broken(_: object) -> str:
    raise ModelError("the model is out of order")


def test_what_fails_is_told_counted_apart_and_asked_again_on_demand(tmp_path: Path) -> None:
    data, out = circles(tmp_path, 4), tmp_path / "results.db"
    script = [broken, broken, "red", broken]
    found = evaluate(data, ScriptedBackend(script), modes=["off"], out=out)
    error = "the model is out of order"
    assert [each.error for each in found.answers] == [error, error, None, error]
    (line,) = found.summary.lines
    assert (line.n, line.failed, line.share) == (1, 3, 1.0)
    assert evaluate(data, ScriptedBackend([]), modes=["off"], out=out) == found
    mended = evaluate(data, ScriptedBackend(["red"] * 3), modes=["off"], out=out, retry_failed=True)
    assert [each.error for each in mended.answers] == [None] * 4


def test_three_failures_from_the_start_stop_the_run_and_leave_nothing(tmp_path: Path) -> None:
    data, out = circles(tmp_path, 5), tmp_path / "results.db"
    with pytest.raises(ModelError, match="the first 3 questions failed; the last one: the model is out of order"):
        evaluate(data, ScriptedBackend([broken] * 5), modes=["off"], out=out)
    assert rows(out, "SELECT * FROM answers") == []
    assert evaluate(data, ScriptedBackend(["red"] * 5), modes=["off"], out=out).summary.lines[0].n == 5


def test_a_picture_that_is_none_is_refused_when_its_turn_comes(tmp_path: Path) -> None:
    circles(tmp_path, 1)
    (tmp_path / "b.png").write_text("no picture")
    good = {"images": ["a.png"], "question": "Circle?", "answers": "red"}
    data = write_lines(tmp_path / "items.jsonl", {**good, "images": ["b.png"]}, good, "{")
    found = evaluate(data, ScriptedBackend(["red"]), modes=["off"], out=tmp_path / "results.db")
    assert [each.place for each in found.refused] == ["items.jsonl:3", "items.jsonl:1"]
    assert (found.summary.refused, found.summary.lines[0].n, found.summary.lines[0].failed) == (2, 1, 0)


def test_a_tool_that_waits_for_an_approval_is_a_failure(tmp_path: Path) -> None:
    backend = ScriptedBackend([call("pay", amount=3), "red"])
    found = evaluate(circles(tmp_path, 1), backend, tools=[pay], modes=["on"])
    assert [each.error for each in found.answers] == [
        "a tool that acts waits for an approval; offer tools that only look"
    ]


def test_a_cancelled_answer_is_not_kept_and_the_run_goes_on_later(tmp_path: Path) -> None:
    data, out, cancel = circles(tmp_path, 3), tmp_path / "results.db", threading.Event()
    heard: list[int] = []

    def stop(done: int, total: int) -> None:
        heard.append(done)
        cancel.set()

    found = evaluate(data, ScriptedBackend(["red"]), modes=["off"], out=out, cancel=cancel, progress=stop)
    assert (found.is_whole, len(found.answers), heard) == (False, 1, [1])
    cut = evaluate(data, ScriptedBackend(["red", "red"], pace=0.01), modes=["off"], out=out, cancel=cancel)
    assert (cut.is_whole, len(cut.answers)) == (False, 1)
    rest = evaluate(data, ScriptedBackend(["red", "red"]), modes=["off"], out=out)
    assert (rest.is_whole, len(rest.answers)) == (True, 3)


def test_conversations_are_kept_where_they_are_wanted(tmp_path: Path) -> None:
    data, keep = circles(tmp_path, 2), tmp_path / "kept.db"
    found = evaluate(data, ScriptedBackend(["red"] * 2), modes=["off"], keep=keep)
    evaluate(data, ScriptedBackend(["blue"] * 2), modes=["off"], keep=keep)
    with Memory(keep) as memory:
        names = sorted(conversation.name for conversation in memory.conversations.list())
        assert names == ["run 1, q0, off", "run 1, q0, off 2", "run 1, q1, off", "run 1, q1, off 2"]
        assert memory.turns.branch(memory.conversations.get("run 1, q0, off").head)[-1].text == "red"
    assert [each.conversation for each in found.answers] == names[::2]


def test_a_calibration_decides_on_second_looks_and_begins_a_run_of_its_own(tmp_path: Path) -> None:
    data, out = circles(tmp_path, 1), tmp_path / "results.db"
    always: dict[str, Any] = {"model": "scripted", "weights": {}, "bias": 9.0, "threshold": 0.5, "questions": 50}
    backend = ScriptedBackend(["red", "red", ZOOM, "blue"])
    sure = evaluate(data, backend, tools=["zoom"], modes=["on"], out=out)
    unsure = evaluate(data, backend, tools=["zoom"], modes=["on"], out=out, calibration=always)
    assert [(found.run, found.answers[0].looks) for found in (sure, unsure)] == [(1, 0), (2, 1)]
    assert sure.answers[0].signals == Signals(mean=0.0, lowest=0.0, entropy=0.0, declined=False)
    signals = {"mean": 0.0, "lowest": 0.0, "entropy": 0.0, "declined": False}
    signals |= {"lowered": False, "visible": None, "small": None}
    assert [json.loads(text) for (text,) in rows(out, "SELECT signals FROM answers WHERE run = 1")] == [signals]


def test_what_a_question_costs_does_not_depend_on_what_was_asked_before(tmp_path: Path) -> None:
    data = asked_scenes(tmp_path, 2)
    orders: list[list[Mode]] = [["off", "on"], ["on", "off"]]
    there = [evaluate(data, tools=["zoom"], modes=modes) for modes in orders]
    costs = [{(each.item, each.mode): each.new_tokens for each in found.answers} for found in there]
    assert costs[0] == costs[1]
    assert all(each.new_tokens == each.prompt_tokens for each in there[0].answers if each.passes == 1)


KILLED = """
import sys
from looktwice.agent.answer import Signals
from looktwice.agent.eval import evaluate
evaluate(sys.argv[1], tools=["zoom"], modes=["off", "on"], out=sys.argv[2], progress=lambda n, of: print(n, flush=True))
"""


def test_a_killed_run_goes_on_without_losing_or_repeating_an_answer(tmp_path: Path) -> None:
    data, out = asked_scenes(tmp_path, 9), tmp_path / "results.db"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(data), str(out)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert child.stdout is not None
    seen = [child.stdout.readline() for _ in range(4)]
    child.send_signal(signal.SIGKILL)
    seen += child.stdout.readlines()
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    before = rows(out, "SELECT id, item, mode, answer, seconds FROM answers ORDER BY id")
    assert len(seen) <= len(before) <= len(seen) + 1
    steps: list[int] = []
    found = evaluate(
        data, tools=["zoom"], modes=["off", "on"], out=out, progress=lambda done, total: steps.append(done)
    )
    after = rows(out, "SELECT id, item, mode, answer, seconds FROM answers ORDER BY id")
    assert after[: len(before)] == before
    assert (len(after), len({(item, mode) for _, item, mode, *_ in after})) == (18, 18)
    assert steps == list(range(len(before) + 1, 19))
    assert rows(out, "SELECT count(*) FROM runs") == [(1,)]
    assert [line.n for line in found.summary.lines if line.kind == "all"] == [9, 9]


def test_a_database_of_something_else_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    Memory(path).close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"holds no results of looktwice eval; name another with --out"):
        Results(path)
    assert path.read_bytes() == before
    (tmp_path / "text.db").write_text("no database at all, whatever its name says" * 20)
    with pytest.raises(StoreError, match="is not an SQLite database"):
        Results(tmp_path / "text.db")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"modes": ["off", "often"]}, r"modes \['off', 'often'\] can't be used; give some of off, on, forced"),
        ({"modes": []}, r"modes \[\] can't be used"),
        ({"tools": []}, "the mode 'forced' needs a tool and a look"),
        ({"looks": 0}, "the mode 'forced' needs a tool and a look"),
        ({"looks": -1, "modes": ["on"]}, "looks -1 can't be used"),
        ({"limit": 0}, "limit 0 can't be used; give 1 or more"),
        ({"max_new_tokens": 0}, "max_new_tokens 0 can't be used"),
        ({"tools": ["zom"]}, "no tool named 'zom'; did you mean 'zoom'"),
    ],
)
def test_settings_that_make_no_sense_are_told_before_anything_is_asked(
    more: dict[str, Any], said: str, tmp_path: Path
) -> None:
    out = tmp_path / "results.db"
    wanted: dict[str, Any] = {"tools": ["zoom"], **more}
    with pytest.raises(LookTwiceError, match=said):
        evaluate(circles(tmp_path, 1), ScriptedBackend([]), out=out, **wanted)
    assert not out.exists()


# --- tables


def made(item: str, mode: str, score: float | None, **more: Any) -> Scored:
    return Scored(item, mode, more.pop("kind", "k"), "exact", "?", ("x",), score=score, **more)


def test_an_interval_is_that_of_the_mean_and_the_same_for_the_same_seed() -> None:
    values = [1.0] * 60 + [0.0] * 40
    low, high = interval(values, 1)
    assert (0.48 <= low <= 0.52, 0.68 <= high <= 0.72) == (True, True)  # the normal interval is 0.504 to 0.696
    assert interval(values, 1) == (low, high)
    assert interval([1.0, 1.0], 0) == (1.0, 1.0)


def test_a_line_counts_answers_alone_and_leaves_loading_out_of_the_seconds() -> None:
    answers = [
        made("a", "off", 1.0, seconds=90.0, is_cold=True, new_tokens=10, passes=1),
        made("b", "off", 0.0, seconds=1.0, new_tokens=20, passes=2, conflicts=2),
        made("c", "off", 0.5, seconds=3.0, new_tokens=30, passes=3, unreadable=1),
        made("d", "off", None, error="broken"),
    ]
    (line,) = summarised(answers, modes=["off"]).lines
    assert (line.n, line.failed, line.share, line.passes, line.conflicts, line.unreadable) == (3, 1, 0.5, 2.0, 2, 1)
    assert (line.seconds, line.seconds_p95, line.new_tokens, line.new_tokens_p95) == (2.0, 3.0, 20.0, 30)
    (empty,) = summarised(answers[3:], modes=["off"]).lines
    assert (empty.n, empty.failed, empty.share, empty.low) == (0, 1, None, None)


def test_modes_are_compared_on_the_questions_that_both_answered() -> None:
    answers = [
        *[made("a", "off", 0.0, kind="x"), made("a", "on", 1.0, kind="x")],
        *[made("b", "off", 1.0, kind="y"), made("b", "on", 0.0, kind="y")],
        *[made("c", "off", 1.0, kind="y"), made("c", "on", None, kind="y", error="broken")],
        *[made("d", "off", 1.0, kind="y", answer="A"), made("d", "on", 1.0, kind="y", answer="a.")],
    ]
    found = summarised(answers, modes=["off", "on"])
    assert [(c.kind, c.n, c.helped, c.hurt, c.unchanged) for c in found.changes] == [
        ("all", 3, 1, 1, 1),
        ("x", 1, 1, 0, 0),
        ("y", 2, 0, 1, 1),
    ]
    assert [(off.item, off.score, on.score) for off, on in changed(answers, "on")] == [("a", 0.0, 1.0), ("b", 1.0, 0.0)]
    assert [(each.n, each.same) for each in found.agreements] == [(3, 3)]


def test_confidence_falls_into_bins_with_its_accuracy() -> None:
    answers = [made(str(n), "off", float(n > 1), confidence=c) for n, c in enumerate([0.1, 0.15, 0.9, 1.0])]
    found = summarised([*answers, made("z", "off", 1.0)], modes=["off"]).bins
    assert [(b.low, b.high, b.n, b.confidence, b.share) for b in found] == [
        (0.0, 0.2, 2, 0.125, 0.0),
        (0.8, 1.0, 2, 0.95, 1.0),
    ]


# --- the page


class Page(HTMLParser):
    """The tags of a page with their attributes, and the words in each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "meta"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.words.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_report_is_one_page_that_loads_nothing_and_can_be_read_aloud(tmp_path: Path) -> None:
    data = circles(tmp_path, 2, question="<b>Circle</b> & co?")
    text = evaluate(data, ScriptedBackend(SCRIPT), tools=["zoom"], check=False).report()
    page = Page(text)
    assert not {"script", "link", "iframe", "object", "b"} & {tag for tag, _ in page.tags}
    assert re.findall(r"(?:src|href)=\"(?!data:|#)|url\(|@import", text) == []
    (policy,) = [each["content"] for each in page.all("meta") if each.get("http-equiv")]
    assert policy is not None and "default-src 'none'" in policy
    assert page.words["caption"] == ["Each mode, and what a question costs", "Against the mode off"]
    assert {each["scope"] for each in page.all("th")} == {"col", "row"}
    plots = [each for each in page.all("svg") if each.get("role") == "img"]
    ids = {each["id"] for tag in ("title", "desc") for each in page.all(tag) if "id" in each}
    assert [(each["aria-labelledby"] in ids, each["aria-describedby"] in ids) for each in plots] == [(True, True)] * 2
    assert page.words["h3"] == ["q0, on: helped", "q1, on: hurt", "q0, forced: helped"]
    assert "<b>Circle</b> & co?" in page.words["dd"]
    images = page.all("img")
    assert [each["alt"] for each in images] == ["a, 320 by 320"] * 3
    assert all((each["src"] or "").startswith("data:image/") for each in images)
    boxes = [each for each in page.all("rect") if each.get("class") == "line"]
    assert [(each["x"], each["width"]) for each in boxes] == [("0", "165")] * 2


def test_axe_finds_nothing_wrong_with_the_report_in_a_browser(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    found = evaluate(circles(tmp_path, 2), ScriptedBackend(SCRIPT), tools=["zoom"], check=False)
    file.write_text(found.report(), encoding="utf-8")
    with open_page(file) as page:
        assert violations(page) == []
        assert page.get_by_role("img").count() == 5  # two plots, three pictures of answers that changed


def test_a_report_shows_at_most_forty_changes_and_those_that_count_first(tmp_path: Path) -> None:
    data = circles(tmp_path, 45)
    script = [word for n in range(45) for word in (("blue", "red") if n == 44 else ("blue", "green"))]
    found = evaluate(data, ScriptedBackend(script), tools=["zoom"], modes=["off", "on"])
    heads = Page(found.report()).words["h3"]
    assert (len(heads), heads[0], heads[1]) == (40, "q44, on: helped", "q0, on: other words, the same score")


# --- one's own conversations


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A conversation of three questions, one of them about a crop, and one that broke off."""
    path = tmp_path / "chat.db"
    zoom = call("zoom", image="wall", box=[0, 0, 500, 500])
    backend = ScriptedBackend(["red", zoom, "circle", "nobody@home", ""])
    with Agent(backend, memory=path, tools=["zoom"], system="Be short.", look_again=False) as agent:
        chat = agent.chat("trip")
        chat.add(scene(("red", "circle", "top left")), "wall")
        chat.ask("What colour is it?")
        chat.add(scene(("blue", "square", "top left")), "door")
        chat.ask("What shape is in @wall, not in @door?")
        chat.ask("Who is \\@home, in @wall.zoom1?")
        chat.ask("And now?")
    return path


def test_own_questions_are_asked_again_and_the_database_is_left_alone(own: Path, tmp_path: Path) -> None:
    before = hashlib.sha256(own.read_bytes()).hexdigest()
    zoom = call("zoom", image="wall", box=[0, 0, 500, 500])
    off, on = ["red", "circle", "nobody"], ["Red.", zoom, "square", "nobody@home"]
    backend = ScriptedBackend([*off, *on])
    found = replay(own, backend, tools=["zoom"], check=False, modes=["off", "on"], out=tmp_path / "results.db")
    assert hashlib.sha256(own.read_bytes()).hexdigest() == before
    assert [each.error for each in found.answers] == [None] * 6
    assert [(each.mode, each.right[0], each.answer, each.score, each.looks) for each in found.answers] == [
        ("off", "red", "red", 1.0, 0),
        ("on", "red", "Red.", 1.0, 0),
        ("off", "circle", "circle", 1.0, 0),
        ("on", "circle", "square", 0.0, 1),
        ("off", "nobody@home", "nobody", 0.0, 0),
        ("on", "nobody@home", "nobody@home", 1.0, 0),
    ]
    assert [str(each) for each in found.refused] == ["trip/10: there is no whole answer to compare with"]
    assert [[shown.name for shown in prompt.pictures] for prompt in backend.prompts[:3]] == [
        ["wall"],
        ["wall", "door"],
        ["wall", "door", "wall.zoom1"],
    ]
    assert "Be short." in str(backend.prompts[0])
    assert [(each.mode, each.other, each.n, each.same) for each in found.summary.agreements] == [("off", "on", 3, 1)]
    heads = Page(found.report()).words
    assert heads["caption"] == ["Each mode against the stored answers", "Modes that say the same"]
    assert "Stored answer" in heads["dt"]
    again = replay(
        own, ScriptedBackend([]), tools=["zoom"], check=False, modes=["off", "on"], out=tmp_path / "results.db"
    )
    assert again == found


def test_a_replay_needs_a_database_and_a_question_with_an_answer(own: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database at"):
        replay(tmp_path / "nowhere.db", ScriptedBackend([]))
    assert not (tmp_path / "nowhere.db").exists()
    with pytest.raises(LookTwiceError, match="no conversation named 'tripp'; did you mean 'trip'"):
        replay(own, ScriptedBackend([]), chat="tripp")
    with Memory(own) as memory:
        memory.conversations.create("empty")
    with pytest.raises(InvalidInput, match="no question of the conversation 'empty' can be asked again"):
        replay(own, ScriptedBackend([]), chat="empty")


# --- the command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("LOOKTWICE_CHAT", "LOOKTWICE_MODEL", "LOOKTWICE_DEVICE", "LOOKTWICE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOOKTWICE_DB", "chat.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_prints_tables_and_writes_a_report(here: Path) -> None:
    asked_scenes(here, 8)
    with (here / "items.jsonl").open("a") as file:
        file.write("{\n")
    ran = run("looktwice eval items.jsonl --tools zoom --modes off,forced --limit 4 --report report.html")
    assert ran.status == 0, ran.output
    assert ran.stdout.startswith("run 1 in results.db: pocket, 4 questions, 1 not asked\n\nEach mode, and what")
    heads = ["mode", "kind", "n", "failed", "accuracy", "95 % interval", "passes", "new tokens", "tokens p95"]
    assert re.split(r"  +", ran.stdout.splitlines()[3])[:9] == heads
    assert "status: not asked: items.jsonl:9: this is no JSON: " in ran.stderr
    assert "status: 8 of 8 answers" in ran.stderr
    assert Page((here / "report.html").read_text()).words["h1"] == ["pocket on items.jsonl"]
    found = json.loads(run("looktwice eval items.jsonl --tools zoom --modes off --limit 4 --json").stdout)
    assert (found["lines"][0]["kind"], found["lines"][0]["n"]) == ("all", 4)
    assert (found["run"], found["refused"][0][:14], found["is_whole"]) == (1, "items.jsonl:9:", True)
    assert found["lines"][0]["share"] >= 0.75


def test_the_command_replays_ones_own_conversations(here: Path) -> None:
    scene(("red", "circle", "top left")).save("wall.png")
    assert run("looktwice ask -i wall.png 'What colour is the circle?' --chat tour").stdout == "red\n"
    ran = run("looktwice eval --replay --chat tour --tools zoom --modes off,on")
    assert ran.status == 0, ran.output
    lines = ran.stdout.splitlines()
    assert lines[0] == "run 1 in results.db: pocket, 1 questions, 0 not asked"
    assert re.split(r"  +", lines[4])[:5] == ["off", "all", "1", "0", "100.0 %"]
    assert re.split(r"  +", lines[-1]) == ["off", "on", "1", "1", "100.0 %"]


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("looktwice eval", 2, "error: give DATA, or --replay for your own conversations; see: looktwice eval --help"),
        ("looktwice eval a.jsonl --chat x", 2, "error: --chat goes with --replay"),
        ("looktwice eval --replay --limit 3", 2, "error: --limit, --keep and --system don't go with --replay"),
        ("looktwice eval nowhere.jsonl", 1, "error: no data at 'nowhere.jsonl'; give a JSON Lines file"),
        ("looktwice eval --replay", 1, "error: no database at 'chat.db'"),
        ("looktwice eval a.jsonl --report no/where.html", 1, "error: no folder 'no' for the report"),
        ("looktwice eval a.jsonl --model nowhere", 1, "error: no model 'nowhere'"),
        ("looktwice eval a.jsonl --modes sometimes", 1, "error: modes ['sometimes'] can't be used"),
    ],
)
def test_the_command_fails_in_one_line(command: str, status: int, said: str, here: Path) -> None:
    circles(here, 1)
    (here / "items.jsonl").rename("a.jsonl")
    ran = run(command)
    assert (ran.status, ran.stdout, ran.stderr.count("\n")) == (status, "", 1), ran.output
    assert ran.stderr.startswith(said)


def test_a_calibration_is_fitted_on_data_and_kept_for_the_model(tmp_path: Path) -> None:
    """Answers that are said with little probability are wrong, and right after a look: doubt learns that."""
    rng, entries, script = random.Random(2), list[dict[str, Any]](), dict[str, tuple[float, str, str]]()
    Image.new("RGB", (40, 40), "white").save(tmp_path / "wall.png")
    for number in range(60):
        sure = rng.random() < 0.6
        question = f"What is number {number} in the picture?"
        entries.append({"images": ["wall.png"], "question": question, "answers": str(number)})
        script[question] = (-0.02 if sure else -1.5, str(number) if sure else "x", str(number))
    data = tmp_path / "items.jsonl"
    data.write_text("\n".join(map(json.dumps, entries)), encoding="utf-8")
    with Memory(tmp_path / "mine.db") as memory:
        report = calibrate_on(data, _Doubter(script), memory=memory, out=tmp_path / "out.db")
        never, always, doubted, _ = report.policies
        assert (always.score, doubted.score) == (1.0, 1.0)
        assert never.score < 0.8 < 1 - doubted.looks + 0.5
        assert doubted.helped == always.helped
        assert doubted.hurt == 0
        kept = memory.calibrations.get("scripted")
        assert kept == report.calibration.model_dump()
    fit = report.calibration
    assert fit.questions == 60
    assert fit.doubt(Signals(-1.5, -1.5, 0.0, False)) > fit.threshold > fit.doubt(Signals(-0.02, -0.02, 0.0, False))


@pytest.mark.parametrize("pays", [True, False])
def test_parts_are_taken_to_where_they_bring_more(pays: bool, tmp_path: Path) -> None:
    """After a zoom of its own, or at the part that it points out, the model is right: the other one brings nothing."""
    entries, script = list[dict[str, Any]](), dict[str, tuple[float, str, str]]()
    Image.new("RGB", (40, 40), "white").save(tmp_path / "wall.png")
    for number in range(48):
        sure, question = number % 4 != 0, f"What is number {number} in the picture?"
        entries.append({"images": ["wall.png"], "question": question, "answers": str(number)})
        script[question] = (-0.02 if sure else -1.5, str(number) if sure else "x", str(number))
    data = tmp_path / "items.jsonl"
    data.write_text("\n".join(map(json.dumps, entries)), encoding="utf-8")
    report = calibrate_on(data, _Doubter(script, points=pays), tiles=True)
    own, tiles = report.places
    assert (own.name, tiles.name) == ("the model's own zoom", "where it points")
    assert (own.helped, tiles.helped) == ((0, 12) if pays else (12, 0))
    assert report.calibration.tiles is pays
    assert report.policies[1].score == max(own.score, tiles.score)
    assert tiles.passes == 2  # the glance at all parts, and the second answer


class _Doubter(ScriptedBackend):
    """Answers each question as the script has it: first, after a zoom, and how probable its first words were."""

    def __init__(self, script: dict[str, tuple[float, str, str]], *, points: bool | None = None) -> None:
        """``points``: the second answer is only right at a part that it points out, or only where it zooms itself."""
        super().__init__([], weights=None if points is None else {"yes": 0.5, "no": 0.5})
        self._answers = script
        self._points = points
        self._zoomed = False

    def generate(self, prompt: Prompt, settings: Settings, **options: Any) -> Generator[Token | Done]:
        words = [piece.text for message in prompt.messages for piece in message.segments if isinstance(piece, Words)]
        question = max(self._answers, key="".join(words).rfind)
        logprob, first, second = self._answers[question]
        offer = options.get("offer")
        if offer is not None and offer.choice == "zoom":
            said = '<tool_call>{"name":"zoom","arguments":{"image":"wall","box":[0,0,500,500]}}</tool_call>'
            self._zoomed = True
        elif len(prompt.pictures) > 1:
            good = self._points is None or self._points is not self._zoomed
            said, logprob, self._zoomed = second if good else first, -0.01, False
        else:
            said = first
        yield Token(said, logprob)
        yield Done(said, "stop", Usage(1, 0, 1, 0, 1), logprobs=(logprob,))
