"""What it takes to turn pictures into a model's numbers: transformers' processor, and looktwice's shorter way.

    python benchmarks/preprocess.py [--pictures 8] [--size 1600x1200] [--repeat 7] [--json FILE]

Side by side in one run, on the processor of the public LLaVA-NeXT checkpoints; the numbers must be equal to 1e-6.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from typing import Any

import transformers
from PIL import Image
from report import Report, add_json

from looktwice.agent.backends.preprocessing import Preprocessing

PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]


def processor() -> Any:
    """That of llava-v1.6-mistral-7b-hf, without torchvision."""
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    made: Any = LlavaNextImageProcessorPil
    tile = {"height": 336, "width": 336}
    return made(size={"shortest_edge": 336}, crop_size=tile, image_grid_pinpoints=PINPOINTS)


def pictures(count: int, size: tuple[int, int]) -> list[Image.Image]:
    rng = random.Random(0)
    small = [Image.frombytes("RGB", (32, 24), rng.randbytes(32 * 24 * 3)) for _ in range(count)]
    return [image.resize(size, Image.Resampling.BICUBIC) for image in small]


def fastest(ways: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """The fewest milliseconds of each way; they take turns, so that a busy machine is busy for all."""
    found = dict.fromkeys(ways, float("inf"))
    for _ in range(repeat):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            found[name] = min(found[name], (time.perf_counter() - began) * 1000)
    return found


def main() -> None:
    transformers.utils.logging.set_verbosity_error()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--size", default="1600x1200", help="of each picture, in pixels")
    parser.add_argument("--repeat", type=int, default=7)
    add_json(parser)
    chosen = parser.parse_args()
    width, height = map(int, chosen.size.split("x"))
    images, theirs = pictures(chosen.pictures, (width, height)), processor()
    ours = Preprocessing(theirs)
    expected = theirs(images=images, return_tensors="pt")["pixel_values"]
    difference = max(float((a[: len(b)] - b).abs().max()) for a, b in zip(expected, ours.tiles(images), strict=True))
    found = fastest(
        {
            "one, processor": lambda: theirs(images=images[:1], return_tensors="pt"),
            "one, looktwice": lambda: ours.tiles(images[:1]),
            "all, processor": lambda: theirs(images=images, return_tensors="pt"),
            "all, looktwice": lambda: ours.tiles(images),
        },
        chosen.repeat,
    )
    about = f"{chosen.size} pictures, the fastest of {chosen.repeat} runs"
    with Report(chosen, about, "transformers", "pillow", "numpy") as report:
        milliseconds = {"processor, ms": "{:.1f}", "looktwice, ms": "{:.1f}"}
        report.table({"pictures": "{}"} | milliseconds | {"faster": "{:.1f} times"})
        for count, name in ((1, "one"), (chosen.pictures, "all")):
            before, after = found[f"{name}, processor"], found[f"{name}, looktwice"]
            report.row(count, before, after, before / after)
        report.fact("largest difference of a number", difference, "{:.1e}")
    if difference > 1e-6:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
