"""Exchanges as HTML: questions, looks, answers, evidence and cost, each under its heading."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TypeAlias

from ...memory.parts import ImagePart, Part, TextPart, ToolCallPart, ToolResultPart, ToolsPart, Turn
from ..answer import Evidence, Timing, Usage
from ..checks.hedges import hedged
from ..record import Record
from ..words import Words, later, words
from .branch import Exchange, brought_by
from .figures import VERDICTS, Figures, place
from .markup import Safe, element, join

_Results: TypeAlias = Mapping[str, tuple[Turn, ToolResultPart]]

_STATUS = {
    "partial": later("This answer broke off."),
    "paused": later("A call waits for an approval."),
}
_FINISH = {
    "length": later("The answer was cut: it reached the most tokens that it was allowed."),
    "cancelled": later("The answer was stopped."),
    "timeout": later("The answer was stopped: its time was over."),
}
_SIGNS = {"agree": "\u2713", "conflict": "\u2717", "unreadable": "?", "unchecked": "\u2013"}
_EVIDENCE = (
    later("Picture"),
    later("Box"),
    later("Claim"),
    later("Read"),
    later("Seen closely"),
    later("Verdict"),
)
_ENGLISH = words("en")


def nothing(exchange: Exchange) -> Safe:
    """What stands below an exchange where nothing is to be done with it."""
    return Safe("")


class Script:
    """Writes the exchanges of one page, in order, and counts their questions."""

    def __init__(
        self, figures: Figures, lang: str, *, say: Words = _ENGLISH, below: Callable[[Exchange], Safe] = nothing
    ) -> None:
        """``lang`` is the language of the conversation's own words, ``say`` speaks that of the labels.

        ``below`` makes what stands below each exchange.
        """
        self._figures = figures
        self._say: Words = say
        self._below = below
        self._lang = None if lang == say.language else lang
        self.asked = 0

    def show(self, exchange: Exchange) -> Safe:
        """Both sides of an exchange."""
        out = [self._setup(turn) for turn in exchange.setup]
        if exchange.question is not None:
            self.asked += 1
            out.append(self._question(exchange.question))
        if exchange.replies:
            out.append(self._answer(exchange.replies))
        elif exchange.question is not None:
            out.append(_note(self._say("There is no answer yet.")))
        return join([*out, self._below(exchange)])

    def _question(self, turn: Turn) -> Safe:
        heading = element("h2", self._say("Question {number}", number=self.asked), " ", _time(turn))
        return element("article", heading, *self._parts(turn.parts), id=f"turn-{turn.id}", class_="question")

    def _answer(self, turns: Sequence[Turn]) -> Safe:
        models = ", ".join(dict.fromkeys(turn.model for turn in turns if turn.model))
        number = self._say("Answer {number}", number=self.asked)
        heading = element("h2", number, " ", *([element("small", models)] if models else []))
        results = {part.id: (turn, part) for turn in turns for part in turn.parts if isinstance(part, ToolResultPart)}
        body: list[Safe] = []
        looks = 0
        for turn in turns:
            if turn.role == "assistant":
                body += [*self._parts(map(self._hedging(turn), turn.parts))]
                for call in turn.calls:
                    looks += 1
                    body.append(self._look(call, looks, results))
                body += self._record(turn)
        return element("article", heading, *body, id=f"turn-{turns[-1].id}", class_="answer")

    def _hedging(self, turn: Turn) -> Callable[[Part], Part]:
        """Adds a remark to each claim that was not borne out, in words that are the whole answer."""
        evidence = Record.of(turn).evidence

        def hedge(part: Part) -> Part:
            if not isinstance(part, TextPart) or part.text != turn.text:
                return part
            return TextPart(hedged(part.text, evidence, self._say.language))

        return hedge

    def _look(self, call: ToolCallPart, number: int, results: _Results) -> Safe:
        values = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items())
        written = element("p", element("code", f"{call.tool}({values})", dir="ltr"))
        result = results.get(call.id)
        body = [_note(self._say("It has no result."))] if result is None else self._result(*result)
        summary = element("summary", self._say("Look {number}: {tool}", number=number, tool=call.tool))
        return element("details", summary, written, *body, class_="look", open=True)

    def _result(self, turn: Turn, result: ToolResultPart) -> list[Safe]:
        text = self._say("Error: {text}", text=result.text) if result.error else result.text
        said = [element("pre", text, dir="auto", lang=self._lang)] if text else []
        return [*said, *(self._figures.show(name) for name in brought_by(turn, result))]

    def _parts(self, parts: Iterable[Part]) -> list[Safe]:
        out: list[Safe] = []
        for shows_pictures, run in groupby(parts, lambda part: isinstance(part, ImagePart)):
            if shows_pictures:
                pictures = [self._figures.show(part.name) for part in run if isinstance(part, ImagePart)]
                out.append(element("div", *pictures, class_="pictures"))
            else:
                out += [self._words(text) for part in run if isinstance(part, TextPart) for text in _paragraphs(part)]
        return out

    def _words(self, text: str, tag: str = "p") -> Safe:
        return element(tag, text, dir="auto", lang=self._lang)

    def _setup(self, turn: Turn) -> Safe:
        body = [self._words(part.text) for part in turn.parts if isinstance(part, TextPart)]
        for part in turn.parts:
            if isinstance(part, ToolsPart):
                tools = [element("li", element("code", spec.name), f": {spec.description}") for spec in part.tools]
                body.append(element("ul", *tools) if tools else element("p", self._say("No tools from here on.")))
        return element("details", element("summary", self._say("Instructions and tools")), *body)

    def _record(self, turn: Turn) -> list[Safe]:
        record = Record.of(turn)
        end = _FINISH.get(record.finish or "") or _STATUS.get(turn.status)
        told = [*([self._say(end)] if end else []), *record.notices]
        notes = [_note(note) for note in dict.fromkeys(told) if note]
        evidence = [self._evidence(record.evidence)] if record.evidence else []
        cost = [_cost(record, self._say)] if record.usage or record.timing else []
        return [*notes, *evidence, *cost]

    def _evidence(self, evidence: Sequence[Evidence]) -> Safe:
        heads = element("tr", *(element("th", self._say(head), scope="col") for head in _EVIDENCE))
        body = element("tbody", *(self._evidence_row(item) for item in evidence))
        name = self._say("Evidence for answer {number}", number=self.asked)  # regions need names of their own
        table = element("table", element("caption", self._say("Evidence")), element("thead", heads), body)
        return element("div", table, class_="scroll", tabindex=0, role="region", aria_label=name)

    def _evidence_row(self, item: Evidence) -> Safe:
        picture = element("th", element("bdi", item.image), scope="row")
        box = element("td", place(item.box, self._say) if item.box else self._say("whole picture"))
        verdict = element("td", f"{_SIGNS[item.verdict]} {self._say(VERDICTS[item.verdict])}", class_=item.verdict)
        read = self._words(f"{item.read} ({item.note})" if item.read and item.note else item.read or item.note, "td")
        closely = self._words(item.looked, "td")
        return element("tr", picture, box, self._words(item.claim, "td"), read, closely, verdict)


def _paragraphs(part: TextPart) -> list[str]:
    return [paragraph for paragraph in part.text.split("\n\n") if paragraph.strip()]


def _note(text: str) -> Safe:
    return element("p", text, class_="note")


def _cost(record: Record, say: Words) -> Safe:
    usage, timing = record.usage or Usage(), record.timing or Timing()
    parts = {"all": usage.prompt, "reused": usage.reused, "new": usage.new, "image": usage.image}
    prompt = say("{all} tokens: {reused} reused, {new} new; {image} of them for pictures", **parts)
    seconds = f"{timing.total:.1f}"
    if timing.first_token is not None:
        seconds = say("{all}, first word after {first}", all=seconds, first=f"{timing.first_token:.1f}")
    rows = [
        (say("Prompt"), prompt),
        (say("Answer"), say.count("{n} token", "{n} tokens", usage.output)),
        (say("Seconds"), seconds),
    ]
    if record.confidence is not None:
        mean = say("{share}, the mean probability of the answer's tokens", share=f"{record.confidence:.0%}")
        rows.append((say("Confidence"), mean))
    lines = [join([element("dt", name), element("dd", value)]) for name, value in rows]
    return element("details", element("summary", say("Cost and time")), element("dl", *lines))


def _time(turn: Turn) -> Safe:
    when = datetime.fromtimestamp(turn.created, UTC)
    return element("time", f"{when:%Y-%m-%d %H:%M} UTC", datetime=f"{when:%Y-%m-%dT%H:%M:%SZ}")
