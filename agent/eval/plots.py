"""Plots of a run as SVG inside the page: their title and description say in words what they show."""

from __future__ import annotations

from collections.abc import Sequence

from ..page.markup import Safe, element, join
from .summary import ALL, Bin, Line, Summary

__all__ = ["plots"]

_WIDTH, _LEFT, _RIGHT, _ROW = 640, 170, 60, 26
_SQUARE, _EDGE = 320, 48
_MOST_ROWS = 36


def plots(summary: Summary, *, measured: str) -> Safe:
    """The share of right answers by mode, and against confidence; nothing of what was not answered."""
    lines = [line for line in summary.lines if line.share is not None]
    if len(lines) > _MOST_ROWS:
        lines = [line for line in lines if line.kind == ALL]
    drawn = [_shares(lines, measured)] if lines else []
    return join([*drawn, *([_reliability(summary.bins, measured)] if summary.bins else [])])


def _shares(lines: Sequence[Line], measured: str) -> Safe:
    height = _ROW * len(lines) + 40
    words = "; ".join(f"{line.mode}, {line.kind}: {_told(line)}" for line in lines)
    title = f"{measured} by mode, with 95 % intervals"
    marks = [*_axis(height), *(_whisker(line, _ROW * at + 20) for at, line in enumerate(lines))]
    return _figure("shares", title, words, (_WIDTH, height), marks)


def _axis(height: int) -> list[Safe]:
    out: list[Safe] = []
    for percent in (0, 25, 50, 75, 100):
        x = _across(percent / 100)
        out.append(_line(x, 6, x, height - 28, "grid"))
        out.append(_text(f"{percent} %", x, height - 10, "middle"))
    return out


def _whisker(line: Line, y: int) -> Safe:
    assert line.share is not None and line.low is not None and line.high is not None
    name = line.mode if line.kind == ALL else f"{line.kind}, {line.mode}"
    shown = name if len(name) <= 24 else f"{name[:23]}\u2026"
    bar = _line(_across(line.low), y, _across(line.high), y, "bar")
    value = _text(f"{100 * line.share:.1f} %", _WIDTH - 4, y + 4, "end")
    return element("g", _text(shown, _LEFT - 14, y + 4, "end"), bar, _marker(line.mode, _across(line.share), y), value)


def _reliability(found: Sequence[Bin], measured: str) -> Safe:
    ends = (_spot(0, 0), _spot(1, 1))
    diagonal = _line(*ends[0], *ends[1], "grid")
    title = f"The model's confidence against {measured.lower()}"
    words = "; ".join(
        f"{b.mode}, confidence {b.low:.1f} to {b.high:.1f}: {b.n} answers, {100 * b.share:.0f} %" for b in found
    )
    dots = [_marker(each.mode, *_spot(each.confidence, each.share)) for each in found]
    modes = [*dict.fromkeys(each.mode for each in found)]
    key = [
        element("g", _marker(mode, _SQUARE + 20, 24 + 24 * at), _text(mode, _SQUARE + 34, 28 + 24 * at, "start"))
        for at, mode in enumerate(modes)
    ]
    marks = [*_scales(), diagonal, *dots, *key]
    return _figure("reliability", title, words, (_SQUARE + 130, _SQUARE), marks)


def _scales() -> list[Safe]:
    out: list[Safe] = []
    for share in (0.0, 0.5, 1.0):
        x, y = _spot(share, share)
        low = _spot(0, 0)
        out += [_line(x, _spot(0, 1)[1], x, low[1], "grid"), _line(low[0], y, _spot(1, 0)[0], y, "grid")]
        out.append(_text(f"{100 * share:.0f} %", x, _SQUARE - _EDGE + 18, "middle"))
        out.append(_text(f"{100 * share:.0f} %", _EDGE - 8, y + 4, "end"))
    return [*out, _text("confidence", _SQUARE / 2 + _EDGE / 2, _SQUARE - 8, "middle")]


def _marker(mode: str, x: float, y: float) -> Safe:
    """A circle, a square or a diamond, so that modes can be told apart without colour."""
    if mode == "off":
        return element("circle", cx=_number(x), cy=_number(y), r=5, class_="dot off")
    if mode == "on":
        return element("rect", x=_number(x - 5), y=_number(y - 5), width=10, height=10, class_="dot on")
    corners = ((x, y - 7), (x + 7, y), (x, y + 7), (x - 7, y))
    return element("polygon", points=" ".join(f"{_number(a)},{_number(b)}" for a, b in corners), class_="dot forced")


def _figure(name: str, title: str, words: str, size: tuple[int, int], marks: Sequence[Safe]) -> Safe:
    ids = {part: f"plot-{name}-{part}" for part in ("title", "words")}
    svg = element(
        "svg",
        element("title", title, id=ids["title"]),
        element("desc", words, id=ids["words"]),
        *marks,
        view_box=f"0 0 {size[0]} {size[1]}",
        role="img",
        aria_labelledby=ids["title"],
        aria_describedby=ids["words"],
    )
    return element("figure", svg, element("figcaption", title), class_=f"plot {name}")


def _line(x0: float, y0: float, x1: float, y1: float, kind: str) -> Safe:
    return element("line", x1=_number(x0), y1=_number(y0), x2=_number(x1), y2=_number(y1), class_=kind)


def _text(words: str, x: float, y: float, anchor: str) -> Safe:
    return element("text", words, x=_number(x), y=_number(y), text_anchor=anchor)


def _across(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT - 20)


def _spot(x: float, y: float) -> tuple[float, float]:
    inside = _SQUARE - _EDGE - 20
    return _EDGE + x * inside, _SQUARE - _EDGE - y * inside


def _told(line: Line) -> str:
    assert line.share is not None and line.low is not None and line.high is not None
    return f"{100 * line.share:.1f} % of {line.n}, interval {100 * line.low:.1f} to {100 * line.high:.1f}"


def _number(value: float) -> str:
    return f"{value:.1f}"
