"""The parser of Markdown, with tokens of pictures and of HTML that know where they stand in their block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ....errors import MissingExtra

if TYPE_CHECKING:
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

__all__ = ["plain", "tokens_of"]


def tokens_of(source: str) -> Sequence[Token]:
    """The tokens of a text.

    The ``meta`` of a picture or of HTML inside a line has its ``span``: the characters of its block's content that the
    rule of the parser took. A picture has its ``label`` as well, where the text in its first brackets stands in that.
    """
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
