"""Questions and answers as one picture: what the pocket model says about the pictures of the examples.

``python examples/gallery.py FILE`` draws the pictures, asks, and writes a PNG with each answer under its question.
"""

from __future__ import annotations

import sys
from pathlib import Path

from drawing import INK, PAPER, scene, street
from PIL import Image, ImageDraw, ImageFont

from looktwice import Agent

WALL = scene("red circle at top left", "green triangle at top right", "blue square at bottom right")
DOOR = scene("purple square at left", "yellow circle at centre", "orange triangle at bottom")
ASKED = (
    ("wall", WALL, ("What colour is the circle in @wall?", "Where is the blue square in @wall?")),
    ("door", DOOR, ("What colour is the circle in @door?", "What shape is orange in @door?")),
    ("street", street(), ("What does the sign in @street say?",)),
)
SIDE, GAP, LINE = 300, 24, 30


def main(target: str) -> int:
    """Ask everything in one conversation, and write the sheet."""
    width = len(ASKED) * (SIDE + GAP) + GAP
    sheet = Image.new("RGB", (width, SIDE + 2 * GAP + 5 * LINE), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(17)
    with Agent("pocket", memory=":memory:", tools=["zoom"]) as agent:
        chat = agent.chat()
        for place, (name, image, questions) in enumerate(ASKED):
            left = GAP + place * (SIDE + GAP)
            sheet.paste(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, GAP))
            pen.rectangle((left, GAP, left + SIDE, GAP + SIDE), outline=PAPER)
            chat.add(image, name)
            top = SIDE + GAP + LINE // 2
            for question in questions:
                answer = chat.ask(question)
                looked = "".join(f"  (after {look.tool})" for look in answer.looks)
                pen.text((left, top), question, "#555555", font=font)
                pen.text((left, top + 22), f"{answer}{looked}", INK, font=font)
                print(f"{question} {answer}{looked}")
                top += 2 * LINE
    sheet.save(target)
    return 0


if __name__ == "__main__":
    sys.exit(main(str(Path(sys.argv[1]))))
