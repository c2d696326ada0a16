"""What the amounts of a receipt stand for, by the words before them, in English, German, French and Spanish."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from enum import Enum

__all__ = ["RowKind", "kind_of"]


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


# The first kind that fits is taken. Written without accents, and in the order in which labels mislead least.
_WORDS = {
    RowKind.CHANGE: "change, ruckgeld, rueckgeld, wechselgeld, zuruck, rendu, monnaie, cambio, vuelto",
    RowKind.INFO: """
        saved, savings, gespart, ersparnis, economie, economies, economise, ahorro, ahorrado, points, punkte, puntos,
        tel, telephone, telefon, phone, fax, date, datum, fecha, time, uhr, uhrzeit, heure, hora, open, table, tisch,
        guests, receipt no, beleg nr
    """,
    RowKind.PAID: """
        cash, bar, bargeld, gegeben, card, karte, girocard, visa, mastercard, maestro, amex, debit, credit, kreditkarte,
        especes, carte, cb, efectivo, tarjeta, paid, tendered, bezahlt, zahlung, payment, paiement, entregado, recu,
        erhalten, contactless
    """,
    RowKind.SUBTOTAL: """
        subtotal, sub total, zwischensumme, sous total, netto, nettobetrag, net, total ht, montant ht, base imponible,
        base
    """,
    RowKind.TAX: "vat, tax, taxes, mwst, ust, mehrwertsteuer, umsatzsteuer, steuer, tva, iva, gst, hst, pst, impuestos",
    RowKind.DISCOUNT: """
        discount, rabatt, nachlass, remise, reduction, descuento, coupon, voucher, gutschein, promo, promotion, rebate,
        skonto, loyalty, bon, offer, dto
    """,
    RowKind.EXTRA: """
        tip, trinkgeld, service, pourboire, propina, gratuity, delivery, lieferung, versand, shipping, livraison, envio,
        pfand, deposit, rounding, rundung, arrondi, redondeo, couvert, cubierto, fee, gebuhr
    """,
    RowKind.TOTAL: """
        total, totale, gesamt, gesamtbetrag, gesamtsumme, summe, endsumme, endbetrag, rechnungsbetrag, zu zahlen,
        betrag, amount due, balance due, to pay, a payer, net a payer, montant, a pagar, importe, suma, total ttc
    """,
}


def _any_of(listed: str) -> re.Pattern[str]:
    words = "|".join(word.strip() for word in listed.split(","))
    return re.compile(rf"(?<![a-z])(?:{words})(?![a-z])")


_PATTERNS = {kind: _any_of(listed) for kind, listed in _WORDS.items()}
_WITH_TAX = _any_of("incl, including, inkl, inklusive, ttc, incluido, incluidos, inc, with")
_BEFORE_TAX = _any_of("excl, excluding, before, ohne, ht, sin, avant")
_MOST_WORDS = 5  # of a label; a sentence that mentions a total is none


def kind_of(label: str, amount: Decimal) -> RowKind:
    """What an amount with these words before it is."""
    label = _folded(label)
    if len(label.split()) > _MOST_WORDS:
        return RowKind.DISCOUNT if amount < 0 else RowKind.ITEM
    found = [kind for kind, pattern in _PATTERNS.items() if pattern.search(label)]
    if RowKind.TOTAL in found and set(found) - {RowKind.TOTAL}:
        return _kind_of_total(label, found)
    if found:
        return found[0]
    return RowKind.DISCOUNT if amount < 0 else RowKind.ITEM


def _kind_of_total(label: str, found: list[RowKind]) -> RowKind:
    """With "incl. VAT" it is a total, with "excl. VAT" a subtotal, with "VAT" alone the total of tax."""
    if RowKind.SUBTOTAL in found or _BEFORE_TAX.search(label):
        return RowKind.TOTAL if label.startswith("net a payer") else RowKind.SUBTOTAL
    if RowKind.TAX in found:
        return RowKind.TOTAL if _WITH_TAX.search(label) else RowKind.TAX
    if found[0] in (RowKind.PAID, RowKind.CHANGE):
        return RowKind.TOTAL if found[0] is RowKind.PAID else RowKind.CHANGE
    return found[0]


def _folded(label: str) -> str:
    plain = unicodedata.normalize("NFD", label.casefold().replace("ß", "ss"))
    letters = "".join(char if char.isalpha() else " " for char in plain if not unicodedata.combining(char))
    return " ".join(letters.split())
