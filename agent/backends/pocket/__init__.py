"""The pocket checkpoint: a real LLaVA-NeXT of 6.2 million parameters that ships with the package.

It was trained from nothing on one small world: plain pictures with coloured shapes and sign boards. It answers
rightly about colour, shape and place, by picture name, in one or several pictures; it counts and reads large signs
with mistakes, and knows nothing of photographs, people or documents. MODEL_CARD.md in this folder has the measured
table. It is here so that the whole path, from a question to a kept answer, runs anywhere without a GPU or a download.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["PATH"]

PATH: Path = Path(__file__).parent
"""The folder with the checkpoint's files, in the layout that transformers loads."""
