"""The rows of a receipt: what is bought, what is the total, what is tax, discount, payment or change.

Rows are known by the words on them, in English, German, French and Spanish.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from ...checks.values import Value, find_values
from .text import TextLine, TextWord

__all__ = ["Amount", "RowKind", "amounts_of"]


class RowKind(Enum):
    """What an amount on a receipt stands for."""

    ITEM = "item"
    SUBTOTAL = "subtotal"
    DISCOUNT = "discount"
    TAX = "tax"
    EXTRA = "extra"
    TOTAL = "total"
    PAID = "paid"
    CHANGE = "change"
    INFO = "info"


_WORDS = {
    RowKind.CHANGE: "change|ruckgeld|rueckgeld|wechselgeld|zuruck|rendu|monnaie|cambio|vuelto",
    RowKind.INFO: "saved|savings|gespart|ersparnis|ersparnisse|economie|economies|economise|ahorro|ahorrado|points|punkte|puntos"
    "|tel|telephone|telefon|phone|fax|date|datum|fecha|time|uhr|uhrzeit|heure|hora|open|table|tisch|guests|receipt no|beleg nr",
    RowKind.PAID: "cash|bar|gegeben|card|karte|girocard|visa|mastercard|maestro|amex|debit|credit|kreditkarte|especes|carte|cb"
    "|efectivo|tarjeta|paid|tendered|bezahlt|zahlung|payment|paiement|entregado|recu|erhalten|contactless|bargeld",
    RowKind.SUBTOTAL: "subtotal|sub total|zwischensumme|sous total|netto|nettobetrag|net|total ht|montant ht|base imponible|base",
    RowKind.TAX: "vat|tax|taxes|mwst|ust|mehrwertsteuer|umsatzsteuer|steuer|tva|iva|gst|hst|pst|impuesto|impuestos",
    RowKind.DISCOUNT: "discount|rabatt|nachlass|remise|reduction|descuento|coupon|voucher|gutschein|promo|promotion|rebate|skonto"
    "|loyalty|bon|offer|dto",
    RowKind.EXTRA: "tip|trinkgeld|service|pourboire|propina|gratuity|delivery|lieferung|versand|shipping|livraison|envio|pfand"
    "|deposit|rounding|rundung|arrondi|redondeo|couvert|cubierto|fee|gebuhr",
    RowKind.TOTAL: "total|gesamt|gesamtbetrag|gesamtsumme|summe|endsumme|endbetrag|rechnungsbetrag|zu zahlen|betrag|amount due"
    "|balance due|to pay|a payer|net a payer|montant|a pagar|importe|suma|total ttc|totale",
}
_PATTERNS = {kind: re.compile(rf"(?<![a-z])(?:{found})(?![a-z])") for kind, found in _WORDS.items()}
_WITH_TAX = re.compile(r"(?<![a-z])(?:incl|including|inkl|inklusive|ttc|incluido|incluidos|inc|with)(?![a-z])")
_BEFORE_TAX = re.compile(r"(?<![a-z])(?:excl|excluding|before|ohne|ht|sin|avant)(?![a-z])")
_AFTER = re.compile(r"\s*(?:[A-Z]{1,2}|[*#%-]|\d|[A-Z]{3}|€|\$|£)?\s*\)?\s*$")
_TIMES = re.compile(
    r"(?<![\w.,])(\d{1,3}(?:[.,]\d{1,3})?)\s*(?:kg|g|l|st|stk|pcs|pc)?\.?\s*(?:[x\u00d7*@]|a|\u00e0)\s*(?=[\d€$£])",
    re.I,
)
_COUNT = re.compile(r"^\s*(\d{1,2})\s*[x\u00d7]?\s+(?=\D)", re.I)
_MOST_WORDS = 5  # of a label; a sentence that mentions a total is none


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
    kind = _kind(_folded(text[: price.start]), amount)
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
    return re.sub(r"(?<=\d) (?=[.,]\d\d(?!\d))", "", plain)


def _number(price: Value, text: str) -> Decimal | None:
    numbers = [meaning for meaning in price.meanings if isinstance(meaning, Decimal)]
    if len(numbers) != 1:
        return None
    before, after = text[: price.start], text[price.end :].strip()
    is_negative = before.endswith("-") or (after.startswith("-") and not after.startswith("--")) or before.endswith("(")
    return -numbers[0] if is_negative else numbers[0]


def _quantity(text: str, prices: Sequence[Value]) -> tuple[Decimal, Decimal | None]:
    """How many pieces, and the price of one where the row has that as well as the price of all."""
    found = _TIMES.search(text)
    if found:
        times = Decimal(found[1].replace(",", "."))
        first = next((n for n in prices[0].meanings if isinstance(n, Decimal)), None)
        return times, first if len(prices) > 1 else None
    counted = _COUNT.match(text)
    return (Decimal(counted[1]) if counted else Decimal(1)), None


def _folded(label: str) -> str:
    plain = unicodedata.normalize("NFD", label.casefold().replace("ß", "ss"))
    letters = "".join(char if char.isalpha() else " " for char in plain if not unicodedata.combining(char))
    return " ".join(letters.split())


def _kind(label: str, amount: Decimal) -> RowKind:
    if len(label.split()) > _MOST_WORDS:
        return RowKind.DISCOUNT if amount < 0 else RowKind.ITEM
    found = [kind for kind, pattern in _PATTERNS.items() if pattern.search(label)]
    if RowKind.TOTAL in found and set(found) - {RowKind.TOTAL}:
        return _kind_of_total(label, found)
    if found:
        return found[0]
    return RowKind.DISCOUNT if amount < 0 else RowKind.ITEM


def _kind_of_total(label: str, found: list[RowKind]) -> RowKind:
    """ "Total incl. VAT" is a total, "Total excl. VAT" a subtotal, "Total VAT" a tax."""
    if RowKind.SUBTOTAL in found or _BEFORE_TAX.search(label):
        return RowKind.TOTAL if label.startswith("net a payer") else RowKind.SUBTOTAL
    if RowKind.TAX in found:
        return RowKind.TOTAL if _WITH_TAX.search(label) else RowKind.TAX
    if found[0] in (RowKind.PAID, RowKind.CHANGE):
        return RowKind.TOTAL if found[0] is RowKind.PAID else RowKind.CHANGE
    return found[0]
