"""What was computed once is not computed again, and never changes an answer."""

from __future__ import annotations

import random
import threading
from collections.abc import Generator, Hashable, Iterator
from typing import Any

import scenes

from looktwice import Agent, Chat
from looktwice.agent.backends import Done, Settings, Token, open_backend
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.reuse import ByteLimited, Prefixes, common
from looktwice.agent.prompt import Prompt

QUESTIONS = [
    "What colour is the circle in @{}?",
    "Where is the square in @{}?",
    "What shape is red in @{}?",
    "Describe @{}.",
]


class Compared(LlavaBackend):
    """Answers with reuse, and each time once more from nothing; the greedy tokens must be the same."""

    def __init__(self) -> None:
        super().__init__(open_backend("pocket").checkpoint, device="cpu")
        self.plain = LlavaBackend(self.checkpoint, device="cpu", prefix_bytes=0, feature_bytes=0)
        self.computed = 0
        self.fresh = 0
        self.known: set[int] = set()

    def generate(self, prompt: Prompt, settings: Settings, **more: Any) -> Generator[Token | Done]:
        for item in super().generate(prompt, settings, **more):
            if isinstance(item, Done):
                plain = self.plain.generate(prompt, settings, **more)
                again = next(done for done in plain if isinstance(done, Done))
                assert (item.ids, item.finish) == (again.ids, again.finish)
                assert again.usage.reused == 0
                self._count(prompt, item)
            yield item

    def _count(self, prompt: Prompt, done: Done) -> None:
        """Prompt tokens computed, and those of prefixes that no earlier computation had seen."""
        keys = self.checkpoint.encoder.encode(prompt).keys
        prefixes = list(_prefixes(keys))
        unseen = sum(prefix not in self.known for prefix in prefixes)
        self.computed += done.usage.new
        self.fresh += max(unseen, 1)  # the last position is needed to go on from, even where all is known
        self.known.update(_prefixes([*keys, *(done.ids or ())]))


def _prefixes(keys: list[Hashable]) -> Iterator[int]:
    state = 0
    for key in keys:
        state = hash((state, key))
        yield state


def ask(chat: Chat, rng: random.Random, **wanted: Any) -> None:
    names = [image.name for image in chat.images if image.recipe is None]
    chat.ask(rng.choice(QUESTIONS).format(rng.choice(names)), max_new_tokens=12, **wanted)


def test_120_random_operations_give_the_tokens_of_a_full_recomputation() -> None:
    rng, backend = random.Random(1), Compared()
    agent = Agent(backend, memory=":memory:", tools=["zoom"])
    chats = [agent.chat("first")]
    chats[0].add(scenes.random_scene(rng), "p0")
    done: list[str] = []
    for number in range(120):
        chat = rng.choice(chats[-3:])
        kinds = ["ask"] * 5 + ["picture", "fork", "retry", "undo", "zoom"]
        kind = rng.choice(kinds)
        if kind == "picture" and len(chat.images) < 8:
            chat.add(scenes.random_scene(rng), f"p{number}")
            ask(chat, rng)
        elif kind == "fork" and chat.turns[1:] and len(chats) < 8:
            chats.append(chat.fork(rng.choice(chat.turns[1:])))
        elif kind == "retry" and any(turn.role == "user" for turn in chat.turns):
            chat.retry(max_new_tokens=12)
        elif kind == "undo":
            chat.undo()
        elif kind == "zoom":
            ask(chat, rng, tool_choice="zoom", looks=1)
        else:
            kind = "ask"
            ask(chat, rng)
        done.append(kind)
    assert set(done) == {"ask", "picture", "fork", "retry", "undo", "zoom"}
    assert backend.computed / backend.fresh <= 1.02, (backend.computed, backend.fresh)


def test_the_next_question_computes_only_its_own_tokens() -> None:
    with Agent(memory=":memory:") as agent:
        chat = agent.chat("a")
        chat.add(scenes.scene(("red", "circle", "top left")), "a")
        first = chat.ask("What colour is the circle in @a?")
        rows = chat.prompt("Where is the circle in @a?")
        second = chat.ask("Where is the circle in @a?")
    assert first.usage.reused == 0
    assert second.usage.prompt == sum(row.tokens for row in rows)
    assert second.usage.new == second.usage.prompt - first.usage.prompt - first.usage.output


def test_another_picture_in_the_same_place_is_never_taken_for_the_first() -> None:
    """The placeholder ids are equal; only the content differs."""
    with Agent(memory=":memory:") as agent:
        answers: list[str] = []
        for colour in ("red", "blue", "green"):
            chat = agent.chat(colour)
            chat.add(scenes.scene((colour, "circle", "top")), "a")
            answers.append(chat.ask("What colour is the circle in @a?").text)
    assert answers == ["red", "blue", "green"]


def test_threads_on_one_agent_get_their_own_answers() -> None:
    with Agent(memory=":memory:") as agent:
        answers: dict[str, list[str]] = {}

        def talk(colour: str) -> None:
            chat = agent.chat(colour)
            chat.add(scenes.scene((colour, "square", "left")), "a")
            answers[colour] = [chat.ask("What colour is the square in @a?").text for _ in range(3)]

        threads = [threading.Thread(target=talk, args=(colour,)) for colour in ("red", "blue", "green", "yellow")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {colour: [colour] * 3 for colour in ("red", "blue", "green", "yellow")}


def test_the_common_prefix_is_found() -> None:
    rng = random.Random(0)
    for _ in range(200):
        left = [rng.randrange(2) for _ in range(rng.randrange(40))]
        right = left[: rng.randrange(len(left) + 1)] + [rng.randrange(2) for _ in range(rng.randrange(10))]
        by_hand = next(
            (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
        )
        assert common(left, right) == by_hand  # pyright: ignore[reportArgumentType]


def fake_prefixes(limit: int) -> Prefixes:
    """Prefixes over lists in the place of caches, a byte a position."""

    def crop(cache: list[Any], length: int) -> None:
        del cache[length:]

    return Prefixes(limit, size=len, clone=lambda cache, length: cache[:length], crop=crop)


def test_no_cut_falls_inside_a_picture_and_one_position_stays() -> None:
    store = fake_prefixes(100)
    store.put([1, 2, "i0", "i1", "i2", 3], [0] * 6)
    assert store.take([1, 2, "i0", "i1", "j2"], [(2, 3)]).length == 2
    store.put([1, 2, "i0", "i1", "i2", 3], [0] * 6)
    assert store.take([1, 2, "i0", "i1", "i2", 3], [(2, 3)]).length == 5


def test_a_branch_that_is_left_stays_until_memory_is_short() -> None:
    store = fake_prefixes(20)
    store.put(list(range(10)), list(range(10)))
    hit = store.take([0, 1, 2, 3, 99, 98], [])
    assert hit.cache == [0, 1, 2, 3]
    store.put([0, 1, 2, 3, 99], [0, 1, 2, 3, 99])
    assert store.take([*range(10), 77], []).length == 10
    small = fake_prefixes(12)
    small.put(list(range(10)), list(range(10)))
    assert small.take([0, 1, 2, 3, 99, 98], []).cache == [0, 1, 2, 3]
    assert len(small) == 0


def test_what_was_used_longest_ago_goes_first() -> None:
    kept: ByteLimited[str] = ByteLimited(10, len)
    kept.put("a", "xxxx")
    kept.put("b", "xxxx")
    assert kept.get("a") == "xxxx"
    kept.put("c", "xxxx")
    assert (kept.get("b"), kept.get("a"), kept.get("c"), kept.used) == (None, "xxxx", "xxxx", 8)
    kept.put("d", "x" * 11)
    assert kept.get("d") is None
