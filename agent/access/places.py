"""Places in a picture as blind people are taught to say them: "at 2 o'clock" becomes "at the top right".

Models were trained on "top right"; hours of a clock they take for the time. Only phrases that can't well be a time are
replaced: none in a question that speaks of trains, shops or appointments, and none with minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...errors import InvalidInput

__all__ = ["box_of", "placed"]

_PLACES = {  # from the top on, clockwise
    "en": "at the top, at the top right, at the right, at the bottom right, at the bottom, at the bottom left,"
    " at the left, at the top left",
    "de": "oben, oben rechts, rechts, unten rechts, unten, unten links, links, oben links",
    "fr": "en haut, en haut à droite, à droite, en bas à droite, en bas, en bas à gauche, à gauche, en haut à gauche",
    "es": "arriba, arriba a la derecha, a la derecha, abajo a la derecha, abajo, abajo a la izquierda, a la izquierda,"
    " arriba a la izquierda",
}
_BOXES = (  # of a picture's width and height, 0..1000, in the order of the places; neighbours overlap
    (200, 0, 800, 500),
    (450, 0, 1000, 550),
    (500, 200, 1000, 800),
    (450, 450, 1000, 1000),
    (200, 500, 800, 1000),
    (0, 450, 550, 1000),
    (0, 200, 500, 800),
    (0, 0, 550, 550),
)
_CENTRE = (250, 250, 750, 750)
_CENTRES = ("centre", "center", "middle", "mitte", "in der mitte", "au centre", "au milieu", "en el centro", "centro")
_EIGHTH = (0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7)  # of an hour, from 12 on: which of the eight places
_HOURS = {
    "en": "twelve one two three four five six seven eight nine ten eleven",
    "de": "zwölf ein zwei drei vier fünf sechs sieben acht neun zehn elf",
    "fr": "douze une deux trois quatre cinq six sept huit neuf dix onze",
    "es": "doce una dos tres cuatro cinco seis siete ocho nueve diez once",
}
_NO_TIME = r"(?!\s*(?:[:.h]\s*\d|\d|[ap]\.?m\b))"
_CLOCKS = {
    "en": rf"\b(?:at|towards?) (?:the )?(?P<hour>HOURS)\s*o\s?['\u2019]?\s?clock(?: position)?\b{_NO_TIME}",
    "de": rf"\b(?:auf|bei) (?P<hour>HOURS) uhr\b{_NO_TIME}",
    "fr": rf"\b(?:à|vers) (?P<hour>HOURS)\s?(?:h|heures?)\b{_NO_TIME}",
    "es": rf"\b(?:a|hacia) las? (?P<hour>HOURS)(?: en punto)?\b{_NO_TIME}",
}
_BEFORE = {"en": "at", "de": "auf", "fr": "à", "es": "a las"}  # an hour
_OF_TIME = re.compile(
    r"\b(?:when|until|open\w*|clos(?:e|es|ed|ing)|trains?|bus(?:es)?|flights?|depart\w*|arriv\w*|leav\w*|appointments?"
    r"|meetings?|today|tomorrow|tonight|schedule|timetable"
    r"|wann|öffn\w*|schließ\w*|züge?|busse?|abfahr\w*|fährt|ankunft|termine?|heute|morgen|fahrplan"
    r"|quand|ouvr\w*|ferm\w+|trains?|part(?:ir)?|rendez-vous|réunion|aujourd|demain|horaires?"
    r"|cuándo|abr\w+|cierr\w+|tren(?:es)?|autobús|sale|llega|citas?|reunión|hoy|mañana|horarios?)\b",
    re.IGNORECASE,
)


def placed(question: str) -> tuple[str, tuple[str, ...]]:
    """A question with hours of a clock as places, and what was replaced, as "2 o'clock: top right"."""
    if _OF_TIME.search(question):
        return question, ()
    told: list[str] = []
    for language, pattern in _patterns():
        hours = _HOURS[language].split()

        def place(found: re.Match[str], language: str = language, hours: list[str] = hours) -> str:
            said = found["hour"].casefold()
            hour = int(said) % 12 if said.isdecimal() else hours.index(said)
            words = _PLACES[language].split(", ")[_EIGHTH[hour]]
            told.append(f"{found.group()}: {words}")
            return words

        question = pattern.sub(place, question)
    return question, tuple(told)


def box_of(place: str) -> tuple[int, int, int, int]:
    """The part of a picture that a place names, 0..1000 of its sides: "top right", "oben rechts", "2 o'clock", "9 Uhr".

    Raises InvalidInput for what names none.
    """
    said = " ".join(place.casefold().split())
    for language, places in _PLACES.items():
        names = places.split(", ")
        _, told = placed(f"{_BEFORE[language]} {said}")
        named = told[0].rpartition(": ")[2] if told else said
        for name, box in zip(names, _BOXES, strict=True):
            if named in (name, name.removeprefix("at the ").removeprefix("a la ")):
                return box
    if said in _CENTRES:
        return _CENTRE
    raise InvalidInput(f"the place {place!r} is not known; write it as 'top right', 'left', 'centre' or '2 o'clock'")


def _patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for language, pattern in _CLOCKS.items():
        hours = "|".join(["1[0-2]", "[1-9]", *_HOURS[language].split()])
        yield language, re.compile(pattern.replace("HOURS", hours), re.IGNORECASE)
