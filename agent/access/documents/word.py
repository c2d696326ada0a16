"""One story of a DOCX (its text, a header, the notes): paragraphs, and the pictures in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ....errors import InvalidInput
from ...words import later
from .place import Context, Edit, Kind, Place, Slot, Where, first_words, last_words, write_nothing
from .tags import Tag, Tree, set_attribute
from .text import Text
from .xml import Element, attribute, elements, local, within

__all__ = ["Story"]

_OLD = later("it is in the form of Word 2003; save the document anew")
_BROKEN = later("its markup is broken; save the document anew")
_EXTENSION = (
    '<a:ext xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'uri="{C183D7F6-B498-43B3-948B-1728B52AA6E4}">'
    '<adec:decorative xmlns:adec="http://schemas.microsoft.com/office/drawing/2017/decorative" val="1"/></a:ext>'
)
_LIST = '<a:extLst xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">{}</a:extLst>'


class Story:
    """A parsed part of a DOCX."""

    def __init__(
        self, text: Text, root: Element, title: str, styles: Mapping[str, str], related: Mapping[str, str], member: str
    ) -> None:
        """``styles`` are names of styles by id, ``related`` what the part refers to by id."""
        self._title, self._styles, self._related, self._member = title, styles, related, member
        self._root = root
        self._paragraphs = list(elements(root, "p"))
        self._numbers = {paragraph: number for number, paragraph in enumerate(self._paragraphs)}
        self._words = [_words_of(paragraph) for paragraph in self._paragraphs]
        self._tree = Tree(text.data)
        self._properties = list(elements(root, "docPr"))
        self._tags = [tag for tag in self._tree.tags if tag.name.rpartition(":")[2] == "docpr"]
        if [attribute(each, "id") for each in self._properties] != [tag.get("id") for tag in self._tags]:
            raise InvalidInput(f"the pictures of {member or 'the text'!r} can't be told apart; save the document anew")

    def slots(self) -> tuple[Slot, ...]:
        """The pictures, charts and diagrams, in order."""
        found = [self._slot(each, tag) for each, tag in zip(self._properties, self._tags, strict=True)]
        return tuple(sorted(filter(None, [*found, *self._old()]), key=lambda slot: slot.place.where.line))

    def _old(self) -> Iterator[Slot]:
        """Pictures as Word kept them before 2007, which can't be changed here."""
        for data in elements(self._root, "imagedata"):
            shape, number = within(data, "shape"), self._number(data)
            if within(data, "Fallback") is None and shape is not None:
                source = self._related.get(attribute(data, "id") or "", "")
                where = Where(number + 1, self._member, "paragraph")
                alt, context = attribute(shape, "alt") or None, self._context(data, number)
                yield Slot(Place("image", source, alt, where, context, problem=_OLD), write_nothing)

    def _number(self, element: Element) -> int:
        """The paragraph (from 0) that something stands in; -1 for none."""
        paragraph = within(element, "p")
        return -1 if paragraph is None else self._numbers[paragraph]

    def _slot(self, properties: Element, tag: Tag) -> Slot | None:
        drawn = _drawn(properties)
        if drawn is None:
            return None
        kind, reference = drawn
        source = self._related.get(reference, reference)
        decorative = self._decorative(tag)
        is_decorative = decorative is not None and decorative.get("val") in ("1", "true")
        alt = (attribute(properties, "descr") or "").strip() or ("" if is_decorative else None)
        number = self._number(properties)
        where = Where(number + 1, self._member, "paragraph")
        place = Place(kind, source, alt, where, self._context(properties, number), problem=_problem(tag))
        return Slot(place, lambda text: self._write(tag, text))

    def _write(self, tag: Tag, text: str) -> Sequence[Edit]:
        decorative = self._decorative(tag)
        flag = [] if decorative is None else [set_attribute(self._tree, decorative, "val", "0" if text else "1")]
        if text or tag.get("descr"):
            flag.append(set_attribute(self._tree, tag, "descr", text, after="name"))
        return flag if text or decorative is not None else [*flag, self._marked(tag)]

    def _marked(self, tag: Tag) -> Edit:
        """The edit that puts Word's mark of a decorative picture into its ``docPr``."""
        name = self._tree.data[tag.start + 1 : tag.name_end].decode()
        if tag.is_closed:
            return Edit(tag.end - 2, tag.end, f">{_LIST.format(_EXTENSION)}</{name}>".encode())
        extensions = self._tree.inside(tag, "extlst")
        if extensions is not None and not extensions.is_closed:
            return Edit(extensions.end, extensions.end, _EXTENSION.encode())
        element = self._tree.element(tag)
        end = tag.end if element is None else element.children[-1].start_byte
        return Edit(end, end, _LIST.format(_EXTENSION).encode())

    def _decorative(self, tag: Tag) -> Tag | None:
        return None if tag.is_closed else self._tree.inside(tag, "decorative")

    def _context(self, properties: Element, number: int) -> Context:
        link = within(properties, "hyperlink")
        clicked = next(elements(properties, "hlinkClick"), link)
        reference = attribute(clicked, "id") if clicked is not None else None
        return Context(
            title=self._title,
            heading=self._heading(number),
            before=last_words(self._words[:number]),
            after=first_words(self._words[number:]),
            beside=self._words[number] if number >= 0 else "",
            caption=self._caption(number),
            link=self._related.get(reference or "", ""),
            link_text=_words_of(link) if link is not None else "",
        )

    def _heading(self, number: int) -> str:
        earlier = range(number - 1, -1, -1)
        return next((self._words[n] for n in earlier if self._style(n).startswith(("heading", "title"))), "")

    def _caption(self, number: int) -> str:
        beside = (n for n in (number + 1, number - 1) if 0 <= n < len(self._words))
        return next((self._words[n] for n in beside if self._style(n).endswith("caption")), "")

    def _style(self, number: int) -> str:
        """The name of a paragraph's style, in lower case."""
        found = next((each for each in elements(self._paragraphs[number], "pStyle")), None)
        style = (attribute(found, "val") or "") if found is not None else ""
        return self._styles.get(style, style.lower())


def _drawn(properties: Element) -> tuple[Kind, str] | None:
    """What a ``docPr`` speaks of, and the id under which its bytes are found; None for shapes and text boxes."""
    holder = properties.getparent()
    if holder is None:
        return None
    names = {local(each): each for each in holder.iter()}
    if "pic" in names:
        reference = next((attribute(e, "embed") or attribute(e, "link") for e in elements(holder, "blip")), None)
        return "image", reference or ""
    return ("chart", "") if names.keys() & {"chart", "relIds", "wgp"} else None


def _problem(tag: Tag) -> str:
    return _BROKEN if tag.is_broken else ""


def _words_of(element: Element) -> str:
    """The words of a paragraph or a link, on one line."""
    said = {"tab": " ", "br": " ", "cr": " "}
    pieces = (said.get(local(e), str(e.text or "")) for e in elements(element, "t", "tab", "br", "cr"))
    return " ".join("".join(pieces).split())
