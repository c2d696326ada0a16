"""What our tools bring a client, as plain values that it can check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from ...memory import NamedPicture
from ...memory.search import Hit
from ..answer import Answer

__all__ = ["Added", "Answered", "Found", "picture_uri"]


class Added(BaseModel):
    """A picture in a conversation: how it is spoken of, its size in pixels, and where its bytes can be read."""

    chat: str
    name: str
    width: int
    height: int
    resource: str

    @classmethod
    def of(cls, chat: str, picture: NamedPicture) -> Added:
        """What is told of a picture."""
        uri = picture_uri(chat, picture.name)
        return cls(chat=chat, name=picture.name, width=picture.width, height=picture.height, resource=uri)


class Answered(BaseModel):
    """An answer: hedged where a check failed, with what was looked at and the evidence."""

    chat: str
    answer: str
    finish: str
    model: str
    looks: list[Mapping[str, Any]]
    evidence: list[Mapping[str, Any]]
    notices: list[str]

    @classmethod
    def of(cls, answer: Answer) -> Answered:
        """What is told of an answer."""
        return cls(
            chat=answer.conversation,
            answer=answer.hedged,
            finish=answer.finish,
            model=answer.model,
            looks=[asdict(look) for look in answer.looks],
            evidence=[asdict(each) for each in answer.evidence],
            notices=list(answer.notices),
        )


class Found(BaseModel):
    """Where words were found: in a turn, a picture's name, or what is known of a picture."""

    chat: str
    kind: str
    turn: int | None
    picture: str | None
    role: str | None
    snippet: str

    @classmethod
    def of(cls, hit: Hit) -> Found:
        """What is told of a hit."""
        return cls(
            chat=hit.conversation,
            kind=hit.kind,
            turn=hit.turn,
            picture=hit.picture,
            role=hit.role,
            snippet=hit.snippet,
        )


def picture_uri(chat: str, name: str) -> str:
    """The address of a picture as a resource."""
    from urllib.parse import quote

    return f"looktwice://{quote(chat, safe='')}/{quote(name, safe='')}"
