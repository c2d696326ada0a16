"""Answers that are heard while they come: aloud through a speech program, or into a WAV file."""

from __future__ import annotations

from .voice import Manner, Voice

__all__ = ["Manner", "Voice"]
