"""The pieces that rows are made of, in the package's own words: announcements, questions, calls, results, answers."""

from __future__ import annotations

import random
from collections.abc import Callable

from looktwice.world import Scene, Shape, Sign, Thing
from looktwice.world.questions import UNREADABLE, described
from looktwice.world.scenes import random_text

from .rows import END, START, Look, Seen, Span, Writer

__all__ = [
    "announce",
    "nearest_box",
    "put_answer",
    "put_box",
    "put_box_argument",
    "put_call",
    "put_ocr_call",
    "put_ocr_result",
    "put_question",
    "put_thing",
    "spell",
]


def some_text(rng: random.Random) -> str:
    """A text to be read and copied: a word or two, letters, a number."""
    return " ".join(random_text(rng) for _ in range(rng.choice((1, 1, 1, 2))))


def announce(writer: Writer, tools: str) -> None:
    """The system message that names the tools on offer."""
    writer.control(START)
    writer.words(f"system\nTools: {tools}")
    writer.control(END)
    writer.words("\n")


def put_question(writer: Writer, wording: str, name: str) -> Span:
    """A question; returns the span of the name in it, empty if it has none."""
    before, blank, after = wording.partition("{}")
    writer.words(before)
    span = writer.words(name if blank else "")
    writer.words(after)
    return span


def put_answer(writer: Writer, kind: str, write: Callable[[], None]) -> None:
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


def spell(writer: Writer, text: str, seen: Seen, sign: Sign) -> None:
    """A text, letter by letter where it is the sign's own."""
    if text != sign.text or sign.small:
        writer.words(text, seen.showing(sign) if text == UNREADABLE else None)
        return
    for number, letter in enumerate(text):
        writer.words(letter, seen.showing_letter(sign, number))


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


def put_call(writer: Writer, tool: str, name: Span, look: Look, write_rest: Callable[[], None]) -> None:
    """A call on the picture whose name is copied from ``name``."""

    def write() -> None:
        writer.control("<tool_call>", look)
        writer.words(f'{{"name":"{tool}","arguments":{{"image":"')
        writer.words(name.text, name)
        writer.words('"')
        write_rest()
        writer.words("}}")
        writer.control("</tool_call>")

    put_answer(writer, f"tools:{tool}", write)


def put_ocr_call(writer: Writer, name: Span, look: Look) -> None:
    """A call of ``ocr`` on a whole picture."""
    put_call(writer, "ocr", name, look, lambda: None)


def put_ocr_result(rng: random.Random, writer: Writer, name: str, text: str, *, seen: Seen | None) -> str:
    """The tool's answer, and the model's after it, which is returned."""
    writer.control(START)
    writer.words("user\n")
    writer.control("<tool_response>")
    writer.words(f'\nText in {name}: "')
    letters = [writer.words(letter) for letter in text]
    writer.words('"\n')
    if text and rng.random() < 0.25:
        writer.words(f'Uncertain: "{text}" (0.{rng.randint(60, 96)})\n')
    writer.control("</tool_response>")
    writer.control(END)

    def write() -> None:
        if not text:
            writer.words(UNREADABLE)
        for letter in letters:
            writer.words(letter.text, letter)

    put_answer(writer, "tools:ocr read", write)
    return text or UNREADABLE
