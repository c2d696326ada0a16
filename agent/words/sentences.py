"""The English sentences that stand in the code: what `Words` is called with, and what is kept for ``later``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import LookTwiceError

__all__ = ["NotLiteral", "Sentence", "collect", "sentences_in"]

_MODULE = re.compile(r"(^|\.)words$")  # `from ..words import words`, `from looktwice.agent.words import words`
_ROOM = Path(__file__).parents[1]


class NotLiteral(LookTwiceError):
    """A sentence that is put together where it is said can't stand in a catalogue."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the code; ``many`` is its form for several things, ``files`` are where it is said."""

    one: str
    many: str | None = None
    files: tuple[str, ...] = ()


def collect(room: Path = _ROOM) -> list[Sentence]:
    """Every sentence of the code below ``room``, in the order of its files, each once. Raises NotLiteral."""
    found: dict[tuple[str, str | None], list[str]] = {}
    for file in sorted(room.rglob("*.py")):
        name = f"{room.name}/{file.relative_to(room).as_posix()}"
        source = file.read_text(encoding="utf-8")
        if "words" not in source:
            continue
        for one, many in sentences_in(source, name):
            files = found.setdefault((one, many), [])
            files += [name] * (name not in files)
    return [Sentence(one, many, tuple(files)) for (one, many), files in found.items()]


def sentences_in(source: str, name: str) -> Iterator[tuple[str, str | None]]:
    """The sentences of one module, with their forms for several things. Raises NotLiteral, with the line."""
    tree = ast.parse(source, name)
    speakers = _Speakers(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=said, attr="count"), args=[one, many, *_]) if speakers.has(said):
                texts = _literal(one, name), _literal(many, name)
                if texts[0] is not None and texts[1] is not None:
                    yield texts[0], texts[1]
            case ast.Call(func=said, args=[sentence, *_]) if speakers.has(said) or speakers.keeps(said):
                text = _literal(sentence, name)
                if text is not None:
                    yield text, None
            case _:
                pass


class _Speakers:
    """What a module speaks through: names and attributes that hold `Words`, and what gives one."""

    def __init__(self, tree: ast.Module) -> None:
        self._imported: dict[str, str] = {}  # the name in this module: the name in agent/words
        self._held: set[str] = set()
        self._made: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and _MODULE.search(node.module or ""):
                self._imported |= {alias.asname or alias.name: alias.name for alias in node.names}
        self._made = {name for name, there in self._imported.items() if there in ("words", "Words")}
        known = -1
        while len(self._held) > known:  # a name may be given on before it is seen to be one
            known = len(self._held)
            for node in ast.walk(tree):
                self._learn(node)

    def has(self, said: ast.expr) -> bool:
        """Whether an expression is something that speaks: ``say``, ``self.say``, ``words(lang)``."""
        if isinstance(said, ast.Call):
            return _last(said.func) in self._made
        return _last(said) in self._held

    def keeps(self, said: ast.expr) -> bool:
        """Whether an expression is ``later``."""
        return isinstance(said, ast.Name) and self._imported.get(said.id) == "later"

    def _learn(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value)
            case ast.arg(arg=name, annotation=ast.expr() as kind) if self._is_words(kind):
                self._held.add(name)
            case ast.AnnAssign(target=target, annotation=kind) if self._is_words(kind):
                self._held.add(_last(target))
            case ast.FunctionDef(name=name, returns=ast.expr() as kind) if self._is_words(kind):
                self._made.add(name)
                self._held.add(name)  # where it is a property
            case _:
                pass

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case ast.Tuple(elts=targets), ast.Tuple(elts=values):
                for each, its in zip(targets, values, strict=False):
                    self._assign(each, its)
            case _, ast.Call() | ast.Name() | ast.Attribute() if self.has(value):
                self._held.add(_last(target))
            case _:
                pass

    def _is_words(self, kind: ast.expr) -> bool:
        names = re.findall(r"\w+", ast.unparse(kind))
        return any(self._imported.get(name) == "Words" for name in names)


def _last(target: ast.expr) -> str:
    match target:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _literal(node: ast.expr, name: str) -> str | None:
    """The text of a literal; None for what was marked with ``later`` elsewhere."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr() | ast.BinOp() | ast.Constant():
            shown = ast.unparse(node)
            raise NotLiteral(
                f"{name}:{node.lineno}: {shown!r:.60} is put together; write one sentence with {{name}} and give name="
            )
        case _:
            return None
