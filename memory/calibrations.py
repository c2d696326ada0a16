"""How far a checkpoint's answers are to be trusted, as it was measured once: a document for each model."""

from __future__ import annotations

import json
import time
from typing import Any, cast

from ..errors import StoreError
from .database import Database

__all__ = ["Calibrations"]


class Calibrations:
    """The calibrations of a file, by the model's name; what is in them is the reader's business."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, model: str) -> dict[str, Any] | None:
        """The document of a model; None without one. Raises StoreError for one that can't be read."""
        for (text,) in self._db.rows("SELECT data FROM calibrations WHERE model = ?", (model,)):
            try:
                found: object = json.loads(text)
            except ValueError:
                found = None
            if not isinstance(found, dict):
                raise StoreError(f"the calibration of {model!r} can't be read; make it again: looktwice calibrate")
            return cast("dict[str, Any]", found)
        return None

    def put(self, model: str, data: dict[str, Any]) -> None:
        """Keep a document in the place of the one before."""
        with self._db.atomic():
            self._db.run(
                "INSERT INTO calibrations (model, data, created) VALUES (?, ?, ?) "
                "ON CONFLICT (model) DO UPDATE SET data = excluded.data, created = excluded.created",
                (model, json.dumps(data, sort_keys=True), time.time()),
            )
