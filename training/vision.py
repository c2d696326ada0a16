# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The first stage: the tower alone learns what each patch shows, from the drawings' own truth."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .curves import note
from .optimiser import MixedAdam, cosine
from .settings import Settings
from .shelf import CHARACTERS, TARGETS, Shard, shards
from .truth import UNCLEAR

__all__ = ["train_tower"]

# Letters are the hard part and count more, what has no letter less; edges of boxes are easy.
_WEIGHTS = {
    **dict.fromkeys(("colour", "shape"), 1.0),
    **dict.fromkeys(("left", "top", "right", "bottom"), 0.25),
    **{"letter1": 2.0, "letter2": 2.0, "letter3": 0.5, "index": 0.5},
}
_BACKGROUND = 0.2  # share of the patches with nothing on them that are asked
_SAVE_EVERY = 500


class PatchHeads(nn.Module):
    """A linear reading of each target off a patch's features; thrown away after the stage."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.read = nn.Linear(width, sum(TARGETS.values()))

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Features (patches, width) -> logits (patches, classes) of each target."""
        parts = self.read(self.norm(features)).float().split(list(TARGETS.values()), -1)
        return dict(zip(TARGETS, parts, strict=True))


def train_tower(model: Any, settings: Settings, device: str, *, until: int | None = None) -> None:
    """Train ``model``'s tower on the shelf's tiles and keep it in ``tower.pt``; goes on from what is there.

    ``until`` ends this call after so many steps of the schedule.
    """
    recipe = settings.vision
    tower = model.model.vision_tower.to(device, settings.dtype).train()
    torch.manual_seed(settings.shelf.seed)
    heads = PatchHeads(model.config.vision_config.hidden_size).to(device, settings.dtype)
    optimiser = MixedAdam([*tower.parameters(), *heads.parameters()])
    tiles = _Tiles(settings)
    state, first = settings.folder / "tower.pt", 0
    if state.exists():
        saved = torch.load(state, weights_only=True)
        optimiser.restore(saved["optimiser"])
        first = saved["step"]
    began, loss_now = time.monotonic(), 0.0
    last = min(recipe.steps, until or recipe.steps)
    for step in range(first, last):
        torch.manual_seed(1_000_003 * settings.shelf.seed + step)  # so that a resumed run is the same run
        pixels, targets = tiles.batch(recipe.batch, np.random.default_rng([settings.shelf.seed, step]))
        loss = _loss(heads, _features(tower, _shaded(pixels.to(device))), targets.to(device))
        loss.backward()
        rate = cosine(step, recipe.steps, rate=recipe.rate, warm_up=recipe.warm_up)
        optimiser.step(rate)
        loss_now += (loss.item() - loss_now) * (0.02 if step > first else 1)
        if (step + 1) % 100 == 0:
            speed = (step + 1 - first) * recipe.batch / (time.monotonic() - began)
            print(f"tower step {step + 1} loss {loss_now:.3f} rate {rate:.1e} {speed:.0f} tiles/s", flush=True)
        if (step + 1) % _SAVE_EVERY == 0 or step + 1 == last:
            right = _right(tower, heads, tiles, device)
            note(settings.folder / "tower.jsonl", {"step": step + 1, "loss": loss_now, **right})
            part = state.with_suffix(".part")
            torch.save({"weights": tower.state_dict(), "optimiser": optimiser.state(), "step": step + 1}, part)
            part.rename(state)
    tower.float().eval()


class _Tiles:
    """Tiles to practise on: half from sheets of signs, half from pictures; the last shard of each is held out."""

    def __init__(self, settings: Settings) -> None:
        self._kinds = [shards(settings, kind) for kind in ("sheets", "pictures")]

    def batch(self, count: int, rng: np.random.Generator, *, held_out: bool = False) -> tuple[Tensor, Tensor]:
        """Pixels (count, 96, 96, 3) uint8 and targets (count, patches, len(TARGETS))."""
        parts = [self._some(found, count // 2, rng, held_out) for found in self._kinds]
        pixels, targets = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return torch.from_numpy(pixels), torch.from_numpy(targets).long()

    def _some(self, found: list[Shard], count: int, rng: np.random.Generator, held_out: bool) -> tuple[Any, Any]:
        shard = found[-1] if held_out else found[int(rng.integers(max(1, len(found) - 1)))]
        pixels, targets = shard.array("pixels"), shard.array("targets")
        bases = np.array([item.start for item in shard.items])
        chosen = np.concatenate([rng.choice(bases, count // 2), rng.integers(0, len(pixels), count - count // 2)])
        chosen.sort()
        return pixels[chosen], targets[chosen]


def _shaded(pixels: Tensor) -> Tensor:
    """Normalised tiles (count, 3, 96, 96), a little lighter or darker and tinted, as other drawings might be."""
    values = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    count, device = len(values), values.device
    gain = 1 + 0.18 * (torch.rand(count, 1, 1, 1, device=device) - 0.5)
    tint = 0.08 * (torch.rand(count, 3, 1, 1, device=device) - 0.5)
    return values * (gain + tint) + 0.16 * (torch.rand(count, 1, 1, 1, device=device) - 0.5)


def _features(tower: Any, pixels: Tensor) -> Tensor:
    return tower(pixels.to(tower.dtype)).last_hidden_state[:, 1:]


def _loss(heads: PatchHeads, features: Tensor, targets: Tensor) -> Tensor:
    features, targets = features.flatten(0, 1), targets.flatten(0, 1)
    asked = (targets[:, 1] > 0) | (torch.rand(len(targets), device=targets.device) < _BACKGROUND)
    targets = torch.where(targets == UNCLEAR, -100, targets)[asked]
    total = torch.zeros((), device=targets.device)
    for column, (name, logits) in enumerate(heads(features[asked]).items()):
        rare = None
        if name.startswith(("letter", "index")):
            rare = torch.ones(logits.shape[1], device=logits.device)
            rare[0] = 0.25
        total = total + _WEIGHTS[name] * nn.functional.cross_entropy(logits, targets[:, column], weight=rare)
    return total


@torch.no_grad()
def _right(tower: Any, heads: PatchHeads, tiles: _Tiles, device: str) -> dict[str, float]:
    """The share of right classes on held-out tiles, where there is something to name."""
    rng, right, asked = np.random.default_rng(0), dict.fromkeys(TARGETS, 0), dict.fromkeys(TARGETS, 0)
    for _ in range(6):
        pixels, targets = tiles.batch(256, rng, held_out=True)
        values = pixels.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        found, wanted = heads(_features(tower, values).flatten(0, 1)), targets.to(device).flatten(0, 1)
        for column, (name, logits) in enumerate(found.items()):
            known = (wanted[:, 1] > 0) & (wanted[:, column] != UNCLEAR)
            if name.startswith(("letter", "index")):
                known &= (wanted[:, column] > 0) & (wanted[:, column] != 1 + len(CHARACTERS))
            right[name] += int((logits.argmax(-1) == wanted[:, column])[known].sum())
            asked[name] += int(known.sum())
    shares = {name: round(right[name] / max(1, asked[name]), 4) for name in TARGETS}
    print("tower right:", " ".join(f"{name} {100 * share:.1f}" for name, share in shares.items()), flush=True)
    return shares
