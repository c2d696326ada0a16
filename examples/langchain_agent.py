# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""An agent of LangChain on a local model: two pictures, a question, and a closer look before the answer.

The same question twice, first waited for, then followed with ``astream_events``. Run it without arguments; it draws
its pictures and keeps nothing. Needs: pip install 'looktwice[langchain]'
"""

from __future__ import annotations

import asyncio
import base64
import io
from typing import Any

from drawing import scene, street
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from PIL import Image

from looktwice.agent.langchain import ChatLookTwice, as_langchain_tools


def picture(image: Image.Image, name: str) -> dict[str, Any]:
    """A content block as LangChain has them, with the name under which the question speaks of it."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return {"type": "image", "base64": encoded, "mime_type": "image/png", "extras": {"name": name}}


def line(message: BaseMessage) -> str:
    """A message as a line of a transcript: its words and the names of its pictures."""
    said = [
        f"[{block['extras']['name']}]" for block in message.content if isinstance(block, dict) and "extras" in block
    ]
    said += [message.text] if message.text else []
    if isinstance(message, AIMessage):
        said += [f"{call['name']}({call['args']})" for call in message.tool_calls]
    return f"{message.type}: {' '.join(said)}"


async def follow(agent: Any, question: HumanMessage) -> None:
    async for event in agent.astream_events({"messages": [question]}, version="v2"):
        match event["event"]:
            case "on_chat_model_stream" if event["data"]["chunk"].text:
                print("words:", event["data"]["chunk"].text)
            case "on_tool_start":
                print("tool starts:", event["name"], event["data"]["input"])
            case "on_tool_end":
                print("tool ends:", line(event["data"]["output"]))
            case _:
                pass


def main() -> None:
    wall = scene("red circle at top left", "green triangle at top right", "blue square at bottom right")
    agent: Any = create_agent(ChatLookTwice(model="pocket"), tools=as_langchain_tools(["zoom"]))
    question = HumanMessage(
        [
            picture(wall, "wall"),
            picture(street(), "street"),
            {"type": "text", "text": "Zoom into the sign in @street."},
        ]
    )
    for message in agent.invoke({"messages": [question]})["messages"]:
        print(line(message))
    asyncio.run(follow(agent, question))


if __name__ == "__main__":
    main()
