"""Where a picture is described: in a conversation that goes on, or in one that is deleted again."""

from __future__ import annotations

from ....memory import NamedPicture, Picture, Recipe
from ....tools.frame import frame
from ...agent import Agent
from ...chat import Chat, Image

__all__ = ["Place", "added", "mentioning", "part_of"]


class Place:
    """The conversation that a picture is described in: the one that was given, else one that is deleted again."""

    def __init__(self, agent: Agent, chat: Chat | None) -> None:
        self._given = chat
        self._chat = chat or agent.chat()

    def __enter__(self) -> Chat:
        return self._chat

    def __exit__(self, *_: object) -> None:
        if self._given is None:
            self._chat.delete()


def added(chat: Chat, picture: Picture, image: Image) -> NamedPicture:
    """The picture in the conversation, under the name that it has there already."""
    there = [each for each in chat.images if each.key == picture.key and not each.forgotten]
    same = next((each for each in there if image.name in (None, each.name)), None)
    return same or chat.add(picture, image.name)


def mentioning(question: str, picture: NamedPicture, chat: Chat) -> str:
    """A question that says which picture is meant, where there are several."""
    if f"@{picture.name}" in question or (question and len(chat.images) == 1):
        return question
    return f"{question} (@{picture.name})" if question else f"@{picture.name}"


def part_of(chat: Chat, picture: NamedPicture, box: tuple[int, int, int, int]) -> NamedPicture:
    """A part of the picture (0..1000 of its sides), enlarged, as a picture of its own."""
    cut, size = frame((picture.width, picture.height), box)
    recipe = Recipe(picture.key, "crop", cut, size)
    return chat.memory.pictures.add_recipe(chat.conversation, recipe, stem=f"{picture.name}.zoom", tool="zoom")
