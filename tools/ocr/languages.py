"""The languages that text can be written in: their names, their scripts, and what Tesseract calls them.

RapidOCR's bundled models know the letters of Latin, Chinese and Japanese writing. Of Vietnamese they drop the letters
with two marks without lowering a score, so it is not counted among what they read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ...errors import UnknownName

__all__ = ["Language", "language", "language_in", "languages"]

_MOST_USED = ("ru", "ar", "hi", "he", "bn")

# code, Tesseract's code, name
_TABLE = {
    "Latin": """
        af afr Afrikaans; az aze Azerbaijani; bs bos Bosnian; ca cat Catalan; cs ces Czech; cy cym Welsh; da dan Danish;
        de deu German; en eng English; es spa Spanish; et est Estonian; eu eus Basque; fi fin Finnish; fr fra French;
        ga gle Irish; gl glg Galician; hr hrv Croatian; hu hun Hungarian; id ind Indonesian; is isl Icelandic;
        it ita Italian; la lat Latin; lb ltz Luxembourgish; lt lit Lithuanian; lv lav Latvian; mi mri Maori;
        ms msa Malay; mt mlt Maltese; nl nld Dutch; no nor Norwegian; oc oci Occitan; pl pol Polish; pt por Portuguese;
        qu que Quechua; ro ron Romanian; sk slk Slovak; sl slv Slovenian; sq sqi Albanian; sv swe Swedish;
        sw swa Swahili; tr tur Turkish
    """,
    "Chinese": "zh chi_sim Chinese",
    "Japanese": "ja jpn Japanese",
    "Latin with several marks": "vi vie Vietnamese",
    "Korean": "ko kor Korean",
    "Cyrillic": """
        be bel Belarusian; bg bul Bulgarian; kk kaz Kazakh; mk mkd Macedonian; mn mon Mongolian; ru rus Russian;
        sr srp Serbian; uk ukr Ukrainian
    """,
    "Greek": "el ell Greek",
    "Arabic": "ar ara Arabic; fa fas Persian; ps pus Pashto; ug uig Uyghur; ur urd Urdu",
    "Hebrew": "he heb Hebrew; yi yid Yiddish",
    "Devanagari": "hi hin Hindi; mr mar Marathi; ne nep Nepali; sa san Sanskrit",
    "Bengali": "as asm Assamese; bn ben Bengali",
    "Tamil": "ta tam Tamil",
    "Telugu": "te tel Telugu",
    "Gujarati": "gu guj Gujarati",
    "Gurmukhi": "pa pan Punjabi",
    "Kannada": "kn kan Kannada",
    "Malayalam": "ml mal Malayalam",
    "Sinhala": "si sin Sinhala",
    "Thai": "th tha Thai",
    "Lao": "lo lao Lao",
    "Khmer": "km khm Khmer",
    "Myanmar": "my mya Burmese",
    "Armenian": "hy hye Armenian",
    "Georgian": "ka kat Georgian",
    "Ethiopic": "am amh Amharic; ti tir Tigrinya",
}


@dataclass(frozen=True, slots=True)
class Language:
    """A language: ``code`` as people write it ("de"), ``tesseract`` as Tesseract does ("deu")."""

    code: str
    tesseract: str
    name: str
    script: str

    @property
    def package(self) -> str:
        """The package with Tesseract's data for it, in Debian and Ubuntu."""
        return f"tesseract-ocr-{self.tesseract.replace('_', '-')}"

    @property
    def install(self) -> str:
        """The command that installs Tesseract with its data for it, in Debian and Ubuntu."""
        return f"apt-get install {self.package}"


@cache
def languages() -> tuple[Language, ...]:
    """All that are known."""
    return tuple(
        Language(code, tesseract, " ".join(name), script)
        for script, entries in _TABLE.items()
        for code, tesseract, *name in (entry.split() for entry in entries.split(";"))
    )


def language(asked: str) -> Language:
    """The language of a code or a name: "de", "de-AT", "deu", "German". Raises UnknownName."""
    folded = asked.strip().casefold()
    stem = folded.replace("_", "-").partition("-")[0]
    for known in languages():
        if folded in (known.code, known.tesseract, known.name.casefold()) or stem == known.code:
            return known
    hint = "give a code, such as de, ru or ar"
    raise UnknownName("language", asked, [each.code for each in languages()], hint=hint)


def language_in(script: str) -> Language | None:
    """The most used language of a script ("Cyrillic"); None if none is known."""
    found = [each for each in languages() if each.script == script]
    return next((each for each in found if each.code in _MOST_USED), found[0] if found else None)
