"""The LLaVA backend on real models: the one that ships, and small ones of every family with random weights."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import checkpoints
import pytest
import scenes
from huggingface_hub import constants
from PIL import Image

from looktwice.agent.answer import Finish, Usage
from looktwice.agent.backends import Done, ScriptedBackend, Settings, Token, open_backend
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.weights import import_bitsandbytes, quantization
from looktwice.agent.calls import Offer
from looktwice.agent.prompt import Message, Prompt, Shown, Tier, Words, Written
from looktwice.errors import InvalidInput, ModelError
from looktwice.memory.parts import ToolSpec
from looktwice.tools import find_tools

PICTURES = {
    "a": scenes.scene(("red", "circle", "top left"), ("blue", "square", "bottom right")),
    "b": scenes.scene(("green", "circle", "right"), ("orange", "triangle", "bottom left")),
}


@pytest.fixture(scope="module")
def pocket() -> LlavaBackend:
    return open_backend("pocket", device="cpu")


def shown(name: str, tier: Tier = "full") -> list[Words | Shown]:
    return [Words(f"Image {name}:\n"), Shown(name, name, PICTURES[name].size, tier), Words("\n")]


def asked(question: str, *names: str) -> Prompt:
    return Prompt((Message("user", (*(s for name in names for s in shown(name)), Words(question))),))


def answer(backend: LlavaBackend, prompt: Prompt, *, cancel: threading.Event | None = None, **settings: Any) -> Done:
    stream = backend.generate(prompt, Settings.of(**settings), pixels=PICTURES.__getitem__, cancel=cancel)
    return next(item for item in stream if isinstance(item, Done))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What colour is the circle in @a?", "red"),
        ("What colour is the circle in @b?", "green"),
        ("What shape is blue in @a?", "square"),
        ("Where is the triangle in @b?", "bottom left"),
    ],
)
def test_pocket_answers_by_picture_name(pocket: LlavaBackend, question: str, expected: str) -> None:
    done = answer(pocket, asked(question, "a", "b"))
    assert (done.text, done.finish) == (expected, "stop")
    assert math.exp(sum(done.logprobs)) > 0.5


def test_exchanged_pictures_exchange_the_answers(pocket: LlavaBackend) -> None:
    question = "What colour is the circle in @a?"
    assert answer(pocket, asked(question, "a", "b")).text == "red"
    exchanged = asked(question, "a", "b").messages[0].segments
    keys = {"a": "b", "b": "a"}
    segments = tuple(Shown(s.name, keys[s.key], s.size) if isinstance(s, Shown) else s for s in exchanged)
    assert answer(pocket, Prompt((Message("user", segments),))).text == "green"


@pytest.mark.parametrize("family", checkpoints.FAMILIES)
def test_every_family_loads_and_answers_about_two_pictures(family: str) -> None:
    backend = open_backend(str(checkpoints.saved(family)), device="cpu")
    done = answer(backend, asked("Same total?", "a", "b"), max_new_tokens=8)
    encoded = backend.checkpoint.encoder.encode(asked("Same total?", "a", "b"))
    assert done.usage.prompt == len(encoded.ids)
    assert done.usage.image == 2 * backend.checkpoint.encoder.images.count((320, 320))
    assert done.ids is not None
    assert not set(done.ids) & set(backend.checkpoint.encoder.control.values())


def test_the_streamed_words_are_the_answer(pocket: LlavaBackend) -> None:
    stream = list(pocket.generate(asked("Describe @a.", "a"), Settings(), pixels=PICTURES.__getitem__))
    done = stream[-1]
    assert isinstance(done, Done)
    tokens = [item for item in stream if isinstance(item, Token)]
    assert "".join(token.text for token in tokens) == done.text
    assert [token.logprob for token in tokens] == list(done.logprobs)
    assert all(token.logprob <= 0 <= token.entropy for token in tokens)


def test_log_probabilities_are_those_of_a_plain_forward_pass(pocket: LlavaBackend) -> None:
    import torch

    prompt = asked("Describe @a.", "a")
    done = answer(pocket, prompt, max_new_tokens=6)
    encoded = pocket.checkpoint.encoder.encode(prompt)
    model = pocket._loaded()  # pyright: ignore[reportPrivateUsage]
    inputs = pocket.checkpoint.processor.image_processor(images=[PICTURES["a"]], return_tensors="pt")
    assert done.ids is not None
    ids = torch.tensor([[*encoded.ids, *done.ids]])
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs).logits[0]
    wanted = torch.log_softmax(logits.float(), -1)[len(encoded.ids) - 1 : -1].gather(1, torch.tensor(done.ids)[:, None])
    assert list(done.logprobs) == pytest.approx([float(value) for value in wanted.flatten()], abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "text", "finish"),
    [
        ({"max_new_tokens": 2}, "a red", "length"),
        ({"stop": "circle"}, "a red ", "stop"),
        ({"stop": ("nothing like it",)}, None, "stop"),
    ],
)
def test_where_an_answer_ends(pocket: LlavaBackend, settings: dict[str, Any], text: str | None, finish: Finish) -> None:
    done = answer(pocket, asked("Describe @a.", "a"), **settings)
    assert done.finish == finish
    assert text is None or done.text == text
    assert (done.ids is None) == (settings.get("stop") == "circle")


@pytest.mark.parametrize("stop", ["circle", "d ci", "ed", "e", "r"])
def test_a_stop_word_is_never_streamed(pocket: LlavaBackend, stop: str) -> None:
    settings = Settings(stop=(stop, "nothing like it"))
    stream = list(pocket.generate(asked("Describe @a.", "a"), settings, pixels=PICTURES.__getitem__))
    done = stream[-1]
    assert isinstance(done, Done)
    assert done.finish == "stop"
    assert stop not in done.text
    assert "".join(item.text for item in stream if isinstance(item, Token)) == done.text


def test_a_script_keeps_to_stop_words_and_time() -> None:
    backend = ScriptedBackend(["one two three", "one two three", "one two three"], pace=0.05)
    told = [
        next(
            item
            for item in backend.generate(asked("x"), settings, pixels=PICTURES.__getitem__)
            if isinstance(item, Done)
        )
        for settings in (Settings(stop=("two", "ree")), Settings(timeout=0.07), Settings())
    ]
    assert [(done.text, done.finish) for done in told] == [
        ("one ", "stop"),
        ("one two ", "timeout"),
        ("one two three", "stop"),
    ]


def test_cancel_ends_within_one_token_and_the_prefix_stays_usable(pocket: LlavaBackend) -> None:
    prompt, cancel = asked("Describe @b.", "b"), threading.Event()
    whole = answer(pocket, prompt)
    seen: list[Token] = []
    for item in pocket.generate(prompt, Settings(), pixels=PICTURES.__getitem__, cancel=cancel):
        if isinstance(item, Token):
            seen.append(item)
            cancel.set()
    assert len(seen) <= 3  # the one that was heard, and those already on their way
    assert answer(pocket, prompt).ids == whole.ids


@pytest.mark.parametrize(("settings", "finish"), [({}, "cancelled"), ({"timeout": 0.05}, "timeout")])
def test_an_answer_that_waits_for_another_ends_at_once(settings: dict[str, Any], finish: Finish) -> None:
    backend = open_backend(str(checkpoints.saved("chatml")), device="cpu")
    cancel, long = threading.Event(), Settings(max_new_tokens=20_000, temperature=1.0, seed=1)
    before = backend.generate(asked("Tell."), long, pixels=PICTURES.__getitem__)
    assert isinstance(next(before), Token)
    if finish == "cancelled":
        threading.Timer(0.05, cancel.set).start()
    assert answer(backend, asked("Who?"), cancel=cancel, **settings) == Done("", finish, Usage())
    assert isinstance(next(before), Token)  # the other one is still being written
    waiting = backend.generate(asked("Who?"), Settings(timeout=60), pixels=PICTURES.__getitem__)
    threading.Timer(0.2, before.close).start()
    assert isinstance(next(waiting), Token)
    waiting.close()


def test_what_fails_before_the_model_runs_keeps_the_prefix() -> None:
    backend = open_backend(str(checkpoints.saved("chatml")), device="cpu")
    answer(backend, asked("What is shown?", "a"), max_new_tokens=2)

    def broken(key: str) -> Image.Image:
        raise RuntimeError("disk on fire")

    spec = ToolSpec("f", "F.", {"properties": {"n": {"type": "string", "pattern": "(?=a)"}}, "required": ["n"]})
    more = Message("user", (Shown("z", "never seen", (40, 40)), Words("\nAnd?")))
    with pytest.raises(ModelError, match="disk on fire"):
        list(backend.generate(Prompt((*asked("What is shown?", "a").messages, more)), Settings(), pixels=broken))
    with pytest.raises(ModelError, match="can't be made into a grammar"):
        offer = Offer((spec,), ())
        list(backend.generate(asked("What is shown?", "a"), Settings(), pixels=broken, offer=offer))
    assert len(backend.prefixes) == 1
    assert answer(backend, asked("What is shown?", "a"), max_new_tokens=2).usage.new == 1


def test_an_answer_that_broke_off_goes_on_word_for_word(pocket: LlavaBackend) -> None:
    prompt = asked("Describe @a.", "a")
    whole = answer(pocket, prompt)
    part = answer(pocket, prompt, max_new_tokens=3)
    broken = Message("assistant", (Written((Words(part.text),), part.ids, part.tokenizer),))
    rest = answer(pocket, Prompt((*prompt.messages, broken), open_answer=True))
    assert part.text + rest.text == whole.text
    assert (*(part.ids or ()), *(rest.ids or ())) == whole.ids


def test_sampling_is_repeatable_by_its_seed_and_leaves_torchs_own_state_alone(pocket: LlavaBackend) -> None:
    import torch

    prompt = asked("Describe @a.", "a")
    state = torch.random.get_rng_state()
    first, again = (answer(pocket, prompt, temperature=3.0, seed=5, max_new_tokens=20).ids for _ in range(2))
    other = answer(pocket, prompt, temperature=3.0, seed=6, max_new_tokens=20).ids
    assert first == again != other
    assert torch.equal(state, torch.random.get_rng_state())


def test_beams_answer_and_say_where_they_make_no_sense(pocket: LlavaBackend) -> None:
    assert answer(pocket, asked("What colour is the circle in @a?", "a"), num_beams=3).text == "red"
    offer = Offer((find_tools(["zoom"])[0].spec,), ("a",))
    with pytest.raises(InvalidInput, match="num_beams 3 can't be used with tools"):
        list(pocket.generate(asked("x"), Settings(num_beams=3), pixels=PICTURES.__getitem__, offer=offer))


def test_beams_say_why_they_ended_and_go_on_word_for_word() -> None:
    backend = open_backend(str(checkpoints.saved("mistral")), device="cpu")
    prompt, cancel = asked("What is"), threading.Event()
    answer(backend, prompt, max_new_tokens=1)
    threading.Timer(0.3, cancel.set).start()
    assert answer(backend, prompt, num_beams=2, max_new_tokens=20_000, cancel=cancel).finish == "cancelled"
    said = backend.checkpoint.encoder.encode_run(" The bill")
    begun = Message("assistant", (Written((Words("The bill"),), said, backend.checkpoint.encoder.fingerprint),))
    done = answer(backend, Prompt((*prompt.messages, begun), open_answer=True), num_beams=2, max_new_tokens=5)
    assert done.ids is not None
    assert "The bill" + done.text == backend.checkpoint.encoder.decode((*said, *done.ids)).lstrip()


def test_beams_answer_where_no_call_may_be_written(pocket: LlavaBackend) -> None:
    offer = Offer((find_tools(["zoom"])[0].spec,), ("a",), "none")
    settings, question = Settings(num_beams=2), asked("What colour is the circle in @a?", "a")
    done = list(pocket.generate(question, settings, pixels=PICTURES.__getitem__, offer=offer))[-1]
    assert isinstance(done, Done)
    assert done.text == "red"


def test_a_thumbnail_costs_the_base_view_alone(pocket: LlavaBackend) -> None:
    prompt = Prompt((Message("user", (*shown("a", "thumbnail"), Words("What colour is the circle in @a?"))),))
    done = answer(pocket, prompt)
    assert (done.usage.image, done.text) == (37, "red")


def test_an_unfinished_iterator_ends_the_generation(pocket: LlavaBackend) -> None:
    stream = pocket.generate(asked("Describe @a.", "a"), Settings(), pixels=PICTURES.__getitem__)
    assert isinstance(next(stream), Token)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "looktwice-generate"]


def test_what_fails_inside_comes_out_once_in_one_line(pocket: LlavaBackend) -> None:
    def broken(key: str) -> Image.Image:
        raise RuntimeError("disk\non fire")

    prompt = Prompt((Message("user", (Shown("z", "never seen", (40, 40)), Words("\nWhat?"))),))
    with pytest.raises(ModelError, match=r"^the model failed: RuntimeError: disk$"):
        list(pocket.generate(prompt, Settings(), pixels=broken))
    assert answer(pocket, asked("What colour is the circle in @a?", "a")).text == "red"


# --- loading

PUBLIC = "llava-hf/llava-v1.6-mistral-7b-hf"
DOWNLOAD = f"run: hf download {PUBLIC}"
ADVICE = f"give 'pocket', a folder, or a hub name such as {PUBLIC!r}"


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (
            PUBLIC,
            f"the model {PUBLIC!r} is not on this machine and looktwice never downloads; run: hf download {PUBLIC}",
        ),
        ("poket", f"no model 'poket'; {ADVICE}"),
        ("./nowhere", f"no model './nowhere'; {ADVICE}"),
        ("", f"no model ''; {ADVICE}"),
    ],
)
def test_a_model_that_is_not_there_is_one_line_with_what_to_run(model: str, line: str) -> None:
    with pytest.raises(ModelError) as error:
        open_backend(model)
    assert str(error.value) == line


def test_a_folder_without_a_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json; give the folder of a saved LLaVA checkpoint"):
        open_backend(str(tmp_path))


def test_a_checkpoint_of_another_kind_is_said(tmp_path: Path) -> None:
    import transformers

    config: Any = transformers.GPT2Config()
    config.save_pretrained(tmp_path)
    shutil.copy(checkpoints.saved("chatml", weights=False) / "tokenizer.json", tmp_path)
    with pytest.raises(ModelError, match=r"is a 'gpt2' checkpoint; looktwice runs llava, llava_next|can't be read"):
        open_backend(str(tmp_path))


def test_missing_weights_are_said_at_the_first_question() -> None:
    backend = open_backend(str(checkpoints.saved("chatml", weights=False)), device="cpu")
    assert sum(row.tokens for row in backend.rows(asked("What?", "a"))) > 0
    with pytest.raises(ModelError, match="has no weights that can be read"):
        answer(backend, asked("What?", "a"))


def test_a_checkpoint_that_lacks_some_weights_is_said_and_tied_ones_are_not_missed(tmp_path: Path) -> None:
    import safetensors.torch

    library: Any = safetensors.torch  # not typed
    shutil.copytree(checkpoints.saved("mistral"), tmp_path, dirs_exist_ok=True)
    weights = library.load_file(tmp_path / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "language_model.model.layers.1." not in name}
    library.save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=rf"lacks {len(weights) - len(kept)} of its weights \('model.language_model"):
        answer(open_backend(str(tmp_path), device="cpu"), asked("What?"), max_new_tokens=1)
    config = json.loads((tmp_path / "config.json").read_text())
    config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"] = True
    (tmp_path / "config.json").write_text(json.dumps(config))
    tied = {name: value for name, value in weights.items() if name != "language_model.lm_head.weight"}
    assert len(tied) + 1 == len(weights)
    library.save_file(tied, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert answer(open_backend(str(tmp_path), device="cpu"), asked("What?"), max_new_tokens=1).usage.output == 1


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("looktwice.json", "{bad", "Invalid JSON"),
        ("looktwice.json", "[]", "Input should be an object"),
        ("looktwice.json", '{"tools":"yes"}', "tools: Input should be 'schemas' or 'names'"),
        ("looktwice.json", '{"note":7}', "note: Input should be a valid string"),
        ("config.json", "[]", "can't be read"),
        ("config.json", '{"model_type":"llava_next"', "can't be read"),
        ("config.json", '{"model_type":"llava_next","text_config":5}', "can't be read"),
        ("config.json", '{"model_type":"nope"}', "can't be read"),
        ("config.json", '{"model_type":"llava_next","image_grid_pinpoints":7}', "can't be read"),
    ],
)
def test_a_broken_file_of_a_checkpoint_is_one_line(tmp_path: Path, file: str, content: str, told: str) -> None:
    shutil.copytree(checkpoints.saved("mistral", weights=False), tmp_path, dirs_exist_ok=True)
    (tmp_path / file).write_text(content)
    with pytest.raises(ModelError, match=told) as error:
        open_backend(str(tmp_path), device="cpu")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"max_new_tokens": "5"}, "max_new_tokens '5' can't be used; give at least 1, a whole number"),
        ({"max_new_tokens": 1.5}, "max_new_tokens 1.5 can't be used; give at least 1, a whole number"),
        ({"max_new_tokens": True}, "max_new_tokens True can't be used; give at least 1, a whole number"),
        ({"num_beams": 2.0}, "num_beams 2.0 can't be used; give 1 to 16, a whole number"),
        ({"temperature": None}, "temperature None can't be used; give 0 (greedy) to 5, a number"),
        ({"temperature": math.nan}, "temperature nan can't be used; give 0 (greedy) to 5, a number"),
        ({"top_p": "1"}, "top_p '1' can't be used; give more than 0, at most 1, a number"),
        ({"timeout": "3"}, "timeout '3' can't be used; give seconds above 0, or None"),
        ({"seed": "x"}, "seed 'x' can't be used; give a whole number of 64 bits, or None"),
        ({"stop": [1]}, "stop [1] can't be used; give a word, or several, that are not empty"),
        ({"stop": 7}, "stop 7 can't be used; give a word, or several, that are not empty"),
        ({"stop": ["a", ""]}, "stop ['a', ''] can't be used; give a word, or several, that are not empty"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line(given: dict[str, Any], line: str) -> None:
    with pytest.raises(InvalidInput) as error:
        Settings.of(**given)
    assert str(error.value) == line


def test_settings_may_be_left_out_as_none() -> None:
    assert Settings.of(stop=None, seed=None, timeout=None) == Settings()
    assert Settings.of(stop="x").stop == Settings.of(stop=["x"]).stop == ("x",)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"device": "tpu"}, "device 'tpu' is not there; this machine has: cpu"),
        ({"dtype": "int8"}, "dtype 'int8' is unknown; give 'float32', 'bfloat16' or 'float16'"),
        ({"quantize": "3bit"}, "quantize '3bit' is unknown; give '4bit' or '8bit'"),
        ({"decoding": "fast"}, "decoding 'fast' is unknown; give 'auto', 'eager', 'compiled' or 'lookup'"),
        ({"chat_format": "mistrel"}, "no chat format named 'mistrel'; did you mean 'mistral'?"),
    ],
)
def test_a_wrong_option_is_one_line(options: dict[str, Any], line: str) -> None:
    with pytest.raises(Exception) as error:
        open_backend("pocket", **options)
    assert str(error.value).startswith(line)


# --- smaller weights


@pytest.mark.parametrize(("quantize", "kind"), [("8bit", "Linear8bitLt"), ("4bit", "Linear4bit")])
def test_pocket_is_right_with_smaller_weights(quantize: str, kind: str) -> None:
    backend = open_backend("pocket", device="cpu", quantize=quantize)
    assert answer(backend, asked("What colour is the circle in @a?", "a", "b")).text == "red"
    assert answer(backend, asked("Where is the triangle in @b?", "a", "b")).text == "bottom left"
    model = backend._model  # pyright: ignore[reportPrivateUsage]
    assert type(model.model.language_model.layers[0].mlp.up_proj).__name__ == kind


def test_smaller_weights_without_their_library_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: dict[str, None] = {}
    monkeypatch.setattr(importlib.util, "find_spec", missing.get)
    with pytest.raises(ModelError) as error:
        open_backend("pocket", device="cpu", quantize="8bit")
    assert str(error.value) == "quantize='8bit' needs bitsandbytes; run: pip install 'looktwice[quantize]'"


def test_smaller_weights_are_refused_where_code_would_be_downloaded() -> None:
    with pytest.raises(InvalidInput, match=r"^quantize '4bit' can't be used on 'mps:0': bitsandbytes would download"):
        quantization("4bit", "mps:0")


def test_no_code_is_downloaded_for_smaller_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On some processors bitsandbytes asks the hub for faster code as soon as it is imported."""
    (tmp_path / "bitsandbytes.py").write_text(
        "from huggingface_hub import constants\noffline = constants.HF_HUB_OFFLINE"
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delitem(sys.modules, "bitsandbytes", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    import_bitsandbytes()
    assert sys.modules["bitsandbytes"].offline
    assert not constants.HF_HUB_OFFLINE
    monkeypatch.delitem(sys.modules, "bitsandbytes")
    (tmp_path / "bitsandbytes.py").write_text("raise ImportError('libcudart.so: not found')")
    with pytest.raises(
        ModelError, match=r"^bitsandbytes can't be used here \(libcudart.so: not found\); drop quantize$"
    ):
        import_bitsandbytes()
    assert not constants.HF_HUB_OFFLINE
