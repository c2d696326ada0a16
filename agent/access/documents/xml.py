"""XML of EPUB and DOCX: parsed by lxml without entities and network, asked by local names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from ....errors import InvalidInput, MissingExtra

__all__ = ["Element", "attribute", "elements", "local", "parsed", "within"]


class Element(Protocol):
    """What is used here of lxml's elements, which come without types."""

    @property
    def tag(self) -> object:
        """The name with its namespace; no text for comments and the like."""
        ...

    @property
    def text(self) -> str | None:
        """The text before the first element inside."""
        ...

    @property
    def attrib(self) -> Mapping[str, str]:
        """Values by names with their namespaces."""
        ...

    def iter(self) -> Iterator[Element]:
        """Itself and everything inside, in the order of the document."""
        ...

    def iterancestors(self) -> Iterator[Element]:
        """Everything around, the nearest first."""
        ...

    def getparent(self) -> Element | None:
        """The element around; None for the root."""
        ...

    def __iter__(self) -> Iterator[Element]:
        """The elements directly inside."""
        ...


def parsed(data: bytes, label: str) -> Element:
    """The root of a document. Raises InvalidInput, naming ``label``, where it isn't well-formed."""
    try:
        etree: Any = import_module("lxml.etree")
    except ImportError as error:
        raise MissingExtra("what reads documents", "documents") from error
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return cast("Element", etree.fromstring(data, parser))
    except (etree.XMLSyntaxError, ValueError) as error:
        told = " ".join(str(cast("object", error)).split())
        raise InvalidInput(f"{label} is no well-formed XML ({told}); mend it first") from error


def local(element: Element) -> str:
    """An element's name without its namespace; empty for comments and the like."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def elements(top: Element, *names: str) -> Iterator[Element]:
    """The elements below of these local names, in the order of the document."""
    return (element for element in top.iter() if local(element) in names)


def within(element: Element, *names: str) -> Element | None:
    """The nearest element around of one of these local names."""
    return next((each for each in element.iterancestors() if local(each) in names), None)


def attribute(element: Element, name: str) -> str | None:
    """The value of an attribute by its local name."""
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), None)
