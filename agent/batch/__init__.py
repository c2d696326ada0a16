"""One question over many pictures: rows in, answers out, resumable; the model computes several rows together."""

from __future__ import annotations

from .batch import ask_all, ask_rows
from .result import Result
from .row import Row
from .rows import read_rows
from .summary import BatchSummary

__all__ = ["BatchSummary", "Result", "Row", "ask_all", "ask_rows", "read_rows"]
