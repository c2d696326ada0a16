"""A function's docstring as a tool's description, and its ``Args:`` as the parameters' descriptions."""

from __future__ import annotations

import inspect
import re
import textwrap

__all__ = ["argument_texts", "first_paragraph"]

_HEADING = re.compile(r"(Args|Arguments|Parameters):\s*$")
_ENTRY = re.compile(r"(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


def first_paragraph(doc: str | None) -> str:
    """The first paragraph on one line; empty without a docstring."""
    lines: list[str] = []
    for line in inspect.cleandoc(doc or "").splitlines():
        if not line.strip() or _HEADING.match(line):
            break
        lines.append(line.strip())
    return " ".join(lines)


def argument_texts(doc: str | None) -> dict[str, str]:
    """Parameter names and what the section ``Args:`` says of each; empty without the section."""
    found: dict[str, str] = {}
    name = ""
    for line in _section(inspect.cleandoc(doc or "").splitlines()):
        entry = _ENTRY.match(line)
        if entry:
            name = entry[1]
            found[name] = entry[2].strip()
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def _section(lines: list[str]) -> list[str]:
    """The lines below ``Args:`` that are indented, with that indent removed."""
    start = next((number for number, line in enumerate(lines) if _HEADING.match(line)), len(lines))
    body: list[str] = []
    for line in lines[start + 1 :]:
        if line.strip() and not line[0].isspace():
            break
        body.append(line)
    return textwrap.dedent("\n".join(body)).splitlines()
