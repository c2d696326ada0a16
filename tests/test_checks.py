"""Claims of answers, found and held against what was read; pure, and through a conversation with the real reader."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from looktwice import Agent, Answer
from looktwice.agent.backends.backend import Token
from looktwice.agent.backends.scripted import ScriptedBackend
from looktwice.agent.checks import Piece, Reading, check, find_claims
from looktwice.agent.checks.hedges import hedged
from looktwice.agent.checks.values import find_values
from looktwice.agent.events import Answered, Called, Checked, Event
from looktwice.tools import ToolResult, View, tool

RECEIPT = (
    ("CORNER MARKET",),
    ("2026-03-04  17:45",),
    ("Receipt No. 48213",),
    ("Bread", "2.50"),
    ("Milk", "1.20"),
    ("Apples",),
    ("2 x 0.95", "1.90"),
    ("SUBTOTAL", "5.60"),
    ("TOTAL EUR", "5.99"),
    ("CASH", "10.00"),
    ("Ref A8-O13", "www.corner.example"),
)


def reading(*rows: Sequence[str], image: str = "bill") -> Reading:
    pieces = [
        Piece(text, (100 * column, 20 * row, 100 * column + 90, 20 * row + 15), row)
        for row, texts in enumerate(rows)
        for column, text in enumerate(texts)
    ]
    return Reading(image, tuple(pieces))


BILL = reading(*RECEIPT)


def verdicts(answer: str, *readings: Reading, question: str = "") -> list[tuple[str, str]]:
    return [(item.claim, item.verdict) for item in check(answer, readings or [BILL], question=question)]


@pytest.mark.parametrize(
    ("answer", "claims"),
    [
        ("The total is 17.30 €.", [("money", "17.30 €")]),
        ("USD 1,234.50, or 12 CHF", [("money", "USD 1,234.50"), ("money", "12 CHF")]),
        ("It weighs 250 g (12 %).", [("measure", "250 g"), ("measure", "12 %")]),
        ("On 4 March 2026 at 5:45 pm", [("date", "4 March 2026"), ("time", "5:45 pm")]),
        ("Am 21.11.2026 um 17.30 Uhr", [("date", "21.11.2026"), ("time", "17.30 Uhr")]),
        ("31 Febuary, Octobr 12", [("date", "31 Febuary"), ("date", "Octobr 12")]),
        ("On Augusd 9, 2026 or 46 May 2026", [("date", "Augusd 9, 2026"), ("date", "46 May 2026")]),
        (
            "Match 12, march 200, 5 maps in 2025",
            [("number", "12"), ("number", "200"), ("count", "5"), ("number", "2025")],
        ),
        ('It says "OPEN 24 HOURS" and „Zu“', [("quote", "OPEN 24 HOURS"), ("quote", "Zu")]),
        ("Lot L4821-B, call +49 30 1234567", [("code", "L4821-B"), ("code", "+49 30 1234567")]),
        ("Write to a.b@shop.example", [("code", "a.b@shop.example")]),
        ("STOP", [("name", "STOP")]),
        ("three blue cups", [("count", "three")]),
        ("'A' is left of 'B'", [("quote", "A"), ("side", "left of"), ("quote", "B")]),
        ("Don't you see, @bill and photo2 are the 1st", []),
        ("I see a cat.", []),
        ("", []),
    ],
)
def test_claims_are_found_where_they_stand(answer: str, claims: list[tuple[str, str]]) -> None:
    found = find_claims(answer, names=["bill", "photo2"])
    assert [(claim.kind, claim.text) for claim in found] == claims
    assert all(claim.text in answer[claim.start : claim.end] for claim in found)
    assert all(one.end <= other.start for one, other in pairwise(found))


def test_a_claim_has_the_mean_logprob_of_its_tokens() -> None:
    tokens = [Token(" The"), Token(" total is", -0.1), Token(" 17", -0.2), Token(".30", -0.6), Token(" €", -0.4)]
    (claim,) = find_claims("The total is 17.30 €", tokens=tokens)
    assert claim.logprob == pytest.approx(-0.4)
    (other,) = find_claims("The total is 17.30 €", tokens=tokens[:2])
    assert other.logprob is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1,234.50", "1.234,50", True),
        ("1 234,5", "1234.50", True),
        ("1,234", "1234", True),
        ("1,234", "1.234", True),  # a thousand, or one and a bit: it can't be told
        ("0,234", "234", False),
        ("1'000'000", "1000000", True),
        ("12.5", "125", False),
        ("€ 5", "5 EUR", True),
        ("€ 5", "5 USD", False),
        ("€ 5", "5", True),
        ("250 g", "250 kg", False),
        ("250 grams", "250g", True),
        ("5 per cent", "5%", True),
        ("04.03.2026", "2026-03-04", True),
        ("03/04/2026", "4 March 2026", True),
        ("March 4", "4.3.26", True),
        ("4. März 2026", "4 mars 2026", True),
        ("March 4, 2025", "2026-03-04", False),
        ("5:45 pm", "17:45", True),
        ("5:45", "17:45", True),
        ("5:45 am", "17:45", False),
        ("17.30 Uhr", "17:30", True),
        ("17:30", "17.30", False),  # a time is no price
    ],
)
def test_values_are_the_same_however_they_are_written(one: str, other: str, same: bool) -> None:
    (first,), (second,) = find_values(one), find_values(other)
    assert first.equals(second) is same
    assert second.equals(first) is same


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("The total is 5.99 €.", [("5.99 €", "agree")]),
        ("The total is 5.98 €.", [("5.98 €", "conflict")]),
        ("Bread costs 2.50 and milk 1.20.", [("2.50", "agree"), ("1.20", "agree")]),
        ("Bread costs 1.20.", [("1.20", "conflict")]),  # the price of milk
        ("Bread costs 1.20 and milk 2.50.", [("1.20", "conflict"), ("2.50", "conflict")]),
        ("The apples cost 1.90.", [("1.90", "agree")]),  # stands on the row below its label
        ("The subtotal is 5.99.", [("5.99", "conflict")]),
        ("Bought on March 4, 2026 at 5:45 pm", [("March 4, 2026", "agree"), ("5:45 pm", "agree")]),
        ("Bought on March 5, 2026.", [("March 5, 2026", "conflict")]),
        ("Bought on 4 Murch 2026.", [("4 Murch 2026", "conflict")]),
        ("Bought on 44 March 2026.", [("44 March 2026", "conflict")]),
        ('The shop is "Corner Market".', [("Corner Market", "agree")]),
        ('The shop is "Corner Garage".', [("Corner Garage", "conflict")]),
        ("Receipt 48218", [("48218", "conflict")]),
        ("ref a8-013", [("a8-013", "agree")]),
        ("Ref B8-O13", [("B8-O13", "conflict")]),
        ("The difference to cash is 4.01.", [("4.01", "unchecked")]),
        ("It comes from the USA.", [("USA", "unchecked")]),
        ("USA", [("USA", "conflict")]),
    ],
)
def test_claims_are_held_against_what_was_read(answer: str, found: list[tuple[str, str]]) -> None:
    assert verdicts(answer) == found


def test_a_question_tells_which_row_is_meant() -> None:
    assert verdicts("2.50", question="How much is the bread?") == [("2.50", "agree")]
    assert verdicts("1.20", question="How much is the bread?") == [("1.20", "conflict")]


def test_a_flawed_day_that_is_printed_so_agrees() -> None:
    assert verdicts("It opens on 31 Febuary.", reading(("OPENING 31 Febuary",))) == [("31 Febuary", "agree")]


def test_evidence_names_the_place_and_what_stands_there() -> None:
    (item,) = check("The total is 5.98 €.", [BILL])
    assert (item.image, item.read, item.kind, item.span) == ("bill", "5.99", "money", (13, 19))
    assert item.box == (100, 160, 190, 175)
    (item,) = check("Bread costs 1.20.", [BILL])
    assert (item.read, item.note) == ("2.50", "stands beside 'Milk'")


def test_what_had_to_be_overlooked_is_told() -> None:
    notes = {item.claim: item.note for item in check('"corner market", "Ref A8-013", "Ref A8 O13", 5,99', [BILL])}
    assert notes == {
        "corner market": "case",
        "Ref A8-013": "look-alike characters",
        "Ref A8 O13": "spacing",
        "5,99": "notation",
    }


def test_sides_of_two_texts_are_told_by_their_boxes() -> None:
    assert ("above", "agree") in verdicts('"Bread" stands above "Milk".')
    assert ("below", "conflict") in verdicts('"Bread" stands below "Milk".')
    assert ("left of", "agree") in verdicts('"Bread" is left of 2.50.')
    assert ("above", "unchecked") in verdicts('"Bread" stands above the red cup.')


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ('"2.50" is to the right of "Bread".', "agree"),
        ('"Bread" is right of "2.50".', "conflict"),
        ('"Milk" steht rechts von "Bread".', "unchecked"),  # they stand under each other
        ('"Bread" steht oberhalb von "Milk".', "agree"),
        ('"Milk" est au-dessus de "Bread".', "conflict"),
        ('"Bread" is above "Soup".', "unchecked"),  # in another picture
        ('"Bread" is above "Beer".', "unchecked"),  # what stands nowhere has no place
    ],
)
def test_a_side_is_told_only_where_both_texts_have_a_place_and_lie_apart(answer: str, verdict: str) -> None:
    evidence = check(answer, [BILL, reading(("Soup", "7.40"), image="menu")])
    assert [item.verdict for item in evidence if item.kind == "side"] == [verdict]


def test_what_cant_be_read_is_no_conflict() -> None:
    assert verdicts('"BEER"', Reading("wall")) == [("BEER", "unreadable")]
    assert verdicts('"BEER"', BILL, Reading("wall", has_gaps=True)) == [("BEER", "unreadable")]
    assert verdicts('"BEER"', Reading("wall", problem="no reader")) == [("BEER", "unchecked")]
    assert verdicts("48218", BILL, Reading("wall", has_gaps=True)) == [("48218", "conflict")]
    assert verdicts("no claim at all") == []
    assert check("5.99", []) == ()


def test_a_claim_that_stands_in_another_picture_says_so() -> None:
    menu = reading(("Soup", "7.40"), image="menu")
    (item,) = check('The receipt says "Soup".', [BILL], elsewhere=[menu])
    assert (item.verdict, item.note) == ("conflict", "stands in menu")


def test_a_closer_reading_settles_a_conflict() -> None:
    def reread(image: str, box: tuple[int, int, int, int]) -> list[Piece]:
        assert (image, box) == ("bill", (100, 160, 190, 175))
        return [Piece(total, box)]

    total = "5.98"
    (item,) = check("The total is 5.98 €.", [BILL], reread=reread)
    assert (item.verdict, item.note) == ("agree", "read as '5.99' at first")
    total = "5.97"
    (item,) = check("The total is 5.98 €.", [BILL], reread=reread)
    assert (item.verdict, item.read) == ("unreadable", "5.97")
    total = "5.99"
    (item,) = check("The total is 5.98 €.", [BILL], reread=reread)
    assert (item.verdict, item.read) == ("conflict", "5.99")


def test_a_lost_blank_before_the_time_does_no_harm() -> None:
    joined = reading(("2026-03-0417:45",))
    assert verdicts("On 2026-03-04 at 17:45", joined) == [("2026-03-04", "agree"), ("17:45", "agree")]


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("en", "It is 5.98 (two readings: 5.98 and 5.99)."),
        ("de-AT", "It is 5.98 (zwei Lesarten: 5.98 und 5.99)."),
        ("fr_FR", "It is 5.98 (deux lectures : 5.98 et 5.99)."),
        ("es", "It is 5.98 (dos lecturas: 5.98 y 5.99)."),
        ("pt", "It is 5.98 (two readings: 5.98 and 5.99)."),
    ],
)
def test_a_failed_claim_is_hedged_in_the_readers_language(lang: str, text: str) -> None:
    evidence = check("It is 5.98.", [reading(("TOTAL", "5.99"))])
    assert hedged("It is 5.98.", evidence, lang) == text
    assert hedged("Other words.", evidence, lang) == "Other words."  # a hook changed them


# Through a conversation, with the real reader.


def bill() -> Image.Image:
    image = Image.new("RGB", (420, 260), "white")
    pen = ImageDraw.Draw(image)
    for row, (left, right) in enumerate((("Bread", "2.50"), ("Milk", "1.20"), ("TOTAL", "3.70"))):
        pen.text((20, 30 + 70 * row), left, "black", font_size=34)
        pen.text((400, 30 + 70 * row), right, "black", font_size=34, anchor="ra")
    return image


def asked(
    *lines: str, question: str = "What is the total on @bill?", **wanted: Any
) -> tuple[Answer, list[Event], Agent]:
    agent = Agent(ScriptedBackend(lines), memory=":memory:", **{"tools": ["zoom", "ocr"], **wanted})  # pyright: ignore
    chat = agent.chat("c")
    chat.add(bill(), "bill")
    events = list(chat.stream(question))
    assert isinstance(events[-1], Answered)
    return events[-1].answer, events, agent


def test_an_answer_that_agrees_is_left_alone() -> None:
    answer, events, _ = asked("The total is 3.70.")
    (item,) = answer.evidence
    assert (item.claim, item.read, item.verdict, item.image) == ("3.70", "3.70", "agree", "bill")
    assert item.box is not None
    assert item.box[0] > 300
    assert item.box[1] > 160
    assert str(answer) == answer.text == "The total is 3.70."
    assert answer.looks == ()
    assert [event.again for event in events if isinstance(event, Checked)] == [False]


def test_a_conflict_is_looked_at_again_and_the_better_answer_stands() -> None:
    answer, events, agent = asked("The total is 3.10.", "The total is 3.70.")
    assert (str(answer), [item.verdict for item in answer.evidence]) == ("The total is 3.70.", ["agree"])
    (look,) = answer.looks
    assert (look.tool, look.images) == ("zoom", ("bill.zoom1",))
    assert answer.notices[-1] == "a second look changed the answer; the first was: The total is 3.10."
    assert [event.again for event in events if isinstance(event, Checked)] == [True, False]
    assert len([event for event in events if isinstance(event, Called)]) == 1
    roles = [turn.role for turn in agent.chat("c").turns]
    assert roles[-4:] == ["user", "assistant", "tool", "assistant"]
    assert agent.chat("c").turns[-1].text == "The total is 3.70."


def test_a_conflict_that_stays_is_hedged_and_nothing_overwritten() -> None:
    answer, _, agent = asked("The total is 3.10.", "It is 3.10.", lang="de")
    assert answer.text == agent.chat("c").turns[-1].text == "The total is 3.10."
    assert str(answer) == "The total is 3.10 (zwei Lesarten: 3.10 und 3.70)."
    assert answer.to_json()["answer"] == str(answer)
    assert answer.to_json()["text"] == answer.text
    assert "looking closely, the model said: It is 3.10." in answer.notices[-1]


def test_without_looks_or_zoom_a_conflict_is_only_hedged() -> None:
    several: tuple[dict[str, Any], ...] = ({"looks": 0}, {"tools": ["ocr"]}, {"tools": (), "check": True})
    for wanted in several:
        answer, _, _ = asked("The total is 3.10.", **wanted)
        assert (answer.looks, str(answer)) == ((), "The total is 3.10 (two readings: 3.10 and 3.70).")


def test_checks_are_off_where_no_reader_is_on_offer_or_wanted() -> None:
    several: tuple[dict[str, Any], ...] = ({"tools": ["zoom"]}, {"check": False})
    for wanted in several:
        answer, events, _ = asked("The total is 3.10.", **wanted)
        assert (answer.evidence, str(answer)) == ((), "The total is 3.10.")
        assert not [event for event in events if isinstance(event, Checked)]


def test_evidence_is_kept_with_the_answer() -> None:
    answer, _, agent = asked("The total is 3.10.", looks=0)
    (item,) = agent.chat("c").turns[-1].meta["evidence"]
    assert (item["claim"], item["read"], item["verdict"]) == ("3.10", "3.70", "conflict")
    assert "answer" not in agent.chat("c").turns[-1].meta
    assert answer.evidence[0].logprob == 0.0


def test_what_the_model_read_itself_is_not_read_again() -> None:
    calls: list[str] = []

    @tool(name="ocr")
    def reader(image: View) -> ToolResult:
        calls.append(image.name)
        return ToolResult("read", {"lines": [{"text": "TOTAL 3.70", "box": [0, 0, *image.size]}]})

    call = '<tool_call>{"name":"ocr","arguments":{"image":"bill"}}</tool_call>'
    answer, _, _ = asked(call, "The total is 3.70.", tools=[reader])
    assert [item.verdict for item in answer.evidence] == ["agree"]
    assert calls == ["bill"]


def test_a_reader_that_fails_leaves_claims_unchecked_and_says_why() -> None:
    @tool(name="ocr")
    def broken(image: View) -> ToolResult:
        raise RuntimeError("out of ink")

    answer, _, _ = asked("The total is 3.70.", tools=[broken])
    (item,) = answer.evidence
    assert item.verdict == "unchecked"
    assert "out of ink" in item.note
    assert str(answer) == "The total is 3.70."


def test_only_pictures_that_are_meant_are_read() -> None:
    agent = Agent(ScriptedBackend(["The sign says 3.70."]), memory=":memory:", check=True)
    chat = agent.chat()
    chat.add(bill(), "bill")
    blank = Image.new("RGB", (200, 100), "white")
    chat.add(blank, "wall")
    answer = chat.ask("What does the sign on @wall say?")
    (item,) = answer.evidence
    assert (item.image, item.verdict) == ("wall", "unreadable")
    assert math.isclose(item.logprob or 0.0, 0.0)


# Answers as people and models word them, right and wrong, about pages of many kinds.

CORPUS = json.loads((Path(__file__).parent / "answers.json").read_text(encoding="utf-8"))


def corpus_page(rows: Sequence[Sequence[str]]) -> Reading:
    pieces: list[Piece] = []
    for number, row in enumerate(rows):
        left = 0
        for text in row:
            if text:
                pieces.append(Piece(text, (left, 30 * number, left + 10 * len(text), 30 * number + 20), number))
            left += 10 * len(text) + 40 if text else 60
    return Reading("bill", tuple(pieces))


def corpus_accused(right: bool) -> list[str]:
    """The answers in which something is called a conflict, of those that are right, or of those that are wrong."""
    accused: list[str] = []
    for each in CORPUS["answers"]:
        evidence = check(each["answer"], [corpus_page(CORPUS["pages"][each["page"]])], question=each["question"])
        if each["right"] is right and any(item.verdict == "conflict" for item in evidence):
            accused.append(each["answer"])
    return accused


def test_right_answers_are_seldom_accused() -> None:
    count = sum(each["right"] for each in CORPUS["answers"])
    assert count > 300
    assert len(corpus_accused(right=True)) <= 0.02 * count


def test_most_wrong_answers_are_found() -> None:
    count = sum(not each["right"] for each in CORPUS["answers"])
    assert count > 150
    assert len(corpus_accused(right=False)) >= 0.7 * count


@pytest.mark.parametrize("noise", ["1" * 20_000, "1 " * 10_000, '"' * 20_000, "„" * 20_000, "A" * 20_000, ". " * 9_000])
def test_long_answers_take_no_time(noise: str) -> None:
    began = time.process_time()
    check(noise, [BILL])
    assert time.process_time() - began < 20  # a guard against runaway patterns, not a measurement


def test_json_is_checked_and_not_broken() -> None:
    answer = '{"shop": "CORNER MARKET", "total": "5.98"}'
    evidence = check(answer, [BILL])
    assert [(item.claim, item.verdict) for item in evidence] == [("CORNER MARKET", "agree"), ("5.98", "conflict")]
    assert hedged(answer, evidence) == answer


def test_a_second_look_that_fails_leaves_the_first_answer() -> None:
    answer, _, agent = asked("The total is 3.10.")  # the script ends there: a model error
    assert answer.text == agent.chat("c").turns[-1].text == "The total is 3.10."
    assert "the second look came to nothing" in answer.notices[-1]
    assert (answer.finish, [item.verdict for item in answer.evidence]) == ("stop", ["conflict"])


def test_a_doubtful_answer_is_looked_up_where_the_question_leads() -> None:
    answer, _, _ = asked("I can't read it.", "The milk is 1.20.", question="How much is the milk on @bill?")
    (look,) = answer.looks
    left, top, right, bottom = look.arguments["box"]
    assert left < 100 < 900 < right  # the whole row: its label and its price
    assert 400 < (top + bottom) / 2 < 520  # and a margin around it
    assert str(answer) == "The milk is 1.20."


def test_a_forgotten_picture_is_not_checked_against_another() -> None:
    agent = Agent(ScriptedBackend([]), memory=":memory:")
    chat = agent.chat()
    chat.add(bill(), "bill")
    chat.add(bill(), "wall")
    chat.forget("wall")
    assert chat.check("The sign on @wall says 9.10.") == ()
