"""The checkpoints that are known by name, for those who choose one. Any other LLaVA checkpoint works by name too."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KnownModel", "MODELS"]


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A checkpoint: its hub ``name``, its chat ``family``, its ``context`` in tokens, and what to know of it."""

    name: str
    family: str
    context: int
    notes: str


_ONE = "trained on one picture at a time"
_NARROW = f"{_ONE}; one full picture nearly fills the context"

MODELS = (
    KnownModel("pocket", "chatml", 4096, "ships with looktwice; drawn shapes and signs only"),
    KnownModel("llava-hf/llava-v1.6-mistral-7b-hf", "mistral", 32768, f"{_ONE}; room for about 11"),
    KnownModel("llava-hf/llava-v1.6-vicuna-7b-hf", "vicuna", 4096, _NARROW),
    KnownModel("llava-hf/llava-v1.6-vicuna-13b-hf", "vicuna", 4096, _NARROW),
    KnownModel("llava-hf/llava-v1.6-34b-hf", "chatml", 4096, _NARROW),
    KnownModel("llava-hf/llama3-llava-next-8b-hf", "llama3", 8192, _ONE),
    KnownModel("llava-hf/llava-next-72b-hf", "chatml", 32768, _ONE),
    KnownModel("llava-hf/llava-next-110b-hf", "chatml", 32768, _ONE),
    KnownModel(
        "llava-hf/llava-interleave-qwen-0.5b-hf", "chatml", 32768, "trained on several pictures; 729 tokens each"
    ),
    KnownModel("llava-hf/llava-interleave-qwen-7b-hf", "chatml", 32768, "trained on several pictures; 729 tokens each"),
    KnownModel("llava-hf/llava-1.5-7b-hf", "vicuna", 4096, f"{_ONE}; 576 tokens each, no fine detail"),
)
"""The public checkpoints that looktwice runs, and the one that ships with it."""
