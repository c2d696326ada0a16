"""HTML that is escaped by construction: whatever is not ``Safe`` already is text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

# HTML can't carry these, even as character references.
_IMPOSSIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_VOID = frozenset({"img", "input", "link", "meta", "rect"})


class Safe(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(text: str) -> Safe:
    """Text as HTML. Characters that HTML can't carry become U+FFFD; ``Safe`` text stays as it is."""
    if isinstance(text, Safe):
        return text
    return Safe(html.escape(_IMPOSSIBLE.sub("\ufffd", text)))


def join(parts: Iterable[str]) -> Safe:
    """Parts one after the other, each escaped unless it is ``Safe``."""
    return Safe("".join(escape(part) for part in parts))


def element(tag: str, *children: str, **attributes: str | int | bool | None) -> Safe:
    """An element. ``class_`` and ``view_box`` are written ``class`` and ``viewBox``, ``aria_label`` with a hyphen.

    An attribute that is None or False is left out; one that is True stands without a value.
    """
    shown = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID and not children:
        return Safe(f"<{tag}{shown}{'/' if tag == 'rect' else ''}>")
    return Safe(f"<{tag}{shown}>{join(children)}</{tag}>")


def _attribute(name: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    written = "viewBox" if name == "view_box" else name.rstrip("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{escape(str(value))}"'
