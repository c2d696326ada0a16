"""Measures on questions with known answers whether looking again helps, hurts, and what it costs."""

from __future__ import annotations

from .asking import Mode
from .evaluation import Evaluation, evaluate
from .items import Item
from .layouts import read_data
from .replay import replay
from .results import Scored
from .scoring import score
from .summary import Summary

__all__ = ["Evaluation", "Item", "Mode", "Scored", "Summary", "evaluate", "read_data", "replay", "score"]
