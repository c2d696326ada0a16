"""Is the total that somebody typed the one on the receipt? No model is needed to tell."""

from __future__ import annotations

from drawing import bill

from looktwice import Agent

with Agent(memory=":memory:") as agent:
    chat = agent.chat("expenses")
    chat.add(bill(), "bill")
    for typed in ("The total on @bill is 12.10.", "The total on @bill is 12.70.", "The coffee costs 2.20."):
        print(typed)
        for found in chat.check(typed):
            note = f" ({found.note})" if found.note else ""
            print(f"  {found.claim}: {found.verdict}, {found.read!r} was read at {found.box} of {found.image}{note}")
