"""Every error that looktwice raises on purpose, in one tree.

    LookTwiceError
    ├── InvalidInput            a value from the caller that can't be used
    │   ├── PictureRejected     bytes that are not a picture we can keep
    │   ├── UnknownName         no such picture, conversation, turn, tool or model
    │   └── PromptTooLong       the question does not fit the model's context
    ├── StoreError              the database file: damaged, newer, read-only, full, locked
    ├── ModelError              a model can't be loaded, or failed
    │   └── ModelMissing        there is no such checkpoint on this machine
    ├── ToolError               raised inside a tool: the model is shown the text
    │   └── BadArguments        the model wrote arguments that don't fit: it is asked to correct them
    ├── SpeechError             no program speaks, or it failed
    └── MissingExtra            an optional part is not installed

Each message is one line: what went wrong, the value in ``repr``, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BadArguments",
    "InvalidInput",
    "LookTwiceError",
    "MissingExtra",
    "ModelError",
    "ModelMissing",
    "PictureRejected",
    "PromptTooLong",
    "SpeechError",
    "StoreError",
    "ToolError",
    "UnknownName",
]


class LookTwiceError(Exception):
    """The parent of every error of this package."""


class InvalidInput(LookTwiceError, ValueError):
    """A value from the caller that can't be used."""


class PictureRejected(InvalidInput):
    """Something handed in as a picture that is not one, or is over the limits."""


class UnknownName(InvalidInput, LookupError):
    """Nothing goes by that name; the nearest one that exists is offered."""

    def __init__(self, kind: str, name: object, known: Iterable[str] = (), *, hint: str = "") -> None:
        """``kind`` is the word for what was looked up ("picture"); ``known`` are the names that exist."""
        known = sorted(known)
        close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
        if close:
            advice = f"; did you mean {close[0]!r}?"
        elif known:
            shown = ", ".join(known[:8]) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
            advice = f"; known: {shown}"
        else:
            advice = ""
        super().__init__(f"no {kind} named {name!r}{advice}" + (f"; {hint}" if hint else ""))
        self.kind = kind
        self.name = name


class PromptTooLong(InvalidInput):
    """The composed prompt leaves no room for an answer."""


class StoreError(LookTwiceError):
    """The database can't be read or written."""


class ModelError(LookTwiceError):
    """A model is missing, can't be loaded, or failed while answering."""


class ModelMissing(ModelError):
    """There is no such checkpoint on this machine."""


class ToolError(LookTwiceError):
    """Raise it inside a tool to tell the model, in one line, why there is no result."""


class BadArguments(ToolError):
    """Arguments from a model that don't fit the tool's parameters."""


class SpeechError(LookTwiceError):
    """No program that speaks is installed, or it could not speak."""


class MissingExtra(LookTwiceError, ImportError):
    """An optional part is not installed; the message names the command that installs it."""

    def __init__(self, what: str, extra: str) -> None:
        """``what`` needs the optional dependencies named ``extra``."""
        super().__init__(f"{what} is not installed; run: pip install 'looktwice[{extra}]'")
        self.extra = extra
