"""The recipe of the pocket checkpoint: its truth agrees with the processor, its rows with the package's own prompts."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from looktwice.agent.backends.checkpoint import Checkpoint, open_checkpoint
from looktwice.agent.prompt import Message, Prompt, Segment, Shown, Tag, Words, Written
from looktwice.world import Shape, random_scene
from training import base
from training.dialogues import Dialogues
from training.evaluate import wilson
from training.geometry import NEWLINE, token_layout, views
from training.language import cache_features, train_language
from training.names import names
from training.optimiser import MixedAdam, cosine
from training.rows import TALLY, Row
from training.settings import Settings, load
from training.shelf import GEOMETRY, draw_shelf, shards, sign_box
from training.tasks import tasks
from training.truth import patch_truth
from training.vision import train_tower

POCKET = Path(__file__).parent.parent / "agent" / "backends" / "pocket"
SMOKE = POCKET.parents[2] / "training" / "smoke.toml"
SIZES = [(96, 96), (300, 200), (640, 320), (320, 640), (512, 512), (97, 241), (577, 433)]
STAGE = {
    "questions": dict.fromkeys(
        ("colour", "shape", "count", "exists", "where", "relation", "side", "read", "describe", "which", "box"), 1
    )
}


@pytest.fixture(scope="module")
def pocket() -> Checkpoint:
    return open_checkpoint("pocket")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of the smoke run, with its pictures drawn."""
    made = load(SMOKE, tmp_path_factory.mktemp("run"))
    _, processor = base.load(POCKET)
    draw_shelf(made, processor.image_processor, workers=1)
    return made


@pytest.fixture(scope="module")
def rows(settings: Settings) -> list[Row]:
    _, processor = base.load(POCKET)
    dialogues, rng = Dialogues(shards(settings, "pictures"), processor.tokenizer), random.Random(2)
    kinds = ("one", "two", "three", "four", "tools", "tools", "copy")
    return [dialogues.row(rng, STAGE, kind, 900) for _ in range(12) for kind in kinds]


@pytest.mark.parametrize("size", SIZES)
def test_the_layout_is_the_models_own(size: tuple[int, int]) -> None:
    model, processor = base.load(POCKET)
    tiles = processor.image_processor(images=Image.new("RGB", size), return_tensors="pt")["pixel_values"].shape[1]
    indices = torch.arange(tiles * 36, dtype=torch.float32).view(tiles, 36, 1)
    packed, _ = model.model.pack_image_features(
        [indices], torch.tensor([[size[1], size[0]]]), "default", image_newline=torch.tensor([float(NEWLINE)])
    )
    assert packed[0][:, 0].tolist() == token_layout(size, GEOMETRY).tolist()
    assert len(token_layout(size, GEOMETRY)) == GEOMETRY.count(size)


@pytest.mark.parametrize("size", SIZES)
def test_a_mark_lies_where_the_views_say(size: tuple[int, int]) -> None:
    _, processor = base.load(POCKET)
    x, y = 0.62 * size[0], 0.3 * size[1]
    image = Image.new("RGB", size, "black")
    ImageDraw.Draw(image).rectangle((x - 6, y - 6, x + 6, y + 6), fill="white")
    tiles = np.asarray(processor.image_processor(images=image, return_tensors="np")["pixel_values"][0])[:, 0]
    seen = 0
    for tile, view in zip(tiles, views(size, GEOMETRY), strict=True):
        u, v = x * view.scale_x + view.shift_x, y * view.scale_y + view.shift_y
        if 10 < u < 86 and 10 < v < 86:
            bright = np.argwhere(tile > 0)
            assert bright.mean(0)[::-1] + 0.5 == pytest.approx((u, v), abs=0.8)
            seen += 1
    assert seen


def test_patches_that_are_said_to_show_a_shape_have_its_colour() -> None:
    _, processor = base.load(POCKET)
    agreeing = asked = 0
    for seed in range(30):
        scene = random_scene(random.Random(seed))
        values = np.asarray(processor.image_processor(images=scene.image(), return_tensors="np")["pixel_values"][0])
        patches = (
            values.reshape(len(values), 3, 6, 16, 6, 16).transpose(0, 2, 4, 3, 5, 1).reshape(len(values), 36, -1, 3)
        )
        levels = patches * 127.5 + 127.5
        truth = patch_truth(scene, GEOMETRY)
        for index, thing in enumerate(scene.things):
            assert isinstance(thing, Shape)
            shown = levels[truth.thing == index + 1]
            asked += len(shown)
            agreeing += int((np.abs(shown - np.array(thing.fill)).sum(-1).min(-1) < 60).sum())
    assert asked > 500
    assert agreeing / asked > 0.97


def test_rows_are_encoded_as_the_packages_own_prompts(pocket: Checkpoint, rows: list[Row]) -> None:
    for row in rows:
        *_, (first, _, _) = row.said
        prompt = Prompt(tuple(_messages(pocket, row, row.ids[:first])))
        assert pocket.encoder.encode(prompt).ids == row.ids[:first]


def _messages(checkpoint: Checkpoint, row: Row, ids: list[int]) -> Iterator[Message]:
    """The dialogue read back from its text; pictures in the order in which the row holds them."""
    image = checkpoint.encoder.decode([checkpoint.encoder.image_token_id])
    text = re.sub(f"(?:{re.escape(image)})+", image, checkpoint.encoder.decode(ids))
    pictures = iter(row.pictures)
    for role, said in re.findall(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>\n", text, re.DOTALL):
        parts = [part for part in re.split(r"(<image>|</?tool_call>|</?tool_response>)", said) if part]
        segments: list[Segment] = []
        for part in parts:
            if part == "<image>":
                seen = next(pictures)
                segments.append(Shown(seen.name.text, f"k{id(seen)}", seen.item.scene.size))
            else:
                segments.append(Tag(part) if part.startswith("<") else Words(part))  # pyright: ignore[reportArgumentType]
        spoken = [part for part in segments if isinstance(part, Words | Tag)]
        yield Message(role, (Written(tuple(spoken)),) if role == "assistant" else tuple(segments))


def test_each_answer_is_learned_to_its_end_token(pocket: Checkpoint, rows: list[Row]) -> None:
    kinds = {kind for row in rows for _, _, kind in row.said}
    assert {"one:colour", "many:colour", "which", "tools:zoom", "tools:zoomed", "tools:ocr", "tools:ocr read"} <= kinds
    for row in rows:
        for first, last, _ in row.said:
            assert pocket.encoder.decode(row.ids[first - 2 : first]) == "assistant\n"
            assert pocket.encoder.decode(row.ids[last - 1 : last]) == "<|im_end|>"


def test_looks_lead_back_to_what_they_are_about(pocket: Checkpoint, rows: list[Row]) -> None:
    """Before a copied token stands a look at that token; every look is at something earlier."""
    image = pocket.encoder.image_token_id
    copied = patches = 0
    for row in rows:
        for role, position, keys in row.looks:
            assert all(keys <= position)
            if role == TALLY:  # evenly at each thing, and at the first token of all
                assert keys[0] == 0
                assert all(row.ids[int(key)] == row.ids[int(keys[-1])] for key in keys[1:])
                continue
            sources = {row.ids[int(key)] for key in keys.tolist()}
            patches += sources == {image}
            if len(keys) == 1 and sources != {image}:
                assert sources == {row.ids[position + 1]}
                copied += 1
    assert copied > 50
    assert patches > 500


def test_a_zoom_box_covers_the_sign() -> None:
    for seed in range(60):
        scene = random_scene(random.Random(seed), sign="small")
        for sign in scene.signs:
            x0, y0, x1, y1 = (edge / 1000 for edge in sign_box(scene, sign))
            assert x0 * scene.size[0] <= sign.letters[0][0]
            assert x1 * scene.size[0] >= sign.letters[-1][1]
            assert y0 * scene.size[1] <= sign.line[0]
            assert y1 * scene.size[1] >= sign.line[1]


def test_names_differ_and_can_be_given_to_pictures() -> None:
    from looktwice.memory import check_name

    rng = random.Random(1)
    for _ in range(300):
        drawn = names(rng, 4)
        assert len(set(drawn)) == 4
        assert [check_name(name) for name in drawn] == drawn


@pytest.mark.parametrize("stage", ["tower", "language"])
def test_a_resumed_run_is_the_same_run(settings: Settings, tmp_path: Path, stage: str) -> None:
    """A stage, stopped half-way and gone on with, ends with the weights of a run in one go."""
    ends: list[dict[str, Any]] = []
    for stops in ((12,), (6, 12)):
        small = {"vision": replace(settings.vision, batch=8), "language": replace(settings.language, tokens=600)}
        here = replace(settings, folder=tmp_path / str(len(stops)), **small)
        here.folder.mkdir()
        (here.folder / "shelf").symlink_to(settings.folder / "shelf")
        for stop in stops:
            model, processor = base.load(POCKET)
            if stage == "tower":
                train_tower(model, here, "cpu", until=stop)
            else:
                cache_features(model, here, "cpu")
                train_language(model, processor.tokenizer, here, "cpu", until=stop)
            ends.append(dict(model.state_dict()))
    in_one_go, half, resumed = ends
    assert all(torch.equal(in_one_go[name], resumed[name]) for name in in_one_go)
    assert not all(torch.equal(in_one_go[name], half[name]) for name in in_one_go)


def test_small_steps_are_not_lost() -> None:
    """A bfloat16 weight of 1 can't take a step of 1e-4; its float32 copy can, and shows after enough of them."""
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    optimiser = MixedAdam([weight], decay=0.0)
    for _ in range(100):
        weight.sum().backward()  # pyright: ignore[reportUnknownMemberType]
        optimiser.step(1e-4)
    assert weight.item() == pytest.approx(0.99, abs=0.004)


def test_the_rate_rises_and_falls() -> None:
    rates = [cosine(step, 100, rate=1.0, warm_up=10) for step in range(101)]
    assert rates[0] == pytest.approx(0.1, abs=0.01)
    assert max(rates) == max(rates[8:12])
    assert rates[-1] == pytest.approx(0.01)


def test_wilsons_interval() -> None:
    low, high = wilson(95, 100)  # values as in the literature
    assert (round(low, 3), round(high, 3)) == (0.888, 0.978)
    assert wilson(0, 50)[0] == 0
    assert wilson(50, 50)[1] == pytest.approx(1)


def test_tasks_draw_cases_that_can_be_right_and_wrong() -> None:
    for task in tasks([None]):
        rng = random.Random(4)
        cases = [task.draw(rng) for _ in range(6)]
        assert len({case.right for case in cases}) > (0 if "unreadable" in task.name else 1), task.name
        for case in cases:
            shown = {name for step in case.steps for name, _ in step.pictures}
            assert set(re.findall(r"@(\w+)", case.steps[-1].question)) <= shown
