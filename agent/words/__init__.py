"""What looktwice itself says to people, in their language: English in the code, other languages from catalogues.

Catalogues are gettext's, ``agent/words/LANGUAGE/LC_MESSAGES/looktwice.po`` with the ``.mo`` made from it beside it; a
test holds each catalogue against the sentences in the code (`catalogues.py`, run by ``make words``). A language without
one, and a sentence that a catalogue lacks, get English.

    say = words("de-AT")
    say("No difference was found.")
    say("Image {number} of {all}", number=2, all=3)
    say.count("{n} word is uncertain.", "{n} words are uncertain.", 3)

A sentence has to stand literally in such a call, or in ``later("...")`` where it is kept in a table and said later.
"""

from __future__ import annotations

import gettext
import logging
from functools import lru_cache
from pathlib import Path

__all__ = ["LANGUAGES", "Words", "has_words", "later", "spoken", "words"]

LANGUAGES = ("en", "de", "fr", "es")
"""The languages that there are catalogues for; English needs none."""
_HERE = Path(__file__).parent
_ASKED = 64  # languages that are remembered to have been asked for
_log = logging.getLogger(__name__)


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


def later(sentence: str) -> str:
    """Marks an English sentence for the catalogues that is said elsewhere: ``say(sentence)``."""
    return sentence


def spoken(language: str) -> str:
    """The language that is spoken where one is asked for: "de-AT" gets "de", one without a catalogue gets "en"."""
    stem = _stem(language)
    return stem if stem in LANGUAGES else "en"


def has_words(language: str) -> bool:
    """Whether looktwice speaks that language, with a region or without."""
    return _stem(language) in LANGUAGES


@lru_cache(maxsize=_ASKED)
def words(language: str) -> Words:
    """The sentences of a language, with a region or without: "de", "de-AT", "fr_CA".

    One without a catalogue gets English, and a warning in the log "looktwice.agent.words" the first time.
    """
    if not has_words(language):
        _log.warning("looktwice doesn't speak %r; it goes on in English, and knows %s", language, ", ".join(LANGUAGES))
    return _words(spoken(language))


@lru_cache(maxsize=len(LANGUAGES))
def _words(language: str) -> Words:
    return Words(language)


def _stem(language: str) -> str:
    return language.partition("-")[0].partition("_")[0].lower()
