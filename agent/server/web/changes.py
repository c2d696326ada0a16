"""Forms that change something without a model: new, fork, undo, delete, the language."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from ....errors import InvalidInput
from ....memory import Conversation
from ...chat import Chat
from ...page.markup import element, join
from ...words import LANGUAGES, Words
from ..owners import stored_name
from ..refusal import Refused
from .frame import action, framed
from .visit import LANGUAGE_COOKIE, Visit

__all__ = ["begin", "confirm", "delete", "fork", "speak", "undo"]


async def begin(visit: Visit) -> Response:
    """A new conversation; one without a name gets the time as its name."""
    form = await visit.form()
    name = form.words("new")
    made = await asyncio.to_thread(_named, visit, name) if name else await asyncio.to_thread(_dated, visit)
    return visit.back_to(visit.address("/chat", made))


def _named(visit: Visit, name: str) -> Conversation:
    return visit.memory.conversations.create(stored_name(name, visit.owner))


def _dated(visit: Visit) -> Conversation:
    agent = next(iter(visit.agents.values()))
    with visit.memory.atomic():
        chat = agent.chat()
        if visit.owner:
            chat.rename(stored_name(chat.name, visit.owner))
        return chat.conversation


async def fork(visit: Visit) -> Response:
    """Another conversation that goes on after an answer."""
    conversation, form = visit.own(), await visit.form()
    at = form.words("at")
    if not (at.isascii() and at.isdigit() and len(at) < 16):
        raise Refused(f"{at[:20]!r} is no turn; load the page again")
    made = await asyncio.to_thread(visit.memory.conversations.fork, conversation, at=int(at))
    return visit.back_to(visit.address("/chat", made))


async def undo(visit: Visit) -> Response:
    """Take the last question back, with its answer."""
    conversation, _ = visit.own(), await visit.form()
    await asyncio.to_thread(Chat(next(iter(visit.agents.values())), conversation).undo)
    return visit.back_to(visit.address("/chat", conversation) + "#talk")


async def confirm(visit: Visit) -> Response:
    """Whether a conversation is really to be deleted."""
    say: Words = visit.say
    conversation = visit.own()
    name = visit.shown(conversation.name)
    told = element("p", say("Its questions, answers and pictures are removed, and can't be brought back."))
    button = element("button", say("Delete it"), class_="main")
    back = element("a", say("Keep it"), href=visit.address("/chat", conversation))
    form = action(visit, visit.address("/chat/delete", conversation), button, " ", back, id="delete")
    title = say("Delete {name}?", name=name)
    skip = ("delete", say("Skip to the choice"))
    return visit.page(framed(visit, title, join([told, form]), header=element("h1", title, dir="auto"), skip=skip))


async def delete(visit: Visit) -> Response:
    """Delete a conversation."""
    conversation, _ = visit.own(), await visit.form()
    await asyncio.to_thread(visit.memory.conversations.delete, conversation)
    return visit.back_to("/")


async def speak(visit: Visit) -> Response:
    """Choose the language of the page."""
    form = await visit.form()
    wanted, back = form.words("to"), form.words("back")
    if wanted not in LANGUAGES:
        raise InvalidInput(f"{wanted[:20]!r} is not spoken here; choose one of {', '.join(LANGUAGES)}")
    is_ours = back.startswith("/") and not back.startswith(("//", "/\\"))
    response = visit.back_to(back if is_ours else "/")
    visit.set_cookie(response, LANGUAGE_COOKIE, wanted, days=365)
    return response
