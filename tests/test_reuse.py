"""What was computed once is not computed again, and never changes an answer."""

from __future__ import annotations

import random
import threading
from collections.abc import Container, Generator, Hashable, Iterator
from pathlib import Path
from typing import Any

import checkpoints
import pytest
import scenes
import torch
from conversations import Album, Talk, answer

from looktwice import Agent, Chat
from looktwice.agent.backends import Done, Settings, Token, open_backend
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.reuse import sealed
from looktwice.agent.backends.reuse.prefixes import ByteLimited, Lower, Prefixes, common
from looktwice.agent.backends.reuse.recheck import ReuseCheck
from looktwice.agent.prompt import Prompt
from looktwice.errors import ModelError

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


def fake_prefixes(limit: int, lower: Lower[Prefixes, Any] | None = None) -> Prefixes:
    """Prefixes over lists in the place of caches, a byte a position."""

    def crop(cache: list[Any], length: int) -> None:
        del cache[length:]

    return Prefixes(limit, size=len, clone=lambda cache, length: cache[:length], crop=crop, lower=lower)


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


# --- tiers


def test_what_is_pushed_out_moves_down_and_comes_up_again() -> None:
    moves: list[str] = []

    def move(way: str) -> Any:
        return lambda cache: moves.append(way) or list(cache)  # type: ignore[func-returns-value]

    below = fake_prefixes(30)
    store = fake_prefixes(12, Lower(below, move("down"), move("up")))
    store.put(list(range(10)), list(range(10)))
    store.put(list(range(20, 30)), list(range(20, 30)))
    assert (len(store), len(below), moves) == (1, 1, ["down"])
    assert store.reach([*range(10), 77], []) == 10
    hit = store.take([*range(10), 77], [])
    assert (hit.cache, hit.length, moves, len(below)) == (list(range(10)), 10, ["down", "up"], 0)
    store.put([*range(10), 77], [*range(10), 77])
    assert (len(store), len(below)) == (1, 1)
    store.free()
    assert (len(store), len(below)) == (0, 2)
    assert store.take([*range(20, 30), 5], []).length == 10


def test_a_branch_of_what_moved_down_leaves_it_there() -> None:
    below = fake_prefixes(30)
    store = fake_prefixes(5, Lower(below, list, list))
    store.put(list(range(10)), list(range(10)))
    assert (len(store), len(below)) == (0, 1)
    assert store.take([0, 1, 2, 99, 98], []).cache == [0, 1, 2]
    assert store.reach([*range(10), 77], []) == 10


def test_features_move_down_and_come_up_again() -> None:
    below: ByteLimited[str] = ByteLimited(8, len)
    kept: ByteLimited[str] = ByteLimited(4, len, lower=Lower(below, str.upper, str.lower))
    for key in "abcd":
        kept.put(key, key * 4)
    assert [key in "d" or below.get(key) for key in "abcd"] == [None, "BBBB", "CCCC", True]
    assert (kept.get("b"), kept.get("a"), len(kept)) == ("bbbb", None, 1)
    kept.drop("b")
    assert kept.get("b") is None


class Unified(LlavaBackend):
    """A backend with two tiers, both on the CPU: what a GPU has, where there is none."""

    def __init__(self, prefix_bytes: int, ram_bytes: int, **more: Any) -> None:
        checkpoint = open_backend(str(checkpoints.saved("mistral", tile=112))).checkpoint
        more = {"device": "cpu", "decoding": "eager", "prefix_bytes": prefix_bytes, "feature_bytes": 0} | more
        super().__init__(checkpoint, **more)
        lower = self.prefixes.lower
        assert lower is not None
        lower.store.limit = ram_bytes


def two_pictures() -> tuple[Album, Talk]:
    rng, album, talk = random.Random(5), Album(), Talk()
    talk.show(album.add(rng), album, "What is shown?")
    first = talk.messages[0]
    talk.show(album.add(rng), album, "And here?")
    return album, Talk([first, *talk.messages[1:]])


def test_a_conversation_that_no_longer_fits_the_device_is_answered_from_memory() -> None:
    backend = Unified(prefix_bytes=120_000, ram_bytes=10_000_000)
    rng, album = random.Random(1), Album()
    talks = [Talk() for _ in range(3)]
    for talk in talks:
        talk.show(album.add(rng), album, "What is shown?")
        talk.answered(answer(backend, talk.prompt(), album, max_new_tokens=3))
    assert backend.prefixes.lower is not None
    assert len(backend.prefixes.lower.store) >= 1
    plain = LlavaBackend(backend.checkpoint, device="cpu", prefix_bytes=0, feature_bytes=0)
    for talk in talks:
        talk.ask("And the tax?")
        done = answer(backend, talk.prompt(), album, max_new_tokens=3)
        assert done.ids == answer(plain, talk.prompt(), album, max_new_tokens=3).ids
        assert done.usage.new < 30


# --- a test of what is kept


def checked(backend: LlavaBackend, talk: Talk, album: Album) -> ReuseCheck:
    return backend.check_reuse(talk.prompt(), album.images.__getitem__)


def asked_twice(backend: LlavaBackend) -> tuple[Album, Talk]:
    album, talk = two_pictures()
    talk.answered(answer(backend, talk.prompt(), album, max_new_tokens=3))
    talk.ask("And the tax?")
    return album, talk


def kept_prefixes(backend: LlavaBackend) -> list[Any]:
    return backend.prefixes._kept  # pyright: ignore[reportPrivateUsage]


def test_a_right_prefix_is_found_right_and_stays() -> None:
    backend = open_backend(str(checkpoints.saved("mistral", tile=112)), device="cpu")
    album, talk = asked_twice(backend)
    check, again = checked(backend, talk, album), checked(backend, talk, album)
    assert (check.fine, check.same_token) == (again.fine, again.same_token) == (True, True)
    assert max(check.difference, again.difference) < 1e-5
    assert check.reused == again.reused > 500
    assert answer(backend, talk.prompt(), album, max_new_tokens=1).usage.reused == check.reused


def test_a_prefix_with_other_values_is_found() -> None:
    backend = open_backend(str(checkpoints.saved("mistral", tile=112)), device="cpu")
    album, talk = asked_twice(backend)
    with torch.inference_mode():
        kept_prefixes(backend)[0].cache.layers[0].values[:, :, 40:300] += 1.0
    assert not checked(backend, talk, album).fine
    with torch.inference_mode():
        kept_prefixes(backend)[0].cache.layers[0].values[:] = float("nan")
    assert checked(backend, talk, album).difference == float("inf")


def test_a_prefix_under_the_wrong_keys_is_found() -> None:
    """The picture was exchanged, the key wasn't: what another picture gave would be taken."""
    backend = open_backend(str(checkpoints.saved("mistral", tile=112)), device="cpu")
    album, talk = asked_twice(backend)
    album.images["picture 0"] = album.images["picture 0"].point(lambda value: 255 - value)
    check = checked(backend, talk, album)
    assert (check.fine, check.reused > 500) == (False, True)


def test_wrong_features_are_found() -> None:
    backend = open_backend(str(checkpoints.saved("mistral", tile=112)), device="cpu")
    album, talk = two_pictures()
    answer(backend, talk.prompt(), album, max_new_tokens=1)
    backend.prefixes.clear()
    assert checked(backend, talk, album).fine
    backend.prefixes.clear()
    features = backend.features.get("picture 1")
    assert features is not None
    with torch.inference_mode():
        features += 1.0
    check = checked(backend, talk, album)
    assert (check.fine, check.reused) == (False, 0)


def test_a_file_that_is_wrong_under_a_right_hash_is_found(tmp_path: Path) -> None:
    backend = open_backend(str(checkpoints.saved("mistral", tile=112)), device="cpu", cache=tmp_path)
    album, talk = asked_twice(backend)
    backend.close()
    assert checked(backend, talk, album).fine
    backend.close()
    for file in tmp_path.glob("*/prefixes/*/*"):
        about, tensor = sealed.read(file)
        sealed.write(file, tensor * 1.5, about)
    check = checked(backend, talk, album)
    assert (check.fine, check.reused > 500) == (False, True)
    backend.forget(talk.pictures)
    assert checked(backend, talk, album).fine


# --- a GPU without room


def runs_out(monkeypatch: pytest.MonkeyPatch, backend: LlavaBackend, calls: Container[int]) -> list[int]:
    """Lets the layers' computations with those numbers, from now on, fail as on a full GPU; the calls seen so far."""
    layer = backend._loaded().model.language_model.layers[1]  # pyright: ignore[reportPrivateUsage]
    forward, seen = layer.forward, list[int]()

    def failing(*given: Any, **more: Any) -> Any:
        seen.append(len(seen))
        if seen[-1] in calls:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(*given, **more)

    monkeypatch.setattr(layer, "forward", failing)
    return seen


@pytest.mark.parametrize("at", [0, 3], ids=["in prefill", "in decode"])
@pytest.mark.parametrize("ram_bytes", [0, 10_000_000])
def test_memory_that_runs_out_once_is_made_free_and_the_answer_comes(
    at: int, ram_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Unified(10_000_000, 0)
    album, talk = asked_twice(plain)
    whole = answer(plain, talk.prompt(), album, max_new_tokens=8)
    backend = Unified(10_000_000, ram_bytes)
    asked_twice(backend)
    seen = runs_out(monkeypatch, backend, {at})
    settings = Settings(max_new_tokens=8)
    items = list(backend.generate(talk.prompt(), settings, pixels=album.images.__getitem__))
    done = items[-1]
    assert isinstance(done, Done)
    assert (done.ids, done.text, done.finish) == (whole.ids, whole.text, whole.finish)
    assert "".join(item.text for item in items if isinstance(item, Token)) == whole.text
    assert len(done.logprobs) == len(whole.logprobs)
    assert done.logprobs == pytest.approx(whole.logprobs, abs=1e-4)
    assert len(seen) == 9
    assert (done.usage.reused > 500) == (ram_bytes > 0)


def test_memory_that_runs_out_again_is_one_line_and_the_model_stays_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Unified(10_000_000, 0)
    album, talk = asked_twice(backend)
    with monkeypatch.context() as patched:
        runs_out(patched, backend, range(1000))
        with pytest.raises(ModelError) as error:
            answer(backend, talk.prompt(), album, max_new_tokens=3)
    assert str(error.value) == (
        "the model ran out of memory; ask about fewer pictures, give them a smaller budget,"
        " or load it with quantize='4bit'"
    )
    plain = Unified(0, 0)
    again = answer(backend, talk.prompt(), album, max_new_tokens=3)
    assert again.ids == answer(plain, talk.prompt(), album, max_new_tokens=3).ids


def test_the_question_is_kept_where_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with Agent(LlavaBackend(open_backend("pocket").checkpoint, device="cpu"), memory=":memory:") as agent:
        chat = agent.chat("a")
        chat.add(scenes.scene(("red", "circle", "top left")), "a")
        backend = agent.backend
        assert isinstance(backend, LlavaBackend)
        with monkeypatch.context() as patched:
            runs_out(patched, backend, range(1000))
            with pytest.raises(ModelError, match="ran out of memory"):
                chat.ask("What colour is the circle in @a?")
        assert [turn.role for turn in chat.turns][-1] == "user"
        assert chat.retry().text == "red"
