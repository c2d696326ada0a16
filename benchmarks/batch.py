"""What asking over many pictures costs above the bare engine.

    python benchmarks/batch.py [--pictures 200] [--rounds 3] [--model pocket]

The same drawn pictures, the same prompts and the same batch sizes, greedy, two ways that take turns in one run on the
same weights: ``ask_all``, which reads files, hashes them, decodes them ahead, sorts by length and keeps every answer
in SQLite; and a plain loop around transformers' own processor and ``generate``, which keeps nothing. Ratios are
medians over rounds of neighbouring runs, so that a busy machine is busy for both.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from report import Report, add_json

from looktwice.agent.backends.checkpoint import open_checkpoint
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.weights import load
from looktwice.agent.batch import Row, ask_all, read_rows
from looktwice.agent.batch.asked import prompt_of
from looktwice.world import random_scene

SIZES = (1, 8, 16)
QUESTION = "What is in the picture?"


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and of all processor cores together, which a busy machine changes less."""

    wall: float
    cpu: float


@contextmanager
def timed(into: list[Cost]) -> Generator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    into.append(Cost(time.perf_counter() - wall, time.process_time() - cpu))


@dataclass
class Measured:
    """One batch size: what each round cost both ways, and how many answers of the last one are equal."""

    ours: list[Cost] = field(default_factory=list["Cost"])
    bare: list[Cost] = field(default_factory=list["Cost"])
    equal: int = 0


@dataclass
class Bare:
    """The engine alone: transformers' processor and ``generate`` in a plain loop, with nothing around them."""

    backend: LlavaBackend
    model: Any
    rows: list[Row]
    texts: list[str]
    new_tokens: int

    def run(self, size: int) -> dict[str, str]:
        """All answers by their rows' ids."""
        found: dict[str, str] = {}
        for start in range(0, len(self.rows), size):
            some = self.rows[start : start + size]
            for row, said in zip(some, self.said(some, self.texts[start : start + size]), strict=True):
                found[row.id] = said.strip()
        return found

    def said(self, rows: list[Row], texts: list[str]) -> list[str]:
        """The answers of one batch."""
        processor: Any = self.backend.checkpoint.processor
        images = [Image.open(row.image).convert("RGB") for row in rows]
        inputs = processor(images=images, text=texts, padding=True, padding_side="left", return_tensors="pt")
        inputs = inputs.to(self.backend.device, self.backend.dtype)
        stops = list(self.backend.checkpoint.stops)
        with torch.inference_mode():
            ids = self.model.generate(
                **inputs, max_new_tokens=self.new_tokens, do_sample=False, eos_token_id=stops, pad_token_id=stops[0]
            )
        return processor.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def texts(backend: LlavaBackend, rows: list[Row]) -> list[str]:
    """Our prompts as the processor takes them, checked to give the same ids."""
    encoder, found = backend.checkpoint.encoder, list[str]()
    for row in rows:
        with Image.open(row.image) as image:
            encoded = encoder.encode(prompt_of(row, row.id, image.size, backend))
            folded = [i for i, run in groupby(encoded.ids) for _ in ([0] if i == encoder.image_token_id else run)]
            text = encoder.decode(folded)
            ids = backend.checkpoint.processor(images=[image.convert("RGB")], text=[text])["input_ids"][0]
        if list(ids) != encoded.ids:
            raise SystemExit(f"the processor gives other ids for {row.id}")
        found.append(text)
    return found


def draw(folder: Path, count: int) -> Path:
    folder.mkdir()
    rng = random.Random(11)
    for number in range(count):
        random_scene(rng).image().save(folder / f"s{number:04}.png")
    return folder


def answers(out: Path) -> dict[str, str]:
    with closing(sqlite3.connect(out)) as connection:
        return dict(connection.execute("SELECT id, answer FROM answers"))


def measure(bare: Bare, pictures: Path, rounds: int) -> dict[int, Measured]:
    """Both ways take turns, size by size; who comes first changes with each round."""
    measured = {size: Measured() for size in SIZES}
    for turn in range(rounds):
        for size, into in measured.items():
            out = pictures.parent / f"out-{size}-{turn}.db"
            plain: dict[str, str] = {}
            for way in ("ours", "bare") if turn % 2 else ("bare", "ours"):
                if way == "ours":
                    with timed(into.ours):
                        ask_all(bare.backend, pictures, QUESTION, out=out, batch=size, max_new_tokens=bare.new_tokens)
                else:
                    with timed(into.bare):
                        plain = bare.run(size)
            into.equal = sum(plain[name] == said for name, said in answers(out).items())
    return measured


def rows_of(measured: dict[int, Measured], count: int) -> Iterator[tuple[object, ...]]:
    """Pictures a second and ratios (over 1: ours is faster), medians over rounds, by batch size."""
    for size, way in measured.items():
        bare, own = (count / statistics.median(cost.wall for cost in costs) for costs in (way.bare, way.ours))
        pairs = list(zip(way.bare, way.ours, strict=True))
        wall = statistics.median(plain.wall / ours.wall for plain, ours in pairs)
        cpu = statistics.median(plain.cpu / ours.cpu for plain, ours in pairs)
        yield size, bare, own, wall, cpu, way.equal


def main() -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--device", help="else the best there is")
    parser.add_argument("--new-tokens", type=int, default=32)
    add_json(parser)
    chosen = parser.parse_args()
    backend = LlavaBackend(
        open_checkpoint(chosen.model), device=chosen.device, feature_bytes=0
    )  # no run helps the next
    about = (
        f"{chosen.pictures} drawn pictures, {chosen.rounds} rounds, answers of at most {chosen.new_tokens} tokens; on"
        f" {backend.device}, {torch.get_num_threads()} threads"
    )
    with tempfile.TemporaryDirectory() as folder, Report(chosen, about, "torch", "transformers", "pillow") as report:
        pictures = draw(Path(folder) / "pictures", chosen.pictures)
        model = load(backend.checkpoint, device=backend.device, dtype=backend.dtype, quantization=None)
        rows = read_rows(pictures, QUESTION)
        bare = Bare(backend, model, rows, texts(backend, rows), chosen.new_tokens)
        ask_all(backend, pictures, QUESTION, out=Path(folder) / "warm.db", limit=16, max_new_tokens=2)
        bare.said(rows[:8], bare.texts[:8])
        rates = {"bare engine, pictures a second": "{:.2f}", "ask_all": "{:.2f}"}
        ratios = {"ask_all / bare": "{:.1%}", "in CPU time": "{:.1%}"}
        report.table({"batch": "{}"} | rates | ratios | {"equal answers": f"{{}} of {len(rows)}"})
        for row in rows_of(measure(bare, pictures, chosen.rounds), len(rows)):
            report.row(*row)


if __name__ == "__main__":
    main()
