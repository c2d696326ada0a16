"""A typed function becomes a tool that a model may call.

The function's name, docstring and signature are the tool's name, description and JSON schema. What the model writes
is checked before the function sees it, and whatever the function does (raise, hang, return megabytes) is contained:
``run`` always comes back with a ``ToolResult`` in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any, overload

from ..errors import InvalidInput, LookTwiceError
from ..memory.parts import ToolSpec
from .docstring import first_paragraph
from .given import GivenParameters
from .parameters import Parameters
from .result import ToolResult
from .view import View

__all__ = ["Tool", "tool"]

logger = logging.getLogger(__name__)
_POLL = 0.05  # seconds between two looks at whether the person has cancelled
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


class Tool:
    """A function that the model may call, with all that the model is told of it.

    ``parameters`` is the JSON schema for the model: a picture is written by its name, a box as four integers 0..1000.
    ``acts`` says that a call changes something outside the conversation and needs approval; ``timeout`` is in
    seconds; ``max_calls`` caps the calls of one question. ``schema`` is for a function that takes keywords and checks
    them itself: its parameters are told to the model as they stand there. Called directly, the tool is the function.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        acts: bool = False,
        timeout: float = 30.0,
        max_calls: int | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        """Raises InvalidInput, naming the parameter, for a function whose signature can't be told to a model."""
        self.name = _name_of(function, name)
        if not timeout > 0:
            raise InvalidInput(f"tool {self.name!r}: the time-out is {timeout!r}; give seconds above 0")
        if max_calls is not None and max_calls < 1:
            raise InvalidInput(f"tool {self.name!r}: max_calls is {max_calls!r}; give 1 or more, or None for no cap")
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.description = first_paragraph(inspect.getdoc(function)) if description is None else description
        self.acts = acts
        self.timeout = timeout
        self.max_calls = max_calls
        self._parameters = Parameters(function, self.name) if schema is None else GivenParameters(schema, self.name)
        self.parameters = self._parameters.schema

    @property
    def spec(self) -> ToolSpec:
        """The tool as a plain value, as it is kept in a conversation."""
        takes = self._parameters
        return ToolSpec(self.name, self.description, self.parameters, takes.pictures, takes.boxes, self.acts)

    def validate(self, arguments: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
        """The arguments that a model wrote, checked: plain JSON, pictures under the names that stand in ``names``.

        Raises BadArguments with a one-line correction for the model.
        """
        return self._parameters.check(arguments, names)

    def run(
        self,
        arguments: Mapping[str, Any],
        views: Callable[[str], View],
        *,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
    ) -> ToolResult:
        """Calls the function with validated arguments, in a thread of its own.

        ``views`` gives the picture that goes by a name. ``timeout`` (seconds) may shorten the tool's own, never
        lengthen it. ``cancel`` ends the waiting; what a tool does meanwhile can't be stopped. Never raises for what
        the function does: an exception or a time-out is a result with ``error`` and one line for the model, and a
        result that is too long is cut and says so.
        """
        limit = self.timeout if timeout is None else min(timeout, self.timeout)
        if limit <= 0:
            return ToolResult.failed(f"{self.name} was not run: no time is left for this question")
        result = _in_time(lambda: self._contained(arguments, views), limit, cancel, f"looktwice-tool-{self.name}")
        if result is None and cancel is not None and cancel.is_set():
            return ToolResult.failed(f"{self.name} was interrupted; it may still run")
        if result is None:
            logger.warning(
                "tool %r took longer than %g s; its thread was abandoned and may still run", self.name, limit
            )
            return ToolResult.failed(f"{self.name} took longer than {limit:g} s and was abandoned; it may still run")
        return result

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function returns, unchecked and uncontained."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Tool({self.name!r}{', acts=True' if self.acts else ''})"

    def _contained(self, arguments: Mapping[str, Any], views: Callable[[str], View]) -> ToolResult:
        try:
            returned = self.function(**self._parameters.convert(arguments, views))
            if inspect.iscoroutine(returned):
                returned = _awaited(returned)
            return ToolResult.of(returned).bounded()
        except LookTwiceError as error:
            logger.debug("tool %r", self.name, exc_info=True)
            return ToolResult.failed(f"{self.name} failed: {_said(error)}")
        except BaseException as error:  # SystemExit too: a tool must not end the program
            logger.debug("tool %r", self.name, exc_info=True)
            return ToolResult.failed(f"{self.name} failed: {type(error).__name__}: {_said(error)}")


def _awaited(coroutine: Coroutine[Any, Any, object]) -> object:
    return asyncio.run(coroutine)


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # even telling what went wrong can go wrong
        return "(its message can't be read)"


def _in_time(
    work: Callable[[], ToolResult], seconds: float, cancel: threading.Event | None, thread_name: str
) -> ToolResult | None:
    """What ``work`` returns, or None when it is cancelled or late; a thread can't be stopped, so it is left behind."""
    done: queue.SimpleQueue[ToolResult] = queue.SimpleQueue()
    context = contextvars.copy_context()
    threading.Thread(target=lambda: done.put(context.run(work)), name=thread_name, daemon=True).start()
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not (cancel is not None and cancel.is_set()):
        with contextlib.suppress(queue.Empty):
            return done.get(timeout=min(left, _POLL if cancel is not None else threading.TIMEOUT_MAX))
    return None


def _name_of(function: Callable[..., Any], name: str | None) -> str:
    if not callable(function):
        raise InvalidInput(f"{function!r} can't be a tool; give a function")
    found = name if name is not None else getattr(function, "__name__", "")
    if found in ("", "<lambda>"):
        raise InvalidInput(f"{function!r} has no name to call it by; write tool(function, name='...')")
    if not _NAME.fullmatch(found):
        raise InvalidInput(f"{found!r} can't name a tool; start with a letter, go on with letters, digits, '_' or '-'")
    return found


@overload
def tool(
    fn: Callable[..., Any],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    acts: bool = False,
    timeout: float = 30.0,
    max_calls: int | None = None,
) -> Tool: ...
@overload
def tool(
    fn: None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    acts: bool = False,
    timeout: float = 30.0,
    max_calls: int | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(fn: Callable[..., Any] | None = None, /, **options: Any) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Makes a typed function a tool: ``@tool``, ``@tool(acts=True)``, or ``tool(function, name="look")``.

    A parameter annotated ``View`` or ``PIL.Image.Image`` takes a picture: the model writes its name, the function
    gets the view or the RGB pixels. ``Box1000`` takes a box. The options are those of ``Tool``. Raises InvalidInput
    for a function whose signature can't be told to a model.
    """
    if fn is not None:
        return Tool(fn, **options)

    def decorate(function: Callable[..., Any]) -> Tool:
        return Tool(function, **options)

    return decorate
