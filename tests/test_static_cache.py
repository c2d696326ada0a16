"""Decoding on a static cache: the same answers as on a growing one, and compiled once for many turns."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import checkpoints
import pytest
import torch
from conversations import Album, Talk, answer, answered_alike, step

from looktwice.agent.backends import Settings, open_backend
from looktwice.agent.backends.attention import STATIC, choose_attention, static_attention
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.reuse import kv, slate
from looktwice.agent.backends.reuse.slate import Slate
from looktwice.agent.backends.weights import choose_decoding
from looktwice.errors import ModelError

OPERATIONS = 120


@pytest.fixture(autouse=True)
def small_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slate begins small, so that it has to grow."""
    monkeypatch.setattr(slate, "_SMALLEST", 64)


def opened(decoding: Any = "compiled", *, compiler: Any = None, **more: Any) -> LlavaBackend:
    """A backend with a slate; without a compiler its steps aren't compiled, but computed in the same way."""
    checkpoint = open_backend(str(checkpoints.saved("mistral"))).checkpoint
    backend = LlavaBackend(checkpoint, device="cpu", decoding=decoding, **more)
    if compiler is None:
        backend.compilation = None
    else:
        backend.compilation.backend, backend.compilation.mode = compiler, None
    return backend


def plain() -> LlavaBackend:
    return opened("eager", prefix_bytes=0, feature_bytes=0)


def the_slate(backend: LlavaBackend) -> Slate:
    assert backend.kept.slate is not None
    return backend.kept.slate


# --- the same answers


@pytest.mark.parametrize("room", [1 << 30, 60_000], ids=["all kept", "little kept"])
def test_random_operations_give_the_tokens_of_a_computation_from_nothing(room: int) -> None:
    rng, album, kinds = random.Random(room), Album(), Counter[str]()
    backend, other, talks = opened(prefix_bytes=room), plain(), [Talk(), Talk(), Talk()]
    rooms, computed, new = set[int](), 0, 0
    for _ in range(OPERATIONS // 2):
        kind, talk = step(talks, album, rng)
        done = answered_alike(backend, other, talk, album, max_new_tokens=4)
        kinds[kind] += 1
        rooms.add(the_slate(backend).room)
        computed, new = computed + done.usage.new, new + done.usage.prompt
    assert len(kinds) == 5
    assert len(rooms) >= 3
    assert computed < new * 0.6


def test_a_batch_and_beams_beside_the_slate_are_as_ever() -> None:
    album, talks, backend, other = Album(), [Talk(), Talk()], opened(), plain()
    talks[0].show(album.add(random.Random(0)), album, "What is shown?")
    talks[1].ask("The total on the bill?")
    prompts, settings, pixels = [talk.prompt() for talk in talks], Settings(max_new_tokens=70), album.images.__getitem__
    batches = [each.generate_many(prompts, settings, pixels=pixels) for each in (backend, other)]
    assert [done.ids for done in batches[0]] == [done.ids for done in batches[1]]
    beams = [answer(each, prompts[0], album, max_new_tokens=5, num_beams=2) for each in (backend, other)]
    assert beams[0].ids == beams[1].ids


def test_a_right_prefix_on_the_slate_is_found_right_and_stays() -> None:
    backend, album, talk = opened(), Album(), Talk()
    talk.show(album.add(random.Random(0)), album, "What is shown?")
    talk.answered(answer(backend, talk.prompt(), album, max_new_tokens=3))
    talk.ask("And the tax?")
    check = backend.check_reuse(talk.prompt(), album.images.__getitem__)
    assert check.difference < 1e-5
    assert answer(backend, talk.prompt(), album, max_new_tokens=1).usage.reused == check.reused > 20


def test_what_is_written_to_a_folder_is_not_written_over(tmp_path: Path) -> None:
    backend, rng, album = opened(cache=tmp_path), random.Random(0), Album()
    talks = [Talk() for _ in range(4)]
    for talk in talks:
        talk.show(album.add(rng), album, "What is shown?")
        talk.answered(answer(backend, talk.prompt(), album, max_new_tokens=3))
    backend.close()
    for talk in talks:
        talk.ask("And the tax?")
        check = backend.check_reuse(talk.prompt(), album.images.__getitem__)
        assert (check.reused > 20, check.difference < 1e-5) == (True, True)
        expected = answer(plain(), talk.prompt(), album, max_new_tokens=3)
        assert answer(backend, talk.prompt(), album, max_new_tokens=3).ids == expected.ids


# --- the cache by itself


def filled(cache: Any, *counts: int) -> list[torch.Tensor]:
    """All keys and values written to two layers, (1, 2, positions, 4), in pieces of so many positions."""
    pieces = [torch.randn(1, 2, count, 4) for count in counts]
    for piece in pieces:
        for index in range(2):
            cache.update(piece + index, -piece, index)
    whole = torch.cat(pieces, dim=2)
    return [whole, -whole, whole + 1, -whole]


def held(cache: Slate) -> list[torch.Tensor]:
    return [side for layer in cache.tensors() for side in layer]


def test_a_slate_grows_and_rolls_back_exactly() -> None:
    cache = Slate(2)
    written = filled(cache, 40, 1, 59)
    assert all(map(torch.equal, held(cache), written))
    assert (cache.room, cache.filled, kv.size(cache)) == (128, 100, 100 * 2 * 4 * 4 * 4)
    cache.roll_back(30)
    again = filled(cache, 5)
    expected = [torch.cat([old[:, :, :30], new], dim=2) for old, new in zip(written, again, strict=True)]
    assert all(map(torch.equal, held(cache), expected))
    cache.lay(kv.clone(cache, 10))
    assert all(map(torch.equal, held(cache), (side[:, :, :10] for side in expected)))
    cache.lay(None)
    assert (cache.filled, cache.room) == (0, 128)
    cache.free()
    assert (cache.room, held(cache)) == (0, [])


def test_a_slate_that_is_open_counts_on_the_device_and_never_moves() -> None:
    cache = Slate(2)
    filled(cache, 50)
    cache.open(100)
    place = cache.layers[0].keys.data_ptr()
    filled(cache, 1, 1)
    assert isinstance(cache.get_seq_length(), torch.Tensor)
    assert cache.layers[0].get_mask_sizes(1) == (128, 0)
    cache.close()
    assert (cache.filled, cache.layers[0].keys.data_ptr()) == (52, place)


# --- compiled


def test_one_compilation_serves_turns_forks_and_other_conversations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slate, "_SMALLEST", 512)
    graphs = list[Any]()

    def compiler(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    backend, other, rng, album = opened(compiler=compiler), plain(), random.Random(0), Album()
    torch._dynamo.utils.counters.clear()  # pyright: ignore
    talks = [Talk(), Talk()]
    for turn in range(6):
        for talk in talks:
            if turn in (0, 3):
                talk.show(album.add(rng), album, "What is shown?")
            else:
                talk.ask("And the tax?")
            done = answer(backend, talk.prompt(), album, max_new_tokens=6)
            assert done.ids == answer(other, talk.prompt(), album, max_new_tokens=6).ids
            talk.answered(done)
        talks[1] = talks[0].fork(rng) if turn == 3 else talks[1]
    assert len(graphs) == 1
    assert not torch._dynamo.utils.counters["graph_break"]  # pyright: ignore
    assert not torch._dynamo.utils.counters["recompile_limit"]  # pyright: ignore


def no_compiler(*_: Any) -> Any:
    raise FileNotFoundError("no gcc here")


def test_where_nothing_can_be_compiled_it_is_one_line_or_goes_on_eagerly(caplog: pytest.LogCaptureFixture) -> None:
    album, talk = Album(), Talk()
    talk.show(album.add(random.Random(0)), album, "What is shown?")
    backend = opened(compiler=no_compiler)
    with pytest.raises(ModelError, match=r"compiled here \(FileNotFoundError: no gcc here\); use decoding='eager'$"):
        answer(backend, talk.prompt(), album, max_new_tokens=3)
    expected = answer(plain(), talk.prompt(), album, max_new_tokens=3)
    backend._may_fall_back = True  # pyright: ignore[reportPrivateUsage]  # as decoding="auto" on a GPU
    assert answer(backend, talk.prompt(), album, max_new_tokens=3).ids == expected.ids
    assert answer(backend, talk.prompt(), album, max_new_tokens=3).usage.reused > 20
    assert [record.levelname for record in caplog.records if "not compiled" in record.message] == ["WARNING"]


def test_what_is_compiled_is_chosen_by_what_is_there() -> None:
    assert choose_decoding("auto", "cpu", None) is None
    assert choose_decoding("eager", "cuda", None) is None
    assert choose_decoding("auto", "cuda", "4bit") is None
    assert choose_decoding("compiled", "cuda:1", None).mode == "reduce-overhead"


def test_flash_attention_is_taken_where_it_is_installed_and_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitting = ("cuda:0", torch.bfloat16)
    assert choose_attention(*fitting, compiled=False) == "sdpa"  # it isn't installed here
    (tmp_path / "flash_attn.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert choose_attention(*fitting, compiled=False) == "flash_attention_2"
    assert choose_attention("cpu", torch.bfloat16, compiled=False) == "sdpa"
    assert choose_attention("cuda", torch.float32, compiled=False) == "sdpa"
    assert choose_attention(*fitting, compiled=True) == STATIC


@pytest.mark.parametrize(("room", "filled"), [(2048, 1), (2048, 1500), (192, 192)])
def test_attention_over_a_static_cache_is_torchs_own(room: int, filled: int) -> None:
    query, key, value = torch.randn(1, 8, 1, 16), torch.randn(1, 2, room, 16), torch.randn(1, 2, room, 16)
    mask = (torch.arange(room) < filled)[None, None, None]
    ours, _ = static_attention(torch.nn.Module(), query, key, value, mask, scaling=0.3)
    key, value = (each.repeat_interleave(4, dim=1) for each in (key, value))
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=0.3)
    assert torch.allclose(ours, expected.transpose(1, 2), atol=1e-6)
