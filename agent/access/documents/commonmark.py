"""The parser of Markdown, with tokens of pictures and of HTML that know where they stand in their block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....errors import MissingExtra

if TYPE_CHECKING:
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

__all__ = ["Block", "blocks_of", "plain"]


@dataclass(frozen=True, slots=True)
class Block:
    """Text or HTML on lines ``first`` to ``last`` (from 0, the last one not included).

    The ``meta`` of a picture or of HTML among its tokens has its ``span``: the characters of ``content`` that the rule
    of the parser took. A picture has its ``label`` as well, where the text in its first brackets stands in that.
    """

    content: str
    first: int
    last: int
    tokens: tuple[Token, ...] = ()
    is_html: bool = False
    is_heading: bool = False
    is_cell: bool = False


def blocks_of(source: str) -> Iterator[Block]:
    """The blocks of a text that have words or HTML, in order."""
    around = ""
    for token in _parsed(source):
        if token.map is not None and token.type in ("inline", "html_block"):
            yield Block(
                token.content,
                *token.map,
                tokens=tuple(token.children or ()),
                is_html=token.type == "html_block",
                is_heading=around == "heading_open",
                is_cell=around in ("td_open", "th_open"),
            )
        around = token.type


def _parsed(source: str) -> Sequence[Token]:
    try:
        from markdown_it import MarkdownIt
        from markdown_it.rules_inline import html_inline, image
    except ImportError as error:
        raise MissingExtra("what reads Markdown", "documents") from error

    def picture(state: StateInline, silent: bool) -> bool:
        start = state.pos
        label = state.md.helpers.parseLinkLabel(state, start + 1, False) if state.src.startswith("![", start) else -1
        done = image(state, silent)
        if done and not silent:
            state.tokens[-1].meta |= {"span": (start, state.pos), "label": (2, label - start)}
        return done

    def markup(state: StateInline, silent: bool) -> bool:
        start = state.pos
        done = html_inline(state, silent)
        if done and not silent:
            state.tokens[-1].meta |= {"span": (start, state.pos)}
        return done

    parser = MarkdownIt("commonmark").enable("table")
    parser.inline.ruler.at("image", picture)
    parser.inline.ruler.at("html_inline", markup)
    return parser.parse(source, {})


def plain(tokens: Sequence[Token] | None) -> str:
    """The words of tokens, on one line."""
    return " ".join("".join(map(_said, tokens or ())).split())


def _said(token: Token) -> str:
    match token.type:
        case "softbreak" | "hardbreak":
            return " "
        case "text" | "text_special" | "code_inline":
            return token.content
        case _:
            return ""
