"""The token count of a picture, from its size alone, equals what the model really makes of it."""

from __future__ import annotations

import random
from typing import Any

import checkpoints
import pytest
import torch
import transformers
from PIL import Image

from looktwice.agent.backends.checkpoint import CLASSES, Checkpoint, open_checkpoint
from looktwice.tools.tiling import PUBLIC


def random_sizes(number: int) -> list[tuple[int, int]]:
    """Sizes in pixels, half of them slivers."""
    rng = random.Random(7)
    wide = [(rng.randint(28, 2000), rng.randint(28, 2000)) for _ in range(number // 2)]
    thin = [(rng.randint(28, 120), rng.randint(500, 3000)) for _ in range(number - number // 2)]
    return [size if rng.random() < 0.5 else (size[1], size[0]) for size in (*wide, *thin)]


def features(checkpoint: Checkpoint, sizes: list[tuple[int, int]]) -> list[int]:
    """How many features the loaded model makes of black pictures."""
    library: Any = transformers
    model = getattr(library, CLASSES[checkpoint.kind]).from_pretrained(checkpoint.source)
    counts: list[int] = []
    for size in sizes:
        inputs = checkpoint.processor.image_processor(images=[Image.new("RGB", size)], return_tensors="pt")
        with torch.inference_mode():
            counts.append(len(model.model.get_image_features(**inputs, return_dict=True).pooler_output[0]))
    return counts


def test_counts_equal_the_models_real_features_on_200_random_sizes() -> None:
    """The public geometry (336-pixel tiles, five grids) on a real vision tower with few channels."""
    checkpoint = open_checkpoint(str(checkpoints.saved("mistral", tile=336)))
    assert checkpoint.encoder.images == PUBLIC
    sizes = random_sizes(200)
    assert [PUBLIC.count(size) for size in sizes] == features(checkpoint, sizes)


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        ((336, 336), 1176),
        ((640, 480), 2340),
        ((1600, 1200), 2340),
        ((1200, 1600), 2352),
        ((1920, 1080), 1948),
        ((672, 672), 2928),
        ((4000, 4000), 2928),
        ((100, 60), 1560),
        ((400, 120), 1262),
        ((3000, 300), 1160),
    ],
)
def test_known_sizes_cost_what_the_public_checkpoints_charge(size: tuple[int, int], tokens: int) -> None:
    assert PUBLIC.count(size) == tokens


def test_a_thumbnail_is_the_base_view_and_one_newline() -> None:
    assert PUBLIC.thumbnail() == 577


@pytest.mark.parametrize("family", ["llava15", "interleave"])
def test_a_checkpoint_of_the_older_kind_charges_the_same_for_every_picture(family: str) -> None:
    checkpoint = open_checkpoint(str(checkpoints.saved(family)))
    sizes = [(40, 30), (300, 90)]
    assert [checkpoint.encoder.images.count(size) for size in sizes] == features(checkpoint, sizes)
