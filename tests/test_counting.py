"""Counts counted again over a picture's halves: what is asked, what it says, and that nothing of it stays."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from scenes import scene
from scripts import scripted

from looktwice import Agent, Answer, ScriptedBackend
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.checks import Reading, check, find_claims
from looktwice.agent.checks.counting import counts_of
from looktwice.agent.prompt import Prompt, Shown, Words

QUESTION = "How many red circles are there in @bill?"


def asked(*script: str, question: str = QUESTION, **wanted: object) -> tuple[Answer, ScriptedBackend]:
    chat, backend = scripted(*script, tools=())
    return chat.ask(question, check=True, **wanted), backend  # pyright: ignore[reportArgumentType]


def counted(answer: Answer) -> list[tuple[str, str, str]]:
    return [(item.claim, item.verdict, item.note) for item in answer.evidence if item.kind == "count"]


def words_of(prompts: Sequence[Prompt]) -> list[str]:
    return ["".join(s.text for m in p.messages for s in m.segments if isinstance(s, Words)).strip() for p in prompts]


@pytest.mark.parametrize(
    ("answer", "question", "found"),
    [
        ("There are three blue cups.", "", [("three", 3, "How many blue cups are there?")]),
        ("3 cups and no cats", "", [("3", 3, "How many cups are there?"), ("no", 0, "How many cats are there?")]),
        ("There are 3 red circles.", QUESTION, [("3", 3, QUESTION)]),
        ("3", QUESTION, [("3", 3, QUESTION)]),
        ("two.", QUESTION, [("two", 2, QUESTION)]),
        ("3", "What does the sign say?", []),
        ("The total is 3.50.", QUESTION, []),
    ],
)  # fmt: skip
def test_what_is_counted_again_and_how_it_is_asked(
    answer: str, question: str, found: list[tuple[str, int, str]]
) -> None:
    counts = counts_of(answer, question, find_claims(answer))
    assert [(count.claim.text, count.number, count.question) for count in counts] == found


def test_the_question_is_in_the_language_of_the_answer() -> None:
    (count,) = counts_of("Drei rote Tassen stehen da.", "", find_claims("Drei rote Tassen stehen da."), "de")
    assert count.question == "Wie viele rote Tassen gibt es?"


def test_both_ways_have_to_come_to_the_number() -> None:
    answer, backend = asked("There are 3 circles.", "1", "two", "There are 3.", "none")
    assert counted(answer) == [("3", "agree", "counted again in its halves: 1 left and 2 right; 3 top and 0 bottom")]
    assert [(look.tool, look.images) for look in answer.looks] == [("count", ())]
    sizes = [s.size for p in backend.prompts for m in p.messages for s in m.segments if isinstance(s, Shown)]
    assert sizes == [(320, 320), (160, 320), (160, 320), (320, 160), (320, 160)]
    assert words_of(backend.prompts[1:]) == [f"Image bill:\n\n{QUESTION}"] * 4


@pytest.mark.parametrize(
    ("said", "note"),
    [
        (("1", "1"), "counted again in its halves: 1 left and 1 right"),
        (("1", "2", "2", "2"), "counted again in its halves: 1 left and 2 right; 2 top and 2 bottom"),
        (("many",), "not counted again: a half brought no number"),
        ((), "not counted again: the script has no line for question 2; give ScriptedBackend one more"),
    ],
)
def test_anything_else_says_nothing(said: Sequence[str], note: str) -> None:
    answer, backend = asked("3", *said)
    assert counted(answer) == [("3", "unchecked", note)]
    assert (answer.text, str(answer)) == ("3", "3")
    assert len(backend.prompts) == 1 + max(len(said), 1)  # it ends as soon as a way differs


def test_nothing_of_it_stays_in_the_conversation() -> None:
    chat, backend = scripted("3", "1", "2", "3", "0", "yes")
    chat.ask(QUESTION, check=True, tools=())
    assert [turn.role for turn in chat.turns] == ["user", "assistant"]
    assert [picture.name for picture in chat.images] == ["bill"]
    chat.ask("Sure?", tools=())
    assert len(backend.prompts[-1].messages) == 3


@pytest.mark.parametrize("wanted", [{"check": False}, {"looks": 0}])
def test_without_checks_or_looks_nothing_is_counted(wanted: dict[str, object]) -> None:
    chat, backend = scripted("3", tools=())
    answer = chat.ask(QUESTION, **{"check": True, **wanted})  # pyright: ignore[reportArgumentType]
    assert (len(backend.prompts), answer.looks) == (1, ())


def test_a_number_asked_for_is_no_text_that_is_missing() -> None:
    sign = Reading.of("bill", {"lines": [{"text": "STOP", "box": [0, 0, 40, 20]}]})
    for page in (sign, Reading("bill")):
        (item,) = check("3", [page], question=QUESTION)
        assert (item.verdict, item.note) == ("unchecked", "may be a count")
    (item,) = check("3", [sign], question="What does the sign say?")
    assert item.verdict == "conflict"


def test_a_real_model_counts_four_halves_in_one_batch_and_keeps_nothing_of_them() -> None:
    with Agent("pocket", memory=":memory:", check=True, look_again=False) as agent:
        chat, backend = agent.chat(), agent.backend
        assert isinstance(backend, LlavaBackend)
        picture = chat.add(scene(("red", "circle", "top left"), ("blue", "square", "bottom right")), "bill")
        answer = chat.ask("How many red circles are there in @bill?", max_new_tokens=12)
        assert counted(answer) == [
            ("1", "agree", "counted again in its halves: 1 left and 0 right; 1 top and 0 bottom")
        ]
        assert backend.kept.feature(picture.key) is not None
        assert backend.kept.feature(f"{picture.key}[0,0,160,320]") is None
        follow = chat.ask("How many blue squares are there in @bill?", max_new_tokens=12, check=False)
        assert follow.usage.new < 40
