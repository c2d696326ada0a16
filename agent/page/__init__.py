"""A conversation as HTML: no scripts, no requests, boxes drawn where the model looked.

`render` makes one file of it; `talk` a part of a page that has more.
"""

from __future__ import annotations

from .page import render, summary, talk

__all__ = ["render", "summary", "talk"]
