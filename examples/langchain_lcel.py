"""An agent as a step of a chain: pictures and a question in, an answer out, in batches, streams and callbacks.

Run it without arguments; it draws its pictures and keeps nothing.
"""

from __future__ import annotations

from typing import Any

from drawing import scene, street
from langchain_core.runnables import RunnableLambda

from looktwice import Agent, Answer
from looktwice.agent.events import Called, Returned, Text

WALL = scene("red circle at top left", "green triangle at top right", "blue square at bottom right")
DOOR = scene("purple square at left", "yellow circle at centre", "orange triangle at bottom")


def to_question(order: dict[str, Any]) -> dict[str, Any]:
    """What a step before has found out, as the agent takes it."""
    return {"images": {"photo": order["photo"]}, "question": f"What colour is the {order['shape']} in @photo?"}


def to_row(answer: Answer) -> str:
    """The answer for the step after."""
    return f"{answer.text} (confidence {'high' if (answer.confidence or 0) > 0.8 else 'low'})"


def main() -> None:
    with Agent("pocket", memory=":memory:", tools=["zoom"]) as agent:
        chain = RunnableLambda(to_question) | agent.as_runnable() | RunnableLambda(to_row)
        orders = [{"photo": WALL, "shape": "circle"}, {"photo": DOOR, "shape": "triangle"}]
        for order, row in zip(orders, chain.batch(orders), strict=True):
            print(f"{order['shape']}: {row}")

        # Alone, the agent's Runnable streams what happens; in a chain it hands on the answer.
        asked = {"images": {"street": street()}, "question": "Zoom into the sign in @street.", "chat": "walk"}
        words: list[str] = []
        for event in agent.as_runnable().stream(asked):
            match event:
                case Called(call):
                    print("looks:", call.tool, call.arguments["image"])
                case Returned(_, _, images):
                    print("sees:", ", ".join(images))
                case Text(text):
                    words.append(text)
                case _:
                    pass
        print("says, word by word:", *words)
        print("kept under:", ", ".join(picture.name for picture in agent.chat("walk").images))


if __name__ == "__main__":
    main()
