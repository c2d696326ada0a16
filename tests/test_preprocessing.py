"""Pictures become the numbers that the checkpoint's own processor makes of them, on a shorter way."""

from __future__ import annotations

import random
from typing import Any

import checkpoints
import numpy
import pytest
import torch
from PIL import Image

from looktwice.agent.backends.checkpoint import open_checkpoint
from looktwice.agent.backends.preprocessing import Preprocessing


def processor(family: str = "mistral", **changed: Any) -> Any:
    made = open_checkpoint(str(checkpoints.saved(family, tile=56, weights=False))).processor.image_processor
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def pictures(count: int, seed: int = 0) -> list[Image.Image]:
    rng = random.Random(seed)
    sizes = [(rng.randrange(8, 260), rng.randrange(8, 260)) for _ in range(count - 3)]
    sizes += [(112, 112), (1, 200), (57, 56)]
    return [
        Image.frombytes("RGB", (9, 7), rng.randbytes(9 * 7 * 3)).resize(size, Image.Resampling.NEAREST)
        for size in sizes
    ]


def difference(made: Any, images: list[Image.Image]) -> float:
    """The largest difference from what the processor gives for each picture alone; shapes are equal."""
    expected = [made(images=[image], return_tensors="pt")["pixel_values"][0] for image in images]
    tiles = Preprocessing(made).tiles(images)
    assert [each.shape for each in tiles] == [each.shape for each in expected]
    assert {each.dtype for each in tiles} == {torch.float32}
    return max(float((a - b).abs().max()) for a, b in zip(tiles, expected, strict=True))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"image_grid_pinpoints": [[56, 168], [168, 56], [112, 112], [56, 56], [224, 112]]},
        {"resample": 2, "image_mean": [0.1, 0.5, 0.7], "image_std": [0.3, 0.2, 1.0]},
        {"size": {"height": 56, "width": 56}},
    ],
    ids=["public", "other grids", "bilinear, other colours", "height and width"],
)
def test_tiles_are_those_of_the_processor(changed: dict[str, Any]) -> None:
    made = processor(**changed)
    assert Preprocessing(made).is_fused
    assert difference(made, pictures(25)) < 1e-6


def test_pockets_pictures_go_the_short_way() -> None:
    made = open_checkpoint("pocket").processor.image_processor
    assert Preprocessing(made).is_fused
    assert difference(made, pictures(6)) < 1e-6


@pytest.mark.parametrize(
    "changed",
    [
        {"do_normalize": False},
        {"crop_size": {"height": 28, "width": 28}},
        {"do_rescale": False},
    ],
    ids=str,
)
def test_a_processor_that_does_other_things_does_them_itself(changed: dict[str, Any]) -> None:
    made = processor(**changed)
    assert not Preprocessing(made).is_fused
    (tiles,) = Preprocessing(made).tiles(pictures(4)[:1])
    assert numpy.array_equal(tiles, made(images=pictures(4)[:1], return_tensors="pt")["pixel_values"][0])


@pytest.mark.parametrize("family", ["llava15", "interleave"])
def test_the_processors_of_other_checkpoints_do_their_own_work(family: str) -> None:
    made = processor(family)
    images = pictures(5)
    expected = made(images=images, return_tensors="pt")["pixel_values"]
    assert torch.equal(torch.cat(Preprocessing(made).tiles(images)), expected)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_pictures_of_another_mode_are_converted(mode: str) -> None:
    made, image = processor(), pictures(4)[0].convert(mode)
    assert difference(made, [image]) < 1e-6
