"""Doubtful answers: when they bring a second look about, and which of two answers stands."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pytest
from PIL import Image

from looktwice import Agent, Answer, tool
from looktwice.agent.backends.backend import Done, Token
from looktwice.agent.backends.scripted import ScriptedBackend
from looktwice.agent.hooks import Hook, Pause, ToolRequest
from looktwice.agent.trigger import UNCALIBRATED, Calibration, signals_of
from looktwice.errors import StoreError
from looktwice.memory import Memory

ZOOM = '<tool_call>{"name":"zoom","arguments":{"image":"wall","box":[0,0,500,500]}}</tool_call>'
SURE = Calibration(model="scripted", weights={"mean": -4.0}, bias=-2.0, threshold=0.5, questions=200)


class Unsure(ScriptedBackend):
    """A script whose lines are said with the mean log-probabilities given beside them."""

    def __init__(self, script: Sequence[tuple[str, float]]) -> None:
        super().__init__([line for line, _ in script])
        self._logprobs = [logprob for _, logprob in script]

    def generate(self, *given: Any, **options: Any) -> Generator[Token | Done]:
        logprob = self._logprobs.pop(0)
        for item in super().generate(*given, **options):
            yield Token(item.text, logprob, 0.5) if isinstance(item, Token) else item


def asked(*script: tuple[str, float], calibration: Calibration | None = SURE, **wanted: Any) -> tuple[Answer, Unsure]:
    backend = Unsure(script)
    with Agent(backend, memory=":memory:", tools=["zoom"]) as agent:
        if calibration is not None:
            agent.memory.calibrations.put("scripted", calibration.model_dump())
        chat = agent.chat()
        chat.add(Image.new("RGB", (200, 200), "white"), "wall")
        return chat.ask("What does the sign on @wall say?", **wanted), backend


def test_a_sure_answer_is_left_alone() -> None:
    answer, backend = asked(("STOP", -0.01))
    assert (answer.text, answer.looks, len(backend.prompts)) == ("STOP", (), 1)
    assert answer.signals is not None
    assert (answer.signals.mean, answer.signals.lowest, answer.signals.entropy) == (-0.01, -0.01, 0.5)


def test_a_doubtful_answer_is_followed_by_a_zoom_of_the_models_own() -> None:
    answer, backend = asked(("STEP", -1.2), (ZOOM, -0.1), ("STOP", -0.05))
    assert answer.text == "STOP"
    assert [look.images for look in answer.looks] == [("wall.zoom1",)]
    assert [offer.choice for offer in backend.offers if offer] == ["auto", "zoom", "auto"]
    assert answer.notices == (
        "looking again: the first answer is doubtful (94%)",
        "a second look changed the answer; the first was: STEP",
    )


def test_the_surer_answer_stands_and_the_other_one_is_told() -> None:
    answer, _ = asked(("STEP", -1.2), (ZOOM, -0.1), ("SHOP", -2.0))
    assert answer.text == "STEP"
    assert answer.notices[-1] == "a second look did not change the answer; looking closely, the model said: SHOP"


def test_one_second_look_is_all() -> None:
    answer, backend = asked(("STEP", -2.0), (ZOOM, -0.1), ("SHOP", -1.9))
    assert (answer.text, len(backend.prompts)) == ("SHOP", 3)


def test_what_the_model_looked_at_itself_is_not_doubted_again() -> None:
    answer, backend = asked((ZOOM, -0.1), ("STEP", -2.0))
    assert (answer.text, len(backend.prompts)) == ("STEP", 2)


@pytest.mark.parametrize("wanted", [{"look_again": False}, {"looks": 0}, {"tools": ()}])
def test_without_leave_or_looks_or_tools_nothing_is_doubted(wanted: dict[str, Any]) -> None:
    answer, _ = asked(("STEP", -2.0), **wanted)
    assert (answer.text, answer.looks) == ("STEP", ())


def test_a_tool_that_acts_still_waits_for_an_approval_during_a_second_look() -> None:
    acted: list[str] = []

    @tool(acts=True)
    def note(words: str) -> str:
        """Write words into the notebook."""
        acted.append(words)
        return "written"

    call = '<tool_call>{"name":"note","arguments":{"words":"STOP"}}</tool_call>'
    backend = Unsure([("STEP", -1.2), (ZOOM, -0.1), (call, -0.1), ("STOP", -0.1)])
    with Agent(backend, memory=":memory:", tools=["zoom", note]) as agent:
        agent.memory.calibrations.put("scripted", SURE.model_dump())
        chat = agent.chat()
        chat.add(Image.new("RGB", (200, 200), "white"), "wall")
        answer = chat.ask("What does the sign on @wall say? Note it.")
        assert (answer.finish, acted) == ("paused", [])
        (waiting,) = chat.approvals()
        assert chat.decide(waiting.id, True).text == "STOP"
        assert acted == ["STOP"]


def test_a_zoom_that_a_hook_wants_approved_leaves_the_first_answer() -> None:
    class Careful(Hook):
        def before_tool(self, request: ToolRequest) -> None:
            raise Pause("ask me first")

    backend = Unsure([("STEP", -1.2), (ZOOM, -0.1)])
    with Agent(backend, memory=":memory:", tools=["zoom"], hooks=[Careful()]) as agent:
        agent.memory.calibrations.put("scripted", SURE.model_dump())
        chat = agent.chat()
        chat.add(Image.new("RGB", (200, 200), "white"), "wall")
        answer = chat.ask("What does the sign on @wall say?")
        assert (answer.text, answer.finish, chat.approvals()) == ("STEP", "stop", [])
        assert answer.notices[-1].startswith("the second look came to nothing, a hook wants an approval for it")


def test_without_a_calibration_only_an_answer_that_declines_is_doubted() -> None:
    answer, _ = asked(("STEP", -2.0), calibration=None)
    assert (answer.text, answer.looks) == ("STEP", ())
    answer, _ = asked(("I can't read the sign.", -0.1), (ZOOM, -0.1), ("STOP", -0.5), calibration=None)
    assert answer.text == "STOP"
    assert answer.notices[0].endswith("this model is not calibrated: looktwice calibrate --help)")


def test_an_answer_that_declines_after_looking_gives_way_to_the_first() -> None:
    answer, _ = asked(("STEP", -1.5), (ZOOM, -0.1), ("It is unreadable.", -0.01))
    assert answer.text == "STEP"


@pytest.mark.parametrize(
    ("text", "declined"),
    [
        ("unreadable", True),
        ("Sorry, I cannot read the small print.", True),
        ("The text is too small to be read.", True),
        ("Das ist nicht lesbar.", True),
        ("Je ne peux pas lire ce panneau.", True),
        ("No se puede leer.", True),
        ("The sign can be read: STOP.", False),
        ("I read STOP.", False),
    ],
)
def test_answers_that_decline_are_known(text: str, declined: bool) -> None:
    found = signals_of(text, [Token(text)])
    assert found is not None
    assert found.declined is declined
    assert signals_of(text, []) is None
    assert (UNCALIBRATED.doubt(found) > UNCALIBRATED.threshold) is declined


def test_a_calibration_that_cant_be_read_says_what_to_do() -> None:
    with Memory(":memory:") as memory, Agent(Unsure([]), memory=memory) as agent:
        memory.calibrations.put("scripted", {"weights": "many"})
        with pytest.raises(
            StoreError, match=r"^the calibration of 'scripted' can't be used; make it again: looktwice cal"
        ):
            agent.calibration()
