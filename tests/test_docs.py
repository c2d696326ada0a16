"""Every block of code in the README and in docs/ runs, in the order of its page, and says what the page says.

A ``python`` block runs in the namespace of its page; an ``output`` block is what the one before it printed. A
``console`` block holds commands after ``$`` and what they write to standard output (an error: to standard error);
``...`` stands for anything. Blocks marked ``no-run`` need the network or a GPU; ``text`` is no code.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shell import run

from looktwice import Agent, Memory
from looktwice.agent.cli.program import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
KINDS = {"python", "output", "console", "text", "python no-run", "console no-run"}
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
UNRUNNABLE = ("$ make ", "$ pip install ", "$ hf download ", "llava-hf/", "from looktwice import ")


@dataclass(frozen=True)
class Block:
    """A fenced block: its kind, its text, and the page and line where it stands."""

    kind: str
    code: str
    place: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found["kind"].strip(), found["code"], f"{page.name}:{text.count(chr(10), 0, found.start()) + 1}")
        for found in FENCE.finditer(text)
    ]


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what the page shows of its output."""
    for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def matches(shown: str, printed: str) -> bool:
    """Whether the page's output is the real one; ``...`` stands for anything."""
    pattern = ".*".join(re.escape(piece) for piece in shown.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


class Reader:
    """Somebody who goes through a page and does what it says."""

    def __init__(self, environment: pytest.MonkeyPatch) -> None:
        self.environment = environment
        self.namespace: dict[str, Any] = {"__name__": "page"}
        self.printed = ""

    def do(self, block: Block) -> None:
        match block.kind:
            case "python":
                self.python(block)
            case "output":
                assert matches(block.code, self.printed), f"{block.place} shows\n{block.code}\nbut was\n{self.printed}"
            case "console":
                for command, shown in commands(block):
                    self.command(command, shown, block.place)
            case _:
                pass

    def python(self, block: Block) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block.code, block.place, "exec"), self.namespace)
        self.printed = out.getvalue()

    def command(self, command: str, shown: str, place: str) -> None:
        if command.startswith("export "):
            self.environment.setenv(*command.removeprefix("export ").split("=", 1))
            return
        ran = run(command)
        wanted, printed = (1, ran.stderr) if shown.startswith("error: ") else (0, ran.stdout)
        assert ran.status == wanted, f"{place}: {command}\n{ran.output}"
        assert matches(shown, printed), f"{place}: {command} shows\n{shown}\nbut was\n{printed}"

    def leave(self) -> None:
        for value in self.namespace.values():
            if isinstance(value, Agent | Memory):
                value.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs_as_it_is_shown(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHAT", "MODEL", "DEVICE", "CACHE", "LANG", "DEBUG"):
        monkeypatch.delenv(f"LOOKTWICE_{name}", raising=False)
    monkeypatch.setenv("LOOKTWICE_DB", "unnamed.db")
    monkeypatch.chdir(tmp_path)
    draw_all = runpy.run_path(str(ROOT / "examples" / "drawing.py"))["draw_all"]
    reader = Reader(monkeypatch)
    try:
        for block in blocks(page):
            if block.kind in ("python", "console"):
                draw_all(tmp_path)  # also after a page deleted them
            reader.do(block)
    finally:
        reader.leave()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_of_a_kind_that_is_run_or_known_not_to_be(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert 2 * len(blocks(page)) == len(re.findall(r"^\s*```", text, re.MULTILINE))
    assert {block.kind for block in blocks(page)} <= KINDS
    plain = [line for block in blocks(page) if block.kind == "text" for line in block.code.splitlines()]
    assert [line for line in plain if re.match(r"\$ |>>> |import |from ", line)] == []


def test_what_is_not_run_needs_the_network_or_large_weights() -> None:
    idle = [block for page in PAGES for block in blocks(page) if block.kind.endswith("no-run")]
    assert len(idle) <= 8
    wrong = [
        (block.place, line)
        for block in idle
        for line in block.code.splitlines()
        if line.strip() and not any(mark in line for mark in UNRUNNABLE)
    ]
    assert wrong == []


def test_every_command_is_explained_in_the_page_on_the_command_line() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \| \S", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(COMMANDS)


def test_every_link_between_the_pages_leads_somewhere() -> None:
    links = [
        (page, link)
        for page in PAGES
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
        if "://" not in link
    ]
    assert len(links) > 5
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []
