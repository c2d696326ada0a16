"""Five conversations at once under limits that are too small: every answer is that of a computation from nothing.

``LOOKTWICE_OPERATIONS=500`` does more of them, and ``-s`` shows the table.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import checkpoints
import pytest
from conversations import Album, Talk, answer

from looktwice.agent.backends.checkpoint import Checkpoint, open_checkpoint
from looktwice.agent.backends.llava import LlavaBackend

OPERATIONS = int(os.environ.get("LOOKTWICE_OPERATIONS", "60"))
QUESTIONS = ["What is shown?", "The total on the bill?", "Compare with the other picture.", "And the tax, 3.50?"]
KINDS = ["ask"] * 4 + ["picture", "crop", "fork", "undo", "restart"]
LONGEST = 3000  # tokens of a conversation, before it begins anew


@dataclass
class Told:
    """What happened: operations by kind, and tokens of prompts, in all and reused."""

    kinds: Counter[str] = field(default_factory=Counter[str])
    prompt: int = 0
    reused: int = 0
    after_restart: int = 0
    wrong: int = 0

    def row(self, name: str) -> str:
        share = f"{self.reused / self.prompt:.0%}"
        return f"| {name} | {self.kinds.total()} | {self.prompt:,} | {share} | {self.after_restart:,} | {self.wrong} |"


class Play:
    """Random operations over five conversations, each answer compared."""

    def __init__(self, checkpoint: Checkpoint, cache: Path | None, seed: int) -> None:
        self.rng = random.Random(seed)
        self.checkpoint = checkpoint
        self.cache = cache
        self.album, self.told = Album(), Told()
        self.plain = LlavaBackend(checkpoint, device="cpu", prefix_bytes=0, feature_bytes=0)
        self.backend = self._opened()
        self.talks = [self._begun() for _ in range(5)]
        self.fresh = False

    def _opened(self) -> LlavaBackend:
        # A position takes 256 bytes here: there is room for one or two conversations, and a few pictures.
        return LlavaBackend(
            self.checkpoint,
            device="cpu",
            prefix_bytes=400_000,
            feature_bytes=100_000,
            cache=self.cache,
            cache_bytes=8 << 20,
        )

    def _begun(self) -> Talk:
        talk = Talk()
        talk.show(self.album.add(self.rng), self.album, self.rng.choice(QUESTIONS))
        self._answer(talk)
        return talk

    def step(self) -> None:
        place = self.rng.randrange(5)
        talk, kind = self.talks[place], self.rng.choice(KINDS)
        self.told.kinds[kind] += 1
        question = self.rng.choice(QUESTIONS)
        match kind:
            case "picture":
                key, tier = self.album.add(self.rng), self.rng.choice(["full", "full", "thumbnail"])
                talk.show(key, self.album, question, "thumbnail" if tier == "thumbnail" else "full")
            case "crop":
                talk.show(self.album.crop(self.rng.choice(talk.pictures), self.rng), self.album, question)
            case "fork":
                talk = self.talks[self.rng.randrange(5)] = talk.fork(self.rng)
                talk.ask(question)
            case "undo" if len(talk.messages) > 2:
                talk.undo()
                talk.ask(question)
            case "restart":
                self.backend.close()
                self.backend, self.fresh = self._opened(), True
                talk.ask(question)
            case _:
                talk.ask(question)
        self._answer(talk)
        if sum(row.tokens for row in self.backend.rows(talk.prompt())) > LONGEST:
            self.talks = [self._begun() if each is talk else each for each in self.talks]

    def _answer(self, talk: Talk) -> None:
        done = answer(self.backend, talk.prompt(), self.album, max_new_tokens=5)
        plain = answer(self.plain, talk.prompt(), self.album, max_new_tokens=5)
        assert plain.usage.reused == 0
        self.told.wrong += (done.ids, done.finish) != (plain.ids, plain.finish)
        self.told.prompt += done.usage.prompt
        self.told.reused += done.usage.reused
        if self.told.kinds["restart"] and self.fresh:
            self.told.after_restart += done.usage.reused
            self.fresh = False
        talk.answered(done)


@pytest.mark.parametrize("kept", ["memory", "folder"])
def test_random_operations_over_five_conversations_give_the_tokens_of_a_computation_from_nothing(
    kept: str, tmp_path: Path
) -> None:
    checkpoint = open_checkpoint(str(checkpoints.saved("mistral", tile=112)))
    play = Play(checkpoint, tmp_path / "cache" if kept == "folder" else None, seed=3)
    for _ in range(OPERATIONS):
        play.step()
    play.backend.close()
    told = play.told
    print("\n| kept in | operations | prompt tokens | reused | reused right after a restart | wrong answers |")
    print(f"|---|---|---|---|---|---|\n{told.row(kept)}\n{dict(told.kinds)}")
    assert told.wrong == 0
    assert set(told.kinds) == set(KINDS)
    assert told.reused > told.prompt * (0.6 if kept == "folder" else 0.2)
    assert (told.after_restart > 0) == (kept == "folder")
