"""What is said of a claim that a check did not bear out, in the reader's language."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..answer import Evidence
from ..words import Words, words

__all__ = ["hedged"]


def hedged(text: str, evidence: Sequence[Evidence], lang: str = "en") -> str:
    """The text with a remark in brackets after each claim that failed; the words themselves stay as they are.

    ``lang`` is "en", "de", "fr" or "es", with a region or without ("de-AT"); any other gets English.
    """
    if _is_json(text):  # a remark would break it; the evidence tells
        return text
    for item in sorted(evidence, key=lambda item: item.span or (0, 0), reverse=True):
        if item.span is None or item.claim not in text[slice(*item.span)]:  # a hook changed the words
            continue
        remark = _remark(item, words(lang))
        if remark:
            text = f"{text[: item.span[1]]} ({remark}){text[item.span[1] :]}"
    return text


def _remark(item: Evidence, say: Words) -> str:
    match item.verdict, item.kind:
        case "conflict", "side":
            return say("they don't stand so in the picture")
        case "conflict", _ if item.read:
            return say("two readings: {claim} and {read}", claim=item.claim, read=item.read)
        case "conflict", _:
            return say("not found in the text of the picture")
        case "unreadable", _:
            return say("uncertain, it can't be read well there")
        case _:
            return ""


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
