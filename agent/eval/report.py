"""A run as one HTML page: tables, plots, and the pictures of the answers that changed. It loads and runs nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ...errors import LookTwiceError
from ..page.document import document
from ..page.figures import Mark, data_url, overlay, place
from ..page.markup import Safe, element, join
from .evaluation import Evaluation
from .plots import plots
from .results import Scored, Step
from .summary import changed
from .tables import Table, tables

__all__ = ["render"]

_MOST_CHANGES = 40
_THUMBNAIL = 320
_LONGEST = 500  # characters of an answer; a model that goes on and on fills pages
_OUTCOMES = {1: "helped", -1: "hurt", 0: "other words, the same score"}


def render(evaluation: Evaluation) -> str:
    """The page of a run, with the pictures of at most 40 changed answers at 320 pixels."""
    about = evaluation.about
    title = f"{about['model']} on {about['data']}"
    style = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    body = [_header(evaluation, title), element("main", _numbers(evaluation), _changes(evaluation), _setup(evaluation))]
    words = (
        "Intervals are bootstrap intervals of 95 %: they tell chance in the questions drawn, not faults in the data."
    )
    return document(title, join([*body, element("footer", element("p", words))]), more_style=style)


def _header(evaluation: Evaluation, title: str) -> Safe:
    asked, refused = len({answer.item for answer in evaluation.answers}), len(evaluation.refused)
    words = [f"{asked} questions, each asked in the modes {', '.join(evaluation.modes)}; {refused} could not be asked."]
    if not evaluation.is_whole:
        words.append("The run was stopped before its end.")
    return element("header", element("h1", title), element("p", " ".join(words)))


def _numbers(evaluation: Evaluation) -> Safe:
    shown = [_table(table) for table in tables(evaluation)]
    drawn = plots(evaluation.summary, measured="Agreement" if evaluation.is_replay else "Accuracy")
    return element("section", element("h2", "How right, and at what cost"), *shown, drawn)


def _table(table: Table) -> Safe:
    heads = element("tr", *(element("th", head, scope="col", class_=_kind(at)) for at, head in enumerate(table.heads)))
    rows = [element("tr", *(_cell(cell, at, table) for at, cell in enumerate(row))) for row in table.rows]
    whole = element("table", element("caption", table.caption), element("thead", heads), element("tbody", *rows))
    return element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=table.caption)


def _cell(cell: str, at: int, table: Table) -> Safe:
    if at < 2:
        return element("th", cell, scope="row")
    tone = {"helped": "good", "hurt": "bad"}.get(table.heads[at], "") if cell != "0" else ""
    return element("td", cell, class_=" ".join(filter(None, [_kind(at), tone])) or None)


def _kind(at: int) -> str | None:
    return "number" if at > 1 else None


def _changes(evaluation: Evaluation) -> Safe:
    pairs = [pair for mode in evaluation.modes if mode != "off" for pair in changed(evaluation.answers, mode)]
    pairs.sort(key=lambda pair: _outcome(*pair) == 0)
    shown = [_change(evaluation, off, other) for off, other in pairs[:_MOST_CHANGES]]
    count = f"{len(pairs)} answers differ from those of the mode off"
    told = f"{count}; {len(shown)} are shown." if len(shown) < len(pairs) else f"{count}."
    return element("section", element("h2", "Answers that changed"), element("p", told), *shown)


def _change(evaluation: Evaluation, off: Scored, other: Scored) -> Safe:
    pictures = element("div", *_pictures(evaluation, other))
    told = {
        "Question": off.question,
        "Stored answer" if evaluation.is_replay else "Right answer": " | ".join(off.right),
        "Mode off": off.answer,
        f"Mode {other.mode}": other.hedged or other.answer,
    }
    cut = {name: words if len(words) <= _LONGEST else f"{words[:_LONGEST]} ..." for name, words in told.items()}
    terms = [each for name, words in cut.items() for each in (element("dt", name), element("dd", words, dir="auto"))]
    looks = [element("li", _look(step)) for step in other.trace]
    done = [element("p", "Looks:"), element("ol", *looks)] if looks else []
    heading = element("h3", f"{off.item}, {other.mode}: {_OUTCOMES[_outcome(off, other)]}")
    return element("article", heading, pictures, element("div", element("dl", *terms), *done), class_="change")


def _outcome(off: Scored, other: Scored) -> int:
    gain = (other.score or 0.0) - (off.score or 0.0)
    return (gain > 0) - (gain < 0)


def _look(step: Step) -> str:
    brought = step.text or ", ".join(f"the part from {place(crop.box)}" for crop in step.crops) or "nothing"
    return f"{step.tool} {json.dumps(dict(step.arguments), ensure_ascii=False)}: {brought[:300]}"


def _pictures(evaluation: Evaluation, scored: Scored) -> Sequence[Safe]:
    try:
        pictures = evaluation.pictures(scored.item)
    except LookTwiceError as error:
        return [element("p", f"The pictures can't be shown: {error}", class_="note")]
    crops = [(step.tool, crop) for step in scored.trace for crop in step.crops]
    out: list[Safe] = []
    for number, picture in enumerate(pictures, start=1):
        marks = [Mark(crop.box, f"{tool}: {place(crop.box)}") for tool, crop in crops if crop.key == picture.key]
        pixels, name = picture.pixels(), picture.name or f"Picture {number}"
        words = f"{name}, {picture.width} by {picture.height}"
        img = element("img", src=data_url(pixels, longest=_THUMBNAIL), alt=words)
        frame = element("div", img, *([overlay(pixels.size, marks)] if marks else []), class_="frame")
        listed = [element("ol", *(element("li", mark.words) for mark in marks), aria_label="Boxes")] if marks else []
        out.append(element("figure", frame, element("figcaption", words, *listed)))
    return out


def _setup(evaluation: Evaluation) -> Safe:
    hidden = {"id", "created"}
    told = {name: value for name, value in evaluation.about.items() if name not in hidden and value is not None}
    terms = [each for name, value in told.items() for each in (element("dt", name), element("dd", str(value)))]
    refused = [element("li", str(each)) for each in evaluation.refused]
    not_asked = [element("h3", "Not asked"), element("ul", *refused)] if refused else []
    return element("section", element("h2", "How it was measured"), element("dl", *terms), *not_asked)
