"""Alternative texts of documents by real tools, from the check to the written file: what else of them changes.

    python benchmarks/alternatives.py      # two minutes

Makes documents with pandoc, ebooklib, python-docx and LibreOffice, those that are installed; has texts suggested by
pocket and checked with OCR; decides at a terminal of 80 columns; writes what was accepted. ``else changed`` counts the
bytes that differ once the texts are taken out again, of a text, or the members of an archive that differ besides those
with the pictures. ``epubcheck`` is what it says before and after: errors and warnings.
"""

from __future__ import annotations

import os
import platform
import runpy
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from looktwice import Agent
from looktwice.agent.access.alt import Applied, apply, check_alternatives, open_document, suggest, write_suggestions

Make: TypeAlias = Callable[[Path], Path]
TESTS = Path(__file__).parents[1] / "tests"
MADE: dict[str, Any] = runpy.run_path(str(TESTS / "documents.py"))
TERMINAL: Any = runpy.run_path(str(TESTS / "terminal.py"))["Terminal"]
HEADS = ("document", "by", "pictures", "faults before", "after", "else changed", "epubcheck before", "after", "escapes")


def documents() -> Iterator[tuple[str, Make]]:
    """The tools that are here, and what each makes."""
    pandoc: Callable[[Path, str], Path] = MADE["pandoc"]
    if shutil.which("pandoc"):
        for name in ("page.html", "page.md", "page.epub", "page.docx"):
            yield "pandoc", lambda folder, name=name: pandoc(folder, name)
    yield "ebooklib", MADE["book"]
    yield "python-docx", MADE["word"]
    if shutil.which("pandoc") and shutil.which("soffice"):
        yield "LibreOffice", office


def office(folder: Path) -> Path:
    """A DOCX that LibreOffice writes, out of what pandoc writes for it."""
    MADE["pandoc"](folder, "office.odt")
    kind = "docx:MS Word 2007 XML"
    command = ["soffice", "--headless", "--convert-to", kind, "--outdir", str(folder), str(folder / "office.odt")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "office.docx"


def row(tool: str, make: Make, agent: Agent) -> list[object]:
    """One document from the check to the written file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        MADE["draw_pictures"](folder)
        path = make(folder)
        document, before = open_document(path), len(check_alternatives(path))
        errors = epubcheck(path)
        entries = suggest(document, agent)
        write_suggestions(folder / "review.txt", document, entries, model=agent.backend.model)
        shown = decided(folder, [entry.text for entry in entries])
        done = apply(folder / "review.txt", replace=[entry.number for entry in entries])
        after = len(check_alternatives(path))
        told = [path.name, tool, len(document.places), before, after, changed(path, done)]
        return [*told, errors, epubcheck(path), shown.count("\x1b")]


def decided(folder: Path, texts: list[str]) -> str:
    """Accept what is suggested, and write what isn't, at a terminal; what it showed."""
    with TERMINAL(folder, "alt", "review", "review.txt") as terminal:
        keys = ["a" if text else f"e Something on paper, number {number}" for number, text in enumerate(texts, start=1)]
        terminal.type([*keys, "q"], "decision: ")
        terminal.rest()
        return terminal.shown


def changed(path: Path, done: Applied) -> int:
    """What differs besides the texts."""
    assert done.backup is not None
    document, before = open_document(path), open_document(done.backup.rename(path.with_name(f"before-{path.name}")))
    if path.suffix in (".epub", ".docx"):
        with zipfile.ZipFile(path) as new, zipfile.ZipFile(before.path) as old:
            same = (
                [new.read(name) == old.read(name) for name in old.namelist()]
                if new.namelist() == old.namelist()
                else []
            )
        with_pictures = {place.where.member for place in document.places}
        return same.count(False) - len(with_pictures)
    back = document.written({index: place.alt or "gone" for index, place in enumerate(before.places)})
    plain = back.replace(b' alt="gone"', b"").replace(b"![gone]", b"![]")
    return sum(one != other for one, other in zip(plain, before.raw, strict=False)) + abs(len(plain) - len(before.raw))


def epubcheck(path: Path) -> str:
    """What epubcheck counts; a dash for another format, or where it isn't installed."""
    program, java = shutil.which("epubcheck"), shutil.which("java")
    if path.suffix != ".epub" or program is None or java is None:
        return "-"
    said = subprocess.run([java, "-jar", program, path], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("Messages")), "?")


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}\n")
    print(f"| {' | '.join(HEADS)} |")
    print(f"|{'---|' * len(HEADS)}")
    with Agent("pocket", memory=":memory:") as agent:
        for tool, make in documents():
            print(f"| {' | '.join(map(str, row(tool, make, agent)))} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
