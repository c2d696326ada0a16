"""Watches a folder, and writes an alternative text for every new picture into a list that a person reviews.

    python examples/watch_folder.py FOLDER [--model NAME] [--once]

The list is FOLDER/alternatives.txt, a line for each picture: its name, a tab, its text. A line begins with "? " until
somebody has reviewed it: mend the text, and take the two characters away. Lines that are there are never changed, so
edit them at any time, also while this runs. What is wrong with a picture (black, blurred) is written instead of a text.
Ctrl-C ends.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from looktwice import Agent, LookTwiceError
from looktwice.agent.access import check

KINDS = {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
LIST = "alternatives.txt"
QUESTION = "Describe @picture."
EVERY = 2.0  # seconds between two looks into the folder


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write alternative texts of new pictures for review.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="pocket", help="a model's name or folder")
    parser.add_argument("--once", action="store_true", help="describe what is there, and end")
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        print(f"Error: no folder {str(given.folder)!r}", file=sys.stderr)
        return 1
    try:
        with Agent(given.model, memory=":memory:") as agent:
            for picture in new_pictures(given.folder, once=given.once):
                line = f"? {picture.name}\t{alternative(picture, agent)}"
                with open(given.folder / LIST, "a", encoding="utf-8") as review:
                    review.write(f"{line}\n")
                print(line, flush=True)
    except LookTwiceError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def new_pictures(folder: Path, *, once: bool) -> Iterator[Path]:
    """Pictures that the list doesn't have, each when it has stopped growing."""
    sizes: dict[Path, int] = {}
    while True:
        known = listed(folder / LIST)
        waiting = sorted(path for path in folder.iterdir() if path.suffix.lower() in KINDS and path.name not in known)
        for path in waiting:
            size = path.stat().st_size
            if once or sizes.get(path) == size > 0:
                yield path
            sizes[path] = size
        if once:
            return
        time.sleep(EVERY)


def listed(review: Path) -> set[str]:
    """The names of the pictures that the list has, reviewed or not."""
    lines = review.read_text(encoding="utf-8").splitlines() if review.exists() else []
    return {line.removeprefix("? ").partition("\t")[0] for line in lines}


def alternative(picture: Path, agent: Agent) -> str:
    """The model's words about a picture, or what is wrong with it, on one line."""
    try:
        if faults := check(picture):
            return f"[{'; '.join(map(str, faults))}]"
        chat = agent.chat(picture.name)
        chat.add(picture, "picture")
        return " ".join(str(chat.ask(QUESTION)).split())
    except LookTwiceError as error:
        return f"[{error}]"


if __name__ == "__main__":
    sys.exit(main())
