"""What an answer keeps beside its words, and how it is read back."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from looktwice.agent.answer import Answer, Budgeted, Evidence, LeftOut, Look, SeenImage, Signals, Timing, Usage
from looktwice.agent.record import Record, Seen, kept_of
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

SEEN = (Seen("bill", 192, "full"), Seen("menü", 20, "thumbnail"))


def read(kept: object) -> Record:
    return Record.of(Turn("assistant", (TextPart("12.10"),), meta=json.loads(json.dumps(kept)), id=3))


def test_an_answer_is_read_back_as_it_was_kept() -> None:
    record = read(kept_of(ANSWER))
    for name in ("looks", "evidence", "usage", "timing", "confidence", "notices", "signals", "left_out"):
        assert getattr(record, name) == getattr(ANSWER, name)
    assert record.images == SEEN
    assert record.budget == ANSWER.budget[1:]  # what is shown in full need not be said


def test_pictures_are_kept_by_name_in_runs_that_share_their_tier() -> None:
    many = tuple(SeenImage(f"shot{number}", "ab" * 32, 480, 640, 20 + number, "thumbnail") for number in range(100))
    lowered = tuple(Budgeted(image.name, 1, "name", 3, "to make room") for image in many)
    answer = replace(ANSWER, images=(*many, *ANSWER.images), budget=lowered)
    kept = kept_of(answer)
    assert [(run["tier"], len(run["name"])) for run in kept["images"]] == [
        ("thumbnail", 100),
        ("full", 1),
        ("thumbnail", 1),
    ]
    record = read(kept)
    assert record.images == tuple(Seen(image.name, image.tokens, image.tier) for image in answer.images)
    assert record.budget == lowered
    assert len(json.dumps([kept["images"], kept["budget"]])) < 5000
    assert "abab" not in json.dumps(kept)  # what was forgotten leaves no hash behind


def test_what_earlier_versions_kept_is_read() -> None:
    kept = kept_of(ANSWER)
    rows = [list(asdict(image).values()) for image in ANSWER.images]
    lowered = [list(asdict(picture).values()) for picture in ANSWER.budget[1:]]
    assert read({**kept, "images": rows, "budget": lowered}) == read(kept)
    assert read({**kept, "images": [asdict(image) for image in ANSWER.images]}).images == SEEN


@pytest.mark.parametrize(
    "images",
    [
        [["bill", "ab", 480, 640, "many", "full"]],
        [["bill"]],
        ["bill"],
        [{"tier": "full", "name": ["bill"], "tokens": []}],
        [{"name": ["bill"], "tokens": [3]}],
        [{"tier": "full", "name": "bill", "tokens": [3]}],
        {"tier": "full"},
        7,
    ],
)
def test_a_row_that_is_none_is_refused_with_its_turn(images: object) -> None:
    with pytest.raises(StoreError, match=r"turn 3: images.* can't be read"):
        read({"images": images})


def test_plain_json_is_that_of_dataclasses() -> None:
    assert ANSWER.to_json() == {"answer": ANSWER.hedged, **asdict(ANSWER)}
