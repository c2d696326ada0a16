"""The step before the first answer, where a question about several pictures is not put as it stands."""

from __future__ import annotations

from collections.abc import Callable

from ..memory.parts import ToolCallPart
from ..tools import ToolResult
from ..tools.contact_sheet import contact_sheet
from .events import Called, Emit
from .hooks import ModelRequest
from .journal import Journal
from .prompt import answers_apart, on_a_sheet
from .speaker import Speaker
from .strategy import Strategy, chosen, wanted
from .toolbox import Toolbox

__all__ = ["put_apart"]


def put_apart(
    strategy: Strategy,
    speaker: Speaker,
    journal: Journal,
    toolbox: Toolbox,
    *,
    request: Callable[[], ModelRequest],
    emit: Emit,
) -> tuple[ToolCallPart, ToolResult] | None:
    """Ask of each picture alone, or draw them on one sheet: a call of ours with its result, or None.

    A question about one picture needs no more than that the others aren't shown.
    """
    turns, images = list(journal.turns), toolbox.images()
    pictures = wanted(turns, images, strategy)
    strategy = chosen(strategy, speaker.style, len(pictures))
    if strategy == "interleave" or not pictures:
        return None
    if len(pictures) == 1:
        speaker.show_alone(turns, pictures[0].name)
        return None
    names = [picture.name for picture in pictures]
    call = ToolCallPart(f"{strategy}1", strategy, {"images": names})
    emit(Called(call))
    if strategy == "each":
        result = ToolResult(text=answers_apart({name: speaker.aside(request(), name) for name in names}))
    else:
        sheet = contact_sheet([(picture.name, journal.memory.pictures.pixels(picture.key)) for picture in pictures])
        result = ToolResult(text=on_a_sheet(names), pictures=(sheet,))
    speaker.show_alone(turns, None)
    return call, result
