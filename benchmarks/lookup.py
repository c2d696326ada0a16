"""Whether guessing tokens from the prompt pays: passes and seconds of answers that repeat what was read, and of others.

    python benchmarks/lookup.py [--layers 12] [--repeat 3] [--threads 2] [--json FILE]

A page of English is in the prompt, as a tool that reads has brought it. Three answers are told to a LLaVA-NeXT with
random weights, token by token, through its own scores: the page itself, a sentence that quotes two of its lines, and a
text about something else. So the model computes as ever, and what it says is known. Each is written with
``decoding="eager"`` and "lookup" in turns, on the same prompt, of which the prefix is kept; the ids must be equal. The
text is from Python's own documentation; the tokenizer (8000 tokens) is trained on it, without the texts used here.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import inspect
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from gpu import Drawn, Shape, checkpoint
from report import Report, add_json

from looktwice.agent.backends import Done, Settings
from looktwice.agent.backends.checkpoint import Checkpoint, open_checkpoint
from looktwice.agent.prompt import Message, Prompt, Words

READ, OTHER = "textwrap", "sched"  # modules whose documentation is the page, and the text about something else
VOCABULARY = 8000
WAYS = ("eager", "lookup")


class Told(Drawn):
    """A backend whose model says what it is told: ``ids``, after a prompt of ``begin`` tokens."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.begin, self.ids, self.passes = 0, list[int](), 0

    def _loaded(self) -> Any:
        is_new = self._model is None
        model = super()._loaded()
        if is_new:
            computed = model.forward

            @functools.wraps(computed)
            def forward(*given: Any, **more: Any) -> Any:
                self.passes += 1
                out = computed(*given, **more)
                count = out.logits.shape[1]
                first = out.past_key_values.get_seq_length() - count + 1 - self.begin
                for place in range(count):
                    wanted = self.ids[max(0, first + place) :][:1] or [self.checkpoint.stops[0]]
                    out.logits[:, place, wanted[0]] = 1e4
                return out

            model.forward = forward
        return model


def english(without: frozenset[str]) -> Iterator[str]:
    """What the standard library says of itself."""
    for name in sorted(sys.stdlib_module_names - without):
        if name.startswith("_") or name in ("antigravity", "this", "idlelib"):
            continue
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        yield inspect.getdoc(module) or ""
        yield from (inspect.getdoc(each) or "" for each in vars(module).values() if callable(each))


def made(folder: Path, shape: Shape) -> Checkpoint:
    """The shape with a tokenizer for English."""
    checkpoint(folder, shape)
    library: Any = transformers
    processor, config = library.AutoProcessor.from_pretrained(folder), library.AutoConfig.from_pretrained(folder)
    texts = english(frozenset({READ, OTHER}))
    processor.tokenizer = processor.tokenizer.train_new_from_iterator(texts, VOCABULARY)
    processor.save_pretrained(folder)
    config.image_token_index = processor.tokenizer.convert_tokens_to_ids("<image>")
    config.text_config.bos_token_id = processor.tokenizer.bos_token_id
    config.text_config.eos_token_id = processor.tokenizer.eos_token_id
    config.save_pretrained(folder)
    return open_checkpoint(str(folder))


def answers() -> tuple[str, dict[str, str]]:
    """The page, and what is said of it."""
    told = [importlib.import_module(name) for name in (READ, OTHER)]
    page = " ".join((inspect.getdoc(vars(told[0])["wrap"]) or "").split())
    sentences = [f"{sentence}." for sentence in page.split(". ")]
    quoted = f'The page says two things. First: "{sentences[0]}" And further down: "{sentences[2]}" That is all.'
    return page, {
        "the page, read out": page,
        "two sentences quoted": quoted,
        "about something else": " ".join((inspect.getdoc(told[1]) or "").split())[: len(page)],
    }


def written(backend: Told, prompt: Prompt, text: str) -> tuple[tuple[int, ...], float, int]:
    """An answer: its ids, the seconds that it took, and the passes of the model."""
    tokenizer = backend.checkpoint.encoder.tokenizer
    backend.begin = len(backend.checkpoint.encoder.encode(prompt).ids)
    backend.ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    backend.passes, began = 0, time.perf_counter()
    stream = backend.generate(prompt, Settings(max_new_tokens=len(backend.ids) + 8), pixels=lambda key: None)  # type: ignore[arg-type, return-value]
    done = next(item for item in stream if isinstance(item, Done))
    seconds = time.perf_counter() - began
    if done.ids != tuple(backend.ids):
        raise RuntimeError(f"the model said {done.text!r}, not what it was told")
    return tuple(backend.ids), seconds, backend.passes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    add_json(parser)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    shape = Shape(768, 2048, given.layers, 12, 4, VOCABULARY, (32, 64, 2, 2), 112)
    with tempfile.TemporaryDirectory() as folder:
        opened = made(Path(folder), shape)
        backends = {way: Told(opened, device="cpu", decoding=way) for way in WAYS}
    page, said = answers()
    prompt = Prompt((Message("user", (Words(f"This was read in the picture:\n{page}\n\nWhat does it say?"),)),))
    weights = sum(each.numel() for each in backends["eager"]._loaded().parameters())  # pyright: ignore[reportPrivateUsage]
    about = (
        f"{weights / 1e6:.0f} million parameters, float32, {given.threads} threads; a prompt of"
        f" {len(opened.encoder.encode(prompt).ids)} tokens"
    )
    with Report(given, about, "torch", "transformers") as report:
        counts = {"tokens": "{}", "passes, eager": "{}", "passes, lookup": "{}"}
        times = {"s, eager": "{:.2f}", "s, lookup": "{:.2f}", "faster": "{:.2f} times"}
        report.table({"answer": "{}"} | counts | times)
        for name, text in said.items():
            seconds: dict[str, list[float]] = {way: [] for way in WAYS}
            passes, ids = dict[str, int](), tuple[int, ...]()
            for turn in range(given.repeat + 1):  # the first computes the prompt
                for way, backend in backends.items():
                    ids, took, passes[way] = written(backend, prompt, text)
                    seconds[way] += [took] if turn else []
            eager, lookup = (statistics.median(seconds[way]) for way in WAYS)
            report.row(name, len(ids), passes["eager"], passes["lookup"], eager, lookup, eager / lookup)


if __name__ == "__main__":
    main()
