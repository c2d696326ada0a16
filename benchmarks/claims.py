"""How often the check of an answer finds an error that was planted in it, and how often it accuses a right one.

    python benchmarks/claims.py              # 300 answers with an error and 300 without; some minutes
    python benchmarks/claims.py --show 20    # and what it missed or accused

Receipts, signs and labels are drawn in the fonts that are installed, some tilted, blurred or compressed, and read by
the real text reader. Answers are worded here; an error is another digit, another letter, or an amount that stands
elsewhere on the same receipt. Letters and digits that look alike (O and 0, I, l and 1) are not exchanged: the check
overlooks them on purpose, and says so. Goals: 95 % found, 2 % accused.
"""

from __future__ import annotations

import argparse
import platform
import random
import string
import time
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version

import PIL
from documents import Document, Fact, draw, fonts

from looktwice.agent.answer import Evidence
from looktwice.agent.checks import Reading, check
from looktwice.agent.checks.reader import Reader
from looktwice.tools import View

READER = Reader()
KINDS = ("receipt", "receipt", "sign", "label")
ERRORS = ("digit", "letter", "swap")


def planted(rng: random.Random, fact: Fact, error: str) -> str | None:
    """The told part with an error in it; None where there is no place for one."""
    if error == "swap":
        return rng.choice(fact.rivals) if fact.rivals else None
    pool = string.digits if error == "digit" else string.ascii_uppercase
    alike = {"0": "O", "1": "IL", "O": "0", "I": "1L", "L": "1I"}
    places = [
        n
        for n, char in enumerate(fact.told)
        if char.upper() in pool and char.isupper() | char.isdigit() | (error == "letter")
    ]
    if not places:
        return None
    place = rng.choice(places)
    old = fact.told[place]
    new = rng.choice([char for char in pool if char != old.upper() and char not in alike.get(old.upper(), "")])
    return fact.told[:place] + (new if old.isupper() or old.isdigit() else new.lower()) + fact.told[place + 1 :]


def pages() -> Iterator[tuple[random.Random, Document, View, Reading]]:
    """Documents without end, each read once."""
    for seed in range(70_000, 80_000):
        rng = random.Random(seed)
        document = draw(rng, KINDS[seed % len(KINDS)])
        view = View("page", str(seed), document.image.size, lambda image=document.image: image)
        reading = READER.read(view)
        assert not reading.problem, reading.problem
        yield rng, document, view, reading


def judged(view: View, reading: Reading, fact: Fact, answer: str) -> tuple[Evidence, ...]:
    return check(answer, [reading], question=fact.question, reread=lambda _, box: READER.closer(view, box))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=300, help="with an error, and as many without")
    parser.add_argument("--show", type=int, default=0, help="how many misses and accusations to print")
    options = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("rapidocr", "onnxruntime", "rapidfuzz"))
    print(f"{platform.machine()}, Python {platform.python_version()}, Pillow {PIL.__version__}, {packages}; ", end="")
    print(f"{len(fonts())} fonts; seeds from 70000")
    found: defaultdict[str, list[bool]] = defaultdict(list)
    accused: defaultdict[str, list[bool]] = defaultdict(list)
    doubted, shown, seconds = [0, 0], 0, 0.0
    for rng, document, view, reading in pages():
        if len(accused["all"]) >= options.answers and len(found["all"]) >= options.answers:
            break
        fact = rng.choice(document.facts)
        began = time.perf_counter()
        evidence = judged(view, reading, fact, fact.answer)
        seconds += time.perf_counter() - began
        wrong = [item for item in evidence if item.verdict == "conflict"]
        doubted[0] += not wrong and any(item.verdict == "unreadable" for item in evidence)
        for group in ("all", document.kind, document.worn):
            accused[group].append(bool(wrong))
        if wrong and shown < options.show:
            shown += 1
            print("accused:", document.kind, document.font, document.worn, "|", fact.answer, "|", wrong)
        error = rng.choice(ERRORS)
        told = (
            planted(rng, fact, error) or planted(rng, fact, error := "digit") or planted(rng, fact, error := "letter")
        )
        assert told is not None
        before, _, after = fact.answer.rpartition(fact.told)
        evidence = judged(view, reading, fact, f"{before}{told}{after}")
        is_found = any(item.verdict == "conflict" for item in evidence)
        doubted[1] += not is_found and any(item.verdict == "unreadable" for item in evidence)
        for group in ("all", document.kind, document.worn, error):
            found[group].append(is_found)
        if not is_found and shown < options.show:
            shown += 1
            print(
                "missed:",
                error,
                document.kind,
                document.font,
                document.worn,
                "|",
                f"{before}{told}{after}",
                "|",
                evidence,
            )
    print(f"\n{'':12} {'errors found':>24} {'right answers accused':>30}")
    for group in ("all", "receipt", "sign", "label", "clean", "tilted", "blurred", "compressed", *ERRORS):
        print(f"{group:12} {share(found[group]):>24} {share(accused[group]) if accused[group] else '':>30}")
    count = len(accused["all"])
    print(f"called unreadable, beside these: {doubted[1]} with an error, {doubted[0]} right ones; ", end="")
    print(f"{1000 * seconds / count:.1f} ms a check of a right answer, reading apart")


def share(flags: list[bool]) -> str:
    """The share with its 95 % interval (Wilson, 1927)."""
    n, z = len(flags), 1.959964
    p = sum(flags) / n
    middle, half = (
        (p + z * z / 2 / n) / (1 + z * z / n),
        z * (p * (1 - p) / n + z * z / 4 / n / n) ** 0.5 / (1 + z * z / n),
    )
    return f"{100 * p:.1f} % [{100 * max(0.0, middle - half):.1f}, {100 * min(1.0, middle + half):.1f}]  n={n}"


if __name__ == "__main__":
    main()
