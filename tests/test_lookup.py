"""Prompt lookup: the same answers as step by step, in fewer passes where an answer repeats its prompt."""

from __future__ import annotations

import functools
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import checkpoints
import pytest
import torch
from conversations import Album, Talk, answered_alike, step

from looktwice.agent.backends import Done, Settings, Token, open_backend
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.lookup import Repeats
from looktwice.agent.calls import Offer
from looktwice.tools import find_tools

OPERATIONS = 60
LETTER = (
    "Dear Ms Brown, the total on the bill is 42.10 and the tax is 3.50, so that a tab of 45.60 was paid in cash."
    " Please compare this with the other picture: the menu says 12 Äpfel at the naïve café for 100 %."
)


def opened(decoding: Any = "lookup", family: str = "mistral", **more: Any) -> LlavaBackend:
    return LlavaBackend(
        open_backend(str(checkpoints.saved(family))).checkpoint, device="cpu", decoding=decoding, **more
    )


def no_pixels(key: str) -> Any:
    raise AssertionError(key)


def ask(backend: LlavaBackend, question: str, **more: Any) -> Done:
    talk = Talk()
    talk.ask(question)
    settings = Settings.of(**{name: value for name, value in more.items() if name not in ("offer", "cancel")})
    rest: dict[str, Any] = {name: value for name, value in more.items() if name in ("offer", "cancel")}
    return list(backend.generate(talk.prompt(), settings, pixels=no_pixels, **rest))[-1]  # type: ignore[return-value]


class Counted:
    """Counts a backend's passes, and may change what they give."""

    def __init__(self, backend: LlavaBackend, change: Callable[[Any], None] = lambda out: None) -> None:
        backend.load()
        model = backend._model  # pyright: ignore[reportPrivateUsage]
        computed, self.passes = model.forward, 0

        @functools.wraps(computed)
        def forward(*given: Any, **more: Any) -> Any:
            self.passes += 1
            out = computed(*given, **more)
            change(out)
            return out

        model.forward = forward


def tells(backend: LlavaBackend, question: str, text: str) -> tuple[Callable[[Any], None], list[int]]:
    """What makes the model say a text after a question, through its own scores; and the text's ids."""
    talk = Talk()
    talk.ask(question)
    encoder = backend.checkpoint.encoder
    begin, ids = len(encoder.encode(talk.prompt()).ids), encoder.tokenizer(text, add_special_tokens=False)["input_ids"]

    def change(out: Any) -> None:
        count = out.logits.shape[1]
        first = out.past_key_values.get_seq_length() - count + 1 - begin
        for place in range(count):
            wanted = ids[max(0, first + place) :][:1] or [backend.checkpoint.stops[0]]
            out.logits[:, place, wanted[0]] = 1e4

    return change, ids


# --- what is guessed


def guesses(text: str, most: int = 9, never: Sequence[int] = ()) -> str:
    repeats = Repeats(set(never))
    repeats.read(torch.tensor([ord(letter) for letter in text], dtype=torch.long))
    return "".join(map(chr, repeats.guess(most)))


def test_a_guess_is_what_followed_the_last_tokens_the_last_time() -> None:
    assert guesses("one two; one ten; one t") == "en; one t"
    assert guesses("one two; one ten; one tw") == "o; one te"
    assert guesses("one two; one ten; one tw", most=2) == "o;"
    assert guesses("abcab") == "cab"
    assert guesses("abcdb") == ""  # one token alone leads nowhere
    assert guesses("abcab", most=0) == guesses("") == guesses("a") == ""


def test_a_guess_ends_before_what_no_answer_holds() -> None:
    assert guesses("abc#d ab", never=[ord("#")]) == "c"
    assert guesses("ab#cd ab", never=[ord("#")]) == ""
    assert guesses("####", never=[ord("#")]) == ""


# --- the same answers


@pytest.mark.parametrize("room", [1 << 30, 60_000], ids=["all kept", "little kept"])
def test_random_operations_give_the_tokens_of_a_computation_from_nothing(room: int) -> None:
    rng, album, kinds = random.Random(room), Album(), Counter[str]()
    backend, other, talks = (
        opened(prefix_bytes=room),
        opened("eager", prefix_bytes=0, feature_bytes=0),
        [Talk(), Talk()],
    )
    ours, theirs, computed, new = Counted(backend), Counted(other), 0, 0
    for _ in range(OPERATIONS // 2):
        kind, talk = step(talks, album, rng)
        done = answered_alike(backend, other, talk, album, max_new_tokens=24)
        kinds[kind] += 1
        computed, new = computed + done.usage.new, new + done.usage.prompt
    assert len(kinds) == 5
    assert computed < new * 0.6  # what guesses left in the cache would make later turns wrong, or keep them from reuse
    assert ours.passes < theirs.passes * 0.8  # a model with random weights repeats itself


@pytest.mark.parametrize("family", checkpoints.FAMILIES)
def test_draws_beams_and_stop_words_are_as_ever(family: str) -> None:
    backend, other = opened(family=family), opened("eager", family)
    word = ask(other, LETTER, max_new_tokens=30).text[8:11]
    wanted: list[dict[str, Any]] = [
        {"temperature": 0.8, "seed": 3},
        {"temperature": 0.2, "top_p": 0.9, "seed": 4},
        {"num_beams": 2},
        {"stop": (word,)},
        {"max_new_tokens": 1},
    ]
    for settings in wanted:
        limit = {"max_new_tokens": 30} | settings
        done, expected = ask(backend, LETTER, **limit), ask(other, LETTER, **limit)
        assert (done.text, done.ids, done.finish) == (expected.text, expected.ids, expected.finish), settings
        assert done.logprobs == pytest.approx(expected.logprobs, abs=1e-4)


def test_a_call_stays_within_its_grammar() -> None:
    offer = Offer((find_tools(["zoom"])[0].spec,), ("bill",), "any")
    call = '{"name":"zoom","arguments":{"image":"bill","box":[0,0,500,500]}}'
    for question in (f"You can call a tool: {call} {call}", LETTER):
        done, expected = (ask(opened(way), question, offer=offer, max_new_tokens=80) for way in ("lookup", "eager"))
        assert done.ids == expected.ids
        assert "zoom" in done.text


# --- in fewer passes


def test_a_text_that_is_repeated_takes_a_few_passes() -> None:
    passes = dict[str, int]()
    for way in ("lookup", "eager"):
        backend = opened(way)
        change, ids = tells(backend, LETTER, LETTER)
        counted = Counted(backend, change)
        assert list(ask(backend, LETTER, max_new_tokens=len(ids) + 5).ids or ()) == ids
        passes[way] = counted.passes
    assert passes["eager"] == len(ids) + 1
    assert passes["lookup"] <= len(ids) / 5


def test_guesses_stop_where_the_answer_must() -> None:
    backend = opened()
    change, ids = tells(backend, LETTER, LETTER)
    Counted(backend, change)
    done = ask(backend, LETTER, max_new_tokens=len(ids) - 7)
    assert (list(done.ids or ()), done.finish) == (ids[:-7], "length")


def test_an_answer_that_is_cancelled_inside_a_guess_ends_there_and_the_next_goes_on() -> None:
    backend, cancel, talk, heard = opened(), threading.Event(), Talk(), list[str]()
    change, _ = tells(backend, LETTER, LETTER)
    Counted(backend, lambda out: change(out) or (out.logits.shape[1] > 8 and cancel.set()))
    talk.ask(LETTER)
    for item in backend.generate(talk.prompt(), Settings(max_new_tokens=99), pixels=no_pixels, cancel=cancel):
        if isinstance(item, Token):
            heard.append(item.text)
        else:
            assert item.finish == "cancelled"
            assert LETTER.startswith("".join(heard).strip())
            assert 4 < len(item.ids or ()) < 12  # the pass that heard of it had computed more
    done = ask(backend, LETTER, max_new_tokens=99)
    assert done.text == LETTER
    assert done.usage.new == 1


@pytest.mark.parametrize("inside", [True, False], ids=["between two layers", "after all layers"])
def test_a_pass_that_fails_leaves_no_guess_behind(inside: bool) -> None:
    backend = opened()
    change, ids = tells(backend, LETTER, LETTER)
    Counted(backend, change)
    model, failed = backend._model, list[int]()  # pyright: ignore[reportPrivateUsage]
    part = model.model.language_model.layers[-1] if inside else model.lm_head

    def fail(module: Any, given: tuple[Any, ...]) -> None:
        if given and given[0].shape[1] > 4 and not failed and len(given[0][0]) < 20:
            failed.append(given[0].shape[1])
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    ask(backend, LETTER, max_new_tokens=1)  # so that only guesses are that long
    hook = part.register_forward_pre_hook(fail)
    done = ask(backend, LETTER, max_new_tokens=99)
    hook.remove()
    assert failed
    assert list(done.ids or ()) == ids
    talk = Talk()
    talk.ask(LETTER)
    talk.answered(done)
    talk.ask("And the tax?")
    assert backend.check_reuse(talk.prompt(), no_pixels).difference < 1e-5


def test_questions_that_are_answered_together_are_as_alone() -> None:
    backend, other, talks = opened(), opened("eager"), [Talk(), Talk()]
    for talk, question in zip(talks, (LETTER, "And the tax, 3.50?"), strict=True):
        talk.ask(question)
    prompts = [talk.prompt() for talk in talks]
    batches = [b.generate_many(prompts, Settings(max_new_tokens=9), pixels=no_pixels) for b in (backend, other)]
    assert [done.ids for done in batches[0]] == [done.ids for done in batches[1]]
