"""The page of a conversation: what was said and shown, and the form that asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from starlette.responses import Response

from ....memory import Conversation, NamedPicture
from ....memory.parts import Turn
from ...page import summary, talk
from ...page.branch import Exchange
from ...page.markup import Safe, element, join
from ...words import Words
from .frame import Problem, action, field, framed, problem
from .visit import Visit

__all__ = ["conversation_page", "show"]

_KINDS = "image/png,image/jpeg,image/webp,image/gif,image/bmp,image/tiff,image/avif,image/heic,image/heif"


async def show(visit: Visit) -> Response:
    """The conversation that the address names."""
    return await asyncio.to_thread(conversation_page, visit, visit.own())


def conversation_page(visit: Visit, conversation: Conversation, trouble: Problem | None = None) -> Response:
    """The page, with a problem of the question if there is one."""
    say: Words = visit.say
    memory, name = visit.memory, visit.shown(conversation.name)
    turns = memory.turns.branch(conversation.head)
    lang = next(iter(visit.agents.values())).lang
    below = _Below(visit, conversation)
    said = talk(memory, conversation, turns, lang, say=say, address=_address(visit, conversation), below=below)
    empty = Safe("") if turns else element("p", say("Nothing has been asked yet."), class_="note")
    body = [
        problem(visit, trouble),
        element("div", empty, said, id="talk"),
        _asking(visit, conversation, is_failed=trouble is not None),
        _whole(visit, conversation, turns),
    ]
    link = element("nav", element("a", say("All conversations"), href="/"), aria_label=say("Pages"))
    header = join([link, element("h1", name, dir="auto"), element("p", summary(turns, say), id="summary")])
    skip = ("question", say("Skip to your question"))
    html = framed(visit, name, join(body), header=header, skip=skip, is_failed=trouble is not None)
    return visit.page(html, trouble.status if trouble else 200)


class _Below:
    """What can be done after each exchange."""

    def __init__(self, visit: Visit, conversation: Conversation) -> None:
        self._visit = visit
        self._where = visit.address("/chat/fork", conversation)
        self._number = 0

    def __call__(self, exchange: Exchange) -> Safe:
        say: Words = self._visit.say
        if exchange.question is None or not exchange.replies:
            return Safe("")
        self._number += 1
        at = element("input", type="hidden", name="at", value=str(exchange.replies[-1].id))
        button = element("button", say("Fork after answer {number}", number=self._number))
        return action(self._visit, self._where, at, button, class_="below")


def _address(visit: Visit, conversation: Conversation) -> Callable[[NamedPicture], str]:
    def address(picture: NamedPicture) -> str:
        return visit.address("/chat/picture", conversation, key=picture.key)

    return address


def _asking(visit: Visit, conversation: Conversation, *, is_failed: bool) -> Safe:
    say: Words = visit.say
    draft = element("div", id="draft", hidden=True, aria_hidden="true", dir="auto")
    status = element("p", id="status", role="status", aria_live="polite", aria_atomic="true")
    form = action(
        visit,
        visit.address("/chat/ask", conversation),
        _question(visit, is_failed=is_failed),
        _names(visit, conversation),
        _pictures(visit),
        _how(visit),
        _buttons(visit),
        id="ask",
        class_="asks",
        **_told(visit, visit.shown(conversation.name)),
    )
    heading = element("h2", say("Your question"), id="asking")
    return element("section", heading, draft, status, form, class_="asking", aria_labelledby="asking")


def _question(visit: Visit, *, is_failed: bool) -> Safe:
    say: Words = visit.say
    hint = say("Speak of a picture by its name, as in @bill. Without a question, pictures are only added.")
    box = element(
        "textarea",
        Safe("\n"),  # HTML drops the first one
        visit.kept.get("question", ""),
        id="question",
        name="question",
        rows=3,
        dir="auto",
        aria_describedby="problem-text question-hint" if is_failed else "question-hint",
        aria_invalid="true" if is_failed else None,
    )
    parts = [element("label", say("Question"), for_="question"), element("p", hint, id="question-hint", class_="hint")]
    return element("div", *parts, box, class_="field")


def _names(visit: Visit, conversation: Conversation) -> Safe:
    """The names that can be spoken of, as buttons that write them; a script shows those that fit."""
    say: Words = visit.say
    names = [picture.name for picture in visit.memory.pictures.all(conversation) if not picture.forgotten]
    buttons = [element("li", element("button", f"@{name}", type="button", data_name=name)) for name in names]
    label = say("Names of pictures")
    return element("ul", *buttons, id="names", class_="names", aria_label=label, hidden=True)


def _pictures(visit: Visit) -> Safe:
    say: Words = visit.say
    caps = visit.house.caps
    hint = say("Up to {count} at a time, {size} MB each.", count=caps.pictures, size=25)
    files = field("pictures", say("Add pictures"), hint, type="file", accept=_KINDS, multiple=True)
    more = element("p", say("You can also paste pictures, or drop them on this page."), id="drop-hint", hidden=True)
    chosen = element("ul", id="chosen", class_="plain", aria_label=say("Chosen pictures"), hidden=True)
    kept = visit.kept.get("names-given")
    hint = say("Optional: a name for each picture, in order, with spaces between.")
    names = field("names-given", say("Names"), hint, value=kept, autocomplete="off", maxlength=2000)
    return element("fieldset", element("legend", say("Pictures")), files, more, chosen, names)


def _how(visit: Visit) -> Safe:
    say: Words = visit.say
    parts = list[Safe]()
    if len(visit.agents) > 1:
        options = [element("option", name, value=name) for name in visit.agents]
        label = element("label", say("Model"), for_="model")
        parts.append(element("div", label, element("select", *options, id="model", name="model"), class_="field"))
    if visit.house.tools:
        box = element("input", type="checkbox", id="look", name="look", value="yes", checked=True)
        is_checked = "ocr" in visit.house.tools
        words = (
            say("The model may look again, and its answer is checked")
            if is_checked
            else say("The model may look again")
        )
        label = element("label", box, " ", words, for_="look")
        parts.append(element("div", label, class_="field"))
    return join(parts)


def _buttons(visit: Visit) -> Safe:
    say: Words = visit.say
    stop = element("button", say("Stop"), type="button", id="stop", hidden=True)
    return element("p", element("button", say("Ask"), class_="main"), " ", stop, class_="buttons")


def _told(visit: Visit, name: str) -> dict[str, str]:
    """What the script says."""
    say: Words = visit.say
    return {
        "data_answering": say("The model is answering."),
        "data_still": say("Still answering, {seconds} seconds so far."),
        "data_answering_title": say("Answering: {name}", name=name),
        "data_answered_title": say("Answered: {name}", name=name),
        "data_failed_title": say("Error: {text}", text=name),
        "data_added": say("The pictures were added."),
        "data_lost": say("The connection was lost. What came of the answer is kept."),
        "data_stopped": say("The answer was stopped."),
        "data_failed": say("There is a problem"),
        "data_chosen": say("Chosen: {files}"),
        "data_remove": say("Remove {file}"),
        "data_large": say("{file} is larger than {size} MB; it was not taken."),
    }


def _whole(visit: Visit, conversation: Conversation, turns: Sequence[Turn]) -> Safe:
    """What can be done with the conversation."""
    say: Words = visit.say
    parts = list[Safe]()
    if any(turn.role == "user" for turn in turns):
        retry = element("button", say("Answer the last question again"))
        parts.append(action(visit, visit.address("/chat/retry", conversation), retry, class_="asks"))
        undo = element("button", say("Take the last question back"))
        parts.append(action(visit, visit.address("/chat/undo", conversation), undo))
    export = element(
        "a", say("Export it as a zip file"), href=visit.address("/chat/export", conversation), download=True
    )
    delete = element("a", say("Delete it"), href=visit.address("/chat/delete", conversation))
    links = element("p", export, " ", delete, class_="links")
    heading = element("h2", say("This conversation"))
    return element("section", heading, element("div", *parts, class_="actions"), links, id="whole")
