"""What is told where a server fails or refuses: one line, with the way out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import openai

from ....errors import LookTwiceError, ModelError, ModelMissing, PromptTooLong
from .address import Address
from .facts import Facts

__all__ = ["explained", "is_too_long", "message_of", "missing"]

_TOO_LONG = re.compile(
    r"context[_ ](?:length|window|size)|maximum context|model'?s? takes \d+|too long"
    r"|exceeds? the (?:available )?context|maximum (?:model|input) length|longer than the",
    re.IGNORECASE,
)
_PICTURE = re.compile(r"\bimages?\b|\bpictures?\b|multi-?modal|vision|mmproj", re.IGNORECASE)
_SHOWN = 200  # characters of what a server says


def message_of(error: openai.APIError) -> str:
    """What the server says, in one line: it is data, and cut."""
    given: object = error.body
    body: Mapping[str, object] = cast("Mapping[str, object]", given) if isinstance(given, Mapping) else {}
    told = body.get("message") or body.get("detail") or error.message
    return " ".join(str(told).split())[:_SHOWN]


def is_too_long(error: openai.APIError) -> bool:
    """Whether the prompt is more than the model takes."""
    return error.code == "context_length_exceeded" or bool(_TOO_LONG.search(message_of(error)))


def missing(model: str, address: Address, facts: Facts, said: str = "") -> ModelMissing:
    """There is no such model; those that there are, or else what the server ``said``."""
    known = f"; it has {', '.join(facts.models[:8])}" if facts.models else f": {said}"
    return ModelMissing(f"there is no model {model!r} at {address.url}{known}")


def explained(error: Exception, address: Address, model: str, facts: Facts) -> LookTwiceError:
    """The error that is raised in the place of the client's."""
    told = _told(error, address, model, facts)
    told.__cause__ = error
    return told


def _told(error: Exception, address: Address, model: str, facts: Facts) -> LookTwiceError:
    url = address.url
    match error:
        case LookTwiceError():
            return error
        case openai.APITimeoutError():
            return ModelError(f"{url} was silent for too long; ask again, or give it more seconds (silence)")
        case openai.APIConnectionError():
            return ModelError(
                f"no server answers at {url} ({_reason(error)}); start it, or give another with base_url (--base-url)"
            )
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return ModelError(f"{url} refuses the key; set the right one in OPENAI_API_KEY")
        case openai.RateLimitError():
            return ModelError(f"{url} has too much to do (429: {message_of(error)}); ask again later")
        case openai.NotFoundError():
            return missing(model, address, facts, message_of(error))
        case openai.APIError() if is_too_long(error):
            return PromptTooLong(f"the prompt is too long for {model!r}, says {url}: {message_of(error)}")
        case openai.APIError() if _PICTURE.search(message_of(error)):
            return ModelError(f"{url} refuses a picture: {message_of(error)}")
        case openai.APIStatusError():
            return ModelError(f"{url} answered {error.status_code}: {message_of(error)}")
        case openai.APIError():
            return ModelError(f"{url} broke off: {message_of(error)}")
        case _:
            return ModelError(f"the answer of {url} broke off ({type(error).__name__}); what came of it is kept")


def _reason(error: Exception) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None or cause.__context__ is not None:
        cause = cause.__cause__ or cause.__context__ or cause
    return " ".join(str(cause).split())[:_SHOWN] or type(cause).__name__
