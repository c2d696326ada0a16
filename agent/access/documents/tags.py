"""Tags of HTML and XML with the exact bytes where they stand, as tree-sitter finds them, in sound markup and broken."""

from __future__ import annotations

import html
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ....errors import MissingExtra
from .place import Edit

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Parser

__all__ = ["Tag", "Tree", "escaped", "set_attribute"]

_RAW = {"textarea", "iframe", "xmp", "noembed", "noframes"}  # no tags inside, whatever it looks like
_CDATA = (b"<![CDATA[", b"]]>")


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute: its bytes from ``start`` to ``end``, and its value without quotes and references."""

    name: str
    start: int
    end: int
    value: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A start tag. ``name`` is in lower case for comparing, ``attributes`` too, the first of each name.

    ``name_end`` is the byte after its name. ``is_closed``: it ends in ``/>``. ``is_broken``: not every byte of it is
    understood.
    """

    name: str
    start: int
    end: int
    name_end: int
    attributes: Mapping[str, Attribute]
    is_closed: bool
    is_broken: bool
    node: Node

    def get(self, name: str) -> str | None:
        """The value of an attribute; None if there is none."""
        found = self.attributes.get(name)
        return None if found is None else found.value


class Tree:
    """Parsed markup. Broken markup is parsed as far as it goes."""

    def __init__(self, data: bytes) -> None:
        """``data`` is UTF-8."""
        self.data = data
        self._root = _parser().parse(_without_cdata(data)).root_node  # the tree lives as long as its nodes
        self.tags = tuple(filter(None, map(self._tag, _walk(self._root))))
        self._starts = [tag.start for tag in self.tags]

    def lost(self, names: set[str]) -> Iterator[tuple[str, int]]:
        """Tags of these names that begin and don't end, as name and byte."""
        for node in _walk(self._root):
            if node.type == "ERROR":
                for child in node.children:
                    name = self._text(child).lower()
                    if child.type == "tag_name" and name in names:
                        yield name, child.start_byte - 1

    def element(self, tag: Tag) -> Node | None:
        """The element that a tag begins; None where broken markup has none."""
        around = tag.node.parent
        return around if around is not None and around.type == "element" else None

    def inside(self, tag: Tag, name: str) -> Tag | None:
        """The first tag of a name inside the element that a tag begins, whatever its prefix."""
        end = tag.end if (element := self.element(tag)) is None else element.end_byte
        found = range(bisect_left(self._starts, tag.end), bisect_left(self._starts, end))
        return next((self.tags[n] for n in found if self.tags[n].name.rpartition(":")[2] == name), None)

    def ancestors(self, tag: Tag) -> Iterator[Tag]:
        """The elements around a tag, the nearest first, each by its start tag."""
        node = (self.element(tag) or tag.node).parent
        while node is not None:
            if node.children and (found := self._tag(node.children[0])) is not None:
                yield found
            node = node.parent

    def words(self, tag: Tag) -> str:
        """The text inside the element that a tag begins, on one line."""
        return _joined(self.data, _spans(self.element(tag) or tag.node))

    def spans(self) -> list[tuple[int, int]]:
        """Where text stands that is read, as bytes from and to."""
        return _spans(self._root)

    def _text(self, node: Node) -> str:
        return self.data[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def _tag(self, node: Node) -> Tag | None:
        if node.type not in ("start_tag", "self_closing_tag"):
            return None
        name = next((child for child in node.children if child.type == "tag_name"), None)
        if name is None:
            return None
        found: dict[str, Attribute] = {}
        for child in node.children:
            if child.type == "attribute":
                attribute = self._attribute(child)
                found.setdefault(attribute.name, attribute)
        closed = node.type == "self_closing_tag"
        broken = node.has_error
        return Tag(self._text(name).lower(), node.start_byte, node.end_byte, name.end_byte, found, closed, broken, node)

    def _attribute(self, node: Node) -> Attribute:
        name, *rest = node.children
        value = ""
        for child in rest:
            value_node = child if child.type == "attribute_value" else _inner(child)
            if value_node is not None:
                value = html.unescape(self._text(value_node))
        return Attribute(self._text(name).lower(), node.start_byte, node.end_byte, value)


def escaped(text: str) -> str:
    """Text as it stands in an attribute in double quotes, in HTML and in XML."""
    return html.escape(text, quote=False).replace('"', "&quot;")


def set_attribute(tree: Tree, tag: Tag, name: str, text: str, *, after: str = "") -> Edit:
    """The edit that gives a tag's attribute a value; a new one is put behind the attribute ``after``, or the name."""
    present = tag.attributes.get(name.lower())
    if present is not None:
        written = tree.data[present.start : present.end].partition(b"=")[0].rstrip()
        return Edit(present.start, present.end, written + f'="{escaped(text)}"'.encode())
    neighbour = tag.attributes.get(after)
    place = tag.name_end if neighbour is None else neighbour.end
    return Edit(place, place, f' {name}="{escaped(text)}"'.encode())


def _parser() -> Parser:
    """A parser of its own for each tree, as threads can't share one."""
    language = _language()
    from tree_sitter import Parser

    return Parser(language)


@cache
def _language() -> Language:
    try:
        import tree_sitter_html
        from tree_sitter import Language
    except ImportError as error:
        raise MissingExtra("what reads documents", "documents") from error
    return Language(tree_sitter_html.language())


def _walk(top: Node) -> Iterator[Node]:
    """Every node in the order of the document; nothing inside elements that hold no tags."""
    waiting = [top]
    while waiting:
        node = waiting.pop()
        yield node
        inside = node.children
        if node.type == "element" and inside and _raw(inside[0]):
            inside = inside[:1]
        waiting += reversed(inside)


def _spans(top: Node) -> list[tuple[int, int]]:
    return [(node.start_byte, node.end_byte) for node in _walk(top) if node.type in ("text", "entity")]


def _raw(node: Node) -> bool:
    if node.type != "start_tag" or len(node.children) < 2 or node.children[1].text is None:
        return False
    return node.children[1].text.decode("utf-8", "replace").lower() in _RAW


def _inner(node: Node) -> Node | None:
    return next((child for child in node.children if child.type == "attribute_value"), None)


def _without_cdata(data: bytes) -> bytes:
    """The same bytes with blanks for what is no markup though it may look like some."""
    opening, closing = _CDATA
    start = data.find(opening)
    while start >= 0:
        end = data.find(closing, start)
        end = len(data) if end < 0 else end + len(closing)
        data = data[:start] + b" " * (end - start) + data[end:]
        start = data.find(opening, end)
    return data


def _joined(data: bytes, spans: list[tuple[int, int]]) -> str:
    pieces: list[bytes] = []
    last = 0
    for start, end in spans:
        if start > last:
            pieces.append(b" ")
        pieces.append(data[start:end])
        last = end
    return " ".join(html.unescape(b"".join(pieces).decode("utf-8", "replace")).split())
