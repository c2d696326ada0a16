"""What a client's calls do: pictures in, questions answered, parts shown and read, words found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ...errors import InvalidInput, LookTwiceError, UnknownName
from ...memory import NamedPicture, Picture
from ...tools import Crop, Tool, ToolResult, find_tools
from ..agent import Agent
from ..chat import Chat
from ..toolbox import view_of
from .sources import Sources
from .values import Added, Answered, Found

__all__ = ["Desk"]


class Desk:
    """Serves one agent's conversations. ``tools`` are those that a question may ask for."""

    def __init__(self, agent: Agent, sources: Sources, tools: Mapping[str, Tool]) -> None:
        self.agent = agent
        self.tools = dict(tools)
        self._sources = sources

    def add(self, chat: str, picture: str, name: str | None) -> Added:
        """Put a picture into a conversation, which is made if there is none."""
        loaded = self._sources.picture(picture)
        opened = self.agent.chat(chat)
        return Added.of(opened.name, opened.add(loaded, name))

    async def ask(self, chat: str, question: str, tools: list[str]) -> Answered:
        """Ask in a conversation; a client that gives up ends the answer."""
        offered = [self._tool(name) for name in tools]
        opened = await asyncio.to_thread(self._chat, chat)
        return Answered.of(await opened.aask(question, tools=offered))

    def use(self, chat: str, tool: str, arguments: Mapping[str, Any]) -> tuple[ToolResult, list[NamedPicture]]:
        """Run one of our tools on a picture; what it cuts out is kept under a name. Raises for what goes wrong."""
        opened, made = self._chat(chat), find_tools([tool])[0]
        given = {name: value for name, value in arguments.items() if value is not None}
        checked = made.validate(given, [p.name for p in opened.images if not p.forgotten])
        memory = self.agent.memory
        result = made.run(checked, lambda name: view_of(memory, memory.pictures.get(opened.conversation, name)))
        if result.error:
            raise InvalidInput(result.text)
        for key, text in result.readings.items():
            memory.pictures.note(key, "text", text)
        crops = [picture for picture in result.pictures if isinstance(picture, Crop)]
        return result, [self._kept(opened, crop, tool) for crop in crops]

    def search(self, words: str, chat: str | None, limit: int) -> list[Found]:
        """Where all the words stand, newest first."""
        where = None if chat is None else self._chat(chat).conversation
        return [Found.of(hit) for hit in self.agent.memory.search(words, conversation=where, limit=limit)]

    def png(self, chat: str, name: str) -> bytes:
        """A picture of a conversation, upright, as PNG without metadata."""
        conversation = self._chat(chat).conversation
        return self.bytes_of(self.agent.memory.pictures.get(conversation, name))

    def bytes_of(self, picture: NamedPicture) -> bytes:
        """A picture as PNG without metadata."""
        return Picture.load(self.agent.memory.pictures.pixels(picture.key)).data

    def all(self) -> list[tuple[str, NamedPicture]]:
        """Every picture of every conversation, with the conversation's name."""
        memory = self.agent.memory
        return [
            (conversation.name, picture)
            for conversation in memory.conversations.list()
            for picture in memory.pictures.all(conversation)
            if not picture.forgotten
        ]

    def _chat(self, name: str) -> Chat:
        known = [conversation.name for conversation in self.agent.memory.conversations.list()]
        if name not in known:
            raise UnknownName("conversation", name, known, hint="add_picture makes one")
        return self.agent.chat(name)

    def _tool(self, name: str) -> Tool:
        if name not in self.tools:
            raise UnknownName("tool", name, self.tools)
        return self.tools[name]

    def _kept(self, chat: Chat, crop: Crop, tool: str) -> NamedPicture:
        stem = f"{crop.view.name}.{tool}"
        return self.agent.memory.pictures.add_recipe(chat.conversation, crop.recipe(), stem=stem, tool=tool)


def told(error: LookTwiceError) -> str:
    """One line for a client."""
    return " ".join(str(error).split())
