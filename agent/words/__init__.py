"""What looktwice itself says to people, in their language: English in the code, other languages from catalogues.

Catalogues are gettext's, ``agent/words/LANGUAGE/LC_MESSAGES/looktwice.po`` with the ``.mo`` made from it beside it; a
test holds each catalogue against the sentences in the code. A language without one, and a sentence that a catalogue
lacks, get English.

    say = words("de-AT")
    say("No difference was found.")
    say("Image {number} of {all}", number=2, all=3)
    say.count("{n} word is uncertain.", "{n} words are uncertain.", 3)
"""

from __future__ import annotations

import gettext
from functools import lru_cache
from pathlib import Path

__all__ = ["LANGUAGES", "Words", "spoken", "words"]

LANGUAGES = ("en", "de", "fr", "es")
"""The languages that there are catalogues for; English needs none."""
_HERE = Path(__file__).parent


class Words:
    """The sentences of one language."""

    def __init__(self, language: str) -> None:
        """``language`` is one of ``LANGUAGES``."""
        self.language = language
        self._catalogue = gettext.translation("looktwice", _HERE, [language], fallback=True)

    def __call__(self, sentence: str, /, **values: object) -> str:
        """An English sentence of the code in this language, with ``{name}`` replaced by the value of that name."""
        said = self._catalogue.gettext(sentence)
        return said.format(**values) if values else said

    def count(self, one: str, many: str, n: int, /, **values: object) -> str:
        """Like calling it, for a sentence about ``n`` things: ``one`` and ``many`` are the English forms."""
        return self._catalogue.ngettext(one, many, n).format(n=n, **values)


def spoken(language: str) -> str:
    """The language that is spoken where one is asked for: "de-AT" gets "de", one without a catalogue gets "en"."""
    stem = language.partition("-")[0].partition("_")[0].lower()
    return stem if stem in LANGUAGES else "en"


@lru_cache(maxsize=len(LANGUAGES))
def _words(language: str) -> Words:
    return Words(language)


def words(language: str) -> Words:
    """The sentences of a language, with a region or without: "de", "de-AT", "fr_CA"."""
    return _words(spoken(language))
