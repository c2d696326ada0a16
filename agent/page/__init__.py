"""A conversation as one HTML file: no scripts, no requests, pictures inside, boxes drawn where the model looked."""

from __future__ import annotations

from .page import render

__all__ = ["render"]
