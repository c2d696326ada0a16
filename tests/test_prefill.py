"""A long prompt is computed in chunks: with the same result, bounded in memory, and a cancel is heard in between."""

from __future__ import annotations

import random
import threading
from typing import Any

import checkpoints
import pytest
import torch
from conversations import Album, Talk, answer

from looktwice.agent.backends import Done, Settings, open_backend
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.errors import ModelError


def opened(*chunks: int, family: str = "mistral") -> LlavaBackend:
    backend = LlavaBackend(open_backend(str(checkpoints.saved(family, tile=112))).checkpoint, device="cpu")
    backend.chunks = chunks or backend.chunks
    return backend


def shown(*tiers: Any) -> tuple[Album, Talk]:
    """A conversation of one question about several pictures."""
    rng, album, talk = random.Random(3), Album(), Talk()
    for number, tier in enumerate(tiers):
        talk.show(album.add(rng, (320 - 70 * number, 240)), album, "And this?", tier)
    segments = tuple(segment for message in talk.messages for segment in message.segments)
    return album, Talk([type(talk.messages[0])("user", segments)])


def sizes(monkeypatch: pytest.MonkeyPatch, backend: LlavaBackend) -> list[int]:
    """The lengths of all computations of the language model from now on."""
    model, lengths = backend._loaded().model.language_model, list[int]()  # pyright: ignore[reportPrivateUsage]
    forward = model.forward

    def measured(*given: Any, **more: Any) -> Any:
        lengths.append(more["inputs_embeds"].shape[1])
        return forward(*given, **more)

    monkeypatch.setattr(model, "forward", measured)
    return lengths


@pytest.mark.parametrize(
    ("chunk", "family"), [(1000, "mistral"), (173, "mistral"), (16, "mistral"), (50, "interleave"), (50, "llava15")]
)
def test_chunks_cut_pictures_anywhere_and_the_answer_is_the_same(
    chunk: int, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    album, talk = shown("full", "thumbnail", "full")
    whole = answer(opened(100_000, family=family), talk.prompt(), album, max_new_tokens=6)
    backend = opened(chunk, family=family)
    lengths = sizes(monkeypatch, backend)
    done = answer(backend, talk.prompt(), album, max_new_tokens=6)
    assert done.usage == whole.usage
    assert done.ids == whole.ids
    assert done.logprobs == pytest.approx(whole.logprobs, abs=1e-5)
    assert max(lengths) <= chunk
    assert lengths[0] == min(chunk, whole.usage.prompt)


def test_the_next_token_after_chunks_is_that_of_one_piece() -> None:
    album, talk = shown("full", "full")
    backend = opened(97)
    answer(backend, talk.prompt(), album, max_new_tokens=2)
    backend.chunks = (100_000,)  # what is kept came in chunks, what it is compared with comes in one piece
    check = backend.check_reuse(talk.prompt(), album.images.__getitem__)
    assert check.reused > 300
    assert check.difference < 1e-5


@pytest.mark.parametrize("settings", [{"num_beams": 3}, {}], ids=["beams", "a batch"])
def test_beams_and_batches_come_in_chunks(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    album, talk = shown("full", "thumbnail")
    other = Talk()
    other.ask("What is the total?")
    prompts = [talk.prompt()] if settings else [talk.prompt(), other.prompt()]

    def answers(backend: LlavaBackend) -> list[Done]:
        if settings:
            return [answer(backend, prompts[0], album, max_new_tokens=4, **settings)]
        return backend.generate_many(prompts, Settings(max_new_tokens=4), pixels=album.images.__getitem__)

    backend = opened(300)
    lengths = sizes(monkeypatch, backend)
    assert [done.ids for done in answers(backend)] == [done.ids for done in answers(opened(100_000))]
    assert max(lengths) <= 150


def test_a_cancel_is_heard_between_chunks_and_what_was_computed_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    album, talk = shown("full", "full")
    backend, cancel = opened(100), threading.Event()
    layer = backend._loaded().model.language_model.layers[1]  # pyright: ignore[reportPrivateUsage]
    forward, calls = layer.forward, list[int]()

    def counted(*given: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            cancel.set()
        return forward(*given, **more)

    monkeypatch.setattr(layer, "forward", counted)
    stream = backend.generate(talk.prompt(), Settings(), pixels=album.images.__getitem__, cancel=cancel)
    (done,) = list(stream)
    assert isinstance(done, Done)
    assert (done.finish, done.text, done.usage.output, len(calls)) == ("cancelled", "", 0, 4)
    whole = answer(opened(), talk.prompt(), album, max_new_tokens=5)
    again = answer(backend, talk.prompt(), album, max_new_tokens=5)
    assert again.ids == whole.ids
    assert again.usage.reused > 0  # up to the picture inside which the computation ended


def runs_out_over(monkeypatch: pytest.MonkeyPatch, backend: LlavaBackend, limit: int) -> None:
    """Lets computations of more than so many tokens fail as on a full GPU."""
    layer = backend._loaded().model.language_model.layers[1]  # pyright: ignore[reportPrivateUsage]
    forward = layer.forward

    def failing(hidden: torch.Tensor, *given: Any, **more: Any) -> Any:
        if hidden.shape[1] > limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(hidden, *given, **more)

    monkeypatch.setattr(layer, "forward", failing)


def test_where_memory_runs_out_a_prompt_comes_in_smaller_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    album, talk = shown("full", "full")
    backend = opened(1024, 256, 64)
    whole = answer(opened(), talk.prompt(), album, max_new_tokens=5)
    with monkeypatch.context() as patched:
        runs_out_over(patched, backend, 64)
        done = answer(backend, talk.prompt(), album, max_new_tokens=5)
    assert (done.ids, done.text) == (whole.ids, whole.text)
    with monkeypatch.context() as patched:
        runs_out_over(patched, backend, 32)
        backend.prefixes.clear()
        with pytest.raises(ModelError, match=r"^the model ran out of memory; ask about fewer pictures"):
            answer(backend, talk.prompt(), album, max_new_tokens=5)
    assert answer(backend, talk.prompt(), album, max_new_tokens=5).ids == whole.ids
