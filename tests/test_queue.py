"""Questions to one model from several threads: first come, first served, and nobody holds up the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import checkpoints
import scenes
from PIL import Image

from looktwice.agent.answer import Usage
from looktwice.agent.backends import Done, Settings, Token, open_backend
from looktwice.agent.backends.limits import Limits
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.queueing import Line
from looktwice.agent.prompt import Message, Prompt, Shown, Words

PICTURE = scenes.scene(("red", "circle", "top left"))


def asked(question: str) -> Prompt:
    """A question about a picture of its own, which is brought once it is the question's turn."""
    return Prompt((Message("user", (Shown("p", question, PICTURE.size), Words(question))),))


def answer(
    backend: LlavaBackend,
    question: str,
    turn: Callable[[], object] = lambda: None,
    *,
    cancel: threading.Event | None = None,
    **settings: Any,
) -> Done:
    """The answer; ``turn`` is called when the model begins, while nobody else is let in."""

    def pixels(_: str) -> Image.Image:
        turn()
        return PICTURE

    stream = backend.generate(asked(question), Settings.of(**settings), pixels=pixels, cancel=cancel)
    return next(item for item in stream if isinstance(item, Done))


def opened() -> LlavaBackend:
    return open_backend(str(checkpoints.saved("chatml")), device="cpu")


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def waiting(backend: LlavaBackend) -> int:
    return len(backend._line)  # pyright: ignore[reportPrivateUsage]


def test_eight_threads_are_answered_in_the_order_in_which_they_came() -> None:
    backend, order = opened(), list[int]()
    first = backend.generate(asked("Tell."), Settings(max_new_tokens=20_000), pixels=lambda _: PICTURE)
    assert isinstance(next(first), Token)

    def ask(number: int) -> None:
        for turn in range(3):  # each conversation comes back at once and stands last again
            question = f"Conversation {number}, turn {turn}?"
            assert answer(backend, question, lambda: order.append(number), max_new_tokens=2).usage.output <= 2

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for number, thread in enumerate(threads):
        thread.start()
        wait_until(lambda place=number + 2: waiting(backend) == place)  # type: ignore[misc]
    first.close()
    for thread in threads:
        thread.join()
    assert order[:8] == list(range(8))
    assert [order.count(number) for number in range(8)] == [3] * 8
    last = [max(place for place, who in enumerate(order) if who == number) for number in range(8)]
    first_of_all = [order.index(number) for number in range(8)]
    assert max(last) - min(last) <= 8
    assert first_of_all == sorted(first_of_all)
    assert waiting(backend) == 0


def test_a_cancelled_one_leaves_at_once_and_the_others_keep_their_order() -> None:
    backend, order, cancel = opened(), list[str](), threading.Event()
    first = backend.generate(asked("Tell."), Settings(max_new_tokens=20_000), pixels=lambda _: PICTURE)
    assert isinstance(next(first), Token)
    left: dict[str, Done] = {}

    def ask(name: str, **wanted: Any) -> None:
        left[name] = answer(backend, f"{name}?", lambda: order.append(name), max_new_tokens=1, **wanted)

    wanted: dict[str, dict[str, Any]] = {
        "a": {},
        "cancelled": {"cancel": cancel},
        "b": {},
        "late": {"timeout": 0.15},
        "c": {},
    }
    threads = [threading.Thread(target=ask, args=(name,), kwargs=more) for name, more in wanted.items()]
    for number, thread in enumerate(threads):
        thread.start()
        wait_until(lambda place=number + 2: waiting(backend) == place or "late" in left)  # type: ignore[misc]
    cancel.set()
    threads[1].join()
    threads[3].join()  # both leave while the first one is still inside
    assert isinstance(next(first), Token)  # it was disturbed by neither
    assert (sorted(left), order) == (["cancelled", "late"], [])
    first.close()
    for thread in threads:
        thread.join()
    assert order == ["a", "b", "c"]
    assert (left["cancelled"], left["late"]) == (Done("", "cancelled", Usage()), Done("", "timeout", Usage()))


def test_a_place_in_the_line_can_be_given_up_twice_and_from_anywhere() -> None:
    line = Line()
    tickets = [line.join() for _ in range(4)]
    assert [ticket.wait(0) for ticket in tickets] == [True, False, False, False]
    tickets[1].leave()
    tickets[0].leave()
    tickets[0].leave()
    assert [ticket.wait(0) for ticket in tickets[2:]] == [True, False]
    with Limits(0.05).queued(tickets[3]) as over:
        assert over == "timeout"
    tickets[2].leave()
    with line:
        assert len(line) == 1
    assert len(line) == 0


def test_an_error_inside_lets_the_next_one_in() -> None:
    line = Line()
    try:
        with line:
            raise RuntimeError("inside")
    except RuntimeError:
        pass
    with Limits(1).queued(line.join()) as over:
        assert over is None
    assert len(line) == 0
