"""Our errors as LangChain's, so that what handles those of any other model handles ours."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from langchain_core.exceptions import ContextOverflowError, ModelInvalidRequestError, ModelNotFoundError
from langchain_core.exceptions import ModelError as LangChainModelError

from ...errors import InvalidInput, LookTwiceError, ModelMissing, PromptTooLong, UnknownName

__all__ = ["CutShort", "InvalidMessages", "translated"]


class InvalidMessages(ModelInvalidRequestError, ValueError):
    """Messages, blocks or settings that can't be used; one sentence says which and what to do."""


class CutShort(LangChainModelError):
    """A call or an answer in a schema that ended before it was whole."""


class _TooLong(InvalidMessages, ContextOverflowError):
    """The messages leave no room for an answer."""


class _NoSuchModel(ModelNotFoundError, ValueError):
    """There is no such checkpoint on this machine."""


@contextmanager
def translated() -> Generator[None]:
    """Raise LangChain's type for each of ours, with the same words."""
    try:
        yield
    except PromptTooLong as error:
        raise _TooLong(str(error)) from error
    except UnknownName as error:
        kind = _NoSuchModel if error.kind == "model" else InvalidMessages
        raise kind(str(error)) from error
    except InvalidInput as error:
        raise InvalidMessages(str(error)) from error
    except ModelMissing as error:
        raise _NoSuchModel(str(error)) from error
    except LookTwiceError as error:
        raise LangChainModelError(str(error)) from error
