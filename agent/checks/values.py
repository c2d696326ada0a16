"""What numbers, prices, dates and times mean, however they are written. Several meanings are kept where it is open."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias, cast

from rapidfuzz.distance import OSA

__all__ = ["Kind", "MONTHS", "Value", "find_values"]

_Day: TypeAlias = tuple[int | None, int, int | None]
Kind: TypeAlias = Literal["quote", "code", "name", "money", "measure", "date", "time", "number", "count", "side"]

_TELLING = 2  # digits; a lone one is no misreading of another

_GAP = "[ \u00a0\u202f]"
_NUMBER = rf"(?:\d{{1,3}}(?:{_GAP}\d{{3}})+|\d{{1,3}}(?:[.,'\u2019]\d{{3}})+|\d+)(?:[.,]\d+)?(?!\d|[.,]\d)"
"""A number with thousands apart or together, and decimals."""

_SYMBOLS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₺": "TRY", "₽": "RUB", "₪": "ILS"}
_CODES_WORDS = """
EUR USD GBP CHF JPY CNY INR KRW SEK NOK DKK PLN CZK HUF RON BGN TRY RUB UAH ILS AED SAR CAD AUD NZD MXN BRL ZAR SGD
HKD THB
"""
_CODES = _CODES_WORDS.split()
_CURRENCY_WORDS = {
    **dict.fromkeys(("euro", "euros"), "EUR"),
    **dict.fromkeys(("dollar", "dollars", "dólares"), "USD"),
    **dict.fromkeys(("pound", "pounds"), "GBP"),
    **dict.fromkeys(("francs", "franken"), "CHF"),
    **dict.fromkeys(("kr", "kronor", "kroner"), "kr"),
    "zł": "PLN",
    "kč": "CZK",
}
_UNIT_WORDS = {
    **dict.fromkeys(("percent", "per cent", "prozent", "pour cent", "por ciento"), "%"),
    **dict.fromkeys(("gram", "grams", "gramm", "grammes", "gramos"), "g"),
    **dict.fromkeys(("kilogram", "kilograms", "kilo", "kilos"), "kg"),
    **dict.fromkeys(("litre", "litres", "liter", "liters", "litro", "litros"), "l"),
    **dict.fromkeys(("metre", "metres", "meter", "meters"), "m"),
    **dict.fromkeys(("kilometre", "kilometres", "kilometer", "kilometers"), "km"),
    **dict.fromkeys(("minute", "minutes", "minuten"), "min"),
    **dict.fromkeys(("degree", "degrees", "grad"), "°"),
}
_UNITS_WORDS = """
km/h mph kHz MHz GHz Hz kWh kW kcal kJ mAh mm cm km mg kg ml cl dl GB MB TB KB px min oz lb ft °C °F ° % ‰ m g t l L W
V h
"""
_UNITS = _UNITS_WORDS.split()

# What measures of one kind are compared in.
_BASES = {
    **{"mg": ("0.001", "g"), "kg": ("1000", "g"), "t": ("1000000", "g")},
    **{"ml": ("0.001", "l"), "cl": ("0.01", "l"), "dl": ("0.1", "l")},
    **{"mm": ("0.001", "m"), "cm": ("0.01", "m"), "km": ("1000", "m")},
    "°": ("1", "°c"),
}
_NO_UNITS_WORDS = """
a am an as at au by de du en et if in is it no of on or so to up y o e le la el im zu an ab
"""
_NO_UNITS = frozenset(_NO_UNITS_WORDS.split())

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january januar janvier enero jan ene",
            "february februar février fevrier febrero feb fév",
            "march märz maerz mars marzo mar mär",
            "april avril abril apr avr abr",
            "may mai mayo",
            "june juni juin junio jun",
            "july juli juillet julio jul",
            "august août aout agosto aug ago",
            "september septembre septiembre sep sept",
            "october oktober octobre octubre oct okt",
            "november novembre noviembre nov",
            "december dezember décembre decembre diciembre dec dez déc dic",
        ),
        1,
    )
    for name in names.split()
}
"""The numbers of the months by their names, folded, in English, German, French and Spanish, whole and shortened."""


def _any(words: object) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))  # pyright: ignore


_MONTH = _any(MONTHS)
_BLANK = "[ \u00a0\u202f]?"
_CURRENCY = f"{_any(_SYMBOLS)}|(?:{_any(_CODES)}|(?:US )?(?:{_any(_CURRENCY_WORDS)}))(?![^\\W\\d_])"
_NAMED_UNIT = f"(?:(?-i:{_any(_UNITS)})|{_any(_UNIT_WORDS)})(?![^\\W_])"
_DATE = (
    r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?!\d)"
    r"|(?P<first>\d{1,2})(?P<apart>[-/.]|[ ](?=\d\d?[ ]\d{4}(?!\d)))(?P<second>\d{1,2})"
    r"(?:(?P=apart)|[ ])(?P<last>\d{4}|\d{2})(?!\d)"
    r"|(?:(?P<from_1>\d{1,2})(?:st|nd|rd|th|er|\.)?\s?(?:[-\u2013]|to(?: the)?|bis|au|al)\s?)?"
    rf"(?P<day_1>\d{{1,2}})(?:st|nd|rd|th|er|\.)?\s*(?:(?:of|de)\s+)?(?P<month_1>{_MONTH})(?![^\W\d_])\.?"
    r"(?:,?\s*(?:de\s+)?(?P<year_1>\d{4}|['\u2019]\d\d)(?!\d))?"
    rf"|(?P<month_2>{_MONTH})\.?\s+(?P<day_2>\d{{1,2}})(?:st|nd|rd|th)?(?![\d:])"
    r"(?:\s?(?:[-\u2013]|to(?: the)?)\s?(?P<to_2>\d{1,2})(?:st|nd|rd|th)?(?![\d:]))?(?:,?\s+(?P<year_2>\d{4})(?!\d))?"
    rf"|(?P<month_3>{_MONTH})\.?\s+(?P<year_3>(?:19|20)\d\d)(?!\d)"
    r"|(?P<month_4>0?[1-9]|1[0-2])[/.](?P<year_4>(?:19|20)\d\d)(?!\d)"
)
_HALF = r"\s?(?P<{}>[ap])(?:\.m\.|m(?!\w))"
_TIME = (
    rf"(?P<hour>[01]?\d|2[0-4])(?::|\s?h\s?)(?P<minute>[0-5]\d)(?::[0-5]\d)?(?!\d)(?:{_HALF.format('half')})?"
    rf"|(?P<hour_1>[01]?\d|2[0-4])\.(?P<minute_1>[0-5]\d)(?:\s?(?:Uhr|h)(?!\w)|{_HALF.format('half_1')})"
    rf"|(?P<hour_2>[01]?\d|2[0-4])(?:\s?(?:Uhr|o'clock)(?!\w)|{_HALF.format('half_2')})"
)
# Not within a word, a number or a code; but the second end of a range, after a minus, and after a label's colon.
_BEFORE = r"(?<![\w.,])(?<!\d[:/])(?:(?<=[ap]m[-\u2013])|(?<![^\W\d_][-/]))"
_VALUE = re.compile(
    rf"{_BEFORE}(?:(?P<date>{_DATE})|(?P<time>{_TIME})"
    rf"|(?P<money>(?P<before>{_CURRENCY}){_BLANK}(?P<amount>{_NUMBER})(?:[.,]-)?"
    rf"|(?P<amount_1>{_NUMBER})(?:[.,]-)?{_BLANK}(?P<after>{_CURRENCY})(?!{_BLANK}\d))"
    rf"|(?P<cents>(?P<amount_3>{_NUMBER}){_BLANK}(?:cents?|ct)(?!\w))"
    rf"|(?P<measure>(?P<amount_2>{_NUMBER}){_BLANK}(?P<unit>{_NAMED_UNIT}))"
    rf"|(?P<number>{_NUMBER})(?!\w|[_:]\w|/\d|-[^\W\d_])(?: (?P<beside>[^\W\d_]{{1,5}})(?!\w))?)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Value:
    """A value in a text: where it stands, and ``meanings`` as (number, (year, month, day) or minutes of a day).

    ``unit`` is a unit, or a currency's code; empty where none is written. ``beside`` is the short word after a bare
    number, which may be meant for a unit. ``is_flawed``: a date that can be none as it is written, and equals nothing.
    """

    kind: Kind
    text: str
    start: int
    end: int
    meanings: frozenset[object]
    unit: str = ""
    beside: str = ""
    is_flawed: bool = False

    @property
    def is_year(self) -> bool:
        """Whether it is a bare number that is likely meant for a year."""
        return self.kind == "number" and bool(re.fullmatch(r"(?:19|20)\d\d", self.text))

    @property
    def digits(self) -> str:
        """The digits alone."""
        return re.sub(r"\D", "", self.text)

    def equals(self, other: Value) -> bool:
        """Whether the two can mean the same. A unit that only one of them has makes no difference."""
        if {self.kind, other.kind} & {"date", "time"} and self.kind != other.kind:
            return False
        if self.unit and other.unit and self.unit != other.unit:
            return False
        if _is_wrong_unit(self.beside, other.unit) or _is_wrong_unit(other.beside, self.unit):
            return False
        if self.kind == "date":
            return any(_same_day(one, another) for one in self.meanings for another in other.meanings)
        return bool(self.meanings & other.meanings)

    def differs_in_unit(self, other: Value) -> bool:
        """Whether two amounts have the same digits, and another currency or unit."""
        is_amount = not {self.kind, other.kind} & {"date", "time"}
        return is_amount and self.digits == other.digits and not self.equals(other)

    @property
    def is_price(self) -> bool:
        """Whether it is written as prices are, with two decimals."""
        return bool(re.search(r"[.,]\d\d(?!\d)", self.text))

    def is_misread(self, other: Value) -> bool:
        """Whether two values are written alike and differ in one digit, or in the places of two."""
        shapes = [re.sub(r"\d", "0", re.sub(r"[^\d.,:/-]", "", each.text)).strip(".,:/-") for each in (self, other)]
        if shapes[0].replace(",", ".") != shapes[1].replace(",", ".") or len(self.digits) < _TELLING:
            return False
        differing = sum(one != another for one, another in zip(self.digits, other.digits, strict=True))
        if self.is_flawed and differing == 0:
            return True
        return differing == 1 or (differing == 2 and sorted(self.digits) == sorted(other.digits))

    def is_about(self, other: Value, share: float) -> bool:
        """Whether two amounts differ by no more than that share of the first."""
        amounts = [[n for n in value.meanings if isinstance(n, Decimal)] for value in (self, other)]
        return any(abs(one - another) <= abs(one) * Decimal(share) for one in amounts[0] for another in amounts[1])

    def is_like(self, other: Value) -> bool:
        """Whether both are of one sort: two days, two times, or two amounts of which neither has another's unit."""
        if {self.kind, other.kind} & {"date", "time"}:
            return self.kind == other.kind
        return self.unit == other.unit or not (self.unit and other.unit)


def find_values(text: str) -> list[Value]:
    """The values of a text in their order; none within a word."""
    return [value for match in _VALUE.finditer(text) if (value := _value(match)).meanings]


def _value(match: re.Match[str]) -> Value:
    found = next(k for k in ("date", "time", "money", "cents", "measure", "number") if match[k] is not None)
    unit, (start, end) = "", match.span(found)
    match found:
        case "date":
            meanings = _days(match)
        case "time":
            meanings = _minutes(match)
        case "money":
            meanings = _numbers(match["amount"] or match["amount_1"])
            unit = _currency(match["before"] or match["after"])
        case "cents":
            meanings = frozenset(n / 100 for n in _numbers(match["amount_3"]) if isinstance(n, Decimal))
        case "measure":
            unit = _UNIT_WORDS.get(match["unit"].casefold(), match["unit"])
            factor, unit = _BASES.get(unit.casefold(), (1, unit.casefold()))
            meanings = frozenset(n * Decimal(factor) for n in _numbers(match["amount_2"]) if isinstance(n, Decimal))
        case _:
            meanings = _numbers(match["number"])
    kind = cast("Kind", "money" if found == "cents" else found)
    return Value(kind, match[found], start, end, meanings, unit, match["beside"] or "")


def _is_wrong_unit(word: str, unit: str) -> bool:
    """Whether a word beside a number is meant for a unit that stands there, and is another one: "kmal" for "kcal".

    Capitals beside a price are classes of tax.
    """
    if not word or not unit or unit.isupper() or word.casefold() in {unit, *_NO_UNITS}:
        return False
    return (len(word) <= 2 and word.islower()) or OSA.normalized_similarity(word.casefold(), unit) >= 0.5


def _numbers(text: str) -> frozenset[object]:
    """What a number can be: "1,234" is 1234 or 1.234."""
    plain = re.sub("[ \u00a0\u202f'\u2019]", "", text)
    marks = [mark for mark in plain if mark in ".,"]
    if len(set(marks)) == 2:  # the last one is the decimal mark
        whole, _, rest = plain.rpartition(marks[-1])
        return frozenset({Decimal(f"{re.sub('[.,]', '', whole)}.{rest}").normalize()})
    if not marks:
        return frozenset({Decimal(plain).normalize()})
    together = Decimal(plain.replace(marks[0], "")).normalize()
    if len(marks) > 1:
        return frozenset({together})
    decimal = Decimal(plain.replace(",", ".")).normalize()
    whole, _, rest = plain.partition(marks[0])
    is_open = len(rest) == 3 and 1 <= len(whole) <= 3 and whole.strip("0")
    return frozenset({together, decimal} if is_open else {decimal})


def _currency(text: str) -> str:
    word = text.casefold().removeprefix("us ")
    return _SYMBOLS.get(text) or _CURRENCY_WORDS.get(word) or text.upper()


def _days(match: re.Match[str]) -> frozenset[object]:
    if match["year"]:
        return _possible([(int(match["year"]), int(match["month"]), int(match["day"]))])
    if match["first"]:
        year = int(match["last"]) + (2000 if len(match["last"]) == 2 else 0)
        first, second = int(match["first"]), int(match["second"])
        return _possible([(year, second, first), (year, first, second)])
    if match["month_4"]:
        return _possible([(int(match["year_4"]), int(match["month_4"]), None)])
    number = next(n for n in (1, 2, 3) if match[f"month_{n}"])
    said, day = match[f"year_{number}"], match[f"day_{number}"] if number < 3 else None
    year = None if not said else 2000 + int(said[1:]) if len(said) == 3 else int(said)
    end = {1: match["from_1"], 2: match["to_2"], 3: None}[number]  # of a range of days each end is meant
    days = {int(each) if each else None for each in (day, end or day)}
    return _possible([(year, MONTHS[match[f"month_{number}"].casefold()], each) for each in days])


def _possible(days: list[_Day]) -> frozenset[object]:
    return frozenset(day for day in days if 1 <= day[1] <= 12 and (day[2] is None or 1 <= day[2] <= 31))


def _same_day(one: object, other: object) -> bool:
    """Whether two days can be the same; a year or a day that only one of them has makes no difference."""
    (year, month, day), (other_year, other_month, other_day) = cast("_Day", one), cast("_Day", other)
    is_same_day = day == other_day or day is None or other_day is None
    return month == other_month and is_same_day and (year == other_year or year is None or other_year is None)


def _minutes(match: re.Match[str]) -> frozenset[object]:
    number = next(end for end in ("", "_1", "_2") if match[f"hour{end}"])
    hour, half = int(match[f"hour{number}"]), match[f"half{number}"]
    minutes = 60 * hour + int(match[f"minute{number}"] or 0 if number != "_2" else 0)
    if half:
        return frozenset({minutes % 720 + (720 if half.casefold() == "p" else 0)})
    return frozenset({minutes, minutes + 720} if hour < 12 else {minutes})
