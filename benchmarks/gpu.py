"""How near decoding and prefill come to what a GPU can do, in the shape of llava-v1.6-mistral-7b with random weights.

    python benchmarks/gpu.py [--decoding auto] [--json FILE] [--profile FILE]     where a CUDA device is
    python benchmarks/gpu.py --tiny                                               anywhere: the same script, a toy shape

Decoding is held against the bytes that a token must read: all weights of the language model and the keys and values
of its context, over the device's memory bandwidth (the maker's number where it is known, and one measured by copying).
Then eight pictures in full detail up to the first token, the first token of a question about them, a batch against
transformers' bare ``generate``, and where the time goes, by torch's profiler. Nothing is downloaded; 16 GB of weights
are drawn on the device.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image

from looktwice.agent.backends import Done, Settings, Token
from looktwice.agent.backends.attention import choose_attention
from looktwice.agent.backends.checkpoint import Checkpoint, open_checkpoint
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.pocket import PATH
from looktwice.agent.prompt import Message, Prompt, Shown, Words, Written

BANDWIDTH = {"H200": 4.8e12, "H100 PCIe": 2.0e12, "H100": 3.35e12, "A100-SXM4-80GB": 2.04e12, "L40S": 0.864e12}
GRIDS = [(1, 2), (2, 1), (2, 2), (3, 1), (1, 3)]


@dataclass(frozen=True)
class Shape:
    """Sizes of a checkpoint: of its language model, its vision tower and its tiles."""

    hidden: int = 4096
    inner: int = 14336
    layers: int = 32
    heads: int = 32
    kv_heads: int = 8
    vocabulary: int = 32064
    vision: tuple[int, int, int, int] = (1024, 4096, 24, 16)  # hidden, inner, layers, heads
    tile: int = 336


TINY = Shape(128, 256, 2, 4, 2, 1024, (32, 64, 2, 2), 112)


@dataclass(frozen=True)
class Answered:
    """One answer: when its tokens came, in seconds from the question, and what it cost."""

    times: list[float]
    done: Done

    @property
    def first(self) -> float:
        """Seconds to the first token."""
        return self.times[0]

    @property
    def rate(self) -> float:
        """Tokens a second after the first."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])


class Drawn(LlavaBackend):
    """A backend whose weights are drawn instead of read."""

    def _loaded(self) -> Any:
        if self._model is None:
            library: Any = transformers
            attention = choose_attention(self.device, self.dtype, compiled=self.compilation is not None)
            with torch.device(self.device):
                made = library.LlavaNextForConditionalGeneration._from_config(
                    self.checkpoint.config,
                    dtype=self.dtype,
                    attn_implementation={"text_config": attention, "vision_config": "sdpa"},
                )
            self._model = made.eval()
        return self._model


def checkpoint(folder: Path, shape: Shape) -> Checkpoint:
    """The public layout without weights, with pocket's tokenizer."""
    library: Any = transformers
    config, processor = library.AutoConfig.from_pretrained(PATH), library.AutoProcessor.from_pretrained(PATH)
    pinpoints = [[height * shape.tile, width * shape.tile] for height, width in GRIDS]
    hidden, inner, layers, heads = shape.vision
    vision = library.CLIPVisionConfig(
        image_size=shape.tile,
        patch_size=14,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
    )
    text = library.MistralConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=32768,
        sliding_window=None,
        bos_token_id=config.text_config.bos_token_id,
        eos_token_id=config.text_config.eos_token_id,
    )
    made = library.LlavaNextConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=config.image_token_id,
        image_grid_pinpoints=pinpoints,
        tie_word_embeddings=False,
    )
    tile = {"height": shape.tile, "width": shape.tile}
    processor.image_processor = library.LlavaNextImageProcessor(
        size={"shortest_edge": shape.tile}, crop_size=tile, image_grid_pinpoints=pinpoints
    )
    processor.patch_size = 14
    processor.vision_feature_select_strategy, processor.num_additional_image_tokens = "default", 1
    made.save_pretrained(folder)
    processor.save_pretrained(folder)
    return open_checkpoint(str(folder))


@dataclass
class Bench:
    """What is measured, on one backend; answers run to ``tokens``."""

    backend: Drawn
    shape: Shape
    tokens: int
    repeat: int

    def __post_init__(self) -> None:
        rng, side = random.Random(0), 2 * self.shape.tile
        small = [Image.frombytes("RGB", (24, 24), rng.randbytes(24 * 24 * 3)) for _ in range(8)]
        self.images = {f"p{i}": each.resize((side, side)) for i, each in enumerate(small)}

    def answer(self, prompt: Prompt, tokens: int | None = None) -> Answered:
        """Ask once, and take the times."""
        times, began = list[float](), time.perf_counter()
        settings = Settings(max_new_tokens=tokens or self.tokens)
        for item in self.backend.generate(prompt, settings, pixels=self.images.__getitem__):
            if isinstance(item, Token):
                times.append(time.perf_counter() - began)
            else:
                return Answered(times, item)
        raise RuntimeError("no answer")

    def about(self, question: str, *names: str) -> Prompt:
        """A question about pictures in full detail."""
        shown = [Shown(name, name, self.images[name].size) for name in names]
        return Prompt((Message("user", (*shown, Words(question))),))

    def run(self) -> dict[str, float]:
        """All numbers; each is a median over runs, after one that compiles and warms up."""
        empty, full = self.about("Tell me a long story."), self.about("Tell me about all of them.", *self.images)
        found: dict[str, float] = {}
        self.answer(empty)
        self.answer(full)
        runs = [self.answer(empty) for _ in range(self.repeat)]
        found["decode, empty context, tokens/s"] = statistics.median(run.rate for run in runs)
        found["empty context, tokens"] = runs[0].done.usage.prompt + self.tokens / 2
        found["eight pictures, first token, s"] = statistics.median(
            self.afresh(lambda: self.answer(full, 2).first) for _ in range(self.repeat)
        )
        last = self.answer(full)
        found["decode, full context, tokens/s"] = last.rate
        found["full context, tokens"] = last.done.usage.prompt + self.tokens / 2
        found["text turn, first token, s"] = self.text_turn(full, last)
        return found | self.batch()

    def afresh(self, way: Callable[[], float]) -> float:
        """With nothing kept."""
        self.backend.prefixes.clear()
        self.backend.features.clear()
        return way()

    def text_turn(self, prompt: Prompt, before: Answered) -> float:
        """The first token of a question after an answer, of which only its own words are new."""
        messages, found = [*prompt.messages], list[float]()
        for number in range(max(2, self.repeat)):
            said = Written((Words(before.done.text),), before.done.ids, before.done.tokenizer)
            messages += [Message("assistant", (said,)), Message("user", (Words(f"And what of number {number}?"),))]
            before = self.answer(Prompt(tuple(messages)), 3)
            found.append(before.first)
        return statistics.median(found[1:])

    def batch(self) -> dict[str, float]:
        """Eight questions with a picture each: ``generate_many``, and bare ``generate``, in turns."""
        prompts = [self.about("What is shown?", name) for name in self.images]
        settings = Settings(max_new_tokens=self.tokens)
        ways: dict[str, Callable[[], object]] = {
            "bare": lambda: self.bare(prompts),
            "ours": lambda: self.backend.generate_many(prompts, settings, pixels=self.images.__getitem__),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(self.repeat + 1):
            for name, way in ways.items():
                self.backend.features.clear()
                began = time.perf_counter()
                way()
                self.wait()
                seconds[name].append(time.perf_counter() - began)
        bare, ours = (statistics.median(seconds[name][1:]) for name in ("bare", "ours"))
        return {
            "batch of 8, bare engine, s": bare,
            "batch of 8, looktwice, s": ours,
            "batch, bare / looktwice": bare / ours,
        }

    def bare(self, prompts: list[Prompt]) -> Any:
        """The engine alone, on the same ids and pictures."""
        backend = self.backend
        rows, stop = [backend.checkpoint.encoder.encode(prompt).ids for prompt in prompts], backend.checkpoint.stops[0]
        width = max(map(len, rows))
        ids = torch.tensor([[stop] * (width - len(row)) + row for row in rows], device=backend.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=backend.device)
        seen = backend.checkpoint.processor.image_processor(images=list(self.images.values()), return_tensors="pt")
        with torch.inference_mode():
            return backend._loaded().generate(  # pyright: ignore[reportPrivateUsage]
                input_ids=ids,
                attention_mask=mask,
                pixel_values=seen["pixel_values"].to(backend.device, backend.dtype),
                image_sizes=seen["image_sizes"].to(backend.device),
                max_new_tokens=self.tokens,
                do_sample=False,
                eos_token_id=list(backend.checkpoint.stops),
                pad_token_id=stop,
            )

    def profile(self) -> str:
        """Where the time of eight pictures and of some steps after them goes, kernel by kernel."""
        kinds: Any = torch.profiler.ProfilerActivity
        on_gpu = self.backend.device.startswith("cuda")
        full = self.about("Tell me about all of them.", *self.images)
        self.backend.prefixes.clear()
        self.backend.features.clear()
        tool: Any = torch.profiler
        with tool.profile(activities=[kinds.CPU, kinds.CUDA] if on_gpu else [kinds.CPU]) as trace:
            self.answer(full, 20)
            self.wait()
        order = "self_device_time_total" if on_gpu else "self_cpu_time_total"
        return trace.key_averages().table(sort_by=order, row_limit=20, max_name_column_width=60)

    def wait(self) -> None:
        """Until the device has done everything."""
        if self.backend.device.startswith("cuda"):
            torch.cuda.synchronize()


@dataclass(frozen=True)
class Limit:
    """What a step must read, and how fast it can be read."""

    weights: int
    per_position: int
    bandwidth: float

    def rate(self, context: float) -> float:
        """Tokens a second at a context of so many tokens."""
        return self.bandwidth / (self.weights + context * self.per_position)


def limit(bench: Bench) -> tuple[Limit, float]:
    """The bound of decoding, and the bandwidth that a copy reaches, in bytes a second (read and written)."""
    backend, shape = bench.backend, bench.shape
    model = backend._loaded()  # pyright: ignore[reportPrivateUsage]
    read = [*model.model.language_model.layers.parameters(), *model.lm_head.parameters()]
    size = torch.finfo(backend.dtype).bits // 8
    per_position = 2 * shape.layers * shape.kv_heads * (shape.hidden // shape.heads) * size
    source = torch.empty(
        1 << (31 if backend.device.startswith("cuda") else 26), dtype=torch.uint8, device=backend.device
    )
    target, times = torch.empty_like(source), list[float]()
    for _ in range(8):
        bench.wait()
        began = time.perf_counter()
        target.copy_(source)
        bench.wait()
        times.append(time.perf_counter() - began)
    copied = 2 * source.numel() / min(times)
    name = torch.cuda.get_device_name() if backend.device.startswith("cuda") else ""
    told = next((value for key, value in BANDWIDTH.items() if key in name), copied)
    return Limit(sum(p.numel() for p in read) * size, per_position, told), copied


def table(found: dict[str, float], bound: Limit) -> str:
    """The numbers with what the bound allows and the goals, as a Markdown table."""
    lines = ["| | measured | bound by bytes | share | goal |", "|---|---|---|---|---|"]
    for where in ("empty", "full"):
        context, rate = found[f"{where} context, tokens"], found[f"decode, {where} context, tokens/s"]
        most = bound.rate(context)
        lines.append(
            f"| decode at {context:,.0f} tokens, tokens/s | {rate:.1f} | {most:.1f} | {rate / most:.0%} | 70 % |"
        )
    first, turn = found["eight pictures, first token, s"], found["text turn, first token, s"]
    lines.append(f"| eight full pictures, first token, s | {first:.3f} | | | 1.0 |")
    step = 1 / bound.rate(found["full context, tokens"])
    lines.append(f"| text turn after them, first token, s | {turn:.4f} | {step:.4f} | | 0.015 |")
    lines.append(f"| batch of 8, bare engine / looktwice | {found['batch, bare / looktwice']:.1%} | | | 95 % |")
    return "\n".join(lines)


def main() -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--tiny", action="store_true", help="a toy shape on the CPU: shows that the script runs, no more"
    )
    parser.add_argument("--decoding", choices=["auto", "eager", "compiled"], default="auto")
    parser.add_argument("--tokens", type=int, help="of an answer; else 200, or 12 with --tiny")
    parser.add_argument("--repeat", type=int, help="else 5, or 1 with --tiny")
    parser.add_argument("--json", type=Path, help="a file for the numbers")
    parser.add_argument("--profile", type=Path, help="a file for the profile; else it is printed")
    chosen = parser.parse_args()
    if not torch.cuda.is_available() and not chosen.tiny:
        print("There is no CUDA device here; what follows is --tiny.")
        chosen.tiny = True
    device, shape = ("cpu", TINY) if chosen.tiny else ("cuda", Shape())
    where = "CPU" if chosen.tiny else f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    machine = (
        f"{platform.machine()}, {where}, Python {platform.python_version()}, torch {torch.__version__},"
        f" transformers {transformers.__version__}"
    )
    print(machine)
    with tempfile.TemporaryDirectory() as folder:
        backend = Drawn(checkpoint(Path(folder), shape), device=device, decoding=chosen.decoding)
        default = (12, 1) if chosen.tiny else (200, 5)
        bench = Bench(backend, shape, chosen.tokens or default[0], chosen.repeat or default[1])
        compiled = backend.compilation is not None
        bound, copied = limit(bench)
        note = (
            "A TOY SHAPE on the CPU: no number here says anything about a GPU." if chosen.tiny else "Mistral-7B shape."
        )
        print(f"{note} {backend.dtype}, decoding {'compiled' if compiled else 'eager'}")
        print(
            f"{bound.weights / 1e9:.3g} GB of weights and {bound.per_position} bytes of each position a token;", end=" "
        )
        print(f"bound at {bound.bandwidth / 1e12:.3g} TB/s, a copy reaches {copied / 1e12:.3g} TB/s\n")
        found = bench.run()
        print(table(found, bound))
        profile = bench.profile()
    if chosen.profile:
        chosen.profile.write_text(profile)
    else:
        print(f"\n{profile}")
    if chosen.json:
        told = {"machine": machine, "tiny": chosen.tiny, "compiled": compiled, "shape": asdict(shape)}
        chosen.json.write_text(json.dumps(told | {"bound": asdict(bound), "copied": copied, "found": found}, indent=2))


if __name__ == "__main__":
    main()
