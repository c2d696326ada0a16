"""What a second look is worth: on small print, which a look helps, and on questions that need none.

    python benchmarks/second_look.py                     # 400 questions of each, pocket, zoom; some minutes
    python benchmarks/second_look.py --questions 60      # fewer
    python benchmarks/second_look.py --calibrate         # and when an answer is doubtful, fitted and judged apart

Pictures, words and questions are drawn here with seeds far from those of pocket's training. Each question is asked
without tools, with them (the model and its doubt decide), and with a zoom demanded first. Goals: 30 points more on
small print at no more than three more passes, and no more than one in a hundred of the others made worse.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import tempfile
from pathlib import Path

import torch
import transformers

from looktwice.agent.eval import evaluate
from looktwice.agent.eval.calibrating import calibrate_on
from looktwice.agent.eval.tables import tables
from looktwice.world import HELD_OUT_WORDS, Question, Scene, ask, random_scene

SEED = 500_000
PLAIN_KINDS = ("colour", "shape", "where", "count", "exists", "read")


def small(rng: random.Random) -> tuple[Scene, str, str]:
    """A sign that can only be read closely, and what it says."""
    while True:
        word = rng.choice(HELD_OUT_WORDS) if rng.random() < 0.3 else None
        scene = random_scene(rng, shapes=rng.choice((0, 1, 2)), sign="small", word=word)
        question = ask(rng, "read", [scene]) if scene.signs else None
        if question is not None:
            return scene, question.text("page"), scene.signs[0].text


def plain(rng: random.Random) -> tuple[Scene, str, str]:
    """A question that can be answered at sight."""
    question: Question | None = None
    while True:
        kind = rng.choice(PLAIN_KINDS)
        scene = random_scene(rng, sign="plain" if kind == "read" else None)
        question = ask(rng, kind, [scene]) if scene.things else None
        if question is not None:
            return scene, question.text("page"), question.answer(scene) or ""


def drawn(folder: Path, count: int, seed: int, *, at_sight: bool = False) -> Path:
    """A file of questions: half of them about small print, or the others alone."""
    lines: list[str] = []
    for number in range(0, 2 * count, 2 if at_sight else 1):
        rng = random.Random(seed + number)
        kind, draw = ("small print", small) if number % 2 else ("at sight", plain)
        scene, question, right = draw(rng)
        name = f"{number}.png"
        scene.image().save(folder / name)
        entry = {"images": [{"path": name, "name": "page"}], "question": question, "answers": right, "kind": kind}
        lines.append(json.dumps(entry))
    file = folder / "items.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--questions", type=int, default=400, help="of each kind")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--tiles", action="store_true", help="with --calibrate: try where the model points, too")
    parser.add_argument("--at-sight", action="store_true", help="calibrate without the small print")
    parser.add_argument("--only", choices=("eval", "calibrate"), help="do just one of the two")
    parser.add_argument("--cost", type=float, default=0.05, help="the score that a look must bring to be worth it")
    parser.add_argument("--keep", metavar="FILE", help="write the calibration as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.machine()}, 1 thread, Python {platform.python_version()}, torch {torch.__version__}, ", end="")
    print(f"transformers {transformers.__version__}; model {options.model}; seeds from {SEED}")
    if options.only != "calibrate":
        with tempfile.TemporaryDirectory() as folder:
            found = evaluate(drawn(Path(folder), options.questions, SEED), options.model, tools=["zoom"])
            for table in tables(found):
                show(table.caption, [table.heads, *table.rows])
    if options.calibrate or options.only == "calibrate":
        calibrated(options)


def calibrated(options: argparse.Namespace) -> None:
    """Fit on other questions, and say what that is worth on those that a fit did not see."""
    with tempfile.TemporaryDirectory() as folder:
        data = drawn(Path(folder), options.questions, SEED + 50_000, at_sight=options.at_sight)
        report = calibrate_on(data, options.model, cost=options.cost, tiles=options.tiles)
    heads = ("looks", "score", "looked at", "helped", "hurt", "passes more")
    for caption, policies in (("Doubt", report.policies), ("Always, by the way to a place", report.places)):
        rows = [
            (p.name, f"{p.score:.1%}", f"{p.looks:.1%}", str(p.helped), str(p.hurt), f"{p.passes:.2f}")
            for p in policies
        ]
        if rows:
            show(f"{caption}; {report.questions} questions at which the model did not look by itself", [heads, *rows])
    bins = [(f"{part.doubt:.1%}", f"{part.wrong:.1%}", str(part.count)) for part in report.bins]
    show("Reliability", [("mean doubt", "wrong", "questions"), *bins])
    print(report.calibration.model_dump_json())
    if options.keep:
        Path(options.keep).write_text(report.calibration.model_dump_json(indent=2) + "\n", encoding="utf-8")


def show(caption: str, rows: list[tuple[str, ...]]) -> None:
    print(f"\n{caption}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
