"""The drawn world: pictures, what is true of them, and questions with their answers."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from looktwice.world import (
    COLOURS,
    HELD_OUT_WORDS,
    KINDS,
    OTHER_HAND,
    PLACES,
    PLAIN,
    WORDS,
    Question,
    Scene,
    Shape,
    ask,
    ask_which,
    contrast_set,
    random_scene,
)
from looktwice.world.questions import Ref, refs


def square(colour: str, x: float, y: float, half: float = 20) -> Shape:
    corners = ((x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half))
    return Shape("square", colour, corners, {"red": (220, 40, 40), "blue": (40, 90, 220)}[colour])


ROOM = Scene((300, 300), (250, 250, 244), (square("red", 50, 50), square("blue", 250, 150)))


def scenes(count: int, **wanted: object) -> list[Scene]:
    return [random_scene(random.Random(seed), **wanted) for seed in range(count)]  # pyright: ignore[reportArgumentType]


def test_the_same_seed_draws_the_same_picture() -> None:
    one, other = (random_scene(random.Random(5), sign="plain", style=OTHER_HAND) for _ in range(2))
    assert one == other
    assert one.image().tobytes() == other.image().tobytes()
    assert one != random_scene(random.Random(6), sign="plain", style=OTHER_HAND)


def test_things_stand_free_inside_the_picture_and_differ() -> None:
    for scene in [
        *scenes(150),
        *scenes(60, sign="plain"),
        *scenes(60, sign="small"),
        *scenes(40, sign="plain", signs=4),
    ]:
        width, height = scene.size
        assert scene.image().size == scene.size
        for thing in scene.things:
            left, top, right, bottom = thing.box
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
        for one, other in combinations(scene.things, 2):
            apart = one.box[2] < other.box[0] or other.box[2] < one.box[0]
            assert apart or one.box[3] < other.box[1] or other.box[3] < one.box[1]
        assert len({(shape.kind, shape.colour) for shape in scene.shapes}) == len(scene.shapes)


def test_a_shape_is_painted_where_the_scene_says_in_its_colour() -> None:
    image = ROOM.image()
    for place, colour in (((50, 50), (220, 40, 40)), ((250, 150), (40, 90, 220)), ((150, 250), (250, 250, 244))):
        assert image.getpixel(place) == colour
    assert [ROOM.place(thing) for thing in ROOM.things] == ["top left", "right"]


def test_letters_lie_on_their_board_in_order() -> None:
    for scene in scenes(80, sign="plain"):
        for sign in scene.signs:
            assert len(sign.letters) == len(sign.text)
            assert all(
                end <= start + 0.01 for (_, end), (start, _) in zip(sign.letters, sign.letters[1:], strict=False)
            )
            assert sign.box[0] < sign.letters[0][0] < sign.letters[-1][1] < sign.box[2]
            assert sign.box[1] < sign.line[0] < sign.line[1] < sign.box[3]


def test_plain_signs_are_large_and_small_ones_small() -> None:
    for scene in scenes(60, sign="plain"):
        for sign in scene.signs:
            assert not sign.small
            assert (sign.line[1] - sign.line[0]) / scene.size[1] > 0.12
    for scene in scenes(60, sign="small"):
        for sign in scene.signs:
            assert sign.small
            assert 10 < sign.line[1] - sign.line[0] < 0.03 * max(scene.size)


def test_no_training_word_is_held_out() -> None:
    assert not set(WORDS) & set(HELD_OUT_WORDS)
    shown = {sign.text for scene in scenes(300, sign="plain") for sign in scene.signs}
    assert not shown & set(HELD_OUT_WORDS)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (Question("colour", "", Ref(kind="square")), None),  # there are two
        (Question("shape", "", Ref(colour="blue")), "square"),
        (Question("count", "", Ref()), "2"),
        (Question("count", "", Ref("green", "star")), "0"),
        (Question("exists", "", Ref("red", "square")), "yes"),
        (Question("exists", "", Ref("red", "circle")), "no"),
        (Question("where", "", Ref("blue", "square")), "right"),
        (Question("relation", "", Ref("red"), Ref("blue"), "left of"), "yes"),
        (Question("relation", "", Ref("red"), Ref("blue"), "below"), "no"),
        (Question("side", "", Ref("red"), Ref("blue"), "left or right of"), "left"),
        (Question("side", "", Ref("blue"), Ref("red"), "left or right of"), "right"),
        (Question("side", "", Ref("red"), Ref("blue"), "above or below"), "above"),
        (Question("side", "", Ref("blue"), Ref("red"), "above or below"), "below"),
        (Question("read", "", Ref(kind="sign")), None),
        (Question("describe", ""), "a red square at top left, a blue square at right"),
    ],
)
def test_answers_about_a_known_room(question: Question, answer: str | None) -> None:
    assert question.answer(ROOM) == answer


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_question_finds_its_answer(kind: str) -> None:
    rng, answers = random.Random(3), list[str]()
    for _ in range(150):
        scene = random_scene(rng, sign="plain" if kind == "read" else None)
        question = ask(rng, kind, [scene])
        if question is not None:
            answers.append(question.answer(scene) or "")
            assert "{" not in question.text("a")
            assert "@a" in question.text("a")
            assert "@" not in question.text(None)
    assert len(answers) > 100
    assert len(set(answers)) >= {"exists": 2, "relation": 2, "side": 4, "count": 4, "shape": 6}.get(kind, 8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [2, 3, 4])
def test_in_a_contrast_set_only_the_name_decides(kind: str, count: int) -> None:
    rng = random.Random(count)
    for _ in range(12):
        pictures, question = contrast_set(rng, kind, count)
        answers = [question.answer(scene) for scene in pictures]
        assert None not in answers
        assert len(set(answers)) == count or (kind in ("exists", "relation", "side", "count") and len(set(answers)) > 1)


def test_which_has_exactly_one_answer() -> None:
    rng, found = random.Random(8), 0
    for _ in range(60):
        pictures = dict(
            zip("abc", (random_scene(rng, sign=rng.choice((None, "plain"))) for _ in range(3)), strict=True)
        )
        which = ask_which(rng, list(pictures.values()))
        if which is not None:
            found += 1
            assert [f"@{name}" for name, scene in pictures.items() if which.fits(scene)] == [which.answer(pictures)]
    assert found > 40


def test_refs_name_exactly_one_thing() -> None:
    for scene in scenes(60, sign="plain"):
        for ref in refs(scene):
            question = Question("where", "", ref)
            assert question.answer(scene) in PLACES
            assert len(question.subjects(scene)) == 1


def test_every_colour_is_drawn_and_stands_out() -> None:
    drawn = {shape.colour for scene in scenes(120, style=PLAIN) for shape in scene.shapes}
    assert drawn == set(COLOURS)
    for scene in scenes(80):
        for shape in scene.shapes:
            assert sum(abs(a - b) for a, b in zip(shape.fill, scene.background, strict=True)) >= 100
