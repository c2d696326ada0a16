"""What reuse saves over a conversation of ten turns with a new picture every second turn.

    python benchmarks/reuse.py [--turns 10] [--size 640x480] [--serve] [--plot docs/reuse.png] [--json FILE]

Three ways on the same model, the same prompts, turn by turn side by side in one run: everything computed
anew at each turn, as plain transformers does; vision features kept; features and key-value prefixes kept (looktwice's
default). With ``--serve`` a fourth is `transformers serve`, which gets the same pictures and words over loopback and
writes its own prompt of them; its extras are installed into a temporary folder. The model is a LLaVA-NeXT with the
public picture geometry (336-pixel tiles) and random weights, small enough for a CPU: ratios of time depend on it,
counts of tokens do not. The greedy tokens of all three must be equal.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from served import Server, picture_part, served

from looktwice.agent.backends import Done, Settings, Token
from looktwice.agent.backends.checkpoint import Checkpoint, open_checkpoint
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.pocket import PATH
from looktwice.agent.prompt import Message, Prompt, Shown, Words, Written

PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
PEER = "`transformers serve`"
WAYS = {"nothing kept": (0, 0), "features kept": (0, 1 << 30), "prefixes kept": (4 << 30, 1 << 30)}


@dataclass
class Measured:
    """One way over all turns: seconds to the first token, prompt tokens (all, computed), and each answer's ids."""

    seconds: list[float] = field(default_factory=list[float])
    prompt: list[int] = field(default_factory=list[int])
    computed: list[int] = field(default_factory=list[int])
    ids: list[tuple[int, ...] | None] = field(default_factory=list["tuple[int, ...] | None"])


def checkpoint(folder: Path) -> Checkpoint:
    """A LLaVA-NeXT of 7 million parameters with random weights, pocket's tokenizer and public geometry."""
    library: Any = transformers
    libtorch: Any = torch
    config = library.AutoConfig.from_pretrained(PATH)
    config.vision_config.update({"image_size": 336, "patch_size": 14})
    config.update({"image_grid_pinpoints": PINPOINTS})
    config.text_config.update({"max_position_embeddings": 65536})
    processor = library.AutoProcessor.from_pretrained(PATH)
    tile = {"height": 336, "width": 336}
    images = library.LlavaNextImageProcessor(
        size={"shortest_edge": 336}, crop_size=tile, image_grid_pinpoints=PINPOINTS
    )
    processor.image_processor, processor.patch_size = images, 14
    libtorch.manual_seed(0)
    library.LlavaNextForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return open_checkpoint(str(folder))


def picture(number: int, size: tuple[int, int]) -> Image.Image:
    rng = random.Random(number)
    small = Image.frombytes("RGB", (32, 24), rng.randbytes(32 * 24 * 3))
    return small.resize(size, Image.Resampling.BICUBIC)


def run(
    opened: Checkpoint, turns: int, size: tuple[int, int], new_tokens: int, server: Server | None = None
) -> dict[str, Measured]:
    """Every way through the same conversation; they take turns, so that a busy machine is busy for all."""
    backends = {
        name: LlavaBackend(opened, device="cpu", prefix_bytes=prefix, feature_bytes=features)
        for name, (prefix, features) in WAYS.items()
    }
    for backend in backends.values():
        backend.chunks = (1 << 20,)  # one piece, as plain transformers has it: chunks cost the others more
    measured = {name: Measured() for name in (*WAYS, *([PEER] if server else []))}
    pictures: dict[str, Image.Image] = {}
    messages: list[Message] = []
    for turn in range(turns):
        question: list[Words | Shown] = [Words(f"What colour is the circle, and is it the same as in turn {turn}?")]
        if turn % 2 == 0:
            key = f"p{turn}"
            pictures[key] = picture(turn, size)
            question[:0] = [Words(f"Image {key}:\n"), Shown(key, key, size), Words("\n")]
        messages.append(Message("user", tuple(question)))
        done: Done | None = None
        for name, backend in backends.items():
            done = answered(backend, Prompt(tuple(messages)), pictures, measured[name], new_tokens)
        assert done is not None
        if server is not None:
            reply = server.ask([_as_sent(message, pictures) for message in messages], new_tokens)
            measured[PEER].seconds.append(reply.seconds)
            measured[PEER].prompt.append(reply.prompt)
            measured[PEER].computed.append(reply.prompt)  # it keeps nothing from one request to the next
        messages.append(Message("assistant", (Written((Words(done.text),), done.ids, done.tokenizer),)))
    return measured


def _as_sent(message: Message, pictures: dict[str, Image.Image]) -> dict[str, Any]:
    """A message as chat servers take it."""
    parts: list[dict[str, Any]] = []
    for segment in message.segments:
        if isinstance(segment, Shown):
            parts.append(picture_part(pictures[segment.key]))
        else:
            words = "".join(part.text for part in segment.text) if isinstance(segment, Written) else segment.text
            parts.append({"type": "text", "text": words})
    return {"role": message.role, "content": parts}


def answered(
    backend: LlavaBackend, prompt: Prompt, pictures: dict[str, Image.Image], into: Measured, new_tokens: int
) -> Done:
    began, first = time.perf_counter(), 0.0
    for item in backend.generate(prompt, Settings(max_new_tokens=new_tokens), pixels=pictures.__getitem__):
        if isinstance(item, Token):
            first = first or time.perf_counter() - began
        else:
            into.seconds.append(first)
            into.prompt.append(item.usage.prompt)
            into.computed.append(item.usage.new)
            into.ids.append(item.ids)
            return item
    raise RuntimeError("no answer")


def table(measured: dict[str, Measured]) -> str:
    """Tokens computed and median seconds to the first token, by kind of turn, as a Markdown table."""
    base = measured["nothing kept"]
    lines = [
        "| | prompt tokens computed | picture turn, s to first token | text turn, s to first token | faster |",
        "|---|---|---|---|---|",
    ]
    for name, way in measured.items():
        shown, plain = statistics.median(way.seconds[2::2]), statistics.median(way.seconds[1::2])
        faster = statistics.median(b / w for b, w in zip(base.seconds[1::2], way.seconds[1::2], strict=True))
        lines.append(f"| {name} | {sum(way.computed):,} | {shown:.2f} | {plain:.3f} | {faster:.1f} times |")
    return "\n".join(lines)


def plot(measured: dict[str, Measured], path: Path, about: str) -> None:
    """What each turn costs, and what all of them together do, against the number of turns, as a PNG."""
    import matplotlib.figure

    figure: Any = matplotlib.figure.Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, way in measured.items():
        turns = range(1, len(way.seconds) + 1)
        style = {"marker": "o", "markersize": 3, "linewidth": 2.4 if name == "prefixes kept" else 1.2}
        left.plot(turns, list(accumulate(way.computed)), label=name.replace("`", ""), **style)
        right.plot(turns, way.seconds, label=name.replace("`", ""), **style)
    left.set(xlabel="turn", ylabel="prompt tokens computed so far", title="Tokens computed", ylim=(0, None))
    right.set(xlabel="turn", ylabel="seconds", title="Time to the first token", yscale="log")
    left.legend(frameon=False)
    figure.suptitle(about, fontsize=9)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=150)


def main() -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--size", default="640x480", help="of each picture, in pixels")
    parser.add_argument("--new-tokens", type=int, default=8)
    parser.add_argument("--serve", action="store_true", help="`transformers serve` as well; installs its extras")
    parser.add_argument("--plot", type=Path, help="a PNG of cost against number of turns; needs matplotlib")
    parser.add_argument("--json", type=Path, help="a file for the numbers")
    chosen = parser.parse_args()
    width, height = map(int, chosen.size.split("x"))
    machine = (
        f"{platform.machine()}, {torch.get_num_threads()} threads, Python {platform.python_version()}, "
        f"torch {torch.__version__}, transformers {transformers.__version__}"
    )
    print(machine)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        model = Path(folder) / "model"
        opened = checkpoint(model)
        server = stack.enter_context(served(model, Path(folder))) if chosen.serve else None
        cost = opened.encoder.images.count((width, height))
        about = f"{chosen.turns} turns, a new {chosen.size} picture ({cost} tokens) every second turn"
        print(f"{about}\n")
        run(opened, 2, (width, height), 2, server)  # warm up
        measured = run(opened, chosen.turns, (width, height), chosen.new_tokens, server)
    print(table(measured))
    if chosen.plot:
        plot(measured, chosen.plot, about)
    if chosen.json:
        ways = {name: asdict(way) for name, way in measured.items()}
        chosen.json.write_text(json.dumps({"machine": machine, "about": about, "ways": ways}, indent=2))
    if not is_right(measured):
        raise SystemExit(1)


def is_right(measured: dict[str, Measured]) -> bool:
    """Print the counts that don't depend on a machine; whether the ways gave the same tokens."""
    kept, base = measured["prefixes kept"], measured["nothing kept"]
    equal = all(measured[name].ids == base.ids for name in WAYS)
    print(f"\ngreedy tokens of {_listed(WAYS)} equal: {'yes' if equal else 'NO'}")
    new = kept.prompt[-1] - sum(len(ids or ()) for ids in kept.ids[:-1])  # answers are written, not computed as prompt
    print(f"prompt tokens computed / new, with prefixes kept: {sum(kept.computed) / new:.3f}")
    print(f"last text turn: {base.computed[-1]:,} prompt tokens computed without reuse, {kept.computed[-1]:,} with it")
    return equal


def _listed(names: Sequence[str] | dict[str, Any]) -> str:
    return ", ".join(names)


if __name__ == "__main__":
    main()
