"""An answer around its claims: which words belong to which, and what they say of how a claim is meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from .claims import Claim
from .matching import words

__all__ = ["EMPTY", "Sentence", "asks_how_many"]

_CLAUSE = re.compile(
    r"[;!?\n]|[.,:](?!\d)|(?<!\w)(?:and|und|et|y|but|aber|mais|pero|while|whereas)(?!\w)", re.IGNORECASE
)
_NEAR = 30  # characters before a claim
_STOP = re.compile(r"[;!?\n]|[.:](?=\s|$)")
# Words of arithmetic. Printed in the picture they are labels like any other ("SUMME", "CHANGE").
_DERIVED = re.compile(
    r"(?<!\w)(?:difference|differs?|average|minus|without|would|if|i\.e\.|that is|together|altogether|in (?:all|total)"
    r"|combined|more|less|fewer|cheaper|dearer|increase[ds]?|decrease[ds]?|rose|fell|grew|saves?|saved|saving|twice"
    r"|times|half|double|triple|left over|remain\w*|free|another|extra|plus|each|later|earlier|longer|shorter"
    r"|before (?:tax|tip|vat|shipping|discounts?)|discount of"
    r"|differenz|unterschied|ohne|würden?|d\.h\.|zusammen|insgesamt|mehr|weniger|gespart|übrig|jeweils|später|früher"
    r"|länger|différence|sans|serait|soit|ensemble|au total|de plus|de moins|chacun\w*|restent?|plus tard"
    r"|diferencia|sin|sería|juntos|en total|más|menos|cada|quedan|sobran)(?!\w)"
    r"|\s[+\u2212\u00d7=]\s|%\s(?:of|von|de)\b|percent of",
    re.IGNORECASE,
)
_ROUNDED = re.compile(
    r"(?<!\w)(?:about|around|approximately|approx\.?|roughly|nearly|almost|close to|some|just (?:over|under)"
    r"|ca\.?|circa|etwa|ungefähr|rund|fast|knapp|environ|presque|près de|à peine"
    r"|aproximadamente|alrededor de|casi|unos|unas)\s+(?:[€$£]\s?)?$|[~\u2248]\s?$",
    re.IGNORECASE,
)
_BOUND = re.compile(
    r"(?<!\w)(?:over|under|above|below|(?:more|less|fewer) than|über|unter|mehr als|weniger als|plus de|moins de"
    r"|más de|menos de)\s+(?:[€$£]\s?)?$",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"(?<!\w)(?:no|not|never|none|neither|nor|without|isn|doesn|don|didn|aren|kein\w*|nicht|ohne|pas|aucun\w*|sans"
    r"|sin|ningún|ninguna|nada)(?!\w)",
    re.IGNORECASE,
)
_MEANT = re.compile(
    r"(?<!\w)(?:means?|meaning|meant|translat\w+|i\.e\.|in english|stands? for|short for"
    r"|bedeutet|heißt|übersetzt|steht für|signifie|veut dire|c'est-à-dire|significa|quiere decir|es decir)(?!\w)",
    re.IGNORECASE,
)
_HOW_MANY = re.compile(
    r"(?<!\w)(?:how many|number of|count|wie ?viele|anzahl|zähl\w*|combien|nombre de|compte[zr]?|cuánt[oa]s|número de"
    r"|cuenta)(?!\w)",
    re.IGNORECASE,
)
_FEW = 2  # digits of a number of things
# Words that stand in every sentence, and those of questions about what is written: they tell no place on a page.
_EMPTY_WORDS = """
a an and any are at be been but by can could did do does for from had has have how i in is it its me much many my no
not of on or please say says shown show shows so tell that the their there these they this to was were what when where
which who will with would you your image picture photo read reads written text sign cost costs amount amounts number
value der die das den dem ein eine ist sind war wie viel was im in auf zu von und oder mit fur es kostet steht bild le
la les un une des du de est sont combien quel quelle dans sur et ou avec pour il elle coute el los las es son cuanto
que en y o con para cuesta
"""
EMPTY = frozenset(_EMPTY_WORDS.split())
"""Words that tell no place, folded and without accents."""


def asks_how_many(question: str) -> bool:
    """Whether a question asks for a number of things."""
    return bool(_HOW_MANY.search(question))


class Sentence:
    """An answer, its question, and its claims."""

    def __init__(self, answer: str, question: str, claims: Sequence[Claim]) -> None:
        self.answer = answer
        self.question = question
        self.claims = claims
        self._ends = [match.span() for match in _CLAUSE.finditer(answer) if not self._is_within(match.start())]
        self._stops = [match.span() for match in _STOP.finditer(answer) if not self._is_within(match.start())]
        self._plain = list(answer)
        for claim in claims:
            self._plain[claim.start : claim.end] = " " * (claim.end - claim.start)

    @property
    def is_bare(self) -> bool:
        """Whether the answer is nothing but a claim: read off, not reasoned about."""
        return len(self.claims) == 1 and not words("".join(self._plain))

    def is_count(self, claim: Claim) -> bool:
        """Whether a number is all that is said to a question for a number of things: they may be counted, not read."""
        return self.is_bare and claim.kind == "number" and len(claim.text) <= _FEW and asks_how_many(self.question)

    def sentence(self, claim: Claim) -> str:
        """The words of the whole sentence around a claim, without any claim."""
        start, end = _between(self._stops, claim, len(self.answer))
        return "".join(self._plain[start:end])

    def is_named_before(self, claim: Claim, labels: Collection[str]) -> bool:
        """Whether one of the words stands before a claim in its sentence, and no other amount between."""
        start, _ = _between(self._stops, claim, len(self.answer))
        before = [c.end for c in self.claims if c.value and start <= c.start < claim.start and c.kind == claim.kind]
        return bool(set(words("".join(self._plain[max([start, *before]) : claim.start]))) & set(labels))

    def clause(self, claim: Claim) -> str:
        """The words around a claim, to the ends of its clause; of claims only those that are words."""
        start, end = self._bounds(claim)
        quoted = [c.text for c in self.claims if c.kind in ("quote", "name") and start <= c.start < end]
        return " ".join(["".join(self._plain[start:end]), *quoted])

    def beside(self, claim: Claim) -> list[Claim]:
        """The other claims of a claim's clause."""
        start, end = self._bounds(claim)
        return [other for other in self.claims if other is not claim and start <= other.start < end]

    def neighbours(self, claim: Claim) -> tuple[Claim, Claim] | None:
        """The claims about text before and after one, if all stand in one clause."""
        beside = [other for other in self.beside(claim) if other.is_text]
        before = [other for other in beside if other.end <= claim.start]
        after = [other for other in beside if other.start >= claim.end]
        return (before[-1], after[0]) if before and after else None

    def is_derived(self, claim: Claim, printed: Collection[str]) -> bool:
        """Whether words of arithmetic stand around it that are not ``printed`` in the picture."""
        start, end = _between(self._stops, claim, len(self.answer))
        near = self.answer[start:end]
        hints = [*_DERIVED.finditer(near), *_DERIVED.finditer(self.question)]
        return any(not set(words(match.group())) & set(printed) or not words(match.group()) for match in hints)

    def is_rounded(self, claim: Claim) -> bool:
        """Whether it is told as "about" so much."""
        return bool(_ROUNDED.search(self.answer[max(0, claim.start - _NEAR) : claim.start]))

    def is_bound(self, claim: Claim) -> bool:
        """Whether it is told as "over" or "less than" so much: a mark that need not stand there."""
        return bool(_BOUND.search(self.answer[max(0, claim.start - _NEAR) : claim.start]))

    def is_no_reading(self, claim: Claim) -> bool:
        """Whether a text is said not to stand there, or explains another one."""
        start, end = self._bounds(claim)
        return bool(_NEGATED.search("".join(self._plain[start:end])) or _MEANT.search(self.answer[start : claim.start]))

    def _bounds(self, claim: Claim) -> tuple[int, int]:
        """Where the clause of a claim begins and ends in the answer."""
        return _between(self._ends, claim, len(self.answer))

    def _is_within(self, place: int) -> bool:
        return any(claim.start <= place < claim.end for claim in self.claims)


def _between(ends: Sequence[tuple[int, int]], claim: Claim, length: int) -> tuple[int, int]:
    starts = [end for _, end in ends if end <= claim.start]
    stops = [start for start, _ in ends if start >= claim.end]
    return max(starts, default=0), min(stops, default=length)
