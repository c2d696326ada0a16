"""XML of EPUB and DOCX: parsed without entities and network, asked by local names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ....errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from lxml.etree import _Element as Element  # pyright: ignore[reportPrivateUsage]

__all__ = ["attribute", "elements", "local", "parsed", "within"]


def parsed(data: bytes, label: str) -> Element:
    """The root of a document. Raises InvalidInput, naming ``label``, where it isn't well-formed."""
    try:
        from lxml import etree
    except ImportError as error:
        raise MissingExtra("what reads documents", "documents") from error
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        told = " ".join(str(error).split())
        raise InvalidInput(f"{label} is no well-formed XML ({told}); mend it first") from error
    return root


def local(element: Element) -> str:
    """An element's name without its namespace; empty for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def elements(top: Element, *names: str) -> Iterator[Element]:
    """The elements below of these local names, in the order of the document."""
    return (element for element in top.iter() if local(element) in names)


def within(element: Element, *names: str) -> Element | None:
    """The nearest element around of one of these local names."""
    return next((each for each in element.iterancestors() if local(each) in names), None)


def attribute(element: Element, name: str) -> str | None:
    """The value of an attribute by its local name."""
    return next((str(value) for key, value in element.attrib.items() if str(key).rpartition("}")[2] == name), None)
