"""What looktwice says comes in four languages, and the catalogues say all of it."""

from __future__ import annotations

import logging
from typing import Any

import polib  # pyright: ignore[reportMissingTypeStubs]
import pytest

from looktwice.agent.words import LANGUAGES, has_words, later, spoken, words
from looktwice.agent.words.catalogues import CATALOGUES, faults, update
from looktwice.agent.words.sentences import NotLiteral, Sentence, collect, sentences_in

SENTENCES = collect()


def catalogue(language: str) -> Any:
    return polib.pofile(str(CATALOGUES[language]))


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_a_catalogue_says_every_sentence_of_the_code_and_no_other(language: str) -> None:
    assert list(faults(catalogue(language), SENTENCES)) == []


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_what_is_read_at_run_time_is_made_from_the_catalogue(language: str) -> None:
    path = CATALOGUES[language]
    assert path.with_suffix(".mo").read_bytes() == catalogue(language).to_binary()
    assert path.read_text(encoding="utf-8") == str(update(language, SENTENCES))


def test_a_region_is_overlooked_and_another_language_gets_english(caplog: pytest.LogCaptureFixture) -> None:
    assert [spoken(each) for each in ("de-AT", "fr_CA", "ES", "pt-BR", "")] == ["de", "fr", "es", "en", "en"]
    assert words("de-CH")("the picture is dark") == "das Bild ist dunkel"
    with caplog.at_level(logging.WARNING, logger="looktwice"):
        assert words("eo-XA")("the picture is dark") == "the picture is dark"
        words("eo-XA")
    assert [record.getMessage() for record in caplog.records] == [
        "looktwice doesn't speak 'eo-XA'; it goes on in English, and knows en, de, fr, es"
    ]
    assert not has_words("eo-XA")


def test_names_in_braces_are_replaced_and_those_in_values_are_not() -> None:
    said = words("de")("two readings: {claim} and {read}", claim="{read}", read="{0}")
    assert said == "zwei Lesarten: {read} und {0}"
    assert words("de").count("{n} sentence of a test", "{n} sentences of a test", 2) == "2 sentences of a test"


@pytest.mark.parametrize("language", LANGUAGES)
def test_right_to_left_text_comes_back_as_it_was(language: str) -> None:
    hebrew, arabic = "סך הכול 42.10", "المجموع \u200f٤٢"
    said = words(language)("two readings: {claim} and {read}", claim=hebrew, read=arabic)
    assert hebrew in said
    assert arabic in said


SPOKEN = """
from ..words import Words, later, words
from .output import say as shout

TABLE = {"a": later("kept")}

class Teller:
    def __init__(self, say: Words) -> None:
        self._say = say
        self.other: Words = say

    @property
    def voice(self) -> Words: ...

    def tell(self, lang):
        shout("printed")
        speak, n = words(lang), 3
        speak("one" " sentence")
        self.other("two")
        self.voice("three")
        words(lang)("four")
        self.other.count("{n} five", "{n} fives", 5)
        say, m = self._say, 1
        say("six")
        speak(TABLE["a"])
        "say".count("no", "sentence")
"""


def test_sentences_are_found_wherever_they_are_said() -> None:
    found = set(sentences_in(SPOKEN, "teller.py"))
    said = {"kept", "one sentence", "two", "three", "four", "six"}
    assert found == {*((text, None) for text in said), ("{n} five", "{n} fives")}


@pytest.mark.parametrize("wrong", ['f"{n} words"', '"so " + many', "3"])
def test_a_sentence_that_is_put_together_is_refused(wrong: str) -> None:
    with pytest.raises(NotLiteral, match=r"teller\.py:2: .* is put together"):
        list(sentences_in(f"from looktwice.agent.words import words\nwords('de')({wrong})", "teller.py"))


def test_an_incomplete_catalogue_is_found_out() -> None:
    sentences = [Sentence("{n} day", "{n} days"), Sentence("Hello {name}"), Sentence("Bye")]
    one = update("de", sentences)
    one[0].msgstr_plural, one[1].msgstr = {0: "ein Tag", 1: "{n} Tage"}, "Hallo {nam}"
    said = [*sentences, Sentence("More")]
    assert list(faults(one, said)) == [
        "lacks 'More'",
        "has other names in braces than 'Hello {name}'",
        "does not translate 'Bye'",
    ]
    assert "nobody says 'Bye'" in list(faults(one, sentences[:2]))


def test_later_says_nothing_by_itself() -> None:
    assert later("the picture is dark") == "the picture is dark"
