"""The first page: conversations, a search in them, and a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.responses import Response

from ....errors import InvalidInput
from ....memory import Conversation, Hit
from ...page.markup import Safe, element, join
from ...words import Words
from .frame import Problem, action, field, framed, problem
from .visit import Visit

__all__ = ["listing", "listing_page"]

_MOST = 200  # that are listed; the others are found by a search
_HITS = 500  # of all owners, before those of this one are taken
_SHOWN = 50


async def listing(visit: Visit) -> Response:
    """All conversations of the owner, or what a search has found in them."""
    return await asyncio.to_thread(listing_page, visit)


def listing_page(visit: Visit, trouble: Problem | None = None) -> Response:
    """The page with a problem, if there is one."""
    say: Words = visit.say
    asked = visit.request.query_params.get("q", "").strip()
    found = Safe("")
    if asked and trouble is None:
        try:
            found = _found(visit, asked, _hits(visit, asked))
        except InvalidInput as error:
            trouble = Problem.of(visit, error, "q")
    body = [problem(visit, trouble), _new(visit), _search(visit, asked), found or _all(visit)]
    header = join([element("h1", say("Conversations")), element("p", say("Ask about several pictures at once."))])
    title = say("Search for {words}", words=asked) if asked else say("Conversations")
    skip = ("list", say("Skip to the conversations"))
    html = framed(visit, title, join(body), header=header, skip=skip, is_failed=trouble is not None)
    return visit.page(html, trouble.status if trouble else 200)


def _new(visit: Visit) -> Safe:
    say: Words = visit.say
    name = field("new", say("Name (optional)"), value=visit.kept.get("new"), maxlength=150, autocomplete="off")
    heading = element("h2", say("New conversation"))
    return element("section", heading, action(visit, "/new", name, element("button", say("Start"), class_="main")))


def _search(visit: Visit, asked: str) -> Safe:
    say: Words = visit.say
    words = field("q", say("Words in questions, answers and pictures"), type="search", value=asked, autocomplete="off")
    form = element("form", words, element("button", say("Search")), action="/", method="get", role="search")
    return element("section", element("h2", say("Search")), form)


def _all(visit: Visit) -> Safe:
    say: Words = visit.say
    own = [each for each in visit.memory.conversations.list() if visit.owns(each.name)]
    told = say.count("{n} conversation", "{n} conversations", len(own)) if own else say("There are none yet.")
    items = [_item(visit, each) for each in own[:_MOST]]
    more = [element("p", say("Older ones are found by a search."), class_="note")] if len(own) > _MOST else []
    listed = [element("ul", *items, class_="plain")] if items else []
    return element("section", element("h2", told, id="list", tabindex=-1), *listed, *more)


def _item(visit: Visit, conversation: Conversation) -> Safe:
    link = element("a", element("bdi", visit.shown(conversation.name)), href=visit.address("/chat", conversation))
    return element("li", link, " ", _time(conversation.updated))


def _hits(visit: Visit, asked: str) -> list[Hit]:
    return [hit for hit in visit.memory.search(asked, limit=_HITS) if visit.owns(hit.conversation)][:_SHOWN]


def _found(visit: Visit, asked: str, hits: Sequence[Hit]) -> Safe:
    say: Words = visit.say
    told = say.count("{n} place with {words}", "{n} places with {words}", len(hits), words=asked)
    items = [element("li", _hit_link(visit, hit), element("p", hit.snippet, dir="auto")) for hit in hits]
    listed = [element("ul", *items, class_="plain")] if items else []
    back = element("p", element("a", say("All conversations"), href="/"))
    return element("section", element("h2", told, id="list", tabindex=-1), *listed, back)


def _hit_link(visit: Visit, hit: Hit) -> Safe:
    where = visit.address("/chat", None, name=visit.shown(hit.conversation))
    place = f"#turn-{hit.turn}" if hit.turn is not None else ""
    what = f", @{hit.picture}" if hit.picture else ""
    return element("a", element("bdi", visit.shown(hit.conversation)), what, href=where + place)


def _time(seconds: float) -> Safe:
    when = datetime.fromtimestamp(seconds, UTC)
    return element("time", f"{when:%Y-%m-%d %H:%M} UTC", datetime=f"{when:%Y-%m-%dT%H:%M:%SZ}")
