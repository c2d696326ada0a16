"""Two tools of one's own: one that measures a picture, and one that acts and so waits for a person's approval.

A scripted backend plays the model here, because pocket knows no tools but zoom and ocr. This is also how you
test your own tools; with a public checkpoint you would name that instead. Run it without arguments.
"""

from __future__ import annotations

import json
from typing import Any

from drawing import scene
from PIL import ImageStat

from looktwice import Agent, ScriptedBackend, tool
from looktwice.tools import Box1000, View, to_pixels

ORDERS: list[str] = []


@tool
def mean_colour(image: View, box: Box1000 | None = None) -> dict[str, Any]:
    """Measure the mean colour of a picture, or of a part of it.

    Args:
        image: the picture to measure
        box: the part; without it the whole picture is measured

    """
    pixels = image.pixels().crop(to_pixels(box, image.size)) if box else image.pixels()
    red, green, blue = (round(value) for value in ImageStat.Stat(pixels).mean)
    return {"red": red, "green": green, "blue": blue}


@tool(acts=True)
def order_paint(colour: str, tins: int = 1) -> str:
    """Order tins of paint at the shop."""
    ORDERS.append(f"{tins} x {colour}")
    return f"ordered {tins} x {colour}"


def call(name: str, **arguments: Any) -> str:
    """A call as a model writes it."""
    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"


def main() -> None:
    script = [
        call("mean_colour", image="wall", box=[300, 300, 700, 700]),
        call("order_paint", colour="red", tins="two"),  # not a number: the model is told, and tries again
        call("order_paint", colour="red", tins=2),
        "The circle is red, and two tins are ordered.",
    ]
    with Agent(ScriptedBackend(script), memory=":memory:", tools=[mean_colour, order_paint]) as agent:
        chat = agent.chat("paint")
        chat.add(scene("red circle at centre"), "wall")
        answer = chat.ask("Which colour is the circle in @wall? Order two tins of it.")
        for look in answer.looks:
            print(f"{look.tool}: {look.text}")
        print(f"{answer.finish}; ordered so far: {ORDERS}")

        for waiting in chat.approvals():  # any process that opens the same database may decide
            print(f"approve {waiting.call.tool} {dict(waiting.call.arguments)}: {waiting.reason}")
            print(chat.decide(waiting.id, approved=True))
        print(f"ordered: {ORDERS}")


if __name__ == "__main__":
    main()
