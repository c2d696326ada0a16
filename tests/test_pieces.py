"""The words of an answer come token by token, whatever bytes a model writes."""

from __future__ import annotations

import random
from typing import Any

import checkpoints
import pytest

from looktwice.agent.backends.checkpoint import open_checkpoint
from looktwice.agent.backends.pieces import Pieces


def tokenizer_of(family: str) -> Any:
    return open_checkpoint(str(checkpoints.saved(family))).encoder.tokenizer.backend_tokenizer


@pytest.mark.parametrize("family", ["mistral", "vicuna", "chatml", "llama3"])
def test_the_pieces_of_a_text_are_the_text(family: str) -> None:
    tokenizer = tokenizer_of(family)
    ids = tokenizer.encode("Grüße, 5 € für 寿司 🍣!", add_special_tokens=False).ids
    pieces = Pieces(tokenizer)
    said = "".join(pieces.add(token) for token in ids)
    assert said.strip() == "Grüße, 5 € für 寿司 🍣!"


@pytest.mark.parametrize("family", ["mistral", "vicuna"])
def test_bytes_that_are_no_character_end_no_answer(family: str) -> None:
    """Tokens of single bytes in an order that no text has, then words: the words come as they are."""
    tokenizer = tokenizer_of(family)
    rng = random.Random(1)
    word = tokenizer.encode("room", add_special_tokens=False).ids
    for _ in range(100):
        pieces = Pieces(tokenizer)
        broken = [rng.randrange(3, 259) for _ in range(rng.randrange(1, 8))]  # Llama's tokens of single bytes
        said = "".join(pieces.add(token) for token in [*broken, *word])
        assert said.endswith("room")
