"""Codes spelled letter by letter, as on the telephone: "B as in Bravo, dash, seven".

Which letters look or sound alike is what a code is lost by, so a zero is said as a zero and never as a letter. The
tables are those that people of the language know: the NATO alphabet for English, the postal ones for the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from ...words import spoken, words

__all__ = ["codes_in", "spelled"]

_ENGLISH = """
Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa Quebec Romeo Sierra
Tango Uniform Victor Whiskey X-ray Yankee Zulu
"""
_GERMAN = """
Anton Berta Cäsar Dora Emil Friedrich Gustav Heinrich Ida Julius Kaufmann Ludwig Martha Nordpol Otto Paula Quelle
Richard Samuel Theodor Ulrich Viktor Wilhelm Xanthippe Ypsilon Zacharias Ärger Ökonom Übermut
"""
_FRENCH = """
Anatole Berthe Célestin Désiré Eugène François Gaston Henri Irma Joseph Kléber Louis Marcel Nicolas Oscar Pierre
Quintal Raoul Suzanne Thérèse Ursule Victor William Xavier Yvonne Zoé
"""
_SPANISH = """
Antonio Barcelona Carmen Dolores Enrique Francia Gerona Historia Inés José Kilo Lorenzo Madrid Navarra Ñoño Oviedo
París Querido Ramón Sábado Toledo Ulises Valencia Washington Xiquena Yegua Zaragoza
"""
_ACCENTED = {"Á": "A", "É": "E", "Í": "I", "Ó": "O", "Ú": "U"}


def _by_letter(names: str) -> Mapping[str, str]:
    """Names by their first letters; where letters with marks have names of their own, those keep them."""
    listed = names.split()
    own = {name[0] for name in listed} - set(_ACCENTED)
    return MappingProxyType({_letter(name, own): name for name in listed})


def _letter(name: str, own: set[str]) -> str:
    return name[0] if name[0] in own else _ACCENTED.get(name[0], name[0])


_TABLES = {
    "en": _by_letter(_ENGLISH),
    "de": _by_letter(_GERMAN),
    "fr": _by_letter(_FRENCH),
    "es": _by_letter(_SPANISH),
}
_DIGIT_NAMES = {
    "en": "zero one two three four five six seven eight nine",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve",
}
_DIGITS = {lang: names.split() for lang, names in _DIGIT_NAMES.items()}
_CODE = re.compile(r"[^\W_](?:[^\W_]|[-/._#:+@](?=[^\W_]))*")
_NUMBERLIKE = re.compile(
    r"\d{1,3}(?:[.,' ]?\d{3})*(?:[.,]\d+)?|\d{1,4}([-/.:])\d{1,2}\1\d{1,4}|\d{1,2}[:.h]\d\d|\d{1,4}(?:st|nd|rd|th|e|er)"
    r"|\d+(?:[.,]\d+)?(?:[kcm]?[gml]|[km]?[VWAm]|[kMGT]?B|EUR|USD|GBP|CHF|x|h|min|kWh|px)|x\d+"
)
_LONG = 5  # digits in a row that are no amount: a number of a customer, a telephone


def codes_in(text: str) -> list[str]:
    """What one would want to have spelled: letters with digits, and long numbers; no prices, dates or measures."""
    found = [match.group() for match in _CODE.finditer(text)]
    return list(dict.fromkeys(code for code in found if _is_code(code)))


def spelled(text: str, lang: str = "en") -> str:
    """Letters, digits and signs by their names, divided by commas, in English, German, French or Spanish.

    Where a text has capitals and small letters, capitals are said to be some.
    """
    has_both = text != text.upper() and text != text.lower()
    return ", ".join(_named(char, lang, tell_case=has_both) for char in text if not char.isspace() or text.strip())


def _is_code(text: str) -> bool:
    digits = sum(char.isdigit() for char in text)
    letters = sum(char.isalpha() for char in text)
    if _NUMBERLIKE.fullmatch(text):
        return digits >= _LONG and text.isdigit()
    if not letters:
        return digits >= _LONG
    return digits >= 1 and digits + letters >= 4 and (digits >= 2 or letters >= 2)


def _named(char: str, lang: str, *, tell_case: bool) -> str:
    language, say = spoken(lang), words(lang)
    if char.isascii() and char.isdigit():
        return _DIGITS[language][int(char)]
    if not char.isalpha():
        return _signs(lang).get(char, char)
    name = _TABLES[language].get(char.upper()) or _TABLES["en"].get(char.upper())
    if name is None:
        return char if not tell_case or char.islower() else say("capital {letter}", letter=char)
    if tell_case and char.isupper():
        return say("capital {letter} as in {name}", letter=char, name=name)
    if tell_case:
        return say("small {letter} as in {name}", letter=char, name=name)
    return say("{letter} as in {name}", letter=char.upper() if len(char.upper()) == 1 else char, name=name)


def _signs(lang: str) -> dict[str, str]:
    say = words(lang)
    return {
        " ": say("space"),
        "-": say("dash"),
        "\u2013": say("dash"),
        "_": say("underscore"),
        "/": say("slash"),
        "\\": say("backslash"),
        ".": say("dot"),
        ",": say("comma"),
        ":": say("colon"),
        ";": say("semicolon"),
        "#": say("hash sign"),
        "+": say("plus"),
        "@": say("at sign"),
        "*": say("asterisk"),
        "&": say("ampersand"),
        "!": say("exclamation mark"),
        "?": say("question mark"),
        "(": say("bracket open"),
        ")": say("bracket closed"),
    }
