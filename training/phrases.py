"""The pieces that rows are made of, in the package's own words: announcements, questions, calls, results, answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from looktwice.world import Scene, Shape, Sign, Thing
from looktwice.world.questions import UNREADABLE, described
from looktwice.world.scenes import random_text

from .rows import END, START, Look, Seen, Span, Writer

__all__ = [
    "announce",
    "copy",
    "nearest_box",
    "put_answer",
    "put_box",
    "put_box_argument",
    "put_call",
    "put_ocr_result",
    "put_question",
    "put_thing",
    "spell",
]


# What the text reader says where shapes or boards look to it like writing.
_BLIND_SPOTS = (
    "Not fully read: 1 place holds other text",
    "Not fully read: {} places hold other text",
    "Not fully read: scores are low",
)
_SCRIPTS = "; this engine reads Latin, Chinese and Japanese script only\n"


def some_text(rng: random.Random) -> str:
    """A text to be read and copied: a word or two, letters, a number."""
    return " ".join(random_text(rng) for _ in range(rng.choice((1, 1, 1, 2))))


def announce(writer: Writer, tools: str) -> dict[str, Span]:
    """The system message that names the tools on offer; returns the span of each name."""
    writer.control(START)
    writer.words("system\nTools: ")
    spans: dict[str, Span] = {}
    for tool in tools.split(", "):
        if spans:
            writer.words(", ")
        spans[tool] = writer.words(tool)
    writer.control(END)
    writer.words("\n")
    return spans


def put_question(writer: Writer, wording: str, name: str) -> Span:
    """A question; returns the span of the name in it, empty if it has none."""
    before, blank, after = wording.partition("{}")
    writer.words(before)
    span = writer.words(name if blank else "")
    writer.words(after)
    return span


def put_answer(writer: Writer, kind: str, write: Callable[[], object]) -> None:
    """What the model says itself, from the first token after the role to the end token."""
    writer.words("\n")
    writer.control(START)
    writer.words("assistant\n")
    writer.flush()
    first = len(writer)
    write()
    writer.control(END)
    writer.row.said.append((first, len(writer), kind))
    writer.words("\n")


def spell(writer: Writer, text: str, seen: Seen, sign: Sign) -> list[Span]:
    """What a sign says, letter by letter, or that it can't be read."""
    if text == UNREADABLE:
        return [writer.words(text, seen.showing(sign))]
    return [writer.words(letter, seen.showing_letter(sign, number)) for number, letter in enumerate(text)]


def copy(writer: Writer, text: Sequence[Span]) -> list[Span]:
    """A text that was said before, piece by piece."""
    return [writer.words(piece.text, piece) for piece in text]


def put_thing(writer: Writer, scene: Scene, thing: Thing, seen: Seen) -> None:
    """A thing as a description names it; a sign's word is spelled."""
    words = described(scene, thing)
    if isinstance(thing, Shape) or thing.small:
        writer.words(words, seen.showing(thing))
        return
    writer.words(words.removesuffix(thing.text), seen.showing(thing))
    spell(writer, thing.text, seen, thing)


def nearest_box(scene: Scene, thing: Thing) -> tuple[int, int, int, int]:
    """The box of a thing, 0..1000 of the picture, rounded to multiples of 50."""
    (width, height), (left, top, right, bottom) = scene.size, thing.box
    x0, y0, x1, y1 = (
        round(20 * edge / side) * 50 for edge, side in ((left, width), (top, height), (right, width), (bottom, height))
    )
    return x0, y0, max(x1, x0 + 50), max(y1, y0 + 50)


def put_box(writer: Writer, box: tuple[int, int, int, int], look: Look) -> None:
    """A box as calls and answers write it."""
    writer.words("[" + ",".join(map(str, box)) + "]", look)


def put_box_argument(writer: Writer, box: tuple[int, int, int, int], look: Look) -> None:
    """The part of a call that names a box."""
    writer.words(',"box":')
    put_box(writer, box, look)


def put_call(writer: Writer, tool: Span, name: Span, look: Look, write_rest: Callable[[], None] = lambda: None) -> None:
    """A call on the picture whose name is copied from ``name``, of a tool as it was announced."""

    def write() -> None:
        writer.control("<tool_call>", look)
        writer.words('{"name":"')
        writer.words(tool.text, tool)
        writer.words('","arguments":{"image":"')
        writer.words(name.text, name)
        writer.words('"')
        write_rest()
        writer.words("}}")
        writer.control("</tool_call>")

    put_answer(writer, f"tools:{tool.text}", write)


def put_ocr_result(rng: random.Random, writer: Writer, name: str, text: str) -> list[Span]:
    """The tool's answer, and the model's after it, whose pieces are returned."""
    writer.control(START)
    writer.words("user\n")
    writer.control("<tool_response>")
    writer.words(f'\nText in {name}: "')
    letters = [writer.words(letter) for letter in text]
    writer.words('"\n')
    if text and rng.random() < 0.25:
        writer.words(f'Uncertain: "{text}" (0.{rng.randint(60, 96)})\n')
    if rng.random() < 0.3:
        writer.words(rng.choice(_BLIND_SPOTS).format(rng.randint(2, 5)) + _SCRIPTS)
    writer.control("</tool_response>")
    writer.control(END)

    said: list[Span] = []
    put_answer(
        writer,
        "tools:ocr read",
        lambda: said.extend(copy(writer, letters) if letters else [writer.words(UNREADABLE)]),
    )
    return said
