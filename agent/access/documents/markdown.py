"""Pictures of Markdown (CommonMark with tables): inline, by reference, and as HTML."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from ...words import later
from .commonmark import Block, blocks_of, plain
from .html import slots_of_tree
from .lines import Cells, Fragment, Lines
from .place import Context, Edit, Place, Slot, Where, first_words, last_words, write_nothing
from .tags import Tree, escaped
from .text import Text

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["slots_of"]

_SPECIAL = "\\`*_[]<>&~$"
_LOST = later("where it stands in the line isn't certain; change it by hand")
_Found: TypeAlias = tuple[int, Slot]


@dataclass(frozen=True, slots=True)
class _Link:
    """Where a link leads, and the token of its block that opens it."""

    href: str
    start: int


def slots_of(text: Text, member: str = "") -> tuple[Slot, ...]:
    """The pictures of a text, in its order."""
    return tuple(slot for _, slot in sorted(_Page(text, member).slots(), key=lambda found: found[0]))


class _Page:
    """Walks through the blocks of a text."""

    def __init__(self, text: Text, member: str) -> None:
        self._source = text.data.decode("utf-8")
        self._member = member
        self._lines = Lines(self._source)
        self._blocks = list(blocks_of(self._lines.without_front_matter()))
        self._said = [(block.first, plain(block.tokens)) for block in self._blocks]
        self._title = self._heading = ""

    def slots(self) -> Iterator[_Found]:
        """Each picture with its place in the source."""
        cells = Cells(self._lines)
        for block in self._blocks:
            if block.is_heading:
                self._heading = plain(block.tokens)
                self._title = self._title or self._heading
            if block.is_cell:
                fragment = cells.fragment(block.content, block.first)
            else:
                fragment = Fragment.of_lines(self._lines, block.content, block.first, block.last)
            if block.is_html:
                yield from self._html(fragment, block.content, Context(), block.first)
            else:
                yield from self._inline(block, fragment)

    def _inline(self, block: Block, fragment: Fragment | None) -> Iterator[_Found]:
        link: _Link | None = None
        for number, token in enumerate(block.tokens):
            link = _link_after(token, number, link)
            if token.type == "image":
                yield self._picture(token, fragment, self._context(block, link, number), block)
            if token.type == "html_inline":
                part = None if fragment is None else fragment.part(*token.meta["span"])
                yield from self._html(part, token.content, self._context(block, link, number), block.first)

    def _picture(self, token: Token, fragment: Fragment | None, context: Context, block: Block) -> _Found:
        source, title = str(token.attrs["src"]), str(token.attrs.get("title", ""))
        start, end = token.meta["span"]
        place = Place("image", source, plain(token.children) or None, Where(block.first + 1, self._member), context)
        if fragment is None:
            return self._lines.starts[block.first], Slot(replace(place, problem=_LOST), write_nothing)
        at = fragment.place(start)
        place = replace(place, where=Where(self._lines.number(at) + 1, self._member))
        whole, label = fragment.part(start, end), token.meta["label"]

        def write(text: str) -> Sequence[Edit]:
            if text:
                return (self._edit(whole, *_described(whole.content, label, text)),)
            markup = _decorative(source, title, is_line=_opens_lines(block, start, end))
            return (self._edit(whole, 0, len(whole.content), markup),)

        return at, Slot(place, write)

    def _html(self, fragment: Fragment | None, content: str, around: Context, first: int) -> Iterator[_Found]:
        tree = Tree(content.encode("utf-8"))
        places: list[int] = []

        def where(at: int) -> Where:
            places.append(fragment.place(_characters(tree, at)) if fragment else self._lines.starts[first])
            return Where(self._lines.number(places[-1]) + 1, self._member)

        for slot in slots_of_tree(tree, where):
            yield places[-1], self._within(slot, fragment, tree, around)

    def _within(self, slot: Slot, fragment: Fragment | None, tree: Tree, around: Context) -> Slot:
        """A picture of HTML in the text, with what the text says around it."""

        def write(text: str) -> Sequence[Edit]:
            if fragment is None:
                return ()
            return [
                self._edit(
                    fragment, _characters(tree, edit.start), _characters(tree, edit.end), _barless(edit.new.decode())
                )
                for edit in slot.write(text)
            ]

        place, inner = slot.place, slot.place.context
        line = place.where.line - 1
        context = replace(
            inner,
            title=self._title,
            heading=inner.heading or self._heading,
            before=last_words([around.before or self._before(line), inner.before]),
            after=first_words([inner.after, around.after or self._after(line)]),
            beside=inner.beside or around.beside,
            link=inner.link or around.link,
            link_text=inner.link_text or around.link_text,
        )
        problem = place.problem if fragment is not None else _LOST
        return Slot(replace(place, context=context, problem=problem), write)

    def _edit(self, fragment: Fragment, start: int, end: int, new: str) -> Edit:
        """Characters ``start`` to ``end`` of a fragment as bytes of the whole text."""
        first, last = fragment.place(start), fragment.place(end)
        at = len(self._source[:first].encode("utf-8"))
        return Edit(at, at + len(self._source[first:last].encode("utf-8")), new.encode("utf-8"))

    def _context(self, block: Block, link: _Link | None, number: int) -> Context:
        token = block.tokens[number]
        return Context(
            title=self._title,
            heading=self._heading,
            before=last_words([self._before(block.first), plain(block.tokens[:number])]),
            after=first_words([plain(block.tokens[number + 1 :]), self._after(block.last - 1)]),
            beside=plain(block.tokens),
            caption=str(token.attrs.get("title", "")),
            link=link.href if link else "",
            link_text=_linked(block.tokens, link.start) if link else "",
        )

    def _before(self, line: int) -> str:
        return last_words([words for _, words in self._said[: bisect_left(self._said, (line, ""))]])

    def _after(self, line: int) -> str:
        return first_words(words for _, words in self._said[bisect_left(self._said, (line + 1, "")) :])


def _described(written: str, label: tuple[int, int], text: str) -> tuple[int, int, str]:
    """What changes in ``![alt](source)``, ``![alt][label]``, ``![label][]`` or ``![label]``: from, to, and the new.

    ``label`` is where the text in the first brackets stands.
    """
    new = _barless("".join(f"\\{char}" if char in _SPECIAL else char for char in " ".join(text.split())))
    start, end = label
    if written[end + 1 :] in ("", "[]"):  # the label was the text, too
        return start, len(written), f"{new}][{written[start:end]}]"
    return start, end, new


def _decorative(source: str, title: str, *, is_line: bool) -> str:
    """A picture without a text: Markdown has no mark for that, so HTML takes its place.

    A tag on a line of its own would make HTML of the lines below it (``is_line``); one on two lines doesn't.
    """
    named = f' title="{escaped(title)}"' if title else ""
    return f'<img src="{escaped(source)}"{named}{chr(10) if is_line else " "}alt="">'


def _barless(text: str) -> str:
    """The same without bars: even one with a backslash could make a table of two lines."""
    return text.replace("|", "&#124;")


def _opens_lines(block: Block, start: int, end: int) -> bool:
    """Whether a piece of a block is all that stands on its first line, and others follow."""
    return start == 0 and block.last - block.first > 1 and not block.content[end:].partition("\n")[0].strip()


def _link_after(token: Token, number: int, link: _Link | None) -> _Link | None:
    """The link that is open behind a token, written as Markdown or as HTML."""
    if token.type == "link_open":
        return _Link(str(token.attrs["href"]), number)
    if _ends_link(token):
        return None
    if token.type == "html_inline":
        opened = (tag for tag in Tree(token.content.encode("utf-8")).tags if tag.name == "a")
        return next((_Link(tag.get("href") or "", number) for tag in opened), link)
    return link


def _ends_link(token: Token) -> bool:
    return token.type == "link_close" or (token.type == "html_inline" and token.content.lower().startswith("</a"))


def _linked(children: Sequence[Token], start: int) -> str:
    """The words of the link that begins with a token."""
    end = next((place for place in range(start, len(children)) if _ends_link(children[place])), len(children))
    return plain(children[start:end])


def _characters(tree: Tree, at: int) -> int:
    return len(tree.data[:at].decode("utf-8", "replace"))
