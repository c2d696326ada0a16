"""Tools of all the kinds that LangChain takes, as our grammar needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.utils.function_calling import convert_to_openai_tool

from ...errors import InvalidInput
from ..functions import OWN, with_whole_schema
from .errors import InvalidMessages

__all__ = ["as_dict"]


def as_dict(tool: Any) -> dict[str, Any]:
    """A tool of any kind as plain JSON: OpenAI's shape, and what it lacks of ours (which parameters are pictures).

    Raises InvalidMessages for what is no function with an object of arguments.
    """
    try:
        whole = with_whole_schema(convert_to_openai_tool(tool))
    except InvalidInput as error:
        raise InvalidMessages(str(error)) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidMessages(f"{repr(tool)[:80]} is no tool that can be called here; give a function tool") from error
    metadata: dict[str, Any] = getattr(tool, "metadata", None) or {}
    given = cast("Mapping[str, Any]", tool) if isinstance(tool, Mapping) else metadata
    return {**whole, **({OWN: dict(given[OWN])} if OWN in given else {})}
