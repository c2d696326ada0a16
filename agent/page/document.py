"""The frame of every page: a document that lets nothing in and nothing out, with its style inside."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from .markup import Safe, element

__all__ = ["document"]


def document(title: str, body: Safe, *, more_style: str = "") -> str:
    """A whole HTML document that loads nothing and runs nothing; ``more_style`` is CSS after that of every page."""
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8") + more_style
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Safe(style)),
    )
    return f"<!doctype html>\n{element('html', head, element('body', body), lang='en')}\n"
