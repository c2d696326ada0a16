"""The frame of every page: head, skip link, heading, the place for what went wrong, and the choice of a language."""

from __future__ import annotations

from dataclasses import dataclass

from ...page.markup import Safe, element, join
from ...words import LANGUAGES, Words
from ..refusal import refused
from .visit import Told, Visit

__all__ = ["Problem", "action", "field", "framed", "problem"]

_NAMES = {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español"}


def framed(
    visit: Visit, title: str, body: Safe, *, header: Safe, skip: tuple[str, str], is_failed: bool = False
) -> str:
    """A whole page. ``skip`` is where the skip link leads, and its words."""
    say: Words = visit.say
    named = f"{title} - looktwice"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", say("Error: {text}", text=named) if is_failed else named),
        element("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        element("link", rel="stylesheet", href="/static/page.css"),
        element("script", src="/static/page.js", defer=True),
    )
    target, words = skip
    parts = [
        element("a", words, href=f"#{target}", class_="skip"),
        element("header", header),
        element("main", body),
        element("footer", element("p", say("Answers are a model's words and can be wrong.")), _languages(visit)),
    ]
    return f"<!doctype html>\n{element('html', head, element('body', join(parts)), lang=visit.say.language)}\n"


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, in one line of a language; the field that it is about, and the status of the answer."""

    told: str
    lang: str
    status: int = 400
    field: str | None = None

    @classmethod
    def of(cls, visit: Visit, error: Exception, field: str | None = None) -> Problem:
        """What is told of an error; nothing of the inside."""
        told = refused(error)
        lang = visit.say.language if isinstance(error, Told) else "en"
        return cls(told.message, lang, told.status, field)


def problem(visit: Visit, found: Problem | None) -> Safe:
    """The summary of what went wrong, with a link to the field that it is about; hidden while nothing did."""
    say: Words = visit.say
    words = Safe("")
    if found is not None:
        link = element("a", found.told, href=f"#{found.field}") if found.field else found.told
        words = element("p", link, lang=found.lang)
    heading = element("h2", say("There is a problem"), id="problem-title")
    marks = {"hidden": found is None, "autofocus": found is not None}
    named = {"aria_labelledby": "problem-title", "tabindex": -1, "class_": "problem"}
    return element("section", heading, element("div", words, id="problem-text"), id="problem", **named, **marks)


def action(visit: Visit, path: str, *children: str, **attributes: str | int | bool | None) -> Safe:
    """A form that changes something."""
    hidden = element("input", type="hidden", name="code", value=visit.code)
    sent = {"method": "post", "enctype": "multipart/form-data", **attributes}
    return element("form", hidden, *children, action=path, **sent)


def field(name: str, label: str, hint: str | None = None, **attributes: str | int | bool | None) -> Safe:
    """A labelled input, with its hint."""
    shown = [element("label", label, for_=name)]
    if hint:
        shown.append(element("p", hint, id=f"{name}-hint", class_="hint"))
    described = f"{name}-hint" if hint else None
    control = element("input", id=name, name=name, aria_describedby=described, **attributes)
    return element("div", *shown, control, class_="field")


def _languages(visit: Visit) -> Safe:
    say: Words = visit.say
    here = visit.request.url
    back = here.path + (f"?{here.query}" if here.query else "") if visit.request.method == "GET" else "/"
    buttons = [
        element(
            "button",
            _NAMES[each],
            name="to",
            value=each,
            lang=each,
            aria_pressed=str(each == visit.say.language).lower(),
        )
        for each in LANGUAGES
    ]
    hidden = element("input", type="hidden", name="back", value=back)
    label = say("Language")
    return action(visit, "/language", hidden, *buttons, aria_label=label, class_="languages")
