"""A guided tour of the command line, on pictures that it draws into the folder ./demo. Run by ``make demo``.

Every command is printed before it runs, in a shell, exactly as it is printed. The tour ends with status 1 at the first
command that fails or doesn't say what it should.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drawing import draw_all

FOLDER = Path("demo")


@dataclass(frozen=True)
class Step:
    """A command, what to know before it runs, and patterns that its output must hold."""

    told: str
    command: str
    expected: tuple[str, ...] = ()


TOUR = (
    Step(
        "A first question about two pictures. Each gets a name, from its file or as NAME=FILE, and questions use it.",
        'looktwice ask -i wall.png -i door=porch.jpg "What colour is the circle in @wall?" --chat tour',
        (r"^red$",),
    ),
    Step(
        "The conversation has a name too, so a follow-up needs no picture: this is a new process.",
        'looktwice ask "And in @door?" --chat tour',
        (r"^yellow$",),
    ),
    Step(
        "The sign in this picture is too small to be read at first sight, and the first answer is doubtful by the"
        " model's own numbers. With a tool on offer it looks again: it cuts out a part, sees it enlarged, and answers"
        " then. Nobody tells it to.",
        'looktwice ask -i street.png "What does the sign in @street say?" --chat tour --tools zoom',
        (r"^tool: zoom\(image=\"street\"", r"picture street\.zoom1$", r"^STOP$"),
    ),
    Step(
        "With OCR on offer it has the text read, on this computer, and what it then says is held against the picture.",
        'looktwice ask -i street.png "Read @street with ocr." --chat sign --tools ocr',
        (r"^tool: ocr\(image=\"street\"", r"^STOP$", r"^check: 'STOP' in street .*: agree$"),
    ),
    Step(
        "Of a bill this small model knows to say the first line, and the check says where that stands in the picture."
        " All that was read is in the line that begins with 'tool:'.",
        'looktwice ask -i bill.png "Read @bill with ocr." --chat receipt --tools ocr --tool-choice ocr',
        (
            r"^tool: ocr\(image=\"bill\"",
            r"^tool: ocr brought: .*CORNER CAFE.*TOTAL 12\.10",
            r"^check: 'CORNER CAFE' in bill .*: agree$",
        ),
    ),
    Step(
        "Pictures are kept in the database, byte for byte. The files may go.",
        "rm wall.png porch.jpg street.png bill.png && ls",
        (r"\Atour\.db",),
    ),
    Step(
        "The conversation goes on without them. 'chat' takes questions line by line, and /why tells what an answer"
        " rests on. Of the second question's prompt only the new tokens are computed, the rest is reused.",
        "printf '%s\\n' 'Where is the blue square in @wall?' 'What shape is orange in @door?' /why |"
        " looktwice chat --chat tour",
        (r"\bbottom right$", r"\btriangle$", r"^tokens: \d+ prompt \([1-9]\d+ reused, \d\d new\)"),
    ),
    Step(
        "What is in the conversation: the crop is kept as a recipe, not as a second copy.",
        "looktwice images --chat tour",
        (r"^wall +576x576 ", r"^street\.zoom1 .* street +recipe"),
    ),
    Step("What was said, with the number of each turn.", "looktwice log --chat tour", (r"\[wall\] \[door\]",)),
    Step("Words are found in what OCR read, too.", "looktwice search coffee", (r"receipt, picture bill: .*Coffee",)),
    Step(
        "The prompt that the model would get for another question, piece by piece, with its exact cost in tokens."
        " Nothing is asked and nothing kept.",
        'looktwice prompt "What is the total?" --chat receipt --show',
        (r"^image +\d+ +bill +full", r"TOTAL 12\.10", r"^\d+ tokens of 4096$"),
    ),
    Step("Everything that is kept, read and checked again.", "looktwice verify", (r"^everything is as it was kept$",)),
    Step("And the conversation as one HTML page.", "looktwice page --chat tour -o tour.html", (r"^tour\.html$",)),
)

WELCOME = """
looktwice puts pictures into a conversation, gives them names, and lets a model look again before it answers.

The model of this tour is 'pocket', which ships with looktwice. It answers rightly about the colour, the shape and the
place of drawn shapes, in one picture or in several, by name. It reads most signs, a small one through a tool more often
than not, counts with mistakes, and knows nothing of photos, people or documents. It always answers, also where its
answer means nothing. For real pictures load a public checkpoint: docs/models.md says how.

Everything happens in the folder ./demo. Lines that begin with 'status:' or 'tool:' go to standard error, answers to
standard output.
"""


def main() -> int:
    """Make the folder anew, run the tour, and say how it went; gives the exit status."""
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    draw(FOLDER)
    _tell(WELCOME)
    print("\n$ cd demo\n$ export LOOKTWICE_DB=tour.db")
    for step in TOUR:
        _tell(step.told)
        problem = problem_with(*_run(step.command), step.expected)
        if problem:
            print(f"\nThe tour ends at this command: {problem}", file=sys.stderr)
            return 1
    _tell(f"{len(TOUR)} commands did what they should, in {time.monotonic() - began:.0f} s. Have a look at the page:")
    print(f"  {(FOLDER / 'tour.html').resolve().as_uri()}")
    return 0


def draw(folder: Path) -> None:
    """Draw the pictures of the tour."""
    draw_all(folder)
    (folder / "door.jpg").rename(folder / "porch.jpg")


def problem_with(status: int, said: str, expected: Sequence[str]) -> str:
    """What is wrong with how a command ended and what it said; nothing, if all is well."""
    if status:
        return f"it ended with status {status}"
    missing = [pattern for pattern in expected if not re.search(pattern, said, re.MULTILINE)]
    return f"its output doesn't match {missing[0]!r}" if missing else ""


def _tell(text: str) -> None:
    for paragraph in text.strip().split("\n\n"):
        print(f"\n{textwrap.fill(' '.join(paragraph.split()), 100)}", flush=True)


def _run(command: str) -> tuple[int, str]:
    """Print a command, run it in the folder and show what it says as it comes; its status and all that it said."""
    print(f"\n$ {command}", flush=True)
    said: list[str] = []
    with subprocess.Popen(
        command, shell=True, cwd=FOLDER, env=_environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            said.append(line)
    return process.returncode, "".join(said)


def _environment() -> dict[str, str]:
    """This interpreter's own ``looktwice`` first, its settings as a newcomer finds them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOOKTWICE_")}
    path = os.pathsep.join([sysconfig.get_path("scripts"), kept.get("PATH", os.defpath)])
    return {**kept, "PATH": path, "LOOKTWICE_DB": "tour.db", "PYTHONUTF8": "1"}


if __name__ == "__main__":
    sys.exit(main())
