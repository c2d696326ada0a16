"""What a client is told when there is no answer: OpenAI's error object, one sentence, nothing of the inside."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse

from ...errors import InvalidInput, LookTwiceError, ModelMissing, PromptTooLong, UnknownName

__all__ = ["Refused", "refused"]

_log = logging.getLogger(__name__)
_INSIDE = "the server failed; its log says where"


class Refused(Exception):
    """A request that gets no answer: the HTTP status, one sentence, and OpenAI's words for what was wrong."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.headers = headers

    def to_json(self) -> dict[str, Any]:
        """OpenAI's error object."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The error object as a response."""
        return JSONResponse(self.to_json(), status_code=self.status, headers=self.headers)


def refused(error: Exception) -> Refused:
    """What a client is told of an error. What is ours to mend goes to the log, without a word of the question."""
    match error:
        case Refused():
            return error
        case ValidationError():
            return _unfit(error)
        case PromptTooLong():
            return Refused(str(error), code="context_length_exceeded", param="messages")
        case UnknownName(kind="model"):
            return Refused(str(error), status=404, code="model_not_found", param="model")
        case InvalidInput():
            return Refused(str(error), code="invalid_value")
        case _:
            _tell(error)
            code = "model_missing" if isinstance(error, ModelMissing) else None
            return Refused(_INSIDE, status=500, code=code)


def _unfit(error: ValidationError) -> Refused:
    """The first of the fields that can't be read."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    return Refused(f"{place or 'the body'}: {first['msg'][:200]}", param=place or None)


def _tell(error: Exception) -> None:
    """Log where it failed; only our own errors' words, since others may hold what was asked."""
    words = f": {error}" if isinstance(error, LookTwiceError) else ""
    place = "".join(traceback.format_tb(error.__traceback__))
    _log.error("%s%s\n%s", type(error).__name__, words, place.rstrip())
