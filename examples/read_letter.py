"""A letter, or any picture with text, in plain lines that are spoken well, and aloud if wanted.

    python examples/read_letter.py [--speak] [--speak-to FILE.wav] [--ask QUESTION] [PICTURE ...]

For each picture: its size, the text that OCR reads in it, line by line, with a word of warning at uncertain lines; then
the model's answer to the question, and how sure it is. Without arguments it draws two pictures and asks about one.
Nothing is kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from drawing import bill, scene

from looktwice import Agent, Chat, LookTwiceError
from looktwice.agent.access.voice import Voice
from looktwice.memory import NamedPicture
from looktwice.tools import View
from looktwice.tools.ocr.tool import ocr

QUESTION = "What colour is the circle in @wall?"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Read letters and other pictures in plain lines, or aloud.")
    parser.add_argument("pictures", nargs="*", metavar="PICTURE")
    parser.add_argument("--ask", metavar="QUESTION", help="what to ask about them")
    parser.add_argument("--speak", action="store_true", help="say it aloud as well")
    parser.add_argument("--speak-to", metavar="FILE.wav", help="write it as sound as well")
    given = parser.parse_args(arguments)
    is_spoken = given.speak or given.speak_to
    try:
        with (
            Agent("pocket", memory=":memory:") as agent,
            Voice(aloud=given.speak, file=given.speak_to) if is_spoken else nullcontext() as voice,
        ):
            chat = agent.chat("aloud")
            for path in given.pictures:
                chat.add(path)
            if not given.pictures:
                chat.add(bill(), "bill")
                chat.add(scene("red circle at top left", "blue square at bottom right"), "wall")
            for line in spoken(chat, given.ask or (None if given.pictures else QUESTION)):
                print(line, flush=True)
                if voice is not None:
                    voice.hear(f"{line}\n")
    except LookTwiceError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # the voice is silent by now
        return 130
    return 0


def spoken(chat: Chat, question: str | None) -> Iterator[str]:
    """Everything there is to say, a line at a time."""
    for number, picture in enumerate(chat.images, 1):
        yield f"Picture {number} of {len(chat.images)}: {picture.name}, {shape(picture)}."
        yield from text_in(picture, chat)
    if question:
        answer = chat.ask(question)
        yield f"Question: {question.replace('@', '')}"
        yield f"Answer: {answer}. {sureness(answer.confidence)}"
        yield from (f"Note: {notice}." for notice in [*answer.notices, chat.agent.backend.note] if notice)


def shape(picture: NamedPicture) -> str:
    """The size in words."""
    kind = "square" if picture.width == picture.height else "wide" if picture.width > picture.height else "tall"
    return f"{kind}, {picture.width} by {picture.height} pixels"


def text_in(picture: NamedPicture, chat: Chat) -> Iterator[str]:
    """The rows of text, the uncertain pieces marked in words: a colour or a sign would not be heard."""
    pixels = chat.memory.pictures.pixels(picture.key)
    read: Any = ocr(View(picture.name, picture.key, pixels.size, lambda: pixels)).data
    if not read["lines"]:
        yield "No text was read."
    for number, row in enumerate(rows(read["lines"]), 1):
        pieces = (f"{piece['text']}, uncertain" if piece["uncertain"] else piece["text"] for piece in row)
        yield f"Text {number}: {', '.join(pieces)}."
    if read["unread"] and read["lines"]:
        yield f"In {len(read['unread'])} more places something could not be read."


def rows(pieces: list[Any]) -> list[list[Any]]:
    """Pieces that stand beside each other, together: the boxes are left, top, right, bottom."""
    found: list[list[Any]] = []
    for piece in pieces:
        middle = (piece["box"][1] + piece["box"][3]) / 2
        beside = found and found[-1][-1]["box"][1] < middle < found[-1][-1]["box"][3]
        found[-1].append(piece) if beside else found.append([piece])
    return found


def sureness(confidence: float | None) -> str:
    """A probability in words."""
    if confidence is None:
        return "How sure the model is, is not known."
    return "The model is sure." if confidence > 0.9 else "The model is fairly sure." if confidence > 0.7 else "A guess."


if __name__ == "__main__":
    sys.exit(main())
