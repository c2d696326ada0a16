"""One line about a picture, for the command hook of a screen reader: what is in the clipboard, a file, or a pipe.

    python examples/describe_hook.py [--ask QUESTION] [--model NAME] [FILE | -]

Without a file it takes the picture that was copied last; of - it reads standard input, as in

    grim - | python examples/describe_hook.py -

Everything goes to standard output, errors as well, since that is what a hook has spoken; and a description begins with
"Could be", since it is a guess. Nothing is kept.
"""

from __future__ import annotations

import argparse
import sys

from PIL import Image, ImageGrab

from looktwice import Agent, LookTwiceError
from looktwice.agent.access import check
from looktwice.memory import Picture

QUESTION = "Describe @picture."


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Say in one line what a picture shows.")
    parser.add_argument("file", nargs="?", help="a picture; - is standard input; else the clipboard")
    parser.add_argument("--ask", default=QUESTION, help="what is asked about @picture")
    parser.add_argument("--model", default="pocket", help="a model's name or folder")
    given = parser.parse_args(arguments)
    try:
        picture = taken(given.file)
        if faults := check(picture):
            raise LookTwiceError("; ".join(map(str, faults)))
        with Agent(given.model, memory=":memory:") as agent:
            chat = agent.chat()
            chat.add(picture, "picture")
            print(" ".join(f"Could be: {chat.ask(given.ask)}".split()))
    except LookTwiceError as error:
        print(f"No description: {error}")
        return 1
    return 0


def taken(file: str | None) -> Picture:
    """The picture that is meant. Raises PictureRejected for what is none."""
    if file == "-":
        return Picture.load(sys.stdin.buffer.read())
    return Picture.load(file if file else copied())


def copied() -> Image.Image | str:
    """The picture in the clipboard, or the path of a file that was copied."""
    try:
        found = ImageGrab.grabclipboard()
    except (NotImplementedError, OSError) as error:  # no program to ask the clipboard with
        raise LookTwiceError(f"the clipboard can't be read ({error}); give a file") from error
    if isinstance(found, list):
        found = found[0] if found else None
    if found is None:
        raise LookTwiceError("there is no picture in the clipboard; copy one, or give a file")
    return found


if __name__ == "__main__":
    sys.exit(main())
