"""A conversation as one document: what ``conversation.json`` of an exported zip holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from ..errors import InvalidInput, StoreError
from .approvals import Approval, Approvals
from .conversations import Conversation
from .database import Database
from .names import check_name, fold
from .parts import Role, Status, Turn, dump, load
from .pictures import Pictures
from .recipe import Recipe
from .turns import Turns

__all__ = ["Document", "PictureEntry", "describe", "parse"]

FORMAT: Final = "looktwice conversation"
VERSION = 1


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _TurnEntry(_Strict):
    id: int
    parent: int | None
    role: Role
    status: Status
    model: str | None
    tokens: tuple[int, ...] | None
    tokenizer: str | None
    meta: dict[str, Any]
    created: float
    parts: list[dict[str, Any]]

    @field_validator("parts")
    @classmethod
    def _check_parts(cls, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for part in parts:
            _check(load, part)
        return parts

    def turn(self) -> Turn:
        """The turn, without the place it had in the tree."""
        fields = self.model_dump(exclude={"id", "parent", "parts", "created"})
        return Turn(parts=tuple(load(part) for part in self.parts), **fields)


class PictureEntry(_Strict):
    """A picture that has a name, or that a crop was cut from: its bytes are an entry of their own."""

    key: str
    mime: str
    size: int
    width: int
    height: int
    frames: int
    recipe: str | None
    gone: bool
    notes: dict[Literal["alt", "caption", "text"], str]

    @field_validator("recipe")
    @classmethod
    def _check_recipe(cls, recipe: str | None) -> str | None:
        if recipe is not None:
            _check(Recipe.load, recipe)
        return recipe

    @property
    def entry(self) -> str | None:
        """Where the zip has the bytes; None for a recipe or a forgotten picture."""
        if self.gone or self.recipe is not None:
            return None
        return f"pictures/{self.key.removeprefix('sha256:')}.{self.mime.removeprefix('image/')}"


class _NameEntry(_Strict):
    name: Annotated[str, AfterValidator(check_name)]
    key: str
    tool: str | None
    turn: int | None
    forgotten: bool
    created: float


class _CallEntry(_Strict):
    kind: Literal["tool_call"]
    id: str
    tool: str
    arguments: dict[str, Any]


class _ApprovalEntry(_Strict):
    turn: int
    call: _CallEntry
    reason: str
    state: Any
    decided: bool | None
    note: str
    created: float


class Document(_Strict):
    """Everything of a conversation but the bytes of its pictures; turns and pictures stand after what they need."""

    format: Literal["looktwice conversation"]
    version: int
    name: str
    head: int | None
    created: float
    updated: float
    turns: list[_TurnEntry]
    pictures: list[PictureEntry]
    names: list[_NameEntry]
    approvals: list[_ApprovalEntry]

    @model_validator(mode="after")
    def _check_references(self) -> Document:
        keys: dict[str, bool] = {}
        for picture in self.pictures:
            parent = None if picture.recipe is None else Recipe.load(picture.recipe).parent
            if picture.key in keys or (parent is not None and parent not in keys):
                raise ValueError(f"the picture {picture.key!r} is there twice, or before its parent")
            keys[picture.key] = picture.gone
        names = {fold(name.name) for name in self.names}
        if len(names) < len(self.names):
            raise ValueError("a name is there twice")
        for name in self.names:
            if keys.get(name.key, True) and not name.forgotten:
                raise ValueError(f"the picture of {name.name!r} is not there")
        for turn in self.turns:
            for image in turn.turn().images:
                if fold(image) not in names:
                    raise ValueError(f"turn {turn.id} shows the picture {image!r}, which is not there")
        return self


def _check(read: Callable[[Any], object], stored: object) -> None:
    """Read what was stored; pydantic turns a ValueError into its own and says where it stands."""
    try:
        read(stored)
    except (StoreError, KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__} {error!s}") from error


def describe(database: Database, conversation: Conversation) -> Document:
    """The document of a conversation as it stands now."""
    return Document(
        format=FORMAT,
        version=VERSION,
        name=conversation.name,
        head=conversation.head,
        created=conversation.created,
        updated=conversation.updated,
        turns=[_dump_turn(turn) for turn in Turns(database).all(conversation)],
        pictures=_dump_pictures(database, conversation),
        names=[
            _NameEntry(name=p.name, key=p.key, tool=p.tool, turn=p.turn, forgotten=p.forgotten, created=p.created)
            for p in Pictures(database).all(conversation)
        ],
        approvals=[_dump_approval(approval) for approval in Approvals(database).all(conversation)],
    )


def _dump_turn(turn: Turn) -> _TurnEntry:
    fields = {field: getattr(turn, field) for field in _TurnEntry.model_fields if field != "parts"}
    return _TurnEntry(**fields, parts=[dump(part) for part in turn.parts])


def _dump_approval(approval: Approval) -> _ApprovalEntry:
    fields = {field: getattr(approval, field) for field in _ApprovalEntry.model_fields if field != "call"}
    return _ApprovalEntry(**fields, call=_CallEntry(**dump(approval.call)))


def _dump_pictures(database: Database, conversation: Conversation) -> list[PictureEntry]:
    """Every picture that has a name and every one that a crop needs; each before what is made of it."""
    rows = database.rows(
        "WITH RECURSIVE up (key, depth) AS (SELECT picture, 0 FROM names WHERE conversation = ?"
        " UNION SELECT pictures.parent, up.depth + 1 FROM up JOIN pictures USING (key) WHERE parent IS NOT NULL)"
        " SELECT p.key, p.mime, p.bytes, p.width, p.height, p.frames, p.recipe, p.gone"
        " FROM (SELECT key, max(depth) AS depth FROM up GROUP BY key) AS u JOIN pictures AS p USING (key)"
        " ORDER BY u.depth DESC, p.rowid",
        (conversation.id,),
    )
    fields = ("key", "mime", "size", "width", "height", "frames", "recipe", "gone")
    notes = Pictures(database).notes
    return [
        PictureEntry.model_validate({**dict(zip(fields, row, strict=True)), "notes": notes(row[0])}) for row in rows
    ]


def parse(data: bytes) -> Document:
    """The document in JSON from outside. Raises InvalidInput that names the first field that is wrong."""
    fields: Any = json.loads(data)
    if isinstance(fields, dict) and "version" in fields and fields["version"] != VERSION:
        raise InvalidInput(f"it has version {fields['version']!r} and this looktwice knows {VERSION}; upgrade")
    try:
        return Document.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "conversation.json"
        raise InvalidInput(f"{where}: {first['msg']}") from error
