"""What a person asks becomes a user's turn: words, pictures where they were put, and those still to be shown."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from ..errors import InvalidInput, UnknownName
from ..memory import Conversation, Memory, NamedPicture, Picture, fold, mentions
from ..memory.parts import ImagePart, Part, TextPart, Turn
from .budget.uses import spoken_of

if TYPE_CHECKING:
    import PIL.Image

Source: TypeAlias = "str | os.PathLike[str] | bytes | PIL.Image.Image | Picture"


@dataclass(frozen=True)
class Image:
    """A picture inside a question: a path, encoded bytes, a PIL image or a Picture; name and alt if you like.

    ``chat.ask(["Compare", Image("a.png"), "with", "@menu"])``
    """

    source: Source
    name: str | None = None
    alt: str | None = None


Item: TypeAlias = str | Image | Picture
Asked: TypeAlias = str | Image | Sequence[Item]


@dataclass(frozen=True, slots=True)
class Question:
    """A question whose pictures are all read and checked, and nothing of it is kept yet."""

    items: tuple[str | tuple[Picture, Image], ...]

    @classmethod
    def of(cls, asked: Asked) -> Question:
        """Read the pictures of a question. Raises PictureRejected, or InvalidInput for an empty one."""
        given = cast("object", asked)  # programs hand over anything
        alone = isinstance(given, str | Image | Picture | Mapping) or not isinstance(given, Iterable)
        items: list[object] = [given] if alone else list(cast("Iterable[object]", given))
        question = cls(tuple(_read(item) for item in items))
        if not any(item.strip() for item in question.items if isinstance(item, str)):
            raise InvalidInput("the question is empty; ask something, for example 'What is in @bill?'")
        return question

    def keep(
        self,
        memory: Memory,
        conversation: Conversation,
        branch: Sequence[Turn],
        known: dict[str, NamedPicture],
        hidden: Collection[str] = (),
    ) -> tuple[Part, ...]:
        """Keep its pictures and give its parts, in the transaction that is open.

        ``known`` are the conversation's pictures by folded name, and get those that the question brings.
        Pictures of the conversation that this branch has not shown yet come first, as they were added, and with them
        those that the question speaks of, of which the model sees no more than words or a thumbnail (``hidden``, folded
        names). Raises UnknownName for a mention of a picture that isn't there.
        """
        parts: list[Part] = []
        said = " ".join(item for item in self.items if isinstance(item, str))
        again = spoken_of(said, hidden)
        shown = {fold(name) for turn in branch for name in turn.images} - again
        for item in self.items:
            if isinstance(item, tuple):
                picture, image = item
                stored = memory.pictures.add(conversation, picture, name=image.name, alt=image.alt)
                known[fold(stored.name)] = stored
                parts.append(ImagePart(stored.name))
                continue
            alone = _alone(item, known)
            if alone and fold(alone.name) not in shown | {fold(n) for n in _names(parts)}:
                parts.append(ImagePart(alone.name))
            else:
                _add_words(parts, item)
        _require_known(parts, known)
        placed = shown | {fold(name) for name in _names(parts)}
        return (*_missing(parts, known, placed, again), *map(_unescaped, parts))


def _read(item: object) -> str | tuple[Picture, Image]:
    if isinstance(item, str):
        return item
    image = item if isinstance(item, Image) else Image(item) if isinstance(item, Picture) else None
    if image is None:
        raise InvalidInput(f"a question is made of text and Image(...), not {type(item).__name__}: {item!r:.60}")
    return Picture.load(image.source), image


def _alone(text: str, known: dict[str, NamedPicture]) -> NamedPicture | None:
    """The picture that an item like "@menu" stands for."""
    names = mentions(text)
    return known.get(fold(names[0])) if names and text.strip() == f"@{names[0]}" else None


def _add_words(parts: list[Part], words: str) -> None:
    if parts and isinstance(parts[-1], TextPart):
        parts[-1] = TextPart(f"{parts[-1].text} {words}")
    elif words:
        parts.append(TextPart(words))


def _names(parts: Iterable[Part]) -> list[str]:
    return [part.name for part in parts if isinstance(part, ImagePart)]


def _mentioned(parts: Iterable[Part]) -> list[str]:
    return [name for part in parts if isinstance(part, TextPart) for name in mentions(part.text)]


def _require_known(parts: Iterable[Part], known: dict[str, NamedPicture]) -> None:
    for name in _mentioned(parts):
        picture = known.get(fold(name))
        if picture is None:
            hint = r"write \@ for a plain @" if known else "add it first, or write \\@ for a plain @"
            raise UnknownName("picture", name, (p.name for p in known.values() if not p.forgotten), hint=hint)
        if picture.forgotten:
            raise InvalidInput(
                f"the picture {picture.name!r} was removed from this conversation; add it again under a new name"
            )


def _unescaped(part: Part) -> Part:
    return TextPart(part.text.replace("\\@", "@")) if isinstance(part, TextPart) else part


def _missing(parts: Sequence[Part], known: dict[str, NamedPicture], placed: set[str], again: set[str]) -> list[Part]:
    """The pictures to show first: added ones not shown on this branch, and crops that are asked about."""
    wanted = again | {fold(name) for name in _mentioned(parts)}
    return [
        ImagePart(picture.name)
        for name, picture in known.items()
        if name not in placed and not picture.forgotten and (picture.recipe is None or name in wanted)
    ]
