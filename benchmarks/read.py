"""How well ``looktwice read`` reads: words, their order, its marks of doubt, sums of receipts, other scripts.

    python benchmarks/read.py                      # RapidOCR, 4 pages of each kind and wear; some minutes
    python benchmarks/read.py --engines rapidocr,tesseract,both --pages 2 --seed 7

Pages are printed here with known text. Recall: the share of their words that are read exactly. Order: of the words
that both have, the edit distance of their sequences, 0..1. A word is wrong if the page doesn't have it (any more
times); the sign of times counts as an x. A table's words count in the form in which it should be said, "header: value".
Goals: recall .985, order .05.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import cast

from pages import FOREIGN, KINDS, WEARS, Page, fonts, foreign, receipt, worn
from rapidfuzz.distance import Levenshtein

from looktwice.agent.access import Transcript, read
from looktwice.tools.ocr import EngineName
from looktwice.tools.ocr.tesseract import with_data


@dataclass
class Tally:
    """What was counted over some pages."""

    pages: int = 0
    words: int = 0
    found: int = 0
    order: list[float] = field(default_factory=list[float])
    seconds: float = 0.0
    marked: int = 0
    marked_wrong: int = 0
    unmarked: int = 0
    unmarked_wrong: int = 0
    told_foreign: int = 0

    def add(self, page: Page, transcript: Transcript, seconds: float) -> None:
        """Count a page and what was read of it."""
        read_words, words = transcript.text.replace("\u00d7", "x").split(), page.words
        self.pages += 1
        self.words += len(words)
        self.found += (Counter(words) & Counter(read_words)).total()
        self.order.append(order_error(words, read_words))
        self.seconds += seconds
        self.told_foreign += transcript.foreign is not None
        self._add_marks(page, transcript)

    def _add_marks(self, page: Page, transcript: Transcript) -> None:
        left = Counter(word.strip(":;") for word in page.words)
        for word in (word for line in transcript.lines for word in line.words):
            text = word.text.replace("\u00d7", "x").strip(":;")
            is_wrong = left[text] <= 0
            left[text] -= 1
            if word.uncertain:
                self.marked, self.marked_wrong = self.marked + 1, self.marked_wrong + is_wrong
            else:
                self.unmarked, self.unmarked_wrong = self.unmarked + 1, self.unmarked_wrong + is_wrong


def order_error(words: list[str], read_words: list[str]) -> float:
    """0 for the right order of the words that both have, 1 for none of them in its place."""
    both = Counter(words) & Counter(read_words)
    sequences: list[list[str]] = []
    for sequence in (words, read_words):
        left = both.copy()
        kept: list[str] = []
        for word in sequence:
            if left[word] > 0:
                left[word] -= 1
                kept.append(word)
        sequences.append(kept)
    return Levenshtein.normalized_distance(*sequences)


def timed(page: Page, engine: EngineName) -> tuple[Transcript, float]:
    began = time.process_time() if engine == "rapidocr" else time.perf_counter()
    transcript = read(page.image, engine=engine, ocr_lang=None if engine == "rapidocr" else languages())
    return transcript, (time.process_time() if engine == "rapidocr" else time.perf_counter()) - began


def languages() -> str:
    """Those of the pages that Tesseract has data for here."""
    return "+".join(each.code for each in with_data() if each.code in ("en", "de", "fr", "es"))


def measure(engine: EngineName, seed: int, count: int, wears: Sequence[str]) -> Tally:
    """Print a line for each wear and kind; the tally of all."""
    tallies: dict[str, Tally] = {}
    everything = Tally()
    print(f"\n{engine:12} {'pages':>5} {'words':>6} {'recall':>7} {'order error':>12} {'seconds':>8}")
    for wear in wears:
        for name, kind in KINDS.items():
            for number in range(count):
                page = worn(random.Random(f"{seed} {wear} {name} {number}"), kind, wear)
                transcript, seconds = timed(page, engine)
                for tally in (tallies.setdefault(wear, Tally()), tallies.setdefault(name, Tally()), everything):
                    tally.add(page, transcript, seconds)
        print_line(wear, tallies[wear])
    for name in KINDS:
        print_line(name, tallies[name])
    print_line("all", everything)
    for name, wrong, all_ in (
        ("marked", everything.marked_wrong, everything.marked),
        ("unmarked", everything.unmarked_wrong, everything.unmarked),
    ):
        print(f"{name} words: {wrong} of {all_} wrong, {100 * wrong / max(1, all_):.2f} %")
    print(f"said of {everything.told_foreign} of {everything.pages} pages that another script stands there", flush=True)
    return everything


def print_line(name: str, tally: Tally) -> None:
    order = sum(tally.order) / len(tally.order)
    recall, seconds = tally.found / tally.words, tally.seconds / tally.pages
    print(f"{name:12} {tally.pages:5} {tally.words:6} {recall:7.4f} {order:12.4f} {seconds:8.2f}", flush=True)


def sums(engine: EngineName, seed: int, count: int) -> None:
    """Print what is said of receipts that add up, and of ones that don't."""
    for is_right in (True, False):
        verdicts: Counter[str] = Counter()
        for number in range(count):
            rng = random.Random(f"{seed} sum {is_right} {number}")
            wear = rng.choice(WEARS)
            page = worn(rng, lambda rng, look: receipt(rng, look, is_right=is_right), wear)  # noqa: B023
            found = read(page.image, engine=engine).sum
            verdicts[found.verdict if found else "no receipt"] += 1
        said = ", ".join(f"{verdict} {verdicts[verdict]}" for verdict in ("agrees", "differs", "open", "no receipt"))
        print(f"receipts that {'add up' if is_right else 'do not add up':13} {count:3}: {said}", flush=True)


def scripts(engine: EngineName, seed: int, count: int) -> None:
    """Print how often it is said that a text is in a script that the engine doesn't know."""
    for script in FOREIGN:
        said: Counter[str] = Counter()
        for number in range(count):
            transcript = read(foreign(random.Random(f"{seed} {script} {number}"), script).image, engine=engine)
            there = transcript.foreign
            said["said"] += there is not None or not transcript.lines
            said["named"] += there is not None and there.language is not None and there.language.script == script
        print(f"{script:12} {count:3}: told {said['said']}, its name rightly {said['named']}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--engines", default="rapidocr", help="of rapidocr, tesseract, both; with commas between")
    parser.add_argument("--pages", type=int, default=4, help="of each kind and wear")
    parser.add_argument("--wears", default=",".join(WEARS), help="how pages are handed in; with commas between")
    parser.add_argument("--receipts", type=int, default=20, help="of each sort, added up")
    parser.add_argument("--scripts", type=int, default=4, help="pages of each script")
    parser.add_argument("--seed", type=int, default=20261127)
    options = parser.parse_args()
    print(
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, rapidocr {version('rapidocr')}"
    )
    print(f"Tesseract reads {languages() or 'nothing'}; the pages are in en, de, fr and es")
    print(f"seed {options.seed}, {len(fonts())} fonts; seconds: of the CPU for rapidocr, of the clock for the others")
    for engine in options.engines.split(","):
        if options.pages:
            measure(cast("EngineName", engine), options.seed, options.pages, options.wears.split(","))
        if engine == "rapidocr":
            sums("rapidocr", options.seed, options.receipts)
            scripts("rapidocr", options.seed, options.scripts)


if __name__ == "__main__":
    sys.exit(main())
