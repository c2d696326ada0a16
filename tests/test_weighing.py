"""How likely words are to come next after several prompts at once: the model's own numbers, and nothing kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import checkpoints
import pytest
import scenes
import torch
from PIL import Image

from looktwice.agent.backends import Done, ScriptedBackend, Settings, open_backend
from looktwice.agent.backends.backend import weighed
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.reuse import kv
from looktwice.agent.prompt import Message, Prompt, Shown, Words, Written

PICTURES = {
    "wall": scenes.scene(("red", "circle", "top left"), ("blue", "square", "bottom right")),
    "part 1": scenes.scene(("green", "circle", "right"), size=(160, 240)),
    "part 2": scenes.scene(("orange", "square", "left"), size=(300, 100)),
}
QUESTION = "What colour is the circle in @wall?"
MODELS = {
    "pocket": ("red", "green", "no"),
    "mistral": ("image", "total"),
    "vicuna": ("total", "image"),
    "llama3": ("image", "bill"),
    "interleave": ("image", "tool"),
}


def opened(name: str) -> LlavaBackend:
    source = name if name == "pocket" else str(checkpoints.saved(name))
    return open_backend(source, device="cpu", dtype="float32")


def shown(key: str) -> tuple[Words, Shown, Words]:
    return Words(f"Image {key}:\n"), Shown(key, key, PICTURES[key].size), Words("\n")


def asked(*more: Words | Shown) -> Prompt:
    return Prompt((Message("user", (*shown("wall"), Words(QUESTION), *more)),))


ENDINGS = [
    asked(Words(" In a word.")),
    asked(Words("\n"), *shown("part 1"), Words("Is it in this part?")),
    asked(Words("\n"), *shown("part 2"), *shown("part 1"), Words("Is it in one of these parts, or in none of them?")),
]


def answer(backend: LlavaBackend, prompt: Prompt) -> Done:
    stream = backend.generate(prompt, Settings(max_new_tokens=4), pixels=PICTURES.__getitem__)
    return next(item for item in stream if isinstance(item, Done))


def alone(backend: LlavaBackend, prompt: Prompt, words: Sequence[str]) -> list[float]:
    """The same numbers from transformers' own forward pass on the whole prompt, from pixels."""
    encoded = backend.checkpoint.encoder.encode(prompt)
    images: list[Image.Image] = [PICTURES[picture.key] for _, picture, _ in encoded.pictures]
    inputs: dict[str, Any] = dict(backend.checkpoint.processor.image_processor(images=images, return_tensors="pt"))
    if backend.checkpoint.kind == "llava":
        inputs.pop("image_sizes", None)
    ids = torch.tensor([encoded.ids])
    model = backend._loaded()  # pyright: ignore[reportPrivateUsage]
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs).logits[0, -1]
    numbers: Any = torch.softmax(logits.float(), -1)
    likely: list[float] = numbers.tolist()
    tokenizer = backend.checkpoint.encoder.tokenizer
    known = {word: [i for i in range(len(tokenizer)) if tokenizer.decode([i]).strip() == word] for word in words}
    return [sum(likely[i] for i in known[word]) for word in words]


def assert_same(rows: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> None:
    assert len(rows) == len(others)
    for row, other in zip(rows, others, strict=True):
        assert list(row) == pytest.approx(list(other), abs=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_they_are_those_of_a_forward_pass_on_each_prompt_alone(name: str) -> None:
    backend, words = opened(name), MODELS[name]
    first = answer(backend, asked())
    found = backend.weigh(ENDINGS, words, pixels=PICTURES.__getitem__)
    for prompt, likely in zip(ENDINGS, found, strict=True):
        assert min(likely) > 0
        assert list(likely) == pytest.approx(alone(backend, prompt, words), abs=1e-5)
    # With nothing kept, for one alone, and in another order: the same.
    backend.forget([])
    assert_same(backend.weigh(ENDINGS, words, pixels=PICTURES.__getitem__), found)
    assert_same(backend.weigh(ENDINGS[2:], words, pixels=PICTURES.__getitem__), found[2:])
    assert answer(backend, asked()).ids == first.ids


def test_one_pass_goes_over_what_is_not_kept() -> None:
    backend = opened("pocket")
    done = answer(backend, asked())
    model, seen = backend._loaded(), list[tuple[int, ...]]()  # pyright: ignore[reportPrivateUsage]

    def see(_: Any, __: Any, given: dict[str, Any]) -> None:
        seen.append(tuple(given["input_ids"].shape))

    model.register_forward_pre_hook(see, with_kwargs=True)
    backend.weigh(ENDINGS, ["yes"], pixels=PICTURES.__getitem__)
    (rows, width), longest = seen[0], max(len(backend.checkpoint.encoder.encode(p).ids) for p in ENDINGS)
    assert (len(seen), rows) == (1, 3)
    assert width < longest - done.usage.prompt + 20  # but for the words that close the question


@pytest.mark.parametrize("goes_on", [True, False])
def test_what_is_kept_stays_as_it_was(goes_on: bool) -> None:
    """Whether the prompts follow on a kept conversation or leave it in its middle."""
    backend = opened("pocket")
    done = answer(backend, asked())
    if goes_on:
        said = Message("assistant", (Written((Words(done.text),), done.ids, done.tokenizer),))
        turns = (*asked().messages, said)
        prompts = [Prompt((*turns, Message("user", each.messages[0].segments[4:]))) for each in ENDINGS]
    else:
        prompts = ENDINGS
    kept = backend.kept.prefixes._kept  # pyright: ignore[reportPrivateUsage]
    before = [
        (list(prefix.keys), [side.clone() for layer in kv.tensors(prefix.cache) for side in layer]) for prefix in kept
    ]
    features = list(backend.kept.features._kept)  # pyright: ignore[reportPrivateUsage]
    backend.weigh(prompts, ["yes", "no"], pixels=PICTURES.__getitem__)
    after = [(list(prefix.keys), [side for layer in kv.tensors(prefix.cache) for side in layer]) for prefix in kept]
    assert [keys for keys, _ in after] == [keys for keys, _ in before]
    for (_, tensors), (_, others) in zip(after, before, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(tensors, others, strict=True))
    assert list(backend.kept.features._kept) == features == ["wall"]  # pyright: ignore[reportPrivateUsage]
    again = answer(backend, asked())
    assert (again.ids, again.usage.new) == (done.ids, 1)


def test_a_cache_folder_is_read_and_gets_nothing(tmp_path: Any) -> None:
    words = ["red", "no"]
    first = open_backend("pocket", device="cpu", cache=tmp_path)
    answer(first, asked())
    found = first.weigh(ENDINGS, words, pixels=PICTURES.__getitem__)
    first.close()
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    other = open_backend("pocket", device="cpu", cache=tmp_path)
    assert_same(other.weigh(ENDINGS, words, pixels=PICTURES.__getitem__), found)
    other.close()
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == files


def test_a_word_of_several_tokens_is_never_the_next_one() -> None:
    backend = opened("pocket")
    assert backend.weigh([asked()], ["yes", "hippopotamus"], pixels=PICTURES.__getitem__)[0][1] == 0.0
    assert backend.weigh([], ["yes"], pixels=PICTURES.__getitem__) == []


def test_a_backend_that_cant_says_none() -> None:
    class Plain:
        model = "plain"

    pixels = PICTURES.__getitem__
    assert weighed(Plain(), [asked()], ["yes"], pixels=pixels) is None  # pyright: ignore[reportArgumentType]
    assert weighed(ScriptedBackend([]), [asked()], ["yes"], pixels=pixels) is None
    scripted = ScriptedBackend([], weights=lambda prompt: {"yes": 0.1 * len(prompt.pictures)})
    assert weighed(scripted, ENDINGS, ["yes", "no"], pixels=pixels) == [
        (pytest.approx(0.1), 0.0),
        (pytest.approx(0.2), 0.0),
        (pytest.approx(0.3), 0.0),
    ]
