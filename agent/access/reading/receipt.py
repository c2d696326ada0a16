"""Whether a receipt adds up: its items, discounts, tax and extras against its total.

To say that a right receipt is wrong does more harm than to say nothing, so a receipt is only accused where every
amount was read surely and no usual way of adding gives the total.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product
from typing import Any, Literal, TypeAlias

from ...words import Words
from .amounts import Amount, RowKind, amounts_of
from .text import TextLine

__all__ = ["Sum", "Verdict", "add_up"]

Verdict: TypeAlias = Literal["agrees", "differs", "open"]
_LEAST_ITEMS = 2
_MOST_OPEN = 6  # rows that may count or not: each one more doubles the sums
_PARTS = (RowKind.DISCOUNT, RowKind.EXTRA, RowKind.TAX)
# How the amount of a row that is no item may count; the usual way first.
_SIGNS: dict[RowKind, tuple[int, ...]] = {
    RowKind.DISCOUNT: (-1, 0, 1),
    RowKind.EXTRA: (1, 0),
    RowKind.TAX: (1, 0),
    RowKind.SUBTOTAL: (0, 1),
    RowKind.INFO: (0, 1),
    RowKind.PAID: (1, 0),
    RowKind.CHANGE: (0, 1),
}
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Sum:
    """What a receipt's rows add up to (``added``), what its ``total`` says, and whether that is the same.

    "open" if it can't be told; ``why`` says why, as one of the keys of ``reason``. ``parts`` are the kinds of rows that
    were added beside the items.
    """

    verdict: Verdict
    total: Amount
    added: Decimal
    amounts: tuple[Amount, ...]
    parts: tuple[RowKind, ...] = ()
    why: str = ""

    def doubted(self, why: str) -> Sum:
        """The same, not to be told."""
        return replace(self, verdict="open", why=why)

    def said(self, say: Words) -> str:
        """In one sentence."""
        values = {"sum": self._written(self.added), "total": self._written(self.total.amount)}
        if self.verdict == "open":
            return say(
                "The total says {total}; the items can't be added up, because {why}.",
                why=reason(self.why, say),
                **values,
            )
        if self.verdict == "differs":
            return say("The items add up to {sum}, but the total says {total}.", **values)
        if self.parts:
            names = f" {say('and')} ".join(part_name(part, say) for part in self.parts)
            return say("The items, with {parts}, add up to {sum}, as the total says.", parts=names, **values)
        return say("The items add up to {sum}, as the total says.", **values)

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "verdict": self.verdict,
            "added": str(self.added.quantize(_CENT)),
            "total": str(self.total.amount.quantize(_CENT)),
            "with": [part.value for part in self.parts],
            "why": self.why,
            "amounts": [
                {"kind": each.kind.value, "label": each.label, "amount": str(each.amount.quantize(_CENT))}
                for each in self.amounts
            ],
        }

    def _written(self, amount: Decimal) -> str:
        """With the decimal mark of the receipt."""
        written = str(amount.quantize(_CENT))
        return written.replace(".", ",") if re.search(r",\d\d(?!\d)", self.total.text) else written


def reason(why: str, say: Words) -> str:
    """Why a receipt can't be added up, in words."""
    return {
        "uncertain": say("some amounts are uncertain"),
        "unread": say("some text could not be read"),
        "closer": say("an amount reads differently when it is looked at closely"),
        "unknown": say("it is not clear what some of the amounts are"),
    }[why]


def part_name(part: RowKind, say: Words) -> str:
    """What was added beside the items, in words."""
    names = {RowKind.DISCOUNT: say("discounts"), RowKind.TAX: say("tax"), RowKind.EXTRA: say("extras")}
    return names[part]


def add_up(lines: Sequence[TextLine], *, unread: int = 0) -> Sum | None:
    """The sum of a receipt read in rows; None if it is none: no total, or fewer than two items before it.

    ``unread`` is how many places of the picture could not be read.
    """
    rows = amounts_of(lines)
    total_at = _total_row(rows)
    if total_at is None:
        return None
    total, before = rows[total_at], _joined(rows[:total_at])
    items = [row for row in before if row.kind in (RowKind.ITEM, RowKind.PAID)]
    if len(items) < _LEAST_ITEMS:
        return None
    used = (*before, *(row for row in rows[total_at + 1 :] if row.kind is RowKind.TAX))
    parts = _matching(used, total.amount)
    if parts is not None:
        return Sum("agrees", total, total.amount, used, parts)
    found = Sum("differs", total, _plain_sum(used), used)
    if unread or any(line.gaps for line in lines):
        return found.doubted("unread")
    if not all(row.is_sure for row in (*before, total)):
        return found.doubted("uncertain")
    return found.doubted("unknown") if any(row.is_detail for row in before) else found


def _total_row(rows: Sequence[Amount]) -> int | None:
    """The last total before what was paid; a receipt may repeat it, or have one before and one after tips."""
    totals = [n for n, row in enumerate(rows) if row.kind is RowKind.TOTAL]
    if not totals:
        return None
    paid = [n for n, row in enumerate(rows) if row.kind in (RowKind.PAID, RowKind.CHANGE) and n > totals[0]]
    return max(n for n in totals if not paid or n < paid[0])


def _joined(rows: Sequence[Amount]) -> list[Amount]:
    """Rows that only say "2 x 3.20" belong to the row beside them that has the price of all."""
    joined: list[Amount] = []
    for number, row in enumerate(rows):
        beside = [other for other in rows[max(0, number - 1) : number + 2] if other is not row]
        if row.is_detail and any(other.amount in _rounded(row.amount) for other in beside):
            continue
        joined.append(row)
    return joined


def _rounded(amount: Decimal) -> tuple[Decimal, ...]:
    """What a product of weight and price may be rounded to."""
    cents = amount.quantize(_CENT)
    return (cents, cents - _CENT, cents + _CENT)


def _matching(rows: Sequence[Amount], total: Decimal) -> tuple[RowKind, ...] | None:
    """What has to be added to the items to get the total; None if nothing does.

    Labels can deceive ("Table wine", "Granola bar"), so rows that are no plain items may count or not.
    """
    open_rows = [row for row in rows if row.kind not in (RowKind.ITEM, RowKind.TOTAL)][:_MOST_OPEN]
    for base in _item_sums(rows):
        for signs in product(*(_SIGNS[row.kind] for row in open_rows)):
            added = sum((sign * abs(row.amount) for sign, row in zip(signs, open_rows, strict=True)), base)
            if added.quantize(_CENT) == total:
                counted = {row.kind for sign, row in zip(signs, open_rows, strict=True) if sign}
                return tuple(kind for kind in _PARTS if kind in counted)
    return None


def _item_sums(rows: Sequence[Amount]) -> Iterator[Decimal]:
    """What the items come to: prices are of all pieces, or each of one."""
    items = [row for row in rows if row.kind is RowKind.ITEM]
    yield sum((row.amount for row in items), Decimal())
    if any(row.times != 1 and row.unit is None for row in items):
        yield sum((row.amount * row.times if row.unit is None else row.amount for row in items), Decimal())


def _signed(row: Amount) -> Decimal:
    return -abs(row.amount) if row.kind is RowKind.DISCOUNT else row.amount


def _plain_sum(rows: Sequence[Amount]) -> Decimal:
    """As one would add: items, discounts and extras; tax where a subtotal shows that prices are without it."""
    has_subtotal = any(row.kind is RowKind.SUBTOTAL for row in rows)
    added = {RowKind.ITEM, RowKind.PAID, RowKind.DISCOUNT, RowKind.EXTRA}
    counted = [row for row in rows if row.kind in added or (has_subtotal and row.kind is RowKind.TAX)]
    return sum((_signed(row) for row in counted), Decimal())
