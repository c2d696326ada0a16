"""The rows of a receipt that end in an amount, with how many pieces it is for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ...checks.values import Value, find_values
from .labels import RowKind, kind_of
from .text import TextLine, TextWord

__all__ = ["Amount", "amounts_of"]


_AFTER = re.compile(r"\s*(?:[A-Z]{1,2}|[*#%-]|\d|[A-Z]{3}|€|\$|£)?\s*\)?\s*$")
_TIMES = re.compile(
    r"(?<![\w.,])(\d{1,3}(?:[.,]\d{1,3})?)\s*(?:kg|g|l|st|stk|pcs|pc)?\.?\s*(?:[x\u00d7*@]|a|\u00e0)\s*(?=[\d€$£])",
    re.I,
)
_COUNT = re.compile(r"^\s*(\d{1,2})\s*[x\u00d7]?\s+(?=\D)", re.I)


@dataclass(frozen=True, slots=True)
class Amount:
    """A row with an amount at its end.

    ``times`` is the number of pieces that is written before a price, ``unit`` the price of one where it is written.
    ``words`` are those that the row's numbers are read from; ``is_detail`` if the row says only "2 x 3.20".
    """

    kind: RowKind
    label: str
    amount: Decimal
    text: str
    words: tuple[TextWord, ...]
    times: Decimal = Decimal(1)
    unit: Decimal | None = None
    is_detail: bool = False

    @property
    def is_sure(self) -> bool:
        """Whether every word with a number was read surely."""
        return not any(word.uncertain for word in self.words)


def amounts_of(lines: Sequence[TextLine]) -> list[Amount]:
    """The rows that end in a price with two decimals, in their order."""
    return [amount for line in lines if (amount := _amount(line))]


def _amount(line: TextLine) -> Amount | None:
    text = _spaced(" ".join(word.text for word in line.words))
    prices = [value for value in find_values(text) if value.is_price and value.kind in ("money", "number")]
    if not prices or not _AFTER.match(text[prices[-1].end :]):
        return None
    price, label = prices[-1], text[: prices[0].start]
    amount = _number(price, text)
    if amount is None:
        return None
    numbers = tuple(word for word in line.words if any(char.isdigit() for char in word.text))
    kind = kind_of(text[: price.start], amount)
    times, unit = _quantity(text, prices)
    is_detail = bool(times != 1 and unit is None and prices[0] is price and _TIMES.match(text.strip()))
    if times != 1 and unit is None and _TIMES.search(text[: price.start] + "1"):
        unit, amount = amount, amount * times  # "Coffee 2 x 3.20": nobody wrote what that makes
    shown = text[price.start : price.end]
    return Amount(kind, label.strip(" -:"), amount, shown, numbers, times, unit, is_detail)


def _spaced(text: str) -> str:
    """With the blanks that readers of text lose: after a price, and around a sign of times."""
    plain = unicodedata.normalize("NFC", text).replace("\u2212", "-").replace("\u2013", "-")
    plain = re.sub(r"(?<=[.,]\d\d)(?=[A-Z]{1,2}(?![\w]))", " ", plain)
    plain = re.sub(r"(?<=\d)\s?[xX\u00d7](?=\s?\d)", " x ", plain)
    plain = re.sub(r"(?<=\d) (?=[.,]\d\d(?!\d))", "", plain)
    return re.sub(r"(?<=[.,]\d\d) (?=\d+[.,]\d\d(?!\d))", "\t", plain)  # two prices are no date


def _number(price: Value, text: str) -> Decimal | None:
    numbers = [meaning for meaning in price.meanings if isinstance(meaning, Decimal)]
    if len(numbers) != 1:
        return None
    before, after = text[: price.start], text[price.end :].strip()
    is_negative = before.endswith("-") or (after.startswith("-") and not after.startswith("--")) or before.endswith("(")
    amount = numbers[0].quantize(Decimal("0.01"))
    return -amount if is_negative else amount


def _quantity(text: str, prices: Sequence[Value]) -> tuple[Decimal, Decimal | None]:
    """How many pieces, and the price of one where the row has that as well as the price of all."""
    found = _TIMES.search(text)
    if found:
        times = Decimal(found[1].replace(",", "."))
        first = next((n for n in prices[0].meanings if isinstance(n, Decimal)), None)
        return times, first if len(prices) > 1 else None
    counted = _COUNT.match(text)
    return (Decimal(counted[1]) if counted else Decimal(1)), None
