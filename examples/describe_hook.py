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
from looktwice.agent.access.describe import describe
from looktwice.memory import Picture


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Say in one line what a picture shows.")
    parser.add_argument("file", nargs="?", help="a picture; - is standard input; else the clipboard")
    parser.add_argument("--ask", default="", metavar="QUESTION", help="what is to be said first")
    parser.add_argument("--model", default="pocket", help="a model's name or folder")
    given = parser.parse_args(arguments)
    try:
        with Agent(given.model, memory=":memory:") as agent:
            made = describe(taken(given.file), agent=agent, about=given.ask)
    except LookTwiceError as error:
        print(f"No description: {error}")
        return 1
    if not made.text:
        print(f"No description: {'; '.join(map(str, made.faults))}")
        return 1
    print(" ".join(f"Could be: {made.text} {' '.join(made.uncertain)} {' '.join(made.warnings)}".split()))
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
