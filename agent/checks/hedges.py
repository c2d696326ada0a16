"""What is said of a claim that a check did not bear out, in the reader's language."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..answer import Evidence

__all__ = ["hedged"]

_PHRASES = {
    "en": (
        "two readings: {claim} and {read}",
        "not found in the text of the picture",
        "uncertain, it can't be read well there",
        "they don't stand so in the picture",
    ),
    "de": (
        "zwei Lesarten: {claim} und {read}",
        "steht nicht im lesbaren Text des Bildes",
        "unsicher, dort nicht gut zu lesen",
        "im Bild steht es nicht so",
    ),
    "fr": (
        "deux lectures : {claim} et {read}",
        "introuvable dans le texte de l'image",
        "incertain, peu lisible à cet endroit",
        "ce n'est pas leur place dans l'image",
    ),
    "es": (
        "dos lecturas: {claim} y {read}",
        "no aparece en el texto de la imagen",
        "incierto, no se lee bien ahí",
        "no están así en la imagen",
    ),
}


def hedged(text: str, evidence: Sequence[Evidence], lang: str = "en") -> str:
    """The text with a remark in brackets after each claim that failed; the words themselves stay as they are.

    ``lang`` is "en", "de", "fr" or "es", with a region or without ("de-AT"); any other gets English.
    """
    spoken = lang.partition("-")[0].partition("_")[0].lower()
    conflict, missing, unreadable, misplaced = _PHRASES.get(spoken, _PHRASES["en"])
    if _is_json(text):  # a remark would break it; the evidence tells
        return text
    for item in sorted(evidence, key=lambda item: item.span or (0, 0), reverse=True):
        if item.span is None or item.claim not in text[slice(*item.span)]:  # a hook changed the words
            continue
        match item.verdict:
            case "conflict":
                phrase = misplaced if item.kind == "side" else conflict if item.read else missing
                remark = phrase.format(claim=item.claim, read=item.read)
            case "unreadable":
                remark = unreadable
            case _:
                continue
        text = f"{text[: item.span[1]]} ({remark}){text[item.span[1] :]}"
    return text


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
