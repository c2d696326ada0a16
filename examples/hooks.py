"""Two hooks: one writes down what happens, one keeps a picture private by refusing every tool that asks for it.

Hooks have the names and the order of LangChain's middleware. Run it without arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

from drawing import street

from looktwice import Agent, Answer, Hook
from looktwice.agent.backends import Done
from looktwice.agent.hooks import Cancel, ModelRequest, ToolRequest
from looktwice.memory.parts import Turn
from looktwice.tools import ToolResult


class Diary(Hook):
    """Prints each step of a question's way."""

    def before_agent(self, conversation: str, turns: Sequence[Turn]) -> None:
        """The question, before anything runs."""
        print(f"asked: {turns[-1].text}")

    def after_model(self, request: ModelRequest, response: Done) -> None:
        """What the model wrote in this step."""
        print(f"model, {request.looks_left} looks left: {response.text}")

    def after_tool(self, request: ToolRequest, result: ToolResult) -> None:
        """What a tool brought."""
        print(f"tool {request.call.tool}: {len(result.pictures)} picture, {result.text or 'no words'}")

    def after_agent(self, answer: Answer) -> None:
        """The answer, before it is kept."""
        print(f"answered: {answer.text} ({answer.finish})")


class Private(Hook):
    """Refuses tools on the pictures whose names it was given. The model is told so, and answers without."""

    def __init__(self, *names: str) -> None:
        """``names`` are the pictures to protect."""
        self.names = names

    def before_tool(self, request: ToolRequest) -> None:
        """Refuse by raising Cancel; returning nothing lets the call pass."""
        if request.call.arguments.get("image") in self.names:
            raise Cancel(f"{request.call.arguments['image']} is private")


def main() -> None:
    with Agent("pocket", memory=":memory:", tools=["zoom"], hooks=[Diary(), Private("diary")]) as agent:
        for name in ("street", "diary"):
            chat = agent.chat(name)
            chat.add(street(), name)
            answer = chat.ask(f"Zoom into the sign in @{name}.")
            for look in answer.looks:
                print("refused:" if look.error else "looked:", look.text or ", ".join(look.images))


if __name__ == "__main__":
    main()
