# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""The second stage: projector and language model learn to talk, on features of the finished tower.

Beside the usual loss on the answers' tokens there are two that the drawings' truth makes possible. Three heads are
asked to attend to what an answer is about: the patches of a thing, of a letter, or a text that is to be copied
(supervised attention: Liu, Utiyama, Finch and Sumita, "Neural Machine Translation with Supervised Attention", 2016).
And each projected patch is tied to the embeddings of the words for what it shows.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from looktwice.world import COLOURS, SHAPES

from .curves import Watch, note
from .dialogues import Dialogues
from .optimiser import MixedAdam, cosine
from .rows import COMPARE, FIND, TALLY, Row
from .settings import Settings
from .shelf import CHARACTERS, shards
from .truth import UNCLEAR

__all__ = ["cache_features", "train_language"]

GUIDED = {FIND: ((3, 0), (4, 2), (5, 1)), COMPARE: ((3, 1), (4, 3)), TALLY: ((4, 0), (5, 2))}
"""The heads, as (block, head), that learn where to look, by what a look is for."""
NAMED = ((1, 1), (2, 0))
"""The heads by which each patch learns the name of the picture that it belongs to."""
_LONGEST = {"one": 440, "two": 620, "three": 800, "four": 1000, "tools": 560, "copy": 640}
_ALIGNED = 600  # patches of a batch that are tied to words
_NEAR = 0.3  # the share of the loss on a box's number that its neighbours take
_SAVE_EVERY = 200


@torch.no_grad()
def cache_features(model: Any, settings: Settings, device: str) -> None:
    """Keep what the tower makes of each picture for dialogues, as ``features.npy`` (bfloat16 bits) in its shard."""
    tower = model.model.vision_tower.to(device, settings.dtype).eval()
    for shard in shards(settings, "pictures"):
        made = shard.folder / "features.npy"
        if made.exists():
            continue
        pixels = shard.array("pixels")
        parts: list[Tensor] = []
        for start in range(0, len(pixels), 256):
            tiles = torch.from_numpy(np.array(pixels[start : start + 256])).to(device)
            values = (tiles.permute(0, 3, 1, 2).float() / 127.5 - 1).to(settings.dtype)
            parts.append(tower(values).last_hidden_state[:, 1:].flatten(0, 1).cpu())
        np.save(made.with_suffix(".part.npy"), torch.cat(parts).bfloat16().view(torch.int16).numpy())
        made.with_suffix(".part.npy").rename(made)
    model.model.vision_tower.float()


def train_language(model: Any, tokenizer: Any, settings: Settings, device: str, *, until: int | None = None) -> None:
    """Train everything but the tower and keep it in ``language.pt``; goes on from what is there.

    ``until`` ends this call after so many steps of the schedule.
    """
    recipe = settings.language
    model.model.vision_tower.requires_grad_(False)
    model.set_attn_implementation({"text_config": "eager"})  # it alone gives its weights away
    model.to(device, settings.dtype).train()
    optimiser = MixedAdam(model.parameters())
    batches = _Batches(settings, tokenizer, device)
    words, numbers = _word_ids(tokenizer, device), _number_ids(tokenizer, device)
    state, first = settings.folder / "language.pt", 0
    if state.exists():
        saved = torch.load(state, weights_only=True)
        optimiser.restore(saved["optimiser"])
        first = saved["step"]
    steps = sum(stage["steps"] for stage in recipe.stages)
    began, tokens, watched = time.monotonic(), 0, Watch()
    last = min(steps, until or steps)
    for step in range(first, last):
        torch.manual_seed(1_000_003 * settings.shelf.seed + step)  # so that a resumed run is the same run
        batch = batches.draw(random.Random(f"{settings.shelf.seed} {step}"), _stage(recipe.stages, step), recipe.tokens)
        losses, right = _losses(model, batch, words, numbers)
        (losses["said"] + recipe.gaze * losses["gaze"] + recipe.alignment * losses["alignment"]).backward()
        rate = cosine(step, steps, rate=recipe.rate, warm_up=recipe.warm_up, last=0.05)
        optimiser.step(rate)
        tokens += batch.ids.numel()
        watched.note({name: loss.item() for name, loss in losses.items()}, batch.said, right.tolist())
        if (step + 1) % 50 == 0:
            speed = tokens / (time.monotonic() - began)
            note(settings.folder / "language.jsonl", {"step": step + 1, "rate": rate, **watched.now()})
            print(f"language step {step + 1} rate {rate:.1e} {speed:.0f} tokens/s {watched}", flush=True)
        if (step + 1) % _SAVE_EVERY == 0 or step + 1 == last:
            part = state.with_suffix(".part")
            weights = {name: weight for name, weight in model.state_dict().items() if "vision_tower" not in name}
            torch.save({"weights": weights, "optimiser": optimiser.state(), "step": step + 1}, part)
            part.rename(state)
    model.float().eval()


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of one kind, padded to (rows, length). A place is counted over all of them: row * length + position."""

    ids: Tensor
    image_places: Tensor
    """Where image tokens stand."""
    features: Tensor
    """(patches, width) of the tower, one for each image token that is a patch."""
    patch_of: Tensor
    """For each image token its row in ``features``, or len(features) for a newline."""
    targets: Tensor
    """(patches, 3): the classes of colour, shape and first letter."""
    said_places: Tensor
    """Where the tokens stand that the model has to say."""
    said: list[tuple[int, int, str]]
    """The answers, as (first, after the last, kind), counted in ``said_places``."""
    looks: dict[int, Tensor]
    """For each role (3, pairs): the number of a look, its place, and a place that it should attend to."""
    named: Tensor
    """The same for patches and the name of their picture."""


class _Batches:
    def __init__(self, settings: Settings, tokenizer: Any, device: str) -> None:
        found = shards(settings, "pictures")
        self._device, self._dtype = device, settings.dtype
        self._pad: int = tokenizer.pad_token_id
        self._dialogues = Dialogues(found, tokenizer)
        self._features = {shard.folder: np.load(shard.folder / "features.npy") for shard in found}
        self._targets = {shard.folder: shard.array("targets").reshape(-1, 10)[:, [0, 1, 6]] for shard in found}

    def draw(self, rng: random.Random, stage: Mapping[str, Any], tokens: int) -> _Batch:
        """A batch of one kind of rows, of about so many tokens."""
        kind = rng.choices(list(stage["rows"]), list(stage["rows"].values()))[0]
        longest, rows, filled = _LONGEST[kind], list[Row](), 0
        while filled < tokens:
            rows.append(self._dialogues.row(rng, stage, kind, longest))
            filled += len(rows[-1].ids)
        return self._padded(rows, max(len(row.ids) for row in rows))

    def _padded(self, rows: Sequence[Row], length: int) -> _Batch:
        ids = np.full((len(rows), length), self._pad, np.int64)
        image_places: list[Any] = []
        patch_of: list[Any] = []
        features: list[Any] = []
        targets: list[Any] = []
        said_places: list[Any] = []
        said: list[tuple[int, int, str]] = []
        looks: dict[int, list[tuple[int, Any]]] = {role: [] for role in GUIDED}
        named: list[Any] = []
        patches = words = 0
        for number, row in enumerate(rows):
            start = number * length
            ids[number, : len(row.ids)] = row.ids
            for seen in row.pictures:
                is_patch = seen.patches >= 0
                used = seen.patches[is_patch]
                image_places.append(start + seen.start + np.arange(len(seen.patches)))
                patch_of.append(np.where(is_patch, patches + np.cumsum(is_patch) - 1, -1))
                features.append(self._features[seen.shard.folder][used])
                targets.append(self._targets[seen.shard.folder][used])
                named.append(_crossed(patches, start + seen.start + np.flatnonzero(is_patch), start + seen.name_places))
                patches += len(used)
            for first, last, kind in row.said:
                said_places.append(start + np.arange(first, last))
                said.append((words, words + last - first, kind))
                words += last - first
            for role, place, keys in row.looks:
                looks[role].append((start + place, start + keys))
        newline_as_last = np.concatenate([*patch_of, np.zeros(0, np.int64)])
        newline_as_last[newline_as_last < 0] = patches
        empty = np.zeros(0, np.int64)

        def tensor(array: Any) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

        return _Batch(
            tensor(ids),
            tensor(np.concatenate([*image_places, empty])),
            tensor(np.concatenate([*features, np.zeros((0, 192), np.int16)])).view(torch.bfloat16).to(self._dtype),
            tensor(newline_as_last),
            tensor(np.concatenate([*targets, np.zeros((0, 3), np.uint8)])).long(),
            tensor(np.concatenate(said_places)),
            said,
            {role: tensor(_pairs(found)) for role, found in looks.items()},
            tensor(np.concatenate([*named, np.zeros((3, 0), np.int64)], axis=1)),
        )


def _pairs(looks: Sequence[tuple[int, Any]]) -> Any:
    found = [
        np.stack([np.full(len(keys), n), np.full(len(keys), place), keys]) for n, (place, keys) in enumerate(looks)
    ]
    return np.concatenate([*found, np.zeros((3, 0), np.int64)], axis=1)


def _crossed(first: int, places: Any, sources: Any) -> Any:
    """Looks, numbered from ``first``, from each of the places at all of the sources."""
    numbers = first + np.arange(len(places))
    count = len(sources)
    return np.stack([np.repeat(numbers, count), np.repeat(places, count), np.tile(sources, len(places))])


def _losses(
    model: Any, batch: _Batch, words: Mapping[int, Tensor], numbers: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """The losses, and for each token to be said whether it was the likeliest."""
    rows, length = batch.ids.shape
    inner, table = model.model, model.get_input_embeddings().weight
    projected = inner.multi_modal_projector(batch.features)
    pictures = torch.cat([projected, inner.image_newline[None]])[batch.patch_of]
    embedded = nn.functional.embedding(batch.ids, table).flatten(0, 1).index_copy(0, batch.image_places, pictures)
    out = inner.language_model(inputs_embeds=embedded.view(rows, length, -1), use_cache=False, output_attentions=True)
    hidden = out.last_hidden_state.flatten(0, 1)[batch.said_places - 1]
    logits = (hidden @ table.T).float()
    wanted = batch.ids.flatten()[batch.said_places]
    losses = {
        "said": _said_loss(logits, wanted, numbers),
        "gaze": _gaze_loss(out.attentions, batch, length),
        "alignment": _alignment_loss(projected, batch.targets, table, words),
    }
    return losses, logits.argmax(-1) == wanted


def _said_loss(logits: Tensor, wanted: Tensor, numbers: Tensor) -> Tensor:
    """Cross-entropy; of a box's number, its two neighbours count as nearly right, so that nearness can be learned."""
    likely = logits.log_softmax(-1)
    exact = -likely.gather(1, wanted[:, None])[:, 0]
    place, step = (wanted[:, None] == numbers).nonzero(as_tuple=True)
    if not len(place):
        return exact.mean()
    beside = [numbers[(step + side).clamp(0, len(numbers) - 1)] for side in (-1, 1)]
    near = sum(-likely[place, neighbour] for neighbour in beside) / 2
    return exact.index_put((place,), (1 - _NEAR) * exact[place] + _NEAR * near).mean()


def _gaze_loss(attentions: Sequence[Tensor], batch: _Batch, length: int) -> Tensor:
    """-log of the attention that falls on what is to be looked at, over looks and guided heads.

    What is counted is to be looked at evenly: the less falls on each, the more there are.
    """
    losses: list[Tensor] = []
    guided = [(heads, batch.looks[role], role == TALLY) for role, heads in GUIDED.items()]
    for heads, (number, place, source), is_even in [*guided, (NAMED, batch.named, False)]:
        if not len(number):
            continue
        row, count = place // length, int(number.max()) + 1
        for block, head in heads:
            fallen = attentions[block][row, head, place % length, source % length].float()
            if is_even:
                losses.append(-fallen.clamp_min(1e-4).log().mean())
            else:
                mass = torch.zeros(count, device=fallen.device).index_add(0, number, fallen)
                losses.append(-mass.clamp_min(1e-4).log().mean())
    return torch.stack(losses).mean() if losses else attentions[0].new_zeros(())


def _alignment_loss(projected: Tensor, targets: Tensor, table: Tensor, words: Mapping[int, Tensor]) -> Tensor:
    """Cross-entropy of the word for what a patch shows, among all such words, by the product of the embeddings."""
    total = projected.new_zeros((), dtype=torch.float32)
    shown = (targets[:, 1] > 0).nonzero()[:, 0]
    if not len(shown):
        return total
    shown = shown[torch.randint(len(shown), (_ALIGNED,), device=shown.device)]
    for column, ids in words.items():
        classes = targets[shown, column] - 1
        known = (classes >= 0) & (classes < ids.shape[1]) & (targets[shown, column] != UNCLEAR)
        if known.any():
            for spelling in ids:
                logits = 0.5 * (projected[shown[known]] @ table[spelling].T).float()
                total = total + nn.functional.cross_entropy(logits, classes[known]) / len(ids)
    return total


def _word_ids(tokenizer: Any, device: str) -> dict[int, Tensor]:
    """For colours, shapes and letters the tokens of their words: at the start of an answer, and within one."""

    def first_tokens(words: Sequence[str]) -> list[int]:
        return [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in words]

    spellings = [COLOURS, SHAPES], [[f" {word}" for word in kind] for kind in (COLOURS, SHAPES)]
    ids = {
        column: torch.tensor([first_tokens(spelling[column]) for spelling in spellings], device=device)
        for column in (0, 1)
    }
    return ids | {2: torch.tensor([first_tokens(CHARACTERS)], device=device)}


def _number_ids(tokenizer: Any, device: str) -> Tensor:
    """The tokens of the numbers of a box, 0 to 1000 in steps of 50, in order."""
    ids = [tokenizer(f"[{number},", add_special_tokens=False)["input_ids"][1] for number in range(0, 1001, 50)]
    return torch.tensor(ids, device=device)


def _stage(stages: Sequence[Mapping[str, Any]], step: int) -> Mapping[str, Any]:
    for stage in stages:
        if step < stage["steps"]:
            return stage
        step -= stage["steps"]
    return stages[-1]
