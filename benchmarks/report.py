"""How benchmarks tell what they measured: the machine and the versions, tables that grow, and the same as JSON.

parser = argparse.ArgumentParser()
add_json(parser)
with Report(parser.parse_args(), "200 pictures", "torch") as report:
    report.table({"way": "{}", "seconds": "{:.2f}"})
    report.row("plain", 1.25)
    report.fact("equal answers", 200)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Report", "add_json"]


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option that names a file for the numbers."""
    parser.add_argument("--json", type=Path, help="a file for the numbers")


class Report:
    """Prints what is told to it, and writes it to the file of ``--json`` when all of it was told.

    ``about`` says in a line what is measured; ``packages`` are those whose versions matter, "sqlite" among them.
    """

    def __init__(self, given: argparse.Namespace, about: str, *packages: str) -> None:
        self._path: Path | None = given.json
        names = ("python", *packages)
        versions = {name: _version(name) for name in names}
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        print(f"{about}\n{machine}, {', '.join(f'{name} {each}' for name, each in versions.items())}\n", flush=True)
        self._formats: list[str] = []
        self._told: dict[str, Any] = {"about": about, "machine": machine, "versions": versions}
        self._told |= {"tables": [], "facts": {}}

    def table(self, columns: Mapping[str, str]) -> None:
        """Begin a table: its heads, each with the format of the cells below it, such as "{:.2f} times"."""
        self._formats = list(columns.values())
        print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
        self._told["tables"].append({"columns": list(columns), "rows": []})

    def row(self, *cells: object) -> None:
        """The table's next row, as Markdown; None is an empty cell."""
        shown = ("" if cell is None else form.format(cell) for form, cell in zip(self._formats, cells, strict=True))
        print(f"| {' | '.join(shown)} |", flush=True)
        self._told["tables"][-1]["rows"].append(cells)

    def fact(self, name: str, value: object, form: str = "{}") -> None:
        """A number that stands by itself."""
        print(f"\n{name}: {form.format(value)}", flush=True)
        self._told["facts"][name] = value

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is not None and error is None:
            self._path.write_text(json.dumps(self._told, indent=2, ensure_ascii=False), encoding="utf-8")


def _version(name: str) -> str:
    if name == "python":
        return platform.python_version()
    return sqlite3.sqlite_version if name == "sqlite" else version(name)
