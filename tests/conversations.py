"""Conversations at the seam of a backend: prompts with pictures, without an agent or a database."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from PIL import Image

from looktwice.agent.backends import Done, Settings
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.prompt import Message, Prompt, Shown, Tier, Words, Written


class Album:
    """Pictures by their keys; crops are pictures, too."""

    def __init__(self) -> None:
        self.images: dict[str, Image.Image] = {}

    def add(self, rng: random.Random, size: tuple[int, int] = (320, 240)) -> str:
        small = Image.frombytes("RGB", (8, 6), rng.randbytes(8 * 6 * 3))
        return self._keep(small.resize(size, Image.Resampling.BICUBIC))

    def crop(self, key: str, rng: random.Random) -> str:
        width, height = self.images[key].size
        left, top = rng.randrange(width // 2), rng.randrange(height // 2)
        return self._keep(self.images[key].crop((left, top, left + width // 2, top + height // 2)))

    def _keep(self, image: Image.Image) -> str:
        key = f"picture {len(self.images)}"
        self.images[key] = image
        return key


@dataclass
class Talk:
    """One conversation; ``pictures`` are the keys of those shown."""

    messages: list[Message] = field(default_factory=list[Message])

    @property
    def pictures(self) -> list[str]:
        return [s.key for m in self.messages for s in m.segments if isinstance(s, Shown)]

    def ask(self, question: str) -> None:
        self.messages.append(Message("user", (Words(question),)))

    def show(self, key: str, album: Album, question: str, tier: Tier = "full") -> None:
        shown = Shown(key, key, album.images[key].size, tier)
        self.messages.append(Message("user", (Words(f"Image {key}:\n"), shown, Words(f"\n{question}"))))

    def prompt(self) -> Prompt:
        return Prompt(tuple(self.messages))

    def answered(self, done: Done) -> None:
        self.messages.append(Message("assistant", (Written((Words(done.text),), done.ids, done.tokenizer),)))

    def undo(self) -> None:
        del self.messages[-2:]

    def fork(self, rng: random.Random) -> Talk:
        return Talk(self.messages[: 2 * rng.randint(1, len(self.messages) // 2)])


def answer(backend: LlavaBackend, prompt: Prompt, album: Album, **settings: Any) -> Done:
    stream = backend.generate(prompt, Settings.of(**settings), pixels=album.images.__getitem__)
    return next(item for item in stream if isinstance(item, Done))


def answered_alike(backend: LlavaBackend, other: LlavaBackend, talk: Talk, album: Album, **settings: Any) -> Done:
    """The answer of one backend, which goes into the conversation; another must give the same."""
    done = answer(backend, talk.prompt(), album, **settings)
    expected = answer(other, talk.prompt(), album, **settings)
    assert (done.ids, done.finish) == (expected.ids, expected.finish)
    assert done.logprobs == pytest.approx(expected.logprobs, abs=1e-4)
    talk.answered(done)
    return done


def step(talks: list[Talk], album: Album, rng: random.Random) -> tuple[str, Talk]:
    """One random operation, and the conversation that it leaves with a question."""
    kind, talk = rng.choice(["ask", "ask", "picture", "crop", "fork", "undo"]), rng.choice(talks)
    if kind == "fork" and len(talk.messages) >= 2:
        talk = talks[rng.randrange(len(talks))] = talk.fork(rng)
    elif kind == "undo" and len(talk.messages) >= 2:
        talk.undo()
    if kind == "crop" and talk.pictures:
        talk.show(album.crop(rng.choice(talk.pictures), rng), album, "And here?")
    elif kind == "picture" or not talk.messages:
        talk.show(album.add(rng, rng.choice([(320, 240), (200, 300)])), album, "What is shown?")
    else:
        talk.ask(rng.choice(["The total on the bill?", "And the tax, 3.50?", "Compare with the other picture."]))
    return kind, talk
