"""Pictures of HTML and XHTML: where each stands, what the page says around it, and how its text is written."""

from __future__ import annotations

import html
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from ...words import later
from .place import Context, Edit, Kind, Place, Slot, Where, first_words, last_words, write_nothing
from .tags import Tag, Tree, set_attribute
from .text import Text

__all__ = ["declared_encoding", "slots_of", "slots_of_tree"]

_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_BLOCKS = {"p", "li", "dd", "dt", "td", "th", "figure", "div", "blockquote", "label", *_HEADINGS}
_SILENT = {"presentation", "none"}
_BROKEN = later("its tag is broken; mend it first")
_DRAWING = later("a drawing inside the page; give it a <title>")
_AROUND = 60  # pieces of text before a picture and after it that are looked at
_HEAD = 4096  # bytes in which a page says how it is encoded


def slots_of(text: Text, member: str = "") -> tuple[Slot, ...]:
    """The pictures of a page, in the order of the page."""
    tree = Tree(text.data)
    return tuple(sorted(slots_of_tree(tree, lambda at: Where(text.line(at), member)), key=_line))


def slots_of_tree(tree: Tree, where: Callable[[int], Where]) -> Iterator[Slot]:
    """The pictures of parsed markup; ``where`` tells the place of a byte."""
    page = _Page(tree)
    for tag in tree.tags:
        kind = _kind(tag)
        if kind is not None:
            yield page.slot(tag, kind, where(tag.start))
    for _, at in tree.lost({"img", "input", "area"}):
        yield Slot(Place("image", "", None, where(at), problem=_BROKEN), write_nothing)


def declared_encoding(raw: bytes) -> str | None:
    """The encoding that a page names at its beginning, in XML's first line or in a ``meta``."""
    head = raw[:_HEAD].decode("latin-1")
    if head.startswith("<?xml"):
        quoted = head[: head.find("?>")].partition("encoding")[2].lstrip(" =")
        return quoted[1:].partition(quoted[0])[0] if quoted[:1] in ("'", '"') else None
    for tag in Tree(head.encode("utf-8")).tags:
        if tag.name == "meta" and tag.get("charset"):
            return tag.get("charset")
        if tag.name == "meta" and (tag.get("http-equiv") or "").lower() == "content-type":
            return (tag.get("content") or "").lower().partition("charset=")[2].strip() or None
    return None


class _Page:
    """A parsed page with what is looked up for each picture."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._title = next((tree.words(tag) for tag in tree.tags if tag.name == "title"), "")
        self._headings = [tag for tag in tree.tags if tag.name in _HEADINGS]
        body = next((tag.end for tag in tree.tags if tag.name == "body"), _end_of_title(tree))
        self._spans = [span for span in tree.spans() if span[0] >= body]

    def slot(self, tag: Tag, kind: Kind, where: Where) -> Slot:
        """A picture with its surroundings."""
        around = list(self._tree.ancestors(tag))
        hidden = any(_is_hidden(each) for each in (tag, *around))
        problem = _BROKEN if tag.is_broken else ""
        if kind == "drawing":
            problem = _DRAWING
        place = Place(kind, _source(tag), self._alt(tag, kind), where, self._context(tag, around), hidden, problem)
        return Slot(place, write_nothing if problem else lambda text: self._write(tag, text))

    def _write(self, tag: Tag, text: str) -> Sequence[Edit]:
        return (set_attribute(self._tree, tag, "alt", text, after="src"),)

    def _alt(self, tag: Tag, kind: Kind) -> str | None:
        named = tag.get("aria-label") or self._labelled(tag)
        if kind == "drawing":
            return named or self._inside(tag, "title") or None
        return tag.get("alt") if not named or tag.get("alt") else named

    def _labelled(self, tag: Tag) -> str:
        wanted = (tag.get("aria-labelledby") or "").split()
        tags = self._tree.tags if wanted else ()
        return " ".join(self._tree.words(each) for each in tags if each.get("id") in wanted)

    def _context(self, tag: Tag, around: Sequence[Tag]) -> Context:
        link = next((each for each in around if each.name == "a" and each.get("href") is not None), None)
        button = next((each for each in around if each.name == "button" or each.get("role") == "button"), None)
        holder = link or button
        return Context(
            title=self._title,
            heading=self._heading(tag),
            before=self._around(tag, before=True),
            after=self._around(tag, before=False),
            beside=next((self._tree.words(each) for each in around if each.name in _BLOCKS), ""),
            caption=next((self._inside(e, "figcaption") for e in around if e.name == "figure"), "")
            or tag.get("title")
            or "",
            link=(tag if tag.name == "area" else link or tag).get("href") or "",
            link_text=self._tree.words(holder) if holder else "",
            in_button=button is not None or tag.name == "input",
        )

    def _around(self, tag: Tag, *, before: bool) -> str:
        middle = bisect_left(self._spans, (tag.start, tag.start))
        spans = self._spans[max(0, middle - _AROUND) : middle] if before else self._spans[middle : middle + _AROUND]
        texts = [html.unescape(self._tree.data[start:end].decode("utf-8", "replace")) for start, end in spans]
        return last_words(texts) if before else first_words(texts)

    def _heading(self, tag: Tag) -> str:
        earlier = bisect_left(self._headings, tag.start, key=lambda heading: heading.start)
        return self._tree.words(self._headings[earlier - 1]) if earlier else ""

    def _inside(self, tag: Tag, name: str) -> str:
        found = self._tree.inside(tag, name)
        return "" if found is None else self._tree.words(found)


def _end_of_title(tree: Tree) -> int:
    elements = (tree.element(tag) for tag in tree.tags if tag.name == "title")
    return next((element.end_byte for element in elements if element is not None), 0)


def _kind(tag: Tag) -> Kind | None:
    match tag.name:
        case "img":
            return "image"
        case "input" if (tag.get("type") or "").lower() == "image":
            return "button"
        case "area" if tag.get("href") is not None:
            return "area"
        case "svg" if tag.get("role") == "img":
            return "drawing"
        case _:
            return None


def _source(tag: Tag) -> str:
    return (tag.get("src") or "").strip()


def _is_hidden(tag: Tag) -> bool:
    return (tag.get("aria-hidden") or "").lower() == "true" or (tag.name == "img" and tag.get("role") in _SILENT)


def _line(slot: Slot) -> int:
    return slot.place.where.line
