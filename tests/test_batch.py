"""One question over many pictures: computed together as one by one, and nothing lost or done twice, whatever ends it.

``LOOKTWICE_KILLS`` is how many processes to kill (2 if not set), ``LOOKTWICE_KILL_PICTURES`` over how many pictures
(40): a release is tried with 10 and 300.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from shell import run

from looktwice import Agent
from looktwice import Image as Shown
from looktwice.agent.backends import Done, ScriptedBackend, Settings, open_backend
from looktwice.agent.backends.backend import Pixels
from looktwice.agent.batch import ask_all, read_rows
from looktwice.agent.prompt import Message, Prompt, Words
from looktwice.agent.prompt import Shown as Placed
from looktwice.errors import InvalidInput, ModelError, StoreError
from looktwice.memory import Picture
from looktwice.world import ask, random_scene

if TYPE_CHECKING:
    from looktwice.agent.backends.llava import LlavaBackend

KILLS = int(os.environ.get("LOOKTWICE_KILLS", "2"))
PICTURES = int(os.environ.get("LOOKTWICE_KILL_PICTURES", "40"))
QUESTION = "What is there?"


@pytest.fixture(scope="module")
def pocket() -> LlavaBackend:
    return open_backend("pocket", device="cpu")


def draw(folder: Path, count: int, seed: int = 5) -> Path:
    folder.mkdir(exist_ok=True)
    rng = random.Random(seed)
    for number in range(count):
        random_scene(rng, shapes=2).image().save(folder / f"s{number:03}.png")
    return folder


def dots(folder: Path, count: int) -> Path:
    """Pictures that cost nothing to draw and are all different."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.new("RGB", (8, 8), (number % 256, number // 256, 7)).save(folder / f"d{number:03}.png")
    return folder


def told(prompt: Prompt) -> str:
    """A line of a script that depends on the picture alone."""
    return f"it is {prompt.pictures[0].key[7:15]}"


def scripted(count: int = 100) -> ScriptedBackend:
    return ScriptedBackend([told] * count)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """What another program reads in a file of results, complete lines alone."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    if path.suffix == ".parquet":
        library: Any = importlib.import_module("pyarrow.parquet")
        rows: list[dict[str, Any]] = library.read_table(path).to_pylist()
        return rows
    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute("SELECT * FROM answers ORDER BY rowid")]
    connection.close()
    return found


def answers(path: Path) -> dict[str, Any]:
    return {row["id"]: row["answer"] for row in rows_of(path)}


def mixed(count: int) -> tuple[list[Prompt], dict[str, Image.Image]]:
    """Prompts of none to three pictures, of very different lengths."""
    rng, pictures, prompts = random.Random(1), dict[str, Image.Image](), list[Prompt]()
    while len(prompts) < count:
        scenes = [random_scene(rng) for _ in range(rng.choice([1, 1, 1, 1, 2, 3]))]
        question = ask(rng, rng.choice(["colour", "shape", "where", "describe", "read", "count"]), scenes[-1:])
        if question is None:
            continue
        segments: list[Words | Placed] = []
        for scene in scenes if rng.random() < 0.9 else []:
            name = f"p{len(pictures)}"
            pictures[name] = scene.image()
            segments += [Words(f"Image {name}:\n"), Placed(name, name, pictures[name].size), Words("\n")]
        prompts.append(Prompt((Message("user", (*segments, Words(question.text(f"p{len(pictures) - 1}")))),)))
    return prompts, pictures


def alone(backend: LlavaBackend, prompt: Prompt, pixels: Pixels, **settings: Any) -> Done:
    stream = backend.generate(prompt, Settings.of(**settings), pixels=pixels)
    return next(item for item in stream if isinstance(item, Done))


def comparable(done: Done) -> Done:
    """Without what differs by design or by a rounding error: reuse, and the last digits of probabilities."""
    usage = replace(done.usage, reused=0, new=done.usage.prompt)
    return replace(done, usage=usage, logprobs=tuple(round(each, 3) + 0.0 for each in done.logprobs))


# --- together


def test_prompts_of_unequal_length_get_the_same_answers_together_as_alone(pocket: LlavaBackend) -> None:
    prompts, pictures = mixed(30)
    together: list[Done] = []
    for start in range(0, 30, 10):
        together += pocket.generate_many(prompts[start : start + 10], Settings(), pixels=pictures.__getitem__)
    apart = [alone(pocket, prompt, pictures.__getitem__) for prompt in prompts]
    assert list(map(comparable, together)) == list(map(comparable, apart))
    assert len({done.usage.prompt for done in together}) > 10
    assert len({done.text for done in together}) > 10


def test_a_row_that_is_cut_short_ends_as_it_does_alone(pocket: LlavaBackend) -> None:
    prompts, pictures = mixed(8)
    together = pocket.generate_many(prompts, Settings(max_new_tokens=3), pixels=pictures.__getitem__)
    apart = [alone(pocket, prompt, pictures.__getitem__, max_new_tokens=3) for prompt in prompts]
    assert list(map(comparable, together)) == list(map(comparable, apart))
    assert {done.finish for done in together} == {"stop", "length"}


def test_a_stop_word_ends_its_row_alone(pocket: LlavaBackend) -> None:
    prompts, pictures = mixed(8)
    together = pocket.generate_many(prompts, Settings(stop=(" at",)), pixels=pictures.__getitem__)
    apart = [alone(pocket, prompt, pictures.__getitem__, stop=" at") for prompt in prompts]
    assert [(done.text, done.finish, done.ids) for done in together] == [(d.text, d.finish, d.ids) for d in apart]
    assert 0 < sum(done.ids is None for done in together) < 8  # some have the word, and no ids then


def test_nothing_together_is_no_answer(pocket: LlavaBackend) -> None:
    assert pocket.generate_many([], Settings(), pixels=dict[str, Image.Image]().__getitem__) == []


def test_a_batch_that_is_cancelled_ends_at_once(pocket: LlavaBackend) -> None:
    prompts, pictures = mixed(3)
    cancel = threading.Event()

    def pixels(key: str) -> Image.Image:
        cancel.set()
        return pictures[key]

    assert pocket.generate_many(prompts, Settings(), pixels=pictures.__getitem__, cancel=None)
    pocket.forget(pictures)
    done = pocket.generate_many(prompts, Settings(), pixels=pixels, cancel=cancel)
    assert [(each.finish, each.usage.output <= 1) for each in done if each.text] == [("cancelled", True)] * 3


def test_beams_are_not_for_batches(pocket: LlavaBackend) -> None:
    with pytest.raises(InvalidInput, match=r"^num_beams 2 can't be used in a batch; give 1$"):
        pocket.generate_many(mixed(1)[0], Settings(num_beams=2), pixels=dict[str, Image.Image]().__getitem__)


def test_where_memory_runs_out_the_batch_is_halved_until_it_fits(pocket: LlavaBackend) -> None:
    prompts, pictures = mixed(6)
    prompts = [prompt for prompt in prompts if prompt.pictures]
    expected = [done.text for done in pocket.generate_many(prompts, Settings(), pixels=pictures.__getitem__)]
    pocket.forget(pictures)
    failures = iter([MemoryError(), MemoryError()])

    def pixels(key: str) -> Image.Image:
        for error in failures:
            raise error
        return pictures[key]

    assert [done.text for done in pocket.generate_many(prompts, Settings(), pixels=pixels)] == expected


def test_a_row_that_never_fits_is_told_in_one_line(pocket: LlavaBackend) -> None:
    def pixels(key: str) -> Image.Image:
        raise MemoryError

    with pytest.raises(ModelError, match=r"^the model ran out of memory; ask about fewer pictures"):
        prompts = [Prompt((Message("user", (Placed("x", "x", (96, 96)), Words("What?"))),))]
        pocket.generate_many(prompts, Settings(), pixels=pixels)


# --- a folder


def test_a_folder_is_answered_as_a_conversation_would(pocket: LlavaBackend, tmp_path: Path) -> None:
    folder = draw(tmp_path / "pics", 12)
    (folder / "below").mkdir()
    shutil.move(folder / "s011.png", folder / "below" / "s011.png")
    (folder / ".hidden.png").write_bytes(b"no picture")
    counted: list[tuple[int, int]] = []
    out = tmp_path / "out.db"
    summary = ask_all(
        pocket, folder, QUESTION, out=out, batch=5, on_progress=lambda done, total: counted.append((done, total))
    )
    assert (summary.total, summary.done, summary.skipped, summary.failed, summary.asked) == (12, 12, 0, 0, 12)
    assert summary.is_whole and summary.prompt_tokens > 1000 and summary.seconds > 0
    assert counted == [(0, 12), (5, 12), (10, 12), (12, 12)]
    rows = {row["id"]: row for row in rows_of(out)}
    assert sorted(rows) == ["below/s011.png", *(f"s{number:03}.png" for number in range(11))]
    with Agent(pocket, memory=":memory:") as agent:
        for name in ("below/s011.png", "s003.png", "s007.png"):
            answer = agent.chat(Path(name).stem).ask([Shown(str(folder / name)), QUESTION], tools=(), look_again=False)
            row = rows[name]
            assert (row["answer"], row["finish"], row["model"]) == (answer.text, answer.finish, "pocket")
            assert (row["prompt_tokens"], row["output_tokens"]) == (answer.usage.prompt, answer.usage.output)
            assert row["confidence"] == pytest.approx(answer.confidence, abs=2e-4)
            assert f"sha256:{row['sha256']}" == Picture.load(folder / name).key
            assert (row["image"], row["question"], row["error"]) == (str(folder / name), QUESTION, None)


def test_equal_pictures_are_asked_about_once_and_get_the_same_answer(tmp_path: Path) -> None:
    folder, backend = dots(tmp_path / "pics", 3), scripted()
    for copy in ("a", "z"):
        shutil.copy(folder / "d001.png", folder / f"{copy}.png")
    shutil.copytree(folder, tmp_path / "again")
    out = tmp_path / "out.db"
    first = ask_all(backend, folder, QUESTION, out=out)
    assert (first.done, first.asked, len(backend.prompts)) == (5, 3, 3)
    shutil.copy(folder / "d002.png", folder / "later.png")
    second = ask_all(backend, folder, QUESTION, out=out)
    assert (second.done, second.skipped, second.asked, len(backend.prompts)) == (1, 5, 0, 3)
    found = answers(out)
    assert found["a.png"] == found["d001.png"] == found["z.png"]
    assert found["later.png"] == found["d002.png"] != found["a.png"]


def test_a_broken_file_is_told_in_its_row_and_asked_again_when_wanted(tmp_path: Path) -> None:
    folder, out = dots(tmp_path / "pics", 6), tmp_path / "out.jsonl"
    whole = (folder / "d004.png").read_bytes()
    (folder / "d004.png").write_bytes(whole[:40])
    (folder / "empty.jpg").write_bytes(b"")
    first = ask_all(scripted(), folder, QUESTION, out=out)
    assert (first.done, first.failed, first.asked) == (7, 2, 5)
    with pytest.raises(InvalidInput) as rejected:
        Picture.load(folder / "d004.png")
    rows = {row["id"]: row for row in rows_of(out)}
    assert rows["d004.png"]["error"] == str(rejected.value) and rows["d004.png"]["answer"] is None
    assert "is empty (0 bytes)" in rows["empty.jpg"]["error"]
    (folder / "d004.png").write_bytes(whole)
    again = ask_all(scripted(), folder, QUESTION, out=out)
    assert (again.done, again.skipped, again.failed) == (0, 7, 2)
    retried = ask_all(scripted(), folder, QUESTION, out=out, retry_errors=True)
    assert (retried.done, retried.skipped, retried.failed) == (2, 5, 1)
    assert sorted(row["id"] for row in rows_of(out)) == sorted(rows)
    assert answers(out)["d004.png"].startswith("it is ")


# --- rows


def test_lines_have_questions_and_ids_of_their_own_and_what_is_wrong_is_a_row_too(tmp_path: Path) -> None:
    dots(tmp_path / "pics", 2)
    lines = [
        '{"image": "pics/d000.png", "question": "What colour?", "id": "one", "more": [1]}',
        '{"image": "pics/d001.png"}',
        "",
        '{"question": "Where is it?"}',
        "no json",
        '{"image": "pics/gone.png", "id": 77}',
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    out = tmp_path / "out.db"
    summary = ask_all(scripted(), tmp_path / "rows.jsonl", QUESTION, out=out)
    found = {row["id"]: (row["question"], row["error"]) for row in rows_of(out)}
    reason = "Expecting value: line 1 column 1 (char 0)"
    example = 'write {"image": "a.png", "question": "What is it?"}'
    assert found == {
        "one": ("What colour?", None),
        "2": (QUESTION, None),
        "4": (QUESTION, f"line 4 of 'rows.jsonl' can't be read (image: Field required); {example}"),
        "5": (QUESTION, f"line 5 of 'rows.jsonl' can't be read (this is no JSON: {reason}); {example}"),
        "77": (QUESTION, f"{str(tmp_path / 'pics' / 'gone.png')!r} does not exist; check the path"),
    }
    assert (summary.total, summary.failed) == (5, 3)
    assert [row.problem for row in read_rows(tmp_path / "rows.jsonl")][:2] == [
        None,
        "there is no question; give one, or a key 'question' in line 2 of 'rows.jsonl'",
    ]


def test_parquet_brings_pictures_as_paths_bytes_or_both_and_takes_results(tmp_path: Path) -> None:
    pyarrow: Any = pytest.importorskip("pyarrow")
    parquet: Any = pytest.importorskip("pyarrow.parquet")
    folder = dots(tmp_path / "pics", 4)
    data = [(folder / f"d00{number}.png").read_bytes() for number in range(4)]
    both = [(data[0], "first.png"), (None, "pics/d001.png"), (None, None)]
    tables: dict[str, dict[str, list[Any]]] = {
        "both": {"image": [{"bytes": data, "path": path} for data, path in both], "id": ["a", "b", "c"]},
        "bytes": {"image": data[2:], "id": [7, 8], "question": ["Why?", None]},
        "paths": {"image": ["pics/d001.png"], "id": ["path"]},
    }
    for name, columns in tables.items():
        parquet.write_table(pyarrow.table(columns), tmp_path / f"{name}.parquet", row_group_size=2)
    sources = [tmp_path / f"{name}.parquet" for name in tables]
    out, backend = tmp_path / "out.parquet", scripted()
    summary = ask_all(backend, sources, QUESTION, out=out)
    assert (summary.total, summary.done, summary.failed, summary.asked) == (6, 6, 1, 4)
    found = {row["id"]: (row["image"], row["question"], row["answer"]) for row in rows_of(out)}
    assert found["a"][:2] == ("first.png", QUESTION) and found["7"][:2] == ("bytes.parquet:1", "Why?")
    assert found["b"][2] == found["path"][2] and found["c"][2] is None
    assert not list(tmp_path.glob("out.parquet.*"))
    again = ask_all(backend, [*sources, folder], QUESTION, out=out)
    assert (again.skipped, again.done, again.asked) == (6, 4, 1)  # d002 was asked something else
    assert len(rows_of(out)) == 10
    with pytest.raises(InvalidInput, match="were made with max_new_tokens 512, not 5; name another file with --out"):
        ask_all(backend, sources, QUESTION, out=out, max_new_tokens=5)


# --- going on


CHILD = """
import sys
from looktwice import ScriptedBackend
from looktwice.agent.batch import ask_all
told = lambda prompt: "it is " + prompt.pictures[0].key[7:15]
model = "pocket" if sys.argv[3] == "pocket" else ScriptedBackend([told] * 10_000, pace=0.002)
tell = lambda done, total: print(done, flush=True)
ask_all(model, sys.argv[1], "What is there?", out=sys.argv[2], batch=4, on_progress=tell)
"""


def killed(folder: Path, out: Path, model: str, chance: random.Random) -> None:
    """A process that is killed a moment after it kept something, or is at its end."""
    arguments = [str(folder), str(out), model]
    child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.readline()
    time.sleep(chance.uniform(0, 1.0 if model == "pocket" else 0.1))
    child.send_signal(signal.SIGKILL)
    child.stdout.close()
    assert child.wait() in (-signal.SIGKILL, 0)


@pytest.mark.parametrize(("kind", "model"), [("db", "pocket"), ("jsonl", "scripted"), ("parquet", "scripted")])
def test_a_killed_run_goes_on_without_a_loss_or_a_double(
    kind: str, model: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    folder = draw(tmp_path / "pics", PICTURES) if model == "pocket" else dots(tmp_path / "pics", PICTURES)
    out, chance = tmp_path / f"out.{kind}", random.Random(3)
    kept: dict[str, dict[str, Any]] = {}
    counts: list[int] = []
    for _ in range(KILLS):
        killed(folder, out, model, chance)
        part = tmp_path / "out.parquet.part.db"
        now = {row["id"]: row for row in rows_of(part if part.exists() else out)}
        assert (now.items() >= kept.items() and len(now) > len(kept)) or len(now) == PICTURES
        kept = now
        counts.append(len(now))
    backend = request.getfixturevalue("pocket") if model == "pocket" else scripted(10_000)
    summary = ask_all(backend, folder, QUESTION, out=out, batch=4)
    print(f"{kind}, {model}: {len(counts)} kills over {PICTURES} pictures, rows after each: {counts}, then {summary}")
    rows = rows_of(out)
    assert sorted(row["id"] for row in rows) == sorted(file.name for file in folder.iterdir())
    assert (summary.skipped, summary.done, summary.failed) == (len(kept), PICTURES - len(kept), 0)
    assert {row["id"]: row for row in rows}.items() >= kept.items()
    if model == "scripted":
        assert all(row["answer"] == f"it is {row['sha256'][:8]}" for row in rows)


def test_a_run_that_is_cancelled_keeps_what_it_has_and_goes_on(pocket: LlavaBackend, tmp_path: Path) -> None:
    folder, out, cancel = draw(tmp_path / "pics", 8), tmp_path / "out.db", threading.Event()

    def stop(done: int, total: int) -> None:
        if done:
            cancel.set()

    first = ask_all(pocket, folder, QUESTION, out=out, batch=3, cancel=cancel, on_progress=stop)
    assert (first.is_whole, first.done, len(rows_of(out))) == (False, 3, 3)
    second = ask_all(pocket, folder, QUESTION, out=out, batch=3)
    assert (second.is_whole, second.skipped, second.done) == (True, 3, 5)
    assert answers(out).keys() == {file.name for file in folder.iterdir()}


@pytest.mark.parametrize("tail", [b'{"id": "d005.png", "ima', b'{"id": "d005.png"}'])
def test_a_line_that_was_cut_off_is_dropped_and_its_row_asked_anew(tmp_path: Path, tail: bytes) -> None:
    folder, out = dots(tmp_path / "pics", 6), tmp_path / "out.jsonl"
    ask_all(scripted(), folder, QUESTION, out=out, limit=5)
    with out.open("ab") as file:
        file.write(tail)
    summary = ask_all(scripted(), folder, QUESTION, out=out)
    assert (summary.skipped, summary.done) == (5, 1)
    lines = out.read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"d00{number}.png" for number in range(6)]


@pytest.mark.parametrize("kind", ["db", "jsonl"])
def test_results_of_another_model_setting_or_question_are_left_alone(
    kind: str, pocket: LlavaBackend, tmp_path: Path
) -> None:
    folder, out = dots(tmp_path / "pics", 2), tmp_path / f"out.{kind}"
    ask_all(scripted(), folder, QUESTION, out=out, stop="end")
    before, end = rows_of(out), "; name another file with --out"
    wrong: Sequence[tuple[Any, str, dict[str, Any], str]] = (
        (pocket, QUESTION, {"stop": "end"}, "model 'scripted', not 'pocket'"),
        (scripted(), QUESTION, {}, "stop ['end'], not []"),
        (scripted(), "Why?", {"stop": "end"}, f"question {QUESTION!r} for 'd000.png', not 'Why?'"),
    )
    for model, question, settings, difference in wrong:
        with pytest.raises(InvalidInput) as refused:
            ask_all(model, folder, question, out=out, **settings)
        assert str(refused.value) == f"the results in {str(out)!r} were made with {difference}{end}"
    assert rows_of(out) == before


def test_a_file_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    folder = dots(tmp_path / "pics", 1)
    (tmp_path / "notes.jsonl").write_text('{"a": 1}\n')
    with sqlite3.connect(tmp_path / "notes.db") as connection:
        connection.execute("CREATE TABLE notes (words)")
    connection.close()
    for name in ("notes.jsonl", "notes.db"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(StoreError, match="holds no results of looktwice batch"):
            ask_all(scripted(), folder, QUESTION, out=tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


# --- a model that fails


class Choosy(ScriptedBackend):
    """Answers together, but for one picture, which brings down the batch that it is in."""

    def __init__(self, bad: str) -> None:
        super().__init__([told] * 100)
        self.bad = bad
        self.sizes: list[int] = []

    def generate_many(
        self, prompts: Sequence[Prompt], settings: Settings, *, pixels: Pixels, cancel: threading.Event | None = None
    ) -> list[Done]:
        self.sizes.append(len(prompts))
        if any(self.bad in prompt.pictures[0].name for prompt in prompts):
            raise ModelError("this one is too much")
        streams = [self.generate(prompt, settings, pixels=pixels) for prompt in prompts]
        return [item for stream in streams for item in stream if isinstance(item, Done)]


def test_a_row_that_brings_its_batch_down_is_found_and_the_others_are_answered(tmp_path: Path) -> None:
    folder, out, backend = dots(tmp_path / "pics", 8), tmp_path / "out.db", Choosy("d005")
    summary = ask_all(backend, folder, QUESTION, out=out, batch=8)
    assert (summary.done, summary.failed, summary.errors) == (8, 1, (("d005.png", "this one is too much"),))
    assert backend.sizes == [8, 4, 4, 2, 1, 1, 2]
    assert [row["id"] for row in rows_of(out) if row["answer"] is None] == ["d005.png"]


def test_a_model_that_fails_from_the_start_ends_the_run(tmp_path: Path) -> None:
    folder, out = dots(tmp_path / "pics", 8), tmp_path / "out.db"
    with pytest.raises(ModelError, match=r"^the first 3 questions failed; the last one: this one is too much$"):
        ask_all(Choosy("d"), folder, QUESTION, out=out, batch=4)
    assert rows_of(out) == []


def test_a_question_that_does_not_fit_is_told_in_its_row(tmp_path: Path) -> None:
    dots(tmp_path, 2)
    lines = [{"image": "d000.png"}, {"image": "d001.png", "question": "what? " * 200}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    backend = ScriptedBackend([told], context=300)
    summary = ask_all(backend, tmp_path / "rows.jsonl", QUESTION, out=tmp_path / "out.db")
    assert (summary.done, summary.asked, summary.failed) == (2, 1, 1)
    ((row, error),) = summary.errors
    assert row == "2" and error.startswith("the prompt has 3") and "the model takes 300 with 128" in error


# --- the command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return draw(tmp_path / "pics", 3).parent


def test_the_command_counts_what_it_did_and_says_what_failed(here: Path) -> None:
    first = run(f'looktwice batch "{QUESTION}" pics --out out.db --batch 2 --device cpu')
    assert first.status == 0 and first.stdout.startswith("out.db: 3 rows, 3 done now (3 computed) in ")
    assert "of 3 answers" in first.stderr
    (here / "pics" / "torn.png").write_bytes((here / "pics" / "s000.png").read_bytes()[:99])
    second = run(f'looktwice batch "{QUESTION}" pics --out out.db --device cpu --json')
    assert second.status == 1
    summary = json.loads(second.stdout)
    assert (summary["done"], summary["skipped"], summary["failed"], summary["is_whole"]) == (1, 3, 1, True)
    assert summary["errors"][0]["id"] == "torn.png"
    told, error = second.stderr.splitlines()[-2:]
    assert told.startswith("status: no answer for torn.png: 'pics/torn.png' is damaged")
    assert error == (
        "error: 1 of 4 rows have no answer; the column 'error' of 'out.db' says why, and --retry-errors asks them again"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("What? nowhere --out out.db", 1, "no folder or file 'nowhere'; check the path"),
        ("What? gone.png --out out.db", 1, "no picture 'gone.png'; check the path"),
        ("What? bare --out out.db", 1, "the folder 'bare' holds no pictures; looked for avif, bmp, gif, heic, heif, "),
        ("What? notes.txt --out out.db", 1, "can't ask about 'notes.txt'; give a folder, pictures, or a .jsonl or "),
        ("What? empty.jsonl --out out.db", 1, "'empty.jsonl' holds no rows; write lines such as {"),
        ("'' pics --out out.db", 1, "the question is empty; ask something, for example 'What is in the picture?'"),
        (
            "What? pics --out out.csv",
            1,
            "results can't be written to 'out.csv'; give a file that ends in .db, ",
        ),
        ("What? pics --out pics", 1, "results can't be written to 'pics'; give a file that ends in .db, "),
        ("What? pics --out no/out.db", 1, "no folder 'no' for the results; make it, or choose another file"),
        ("What? pics pics --out out.db", 1, "the id 's000.png' comes twice ('pics/s000.png', 'pics/s000.png'); ask "),
        ("What? pics --out out.db --model none/such", 1, "the model 'none/such' is not on this machine"),
        ("What? pics --out out.db --batch 0", 2, "Invalid value for '--batch': 0 is not in the range x>=1; see: "),
        ("What? pics --out out.db --limit 0", 2, "Invalid value for '--limit': 0 is not in the range x>=1; see: "),
        ("What? pics", 2, "Missing option '--out'; see: looktwice batch --help"),
        ("What? --out out.db", 2, "Missing argument 'SOURCE...'; see: looktwice batch --help"),
    ],
)
def test_what_can_not_be_done_is_told_in_one_line(here: Path, arguments: str, status: int, message: str) -> None:
    (here / "bare").mkdir()
    (here / "notes.txt").write_text("no picture")
    (here / "empty.jsonl").write_text("\n")
    ran = run(f"looktwice batch {arguments}")
    assert (ran.status, ran.stdout) == (status, "")
    assert ran.stderr.startswith(f"error: {message}") and ran.stderr.count("\n") == 1
    assert not list(here.glob("out.*"))


@pytest.mark.parametrize("given", [{"batch": 0}, {"limit": 0}, {"temperature": -1}, {"colour": "red"}])
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(given))):
        ask_all(scripted(), dots(tmp_path / "pics", 1), QUESTION, out=tmp_path / "out.db", **given)
    assert not (tmp_path / "out.db").exists()
