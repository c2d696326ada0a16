"""How right an answer is, 0 to 1, by the rules that benchmarks have; each is a pure function."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from rapidfuzz.distance import Levenshtein

__all__ = ["METRICS", "VQA_LEAST", "anls", "choice", "exact", "folded", "options_in", "score", "vqa"]

METRICS = ("anls", "choice", "exact", "vqa")
VQA_LEAST = 4
"""The fewest answers with which ``vqa`` can give 1: three that agree beside the one that is left out."""

_ENDS = ".!?,;:\u2026\u3002\u3001"
_OPTION = re.compile(r"^[ \t]*(?:\(([A-Z])\)|([A-Z])[.):])[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_ALONE = re.compile(r"\(?([A-Za-z])\)?[.):]?")
_LEADING = re.compile(r"(?:\(([A-Za-z])\)|([A-Z])[.):])(?=\s|$)")
_TOLD = re.compile(
    r"\b(?i:answer|option|choice)(?:\s+(?i:is|would be))?\s*:?\s*"
    r"(?:(?i:option|choice)\s+)?(?:\(([A-Za-z])\)|([A-Z])(?=\s*(?:[.,;:)!?]|$|because\b|since\b)))"
)
_BRACKETED = re.compile(r"\(([A-Za-z])\)")
_BEFORE = re.compile(r"^(?:the\s+)?(?:correct\s+)?(?:answer|option|choice)(?:\s+is)?\s*:?\s*", re.IGNORECASE)
_ARTICLES = {"a", "an", "the"}
_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_DIGITS = {"none": "0", **{word: str(number) for number, word in enumerate(_NUMBERS)}}


def score(metric: str, answer: str, right: Sequence[str], *, question: str = "") -> float:
    """The score of an answer by the metric of that name; ``question`` holds the options of a choice."""
    match metric:
        case "choice":
            return choice(answer, right, options_in(question))
        case "vqa":
            return vqa(answer, right)
        case "anls":
            return anls(answer, right)
        case _:
            return exact(answer, right)


def exact(answer: str, right: Sequence[str]) -> float:
    """1 if the answer is one of the right ones after `folded`, else 0: a right answer inside a sentence is none.

    The exact match of SQuAD (Rajpurkar et al., 2016), but articles and inner punctuation count.
    """
    return float(folded(answer) in {folded(each) for each in right})


def choice(answer: str, right: Sequence[str], options: Mapping[str, str]) -> float:
    """1 if the answer chooses the right letter, else 0, as V*Bench and HR-Bench count (Wu and Xie, 2024).

    A letter is taken from "B", "(B)", "B.", "B) kevlar", "The answer is B", or from the full text of an option; never
    out of a word, and not where two are named. ``options`` are the texts by letter; ``right`` is a letter or a text.
    """
    chosen = _chosen(answer, options)
    return float(chosen is not None and chosen in {_chosen(each, options) for each in right})


def vqa(answer: str, right: Sequence[str]) -> float:
    """The soft accuracy of VQA and TextVQA over ten people's answers (Antol et al., 2015; Singh et al., 2019).

    The mean, over leaving each person out, of min(1, how many of the others gave this answer / 3). Case, articles,
    punctuation and number words are evened out as in the VQA evaluation; its list of contractions is not.
    """
    given, people = _plain(answer), [_plain(each) for each in right]
    matches = people.count(given)
    others = (matches - (person == given) for person in people)
    return sum(min(1.0, count / 3) for count in others) / len(people)


def anls(answer: str, right: Sequence[str]) -> float:
    """Normalised Levenshtein similarity to the nearest right answer, 0 from a distance of 0.5 on: ANLS of DocVQA.

    Biten et al., "Scene text visual question answering", 2019; the mean over questions is the benchmark's number.
    """
    given = _spaced(answer.casefold())
    distance = min(Levenshtein.normalized_distance(given, _spaced(each.casefold())) for each in right)
    return 1 - distance if distance < 0.5 else 0.0


def folded(text: str) -> str:
    """Text for comparing: NFKC, without case, one space for any, without punctuation at its end."""
    even = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _spaced(even).rstrip(_ENDS + " ")


def options_in(question: str) -> dict[str, str]:
    """The options of a question by letter: its lines that begin with "(A)", "A." or "A)"."""
    return {first or second: text for first, second, text in _OPTION.findall(question)}


def _chosen(answer: str, options: Mapping[str, str]) -> str | None:
    """The letter that an answer chooses; None if it chooses none, or several."""
    text = answer.strip()
    by_text = {folded(option): letter for letter, option in options.items()}
    for words in (text, _BEFORE.sub("", text)):
        if folded(words) in by_text:
            return by_text[folded(words)]
    letter = _letter(text)
    if letter is None and len(text.split(maxsplit=1)) == 2:  # "B kevlar"
        first, rest = text.split(maxsplit=1)
        letter = first if by_text.get(folded(rest)) == first else None
    return letter if letter and (not options or letter in options) else None


def _letter(text: str) -> str | None:
    if alone := _ALONE.fullmatch(text):
        return alone[1].upper()
    bracketed = {letter.upper() for letter in _BRACKETED.findall(text)}
    if len(bracketed) > 1:
        return None
    found = _LEADING.match(text) or _TOLD.search(text)
    if found:
        return (found[1] or found[2]).upper()
    return bracketed.pop() if bracketed else None


def _plain(text: str) -> str:
    """An answer as the VQA evaluation compares it."""
    text = re.sub(r"(?<!\d)[.,](?!\d)|(?<=\d)[.,](?!\d)|(?<!\d)[.,](?=\d)", " ", text.casefold())
    text = re.sub(r"(?<=\d),(?=\d)", "", text)
    text = re.sub(r"[;/\[\]\"{}()=+\\_\-><@`?!]", " ", text)
    return " ".join(_DIGITS.get(word, word) for word in text.split() if word not in _ARTICLES)


def _spaced(text: str) -> str:
    return " ".join(text.split())
