"""The backend: a prompt goes out as messages, a stream comes back as tokens, and both can be ended at any moment."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ....errors import InvalidInput, MissingExtra, ModelError
from ...answer import Finish
from ...calls import OPEN, Offer
from ...loop import Loop
from ...prompt import CALL_NOW, WORDS_NOW, Message, Prompt, Style, Words, Written
from ...speech import Speech
from ..backend import Done, Pixels, Row, Settings, Token
from ..limits import Limits
from . import estimate
from .address import Address
from .facts import Dialect, Facts, facts_of
from .reply import Reply
from .request import Request
from .uploads import Uploads
from .wire import Wire

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["RemoteBackend"]

_GLANCE = 0.02  # seconds between two looks at what ends an answer
_LEFT_OUT = "{host} doesn't take {names}; from here on it is asked without"
_NO_LOGPROBS = "{host} tells no log-probabilities, so its answers carry no confidence"
_NO_USAGE = "{host} tells no token counts; those of its answers are estimates"


@dataclass(frozen=True, slots=True)
class _Over:
    """The end of a stream; ``finish`` is what ended it from outside, if anything did."""

    finish: Finish | None


class RemoteBackend:
    """A model behind a server with OpenAI's interface.

    ``model`` is its name there; ``base_url`` as for `Address`. ``dialect`` and ``tools`` (whether tools go by fields of
    their own: "fields" or "text") are found out from the server's list of models, if they are not given; ``context``
    likewise, in tokens, or taken for 32768. Pictures whose ``longest_side`` is longer are sent smaller (None: as they
    are); zooms show their detail. ``retries`` is how often a request is tried again, with growing waits,
    where no server answers or it is overloaded or fails; ``silence`` the most seconds without a word of an answer.
    Nothing is asked before it is needed. Raises MissingExtra without the client, InvalidInput without an address.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        dialect: Dialect | None = None,
        tools: str | None = None,
        context: int | None = None,
        longest_side: int | None = 2048,
        retries: int = 3,
        silence: float = 600.0,
    ) -> None:
        if not model:
            raise InvalidInput("the model 'openai:' has no name; write openai:NAME")
        self.address = Address.of(base_url)
        try:
            from .connection import Connection
        except ImportError as error:
            raise MissingExtra("the client for servers (openai)", "remote") from error
        self._name = model
        self._uploads = Uploads(longest_side)
        self._loop = Loop()
        self._chosen = (dialect, tools, context)
        self._facts = facts_of(self.address.url, model, dialect, tools, context)
        self._connection: Connection = Connection(self.address, retries=retries, silence=silence)

    @property
    def model(self) -> str:
        """The name that answers carry."""
        return f"openai:{self._name}"

    @property
    def style(self) -> Style:
        """Pictures by name as soon as names are needed; tools announced so that they can go by fields of their own."""
        return Style(tools="apart")

    @property
    def context(self) -> int:
        """The most tokens, as the server tells, or as it was given. Raises ModelError if no server answers."""
        return self.facts.context

    @property
    def note(self) -> str:
        """That pictures leave this machine, if they do, and where they go."""
        told = "token counts before an answer are estimates"
        return told if self.address.is_here else f"words and pictures are sent to {self.address.host}; {told}"

    @property
    def facts(self) -> Facts:
        """What is known of the server; asked for the first time. Raises ModelError if no server answers."""
        if not self._facts.is_known:
            listed = self._wait(self._loop.start(self._connection.models()))
            with self._facts.guard:
                self._facts.learn(listed, self._name)
                dialect, tools, context = self._chosen
                self._facts.dialect = dialect or self._facts.dialect
                self._facts.tools = self._facts.tools if tools is None else tools == "fields"
                self._facts.context = context or self._facts.context
        return self._facts

    def load(self) -> None:
        """Ask the server what it has, so that a wrong address, key or name is told at once. Raises ModelError."""
        facts = self.facts
        if facts.dialect != "plain" and facts.models and self._name not in facts.models:
            from .failures import missing

            raise missing(self._name, self.address, facts)

    def rows(self, prompt: Prompt) -> list[Row]:
        """The prompt with its likely cost: an estimate, which takes what pictures cost from answers before."""
        return list(estimate.rows(prompt, self.facts))

    def generate(
        self,
        prompt: Prompt,
        settings: Settings,
        *,
        pixels: Pixels,
        offer: Offer | None = None,
        cancel: threading.Event | None = None,
    ) -> Generator[Token | Done]:
        """Tokens as they come, then ``Done``. Leaving early ends the request.

        An answer that has to be a call and isn't, or has to be words and is a call, is asked for once more. Raises
        ModelError where the server fails, PromptTooLong where it says so, InvalidInput for beams.
        """
        if settings.num_beams > 1:
            raise InvalidInput(f"num_beams {settings.num_beams} can't be used with a server; give 1")
        limits, facts = Limits(settings.timeout, cancel), self.facts
        request = Request(self._name, settings, offer, facts)
        done = yield from self._spoken(prompt, request, pixels, limits, is_last=False)
        again = _again(done, offer)
        if again:
            said = [Message("assistant", (Written((Words(done.text),)),))] if done.text else []
            more = Prompt((*prompt.messages, *said, Message("user", (Words(again),))))
            last = yield from self._spoken(more, request, pixels, limits, is_last=True)
            done = replace(last, usage=done.usage + last.usage, notices=(*done.notices, *last.notices))
        yield done if offer is None or offer.is_open else replace(done, text=done.text.partition(OPEN)[0])

    def forget(self, keys: Iterable[str]) -> None:
        """Drop the encoded pictures with those keys. What the server keeps is the server's."""
        self._uploads.forget(set(keys))

    def close(self) -> None:
        """Close the connections; the next question opens them again."""
        with contextlib.suppress(Exception):
            self._loop.start(self._connection.close()).result(timeout=5)
        self._loop.close()

    def _spoken(
        self, prompt: Prompt, request: Request, pixels: Pixels, limits: Limits, *, is_last: bool
    ) -> Generator[Token, None, Done]:
        """One reply. Where it may have to be asked for again, nothing of it is said before its end."""
        facts, offer = request.facts, request.offer
        reply, out = Reply(request.settings.top_logprobs), queue.Queue[Any]()
        demanded = offer is not None and offer.is_open and offer.choice != "auto" and not is_last
        speech = Speech(hide_calls=offer is not None and not offer.is_open)

        def is_held() -> bool:  # that the server takes no stop words is known with its first chunk
            return demanded or bool(request.settings.stop and not request.has("stop"))

        def wire(spare: bool) -> Wire:
            return Wire(facts.dialect, request.by_fields, self._uploads, pixels, spare)

        for shown in prompt.pictures:  # here, where the memory is read, and nobody else waits for it
            self._uploads.of(shown, pixels)
        tokens: list[Token] = []
        chunks = self._chunks(self._loop.start(self._connection.ask(request, wire, prompt, out)), out, limits)
        with contextlib.closing(chunks):
            while not isinstance(chunk := next(chunks), _Over):
                heard = list(reply.hear(chunk))
                tokens += heard
                for token in () if is_held() else heard:
                    yield from speech.say(token)
            finish = chunk.finish
        if finish is None and reply.finish is None:
            raise ModelError(f"{self.address.url} ended its answer early; what came of it is kept, ask it to go on")
        done = self._done(prompt, request, reply, finish)
        if not is_held():
            yield from speech.end()
        elif not _again(done, offer):
            words = _cut(reply.text, request.settings.stop)
            yield from tokens if words == reply.text else [Token(words)]
        return done

    def _chunks(self, running: Future[None], out: queue.Queue[Any], limits: Limits) -> Generator[Any]:
        """Chunks as they come, then ``_Over``. Leaving ends the request."""
        try:
            while not (finish := limits.reached()):
                with contextlib.suppress(queue.Empty):
                    chunk = out.get(timeout=_GLANCE)
                    if chunk is None:
                        self._wait(running)
                        break
                    yield chunk
            yield _Over(finish)
        finally:
            running.cancel()

    def _done(self, prompt: Prompt, request: Request, reply: Reply, finish: Finish | None) -> Done:
        counted = self.rows(prompt)
        image = sum(row.tokens for row in counted if row.image)
        usage = reply.cost(sum(row.tokens for row in counted), image)
        if reply.usage is not None:
            details = getattr(reply.usage, "prompt_tokens_details", None)
            is_exact = getattr(details, "image_tokens", None) is not None
            estimate.learn(request.facts, counted, usage, is_exact=is_exact)
        text = _cut(reply.text, request.settings.stop) + reply.call
        complete = len(reply.logprobs) == reply.pieces and bool(reply.logprobs)
        return Done(
            text,
            finish or reply.finish or "stop",
            usage if finish is None else replace(usage, output=max(usage.output, reply.pieces)),
            logprobs=tuple(reply.logprobs) if complete else (),
            notices=tuple(self._notices(request, reply, is_whole=finish is None)),
        )

    def _notices(self, request: Request, reply: Reply, *, is_whole: bool) -> Iterable[str]:
        """What was found out about the server, told once."""
        host, facts = self.address.host, request.facts
        if request.dropped - facts.missing:
            names = ", ".join(sorted(request.dropped - facts.missing))
            facts.missing |= request.dropped
            yield from self._first(_LEFT_OUT.format(host=host, names=names))
        if is_whole and reply.text and not reply.logprobs:
            yield from self._first(_NO_LOGPROBS.format(host=host))
        if is_whole and reply.usage is None:
            yield from self._first(_NO_USAGE.format(host=host))

    def _first(self, told: str) -> Iterable[str]:
        return (told,) if self._facts.first_time(told) else ()

    def _wait(self, running: Future[Any]) -> Any:
        from .failures import explained

        try:
            return running.result()
        except Exception as error:
            told = explained(error, self.address, self._name, self._facts)
            raise told from told.__cause__


def _again(done: Done, offer: Offer | None) -> str:
    """What an answer is asked for once more with, if it isn't what was demanded."""
    if offer is None or not offer.tools or done.finish != "stop":
        return ""
    if offer.is_open and offer.choice != "auto" and OPEN not in done.text:
        names = " or ".join(tool.name for tool in offer.callable)
        return CALL_NOW.format(name=names)
    if not offer.is_open and OPEN in done.text and not done.text.partition(OPEN)[0].strip():
        return WORDS_NOW
    return ""


def _cut(text: str, stop: Iterable[str]) -> str:
    """The text before the first of the words that end it: some servers leave them there, or go on."""
    return text[: min((place for word in stop if (place := text.find(word)) >= 0), default=None)]
