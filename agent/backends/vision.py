"""What a model sees in pictures: their features, kept by content, at the tier at which they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...errors import ModelError
from ..prompt import Shown
from .backend import Pixels
from .checkpoint import Checkpoint
from .preprocessing import Preprocessing
from .reuse.kept import Kept


@dataclass(frozen=True, slots=True)
class Vision:
    """Encodes pictures with a model, which ``loaded`` gives; what is in ``kept`` isn't encoded again."""

    checkpoint: Checkpoint
    kept: Kept
    device: str
    loaded: Callable[[], Any]
    preprocessing: Preprocessing

    def feature(self, picture: Shown, pixels: Pixels) -> torch.Tensor:
        """A picture's features, (tokens, hidden)."""
        return self.see([picture], pixels)[0]

    def see(self, pictures: Sequence[Shown], pixels: Pixels, *, keep: bool = True) -> list[torch.Tensor]:
        """The features of pictures, (tokens, hidden) each; those that aren't kept are encoded together, and kept."""
        found = {key: self.kept.feature(key) for key in dict.fromkeys(picture.key for picture in pictures)}
        unseen = [key for key, full in found.items() if full is None]
        if unseen:
            for key, full in zip(unseen, self._encode([pixels(key) for key in unseen]), strict=True):
                found[key] = full
                if keep:
                    self.kept.put_feature(key, full)
        return [self._fitted(picture, full) for picture in pictures if (full := found[picture.key]) is not None]

    def see_anew(self, picture: Shown, pixels: Pixels) -> torch.Tensor:
        """A picture's features, computed from its pixels whatever is kept."""
        return self._fitted(picture, self._encode([pixels(picture.key)])[0])

    def _fitted(self, picture: Shown, full: torch.Tensor) -> torch.Tensor:
        """The features at the picture's tier; a thumbnail is the first rows of the full ones."""
        geometry = self.checkpoint.encoder.images
        if picture.tier == "thumbnail" and geometry.pinpoints:
            newline = self.loaded().model.image_newline[None].to(full.dtype)
            full = torch.cat([full[: (geometry.tile // geometry.patch) ** 2], newline])
        expected = self.checkpoint.encoder.image_tokens(picture)
        if len(full) != expected:
            raise ModelError(
                f"picture {picture.name!r} gave {len(full)} features instead of {expected};"
                f" is {self.checkpoint.name!r} whole?"
            )
        return full

    def _encode(self, images: Sequence[Any]) -> list[torch.Tensor]:
        """Features of pictures; their tiles are made in threads, and encoded few pictures at a time."""
        tiles = self.preprocessing.tiles(images)
        sizes = [[image.height, image.width] for image in images]
        found: list[torch.Tensor] = []
        for start in range(0, len(images), self._together):
            part = slice(start, start + self._together)
            found += self._encode_tiles(tiles[part], sizes[part])
        return found

    def _encode_tiles(self, tiles: Sequence[torch.Tensor], sizes: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        model = self.loaded()
        there = [each.to(self.device, non_blocking=True).to(model.dtype) for each in tiles]
        inputs = {"pixel_values": torch.cat(there)}
        if self.checkpoint.kind != "llava":
            inputs["image_sizes"] = torch.tensor(sizes, device=self.device)
        rows = model.model.get_image_features(**inputs, return_dict=True).pooler_output
        return [each.clone() for each in rows]  # a part would hold the memory of all

    @property
    def _together(self) -> int:
        """Pictures that are encoded at once: on the CPU more are no faster, and take more memory."""
        return 8 if self.device.startswith("cuda") else 1
