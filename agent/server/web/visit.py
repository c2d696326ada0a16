"""One request to the page: who asks, in which language, and which conversations are theirs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp

from ....errors import InvalidInput
from ....memory import Conversation, Memory
from ...words import LANGUAGES, Words, has_words, spoken, words
from ..house import House
from ..owners import stored_name
from ..refusal import Refused
from .form import Form
from .seal import COOKIE, Seal

if TYPE_CHECKING:
    from ...agent import Agent

__all__ = ["Handler", "LANGUAGE_COOKIE", "Told", "Visit"]

LANGUAGE_COOKIE = "looktwice_language"
"""The name of the cookie with the language that was chosen."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Told(Refused):
    """A refusal in the language of the visitor; all others are in English."""


class Visit:
    """What a handler of the page works with."""

    def __init__(self, request: Request, seal: Seal) -> None:
        self.request = request
        self.house: House = request.app.state.house
        self.owner: str = request.scope["owner"]
        self.say: Words = words(_language(request))
        self._seal = seal
        self._mark = seal.mark(request.cookies.get(COOKIE))
        self.kept: Mapping[str, str] = {}
        """The fields of a form that can't be taken so far, to stand in it again."""

    @property
    def memory(self) -> Memory:
        """Where the conversations are; that of the first model."""
        return next(iter(self.house.agents.values())).memory

    @cached_property
    def agents(self) -> dict[str, Agent]:
        """The models that can answer in these conversations, by name."""
        return {name: agent for name, agent in self.house.agents.items() if agent.memory is self.memory}

    @property
    def wants_events(self) -> bool:
        """Whether a script asks, which follows the answer as it comes."""
        return self.request.headers.get("accept", "") == "text/event-stream"

    @property
    def code(self) -> str:
        """What a form has to carry."""
        return self._seal.of(self._mark, self.owner)

    async def form(self, *, has_pictures: bool = False) -> Form:
        """The form that was sent. Raises Told if no page of ours sent it, Refused if it can't be taken."""
        caps = self.house.caps
        form = await Form.read(self.request, caps, most=caps.body if has_pictures else caps.question)
        self.kept = form.fields
        if not self._seal.fits(form.fields.get("code", ""), self._mark, self.owner):
            raise Told(self.say("This page is too old. Send the form again."), status=403, code="form_too_old")
        if form.fault is not None:
            raise form.fault
        return form

    # --- conversations

    def own(self) -> Conversation:
        """The conversation that the address names. Raises Told if this owner has none of that name."""
        name = self.request.query_params.get("name", "")
        found = self.find(name)
        if found is None:
            raise Told(self.say("There is no conversation named {name}.", name=repr(name[:80])), status=404)
        return found

    def find(self, name: str) -> Conversation | None:
        """The owner's conversation of that name."""
        try:
            stored = stored_name(name, self.owner)
            return self.memory.conversations.get(stored)
        except InvalidInput:  # also of a name that isn't there, of which others' names are no business of theirs
            return None

    def owns(self, stored: str) -> bool:
        """Whether a name in the memory is one of this owner's conversations."""
        begin, slash, name = stored.partition("/")
        return bool(slash) and begin == self.owner and "/" not in name if self.owner else not slash

    def shown(self, stored: str) -> str:
        """A conversation's name as its owner knows it."""
        return stored.removeprefix(f"{self.owner}/") if self.owner else stored

    # --- answers

    def address(self, path: str, conversation: Conversation | None = None, **more: str) -> str:
        """The address of a page or an action, of a conversation if one is given."""
        named = {"name": self.shown(conversation.name)} if conversation else {}
        query = urlencode({**named, **more})
        return f"{path}?{query}" if query else path

    def page(self, html: str, status: int = 200) -> Response:
        """A page of ours."""
        headers = {
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": "same-origin",  # or browsers send forms without an origin
            "Vary": "Accept-Language, Cookie",
        }
        return self.signed(HTMLResponse(html, status, headers))

    def back_to(self, address: str) -> Response:
        """What follows a form that was done: another page, so that nothing is sent twice."""
        return self.signed(RedirectResponse(address, 303))

    def signed(self, response: Response) -> Response:
        """The response with the cookie that the browser is known by."""
        self.set_cookie(response, COOKIE, self._mark)
        return response

    def set_cookie(self, response: Response, name: str, value: str, *, days: int | None = None) -> None:
        """Have the browser keep a value, for itself and for us alone."""
        seconds = None if days is None else days * 86400
        is_secure = self.request.url.scheme == "https"
        response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=is_secure)


Handler: TypeAlias = Callable[[Visit], Awaitable[Response | ASGIApp]]
"""Answers a visit."""


def _language(request: Request) -> str:
    """The language that was chosen, else the one that the browser likes most of those that there are."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    wished = request.headers.get("accept-language", "")[:200].split(",")
    tags = [wish.partition(";")[0].strip() for wish in wished]
    known = [(_weight(wish), tag) for wish, tag in zip(wished, tags, strict=True) if has_words(tag)]
    return spoken(max(known, key=lambda pair: pair[0])[1]) if known else "en"


def _weight(wish: str) -> float:
    found = re.search(r";\s*q\s*=\s*([01](?:\.\d{1,3})?)\s*$", wish)
    return float(found[1]) if found else 1.0
