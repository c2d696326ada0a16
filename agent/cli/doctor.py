"""``looktwice doctor``: what is here, what is missing, and the command that gets it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from ...errors import LookTwiceError
from . import options
from .output import say, say_json

_NEEDED = ("torch", "transformers", "pydantic", "langchain-core", "pillow", "sqlite-utils", "llguidance")
_EXTRAS = {
    "ocr": ("rapidocr", "onnxruntime"),
    "server": ("starlette", "uvicorn"),
    "remote": ("openai",),
    "mcp": ("mcp",),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``needed``: nothing can be asked without it."""

    name: str
    found: str
    fine: bool = True
    needed: bool = True


@click.command(short_help="Say what is installed, what is missing and how to get it.")
@options.db
@options.json
def doctor(db: str | None, as_json: bool) -> None:
    """Say what is installed, which device computes, where data is kept, what is missing and how to get it.

    Exit status 1 if something is missing without which no question can be answered.
    """
    findings = [*_packages(), *_extras(), _tesseract(), _device(), _search(), _database(db)]
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            say(f"{_word(finding)}: {finding.name}: {finding.found}")
    sys.exit(0 if all(finding.fine or not finding.needed for finding in findings) else 1)


def _word(finding: Finding) -> str:
    return "ok" if finding.fine else "wrong" if finding.name == "database" else "missing"


def _packages() -> Iterator[Finding]:
    yield Finding("looktwice", _version("looktwice") or "not installed; run: pip install looktwice")
    yield Finding("python", platform.python_version())
    for name in _NEEDED:
        found = _version(name)
        yield Finding(name, found or f"run: pip install {name}", fine=found is not None)


def _extras() -> Iterator[Finding]:
    for extra, names in _EXTRAS.items():
        for name in names:
            found = _version(name)
            advice = f"run: pip install 'looktwice[{extra}]'"
            yield Finding(f"{name} (for {extra})", found or advice, fine=found is not None, needed=False)


def _tesseract() -> Finding:
    """Which languages can be read beside those that the extra ``ocr`` brings."""
    from ...tools.ocr.tesseract import installed

    name = "tesseract (for read --ocr-lang)"
    try:
        return Finding(name, ", ".join(sorted(installed())) or "no languages", needed=False)
    except LookTwiceError as error:
        return Finding(name, str(error).rpartition("; ")[2], fine=False, needed=False)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _device() -> Finding:
    """The pocket checkpoint is opened, without its weights, to see where it would compute."""
    from ..backends import open_backend

    try:
        backend = open_backend("pocket")
    except (LookTwiceError, ImportError) as error:
        return Finding("device", " ".join(str(error).split()), fine=False)
    slow = "; large models need a GPU" if backend.device == "cpu" else ""
    return Finding("device", f"{backend.device}{slow}")


def _search() -> Finding:
    from ...memory.condition import has_search, sqlite_version

    fine = has_search()
    missing = "; it has no full text search (FTS5): use another build of Python"
    return Finding("sqlite", sqlite_version() + ("" if fine else missing), fine=fine)


def _database(path: str | None) -> Finding:
    where = options.database(path)
    problem = "" if where == ":memory:" else _problem(Path(where), own_folder=path is None)
    if problem:
        return Finding("database", f"{where}: {problem}", fine=False)
    state = "" if Path(where).exists() else " (made by the first question)"
    return Finding("database", f"{where}{state}")


def _problem(file: Path, *, own_folder: bool) -> str:
    """What is wrong with a database, found by reading alone."""
    from ...memory.condition import file_problem

    if file.is_dir():
        return "it is a folder; give a file in it"
    if not file.exists():
        made = own_folder and not os.environ.get("LOOKTWICE_DB")
        return "" if made or file.parent.is_dir() else f"the folder {str(file.parent)!r} does not exist; make it first"
    return file_problem(file)
