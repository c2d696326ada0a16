"""What a cache folder saves: the first token of a question at about 12,000 tokens of context.

    python benchmarks/restore.py [--pictures 6] [--size 640x480] [--repeat 3]

The same question about the same conversation, each time in a process of its own, with its weights loaded and warm:
computed from nothing; restored from the folder that an earlier process left; and asked in that earlier process, from
memory. "Cold" files have been dropped from the system's own cache first. The model is that of reuse.py: public picture
geometry, random weights, small enough for a CPU. Ratios depend on it; a larger model computes longer for each byte.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from report import Report, add_json
from reuse import checkpoint, picture

from looktwice.agent.backends import Done, Settings, Token, open_backend
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.reuse.folder import CacheFolder
from looktwice.agent.prompt import Message, Prompt, Shown, Words, Written

WAYS = ("recomputed", "restored", "restored, cold", "from memory")
NEW_TOKENS = 8


class Album:
    """Pictures by key, drawn when they are asked for."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def __call__(self, key: str) -> Image.Image:
        """The picture with that key."""
        return picture(int(key.removeprefix("picture ")), self.size)


def conversation(pictures: int, size: tuple[int, int]) -> list[Message]:
    """A question and an answer about each picture."""
    messages: list[Message] = []
    for number in range(pictures):
        key = f"picture {number}"
        shown = (Words(f"Image {key}:\n"), Shown(key, key, size), Words(f"\nWhat is in picture {number}?"))
        messages.append(Message("user", shown))
        messages.append(Message("assistant", (Written((Words("a red circle"),)),)))
    return messages


def first_token(backend: LlavaBackend, prompt: Prompt, pixels: Any) -> tuple[float, Done]:
    """Seconds to the first token, and the end."""
    began, first = time.perf_counter(), 0.0
    for item in backend.generate(prompt, Settings(max_new_tokens=NEW_TOKENS), pixels=pixels):
        if isinstance(item, Token):
            first = first or time.perf_counter() - began
        else:
            return first, item
    raise RuntimeError("no answer")


def ask(model: str, cache: str | None, way: str, pictures: int, size: tuple[int, int]) -> dict[str, Any]:
    """One process's part: seconds, tokens, and for a restored prefix how far its logits are from a computation anew."""
    backend, pixels = open_backend(model, device="cpu", cache=cache), Album(size)
    messages = conversation(pictures, size)
    first_token(backend, Prompt((Message("user", (Words("Warm?"),)),)), pixels)
    if way == "from memory":
        first_token(backend, Prompt(tuple(messages[:-1])), pixels)
        backend.kept.finish()  # what is written in the background is not measured
    prompt = Prompt((*messages, Message("user", (Words("And which of them is the largest?"),))))
    seconds, done = first_token(backend, prompt, pixels)
    told = {"seconds": seconds, "prompt": done.usage.prompt, "new": done.usage.new, "ids": done.ids, "difference": 0.0}
    if way == "restored":
        told["difference"] = backend.check_reuse(prompt, pixels).difference
    backend.kept.finish()
    return told


def in_process(model: str, cache: str | None, way: str, given: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--pictures", str(given.pictures), "--size", given.size]
    command += ["--way", way, "--model", model, *(["--cache", cache] if cache else [])]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def drop(folder: Path) -> None:
    """Write the files out and drop them from the system's cache."""
    for file in folder.rglob("*.safetensors"):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(model: str, given: argparse.Namespace, cache: Path) -> dict[str, list[dict[str, Any]]]:
    """Every way, in turns, so that a busy machine is busy for all."""
    told: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for number in range(given.repeat):
        for way in sorted(WAYS, key=lambda way: way != "from memory"):  # the one that fills a folder comes first
            folder = cache / str(number)
            if way == "restored, cold":
                drop(folder)
            told[way].append(in_process(model, None if way == "recomputed" else str(folder), way, given))
            print(f"{way}: {told[way][-1]['seconds']:.3f} s", file=sys.stderr, flush=True)
    return told


def main() -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=6)
    parser.add_argument("--size", default="640x480", help="of each picture, in pixels")
    parser.add_argument("--repeat", type=int, default=3)
    add_json(parser)
    for hidden in ("--way", "--model", "--cache"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    if given.way:
        print(json.dumps(ask(given.model, given.cache, given.way, given.pictures, (width, height))))
        return
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        checkpoint(model)
        told = measure(str(model), given, Path(folder) / "cache")
        parts = CacheFolder(Path(folder) / "cache" / "0").parts()
    equal = len({tuple(run["ids"]) for runs in told.values() for run in runs}) == 1
    about = f"{given.pictures} pictures of {given.size}, {torch.get_num_threads()} threads"
    with Report(given, about, "torch", "transformers") as report:
        tokens = {"prompt tokens": "{:,}", "computed": "{:,}"}
        report.table({"": "{}"} | tokens | {"s to first token": "{:.3f}", "faster": "{:.1f} times"})
        base = statistics.median(each["seconds"] for each in told["recomputed"])
        for way, runs in told.items():
            seconds = statistics.median(each["seconds"] for each in runs)
            report.row(way, runs[0]["prompt"], runs[0]["new"], seconds, base / seconds)
        report.fact("greedy tokens of all ways equal", equal)
        apart = max(run["difference"] for run in told["restored"])
        report.fact("largest difference of the next token's logits, restored and computed anew", apart, "{:.1e}")
        report.fact("bytes on disk", sum(part.bytes for part in parts), "{:,}")
        report.fact("files", sum(part.files for part in parts))
    if not equal:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
