"""Questions that wait for one model are answered together, and each as if it had been alone."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import checkpoints
import pytest
import scenes
from PIL import Image

from looktwice.agent.backends import Done, Settings, Token, open_backend
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.queueing import Line
from looktwice.agent.calls import Offer
from looktwice.agent.prompt import Message, Prompt, Shown, Words, Written
from looktwice.errors import LookTwiceError, ModelError
from looktwice.tools import find_tools

PICTURES = {
    "wall": scenes.scene(("red", "circle", "top left"), ("blue", "square", "bottom right")),
    "door": scenes.scene(("green", "circle", "right"), size=(160, 240)),
    "yard": scenes.scene(("orange", "square", "left"), size=(300, 100)),
}
TOKENS = 12


def asked(key: str, question: str, *before: Message) -> Prompt:
    start = () if before else (Words(f"Image {key}:\n"), Shown(key, key, PICTURES[key].size), Words("\n"))
    return Prompt((*before, Message("user", (*start, Words(question)))))


QUESTIONS = [
    asked("wall", "What colour is the circle in @wall?"),
    asked("door", "Where in @door is the circle, and what is beside it?"),
    asked("yard", "How many squares are in @yard?"),
    asked("wall", "Describe @wall."),
]


@pytest.fixture(scope="module", params=["pocket", "mistral"])
def backend(request: pytest.FixtureRequest) -> Iterator[LlavaBackend]:
    source = "pocket" if request.param == "pocket" else str(checkpoints.saved(request.param))
    opened = open_backend(source, device="cpu", dtype="float32")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def nothing_kept(backend: LlavaBackend) -> None:
    backend.forget(PICTURES)


def picture(key: str) -> Image.Image:
    return PICTURES[key]


class Question:
    """A question in a thread of its own."""

    def __init__(self, backend: LlavaBackend, prompt: Prompt, **more: Any) -> None:
        self.heard: list[Token] = []
        self.done: Done | None = None
        self.error: LookTwiceError | None = None
        self.cancel = threading.Event()
        self._more: dict[str, Any] = {"pixels": picture, "cancel": self.cancel} | more
        self._settings: Settings = self._more.pop("settings", Settings(max_new_tokens=TOKENS))
        self._run = lambda: backend.generate(prompt, self._settings, **self._more)
        self.thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        try:
            for item in self._run():
                if isinstance(item, Done):
                    self.done = item
                else:
                    self.heard.append(item)
                    self.on_token()
        except LookTwiceError as error:
            self.error = error

    @property
    def said(self) -> str | None:
        """What was heard; None where the model's bytes are no characters, which come as they come."""
        text = "".join(token.text for token in self.heard)
        return None if "\ufffd" in text else text

    def on_token(self) -> None:
        """Hears of each token."""

    @property
    def answer(self) -> Done:
        assert self.done is not None, self.error
        return self.done


def line_of(backend: LlavaBackend) -> Line:
    return backend._line  # pyright: ignore[reportPrivateUsage]


@contextmanager
def waiting(backend: LlavaBackend, questions: Sequence[Question]) -> Generator[None]:
    """Let all questions come, in this order, while the model is held; then let them be answered."""
    line, deadline = line_of(backend), time.monotonic() + 60
    with line:
        for number, question in enumerate(questions):
            question.thread.start()
            while len(line) < number + 2:
                assert time.monotonic() < deadline
                time.sleep(0.001)
        yield
    for question in questions:
        question.thread.join(60)
        assert not question.thread.is_alive()
    assert len(line) == 0


@contextmanager
def widths(backend: LlavaBackend) -> Generator[list[int]]:
    """The number of rows of each run of the model."""
    seen: list[int] = []
    model: Any = backend._loaded()  # pyright: ignore[reportPrivateUsage]

    def hook(_: Any, __: Any, given: Mapping[str, Any]) -> None:
        seen.append(given["input_ids"].shape[0])

    handle = model.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()


def alone(backend: LlavaBackend, prompts: Sequence[Prompt], **more: Any) -> list[Done]:
    found: list[Done] = []
    for prompt in prompts:
        question = Question(backend, prompt, **more)
        question.thread.start()
        question.thread.join(60)
        found.append(question.answer)
    return found


def together(backend: LlavaBackend, prompts: Sequence[Prompt], **more: Any) -> list[Question]:
    questions = [Question(backend, prompt, **more) for prompt in prompts]
    with waiting(backend, questions):
        pass
    return questions


def same(one: Done, other: Done) -> bool:
    near = one.logprobs == pytest.approx(other.logprobs, abs=1e-3)
    return (one.ids, one.text, one.finish) == (other.ids, other.text, other.finish) and near


def test_answers_are_those_of_each_question_alone(backend: LlavaBackend) -> None:
    expected = alone(backend, QUESTIONS)
    backend.forget(PICTURES)
    with widths(backend) as seen:
        questions = together(backend, QUESTIONS)
    for question, done in zip(questions, expected, strict=True):
        assert same(question.answer, done)
        assert question.said in (done.text, None)
    assert max(seen) > 1


def test_the_next_turn_of_each_computes_its_own_tokens_alone(backend: LlavaBackend) -> None:
    first = together(backend, QUESTIONS[:3])
    follow: list[Prompt] = []
    for prompt, question in zip(QUESTIONS, first, strict=False):
        done = question.answer
        said = Message("assistant", (Written((Words(done.text),), done.ids, done.tokenizer),))
        follow.append(asked("", "And what else?", *prompt.messages, said))
    expected = alone(backend, follow)
    for prompt, done, question in zip(follow, expected, first, strict=True):
        tail = len(backend.checkpoint.encoder.encode(prompt).ids) - question.answer.usage.prompt
        assert done.usage.new <= tail - len(question.answer.ids or ()) + 1
    backend.forget(PICTURES)
    assert all(same(one, other) for one, other in zip(alone(backend, follow), expected, strict=True))


def test_one_that_is_cancelled_leaves_the_others(backend: LlavaBackend) -> None:
    expected = alone(backend, QUESTIONS)
    backend.forget(PICTURES)
    questions = [Question(backend, prompt) for prompt in QUESTIONS]
    questions[1].on_token = questions[1].cancel.set  # type: ignore[method-assign]
    with waiting(backend, questions):
        pass
    for place, (question, done) in enumerate(zip(questions, expected, strict=True)):
        if place == 1:
            assert done.text.startswith(question.answer.text)
        else:
            assert same(question.answer, done)


def test_one_that_fails_leaves_the_others(backend: LlavaBackend) -> None:
    expected = alone(backend, QUESTIONS)
    backend.forget(PICTURES)

    def gone(_: str) -> Image.Image:
        raise ModelError("the picture is gone")

    more = [{"pixels": gone} if place == 1 else {} for place in range(4)]
    questions = [Question(backend, prompt, **each) for prompt, each in zip(QUESTIONS, more, strict=True)]
    with waiting(backend, questions):
        pass
    assert str(questions[1].error) == "the picture is gone"
    assert [same(q.answer, done) for q, done in zip(questions, expected, strict=True) if q.error is None] == [True] * 3


def test_a_batch_that_memory_has_no_room_for_is_written_one_by_one(
    backend: LlavaBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(backend, QUESTIONS)
    backend.forget(PICTURES)
    model: Any = backend._loaded()  # pyright: ignore[reportPrivateUsage]
    whole, steps = model.forward, [0]

    @functools.wraps(whole)  # transformers looks at what it takes
    def forward(*arguments: Any, **given: Any) -> Any:
        rows = given["input_ids"].shape[0]
        steps[0] += rows > 1
        if rows > 1 and steps[0] > 2:
            raise MemoryError("no room for the batch")
        return whole(*arguments, **given)

    monkeypatch.setattr(model, "forward", forward)
    questions = together(backend, QUESTIONS)
    for question, done in zip(questions, expected, strict=True):
        assert same(question.answer, done)
        assert question.said in (done.text, None)
        assert question.answer.usage.new == done.usage.new


def test_calls_stay_within_their_grammar_row_by_row(backend: LlavaBackend) -> None:
    tools = tuple(tool.spec for tool in find_tools(["zoom"]))
    offers = [Offer(tools, (key,), "zoom") for key in ("wall", "door", "yard")]
    settings = Settings(max_new_tokens=160)
    expected = [
        alone(backend, [prompt], offer=offer, settings=settings)[0]
        for prompt, offer in zip(QUESTIONS, offers, strict=False)
    ]
    backend.forget(PICTURES)
    questions = [
        Question(backend, prompt, offer=offer, settings=settings)
        for prompt, offer in zip(QUESTIONS, offers, strict=False)
    ]
    with waiting(backend, questions):
        pass
    assert all(same(question.answer, done) for question, done in zip(questions, expected, strict=True))
    assert all(f'"{key}"' in q.answer.text for q, key in zip(questions, ("wall", "door", "yard"), strict=True))


@pytest.mark.parametrize("settings", [Settings(max_new_tokens=4, temperature=1.0, seed=3), Settings(4, stop=("xyz",))])
def test_what_does_not_go_together_is_answered_alone(backend: LlavaBackend, settings: Settings) -> None:
    with widths(backend) as seen:
        together(backend, QUESTIONS[:2], settings=settings)
    assert set(seen) == {1}


def test_more_than_a_batch_holds_are_answered_in_two(backend: LlavaBackend) -> None:
    prompts = [asked("wall", f"Question {number}?") for number in range(11)]
    expected = alone(backend, prompts, settings=Settings(max_new_tokens=3))
    backend.forget(PICTURES)
    questions = together(backend, prompts, settings=Settings(max_new_tokens=3))
    assert all(same(question.answer, done) for question, done in zip(questions, expected, strict=True))
