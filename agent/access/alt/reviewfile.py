"""The file of suggestions that a person goes through, with ``looktwice alt review`` or in an editor.

    document: page.html

    [1] wall.png, line 12
    decision: open
    text: A red circle at the top left
    doubt: The model is not sure of this.

A line has a name, a colon and a value without quotes; a value goes on in the next line if that is indented. Lines that
begin with # are comments. What a person wrote stays as it is: a decision changes its own lines only.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args

from ....errors import InvalidInput
from ..documents.saving import replace_file
from .entry import DECISIONS, Branch, Decision, Entry

__all__ = ["ReviewFile", "written_entry"]

_HEAD = ("document", "sha256", "model", "lang")
_KEYS = ("decision", "text", "kind", "long", "why", "doubt", "question", "context", "now", "place")
_MOST = 16 << 20


@dataclass(frozen=True, slots=True)
class _Value:
    """A value, and the lines (from 0) that it stands on, the last one not included."""

    text: str
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class _Block:
    """The lines of an entry: its heading and its values, by name."""

    number: int
    title: str
    line: int
    values: dict[str, list[_Value]] = field(default_factory=dict[str, list[_Value]])

    def get(self, key: str) -> str:
        found = self.values.get(key)
        return found[0].text if found else ""


@dataclass(frozen=True)
class ReviewFile:
    """A file of suggestions as it was read."""

    path: Path
    lines: tuple[str, ...]
    head: Mapping[str, str]
    entries: tuple[Entry, ...]
    _blocks: Mapping[int, _Block] = field(repr=False)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ReviewFile:
        """Read and check a file. Raises InvalidInput that names the line of the first mistake."""
        found, label = Path(path).expanduser(), repr(str(path))
        try:
            if found.stat().st_size > _MOST:
                raise InvalidInput(f"{label} has over {_MOST >> 20} MB, too much for suggestions")
            text = found.read_bytes().decode("utf-8-sig")
        except FileNotFoundError as error:
            raise InvalidInput(f"{label} does not exist; make it with: looktwice alt suggest DOCUMENT") from error
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{label} is not UTF-8; save it as UTF-8 in the editor") from error
        except OSError as error:
            raise InvalidInput(f"{label} can't be read: {error.strerror}; give a file of suggestions") from error
        return cls.parse(found, text)

    @classmethod
    def parse(cls, path: Path, text: str) -> ReviewFile:
        """The same from text that is at hand."""
        lines = tuple(line.removesuffix("\r") for line in text.split("\n"))
        parser = _Parser(str(path), lines)
        parser.run()
        entries = tuple(parser.entry(block) for block in parser.blocks.values())
        return cls(path, lines, parser.head, entries, parser.blocks)

    @property
    def document(self) -> Path:
        """The document that the suggestions are for; it lies where the file says, seen from the file's folder."""
        return self.path.parent / self.head["document"]

    def entry(self, number: int) -> Entry:
        """The suggestion of that number. Raises InvalidInput if there is none."""
        for entry in self.entries:
            if entry.number == number:
                return entry
        raise InvalidInput(f"no picture {number} in {str(self.path)!r}; there are {len(self.entries)}")

    def decided(self, number: int, decision: Decision, text: str | None = None) -> ReviewFile:
        """The file with a decision, and another text if one is given; nothing is saved yet."""
        block, values = self._blocks[self.entry(number).number], {"decision": str(decision)}
        if text is not None:
            values["text"] = text
        return self._with(block, values)

    def seen_as(self, sha256: str) -> ReviewFile:
        """The file for the document as it is now, by the hash of its bytes."""
        at = next(
            number for number, line in enumerate(self.lines) if line.partition(":")[0].strip().lower() == "sha256"
        )
        return ReviewFile.parse(self.path, "\n".join([*self.lines[:at], f"sha256: {sha256}", *self.lines[at + 1 :]]))

    def save(self) -> None:
        """Write it, whole or not at all."""
        replace_file(self.path, "\n".join(self.lines).encode("utf-8"))

    def _with(self, block: _Block, values: Mapping[str, str]) -> ReviewFile:
        lines: list[str | None] = list(self.lines)
        added: list[str] = []
        for key, value in values.items():
            written = f"{key}: {value}".rstrip()
            if key not in block.values:
                added.append(written)
                continue
            old = block.values[key][0]
            lines[old.first : old.end] = [written, *[None] * (old.end - old.first - 1)]
        kept = [*lines[: block.line + 1], *added, *lines[block.line + 1 :]]
        return ReviewFile.parse(self.path, "\n".join(line for line in kept if line is not None))


class _Parser:
    """Reads lines; every complaint names one of them."""

    def __init__(self, label: str, lines: tuple[str, ...]) -> None:
        self._label = label
        self._lines = lines
        self.head: dict[str, str] = {}
        self.blocks: dict[int, _Block] = {}

    def run(self) -> None:
        block: _Block | None = None
        for first, end in self._pieces():
            line = self._lines[first]
            if line.startswith("["):
                block = self._heading(line, first)
                continue
            key, colon, value = line.partition(":")
            key = key.strip().lower()
            known = _HEAD if block is None else _KEYS
            if not colon or key not in known:
                self._fail(first, f"{line[:40]!r} is nothing that is known here{_meant(key, known)}")
            whole = "\n".join([value.strip(), *(more.strip() for more in self._lines[first + 1 : end])])
            if block is None:
                self.head[key] = whole
                continue
            if key in block.values and key != "doubt":
                self._fail(first, f"{key!r} stands there twice for picture {block.number}; keep one")
            block.values.setdefault(key, []).append(_Value(whole, first, end))
        for key in ("document", "sha256"):
            if not self.head.get(key):
                self._fail(0, f"the line '{key}: ...' is missing before the first picture; put it back")

    def entry(self, block: _Block) -> Entry:
        decision, branch = block.get("decision").lower(), block.get("kind")
        at = block.values["decision"][0].first if "decision" in block.values else block.line
        if decision not in DECISIONS:
            self._fail(at, f"decision {decision!r} is none of {', '.join(DECISIONS)}{_meant(decision, DECISIONS)}")
        if branch not in get_args(Branch):
            self._fail(block.line, f"picture {block.number} has lost its line 'kind: ...'; put it back")
        text = " ".join(block.get("text").split())
        if decision == "accept" and not text and branch not in ("decorative", "redundant"):
            self._fail(at, "there is no text to accept; write one behind 'text:', or set the decision to decorative")
        if len(block.get("place").split()) != 4:
            self._fail(block.line, f"picture {block.number} has lost its line 'place: ...'; put it back")
        source, _, where = block.title.rpartition(", ")
        return Entry(
            block.number,
            source,
            where,
            cast("Branch", branch),
            text,
            block.get("place"),
            cast("Decision", decision),
            long=block.get("long"),
            why=block.get("why"),
            doubts=tuple(value.text for value in block.values.get("doubt", [])),
            question=block.get("question"),
            context=block.get("context"),
            now=block.get("now") if "now" in block.values else None,
        )

    def _pieces(self) -> Iterator[tuple[int, int]]:
        """Each line that says something, with the indented lines that belong to it."""
        number = 0
        while number < len(self._lines):
            line = self._lines[number]
            first = number
            number += 1
            if not line.strip() or line.startswith("#"):
                continue
            if line[0] in " \t":
                self._fail(first, "an indented line goes on with a value, and there is none above it")
            while number < len(self._lines) and self._lines[number].strip() and self._lines[number][0] in " \t":
                number += 1
            yield first, number

    def _heading(self, line: str, at: int) -> _Block:
        number, bracket, title = line[1:].partition("]")
        if not bracket or not number.isdecimal():
            self._fail(at, f"{line[:40]!r} is no heading; write it as in: [1] wall.png, line 12")
        if int(number) in self.blocks:
            self._fail(
                at, f"picture {number} stands there twice; the first time on line {self.blocks[int(number)].line + 1}"
            )
        block = _Block(int(number), title.strip(), at)
        self.blocks[block.number] = block
        return block

    def _fail(self, line: int, what: str) -> None:
        raise InvalidInput(f"{self._label}, line {line + 1}: {what}")


def written_entry(entry: Entry) -> Iterator[str]:
    """The lines of a suggestion."""
    yield f"[{entry.number}] {_flat(entry.source)}, {_flat(entry.where)}"
    values = [("decision", entry.decision), ("text", entry.text), ("kind", entry.branch), ("long", entry.long)]
    values += [("why", entry.why), *(("doubt", doubt) for doubt in entry.doubts), ("question", entry.question)]
    values += [("context", entry.context)]
    for key, value in values:
        if value or key in ("decision", "text"):
            yield from _written(key, value)
    if entry.now is not None:
        yield from _written("now", _flat(entry.now))
    yield f"place: {entry.mark}"
    yield ""


def _written(key: str, value: str) -> Iterator[str]:
    first, *more = value.split("\n")
    yield f"{key}: {first}".rstrip()
    yield from (f"  {line}" for line in more if line.strip())


def _flat(text: str) -> str:
    return " ".join(text.split())


def _meant(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
