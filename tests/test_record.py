"""What an answer keeps beside its words, and how it is read back."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from looktwice.agent.answer import Answer, Budgeted, Evidence, LeftOut, Look, SeenImage, Signals, Timing, Usage
from looktwice.agent.record import Record, kept_of
from looktwice.errors import StoreError
from looktwice.memory.parts import TextPart, Turn

ANSWER = Answer(
    text="12.10",
    conversation="trip",
    turn=3,
    model="pocket",
    looks=(Look("zoom", {"image": "bill", "box": [0, 0, 500, 500]}, "", ("bill.zoom1",), seconds=0.1),),
    evidence=(Evidence("bill", (1, 2, 3, 4), "12.10", "12.10", "agree", "money", (0, 5), -0.1),),
    usage=Usage(10, 4, 6, 2, 3),
    timing=Timing(0.1, 0.4),
    confidence=0.9,
    images=(SeenImage("bill", "ab" * 32, 480, 640, 192, "full"), SeenImage("menü", "cd" * 32, 4, 6, 20, "thumbnail")),
    notices=("mind the gap",),
    signals=Signals(-0.1, -0.2, 0.3, False),
    budget=(Budgeted("bill", 1, "full", 192), Budgeted("menü", 1, "thumbnail", 20, "to make room")),
    left_out=LeftOut(4, 2, "All was said."),
)


def read(kept: object) -> Record:
    return Record.of(Turn("assistant", (TextPart("12.10"),), meta=json.loads(json.dumps(kept)), id=3))


def test_an_answer_is_read_back_as_it_was_kept() -> None:
    record = read(kept_of(ANSWER))
    for name in ("looks", "evidence", "usage", "timing", "confidence", "images", "notices", "signals", "left_out"):
        assert getattr(record, name) == getattr(ANSWER, name)
    assert record.budget == ANSWER.budget[1:]  # what is shown in full need not be said


def test_pictures_are_kept_as_rows_and_read_as_mappings_too() -> None:
    kept = kept_of(ANSWER)
    assert kept["images"][0] == ["bill", "ab" * 32, 480, 640, 192, "full"]
    assert read({**kept, "images": [asdict(image) for image in ANSWER.images]}).images == ANSWER.images


@pytest.mark.parametrize("images", [[["bill", "ab", "wide", 640, 192, "full"]], [["bill"]], ["bill"]])
def test_a_row_that_is_none_is_refused_with_its_turn(images: object) -> None:
    with pytest.raises(StoreError, match=r"turn 3: images\.0.* can't be read"):
        read({"images": images})


def test_plain_json_is_that_of_dataclasses() -> None:
    assert ANSWER.to_json() == {"answer": ANSWER.hedged, **asdict(ANSWER)}
