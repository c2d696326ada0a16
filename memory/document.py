"""A conversation as one document: what ``conversation.json`` of an exported zip holds."""

from __future__ import annotations

import json
from collections.abc import Sized
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import InvalidInput, StoreError
from .approvals import Approval, Approvals
from .conversations import Conversation
from .database import Database
from .names import check_name, fold
from .parts import Role, Status, Turn, dump, load
from .picture import MAX_BYTES, MAX_PIXELS
from .pictures import NamedPicture, Pictures
from .recipe import Recipe
from .turns import Turns

__all__ = ["Document", "PictureEntry", "describe", "parse"]

FORMAT: Final = "looktwice conversation"
VERSION = 1
MAX_FIELDS = 20  # of one object: pydantic collects an error for each that it doesn't know
MAX_DEPTH = 32  # crops of crops of crops
MAX_CHAIN = 150_000_000  # pixels of a crop and of those it is cut from, which are in memory together
MAX_CROPPED = 1_000_000_000  # pixels of all crops, which are made one after the other

_FAST: Final = Field(fail_fast=True)  # and one for each of millions of items
_Time: TypeAlias = Annotated[float, Field(ge=0, le=253_402_300_799)]  # to the end of the year 9999
_ToolName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
_Mime: TypeAlias = Literal[
    "image/avif", "image/bmp", "image/gif", "image/heif", "image/jpeg", "image/png", "image/tiff", "image/webp"
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _check_fields(cls, fields: object) -> object:
        if isinstance(fields, Sized) and len(fields) > MAX_FIELDS:
            raise ValueError(f"it has more than {MAX_FIELDS} fields")
        return fields


class _TextEntry(_Strict):
    kind: Literal["text"]
    text: str


class _ImageEntry(_Strict):
    kind: Literal["image"]
    name: str


class _CallEntry(_Strict):
    kind: Literal["tool_call"]
    id: str
    tool: str  # whatever the model wrote, of which its turn is the record
    arguments: dict[str, Any]


class _ResultEntry(_Strict):
    kind: Literal["tool_result"]
    id: str
    tool: str
    text: str
    data: Any = None
    error: bool = False


class _SpecEntry(_Strict):
    name: _ToolName
    description: str
    parameters: dict[str, Any]
    pictures: Annotated[list[str], _FAST]
    boxes: Annotated[list[str], _FAST]
    acts: bool


class _ToolsEntry(_Strict):
    kind: Literal["tools"]
    tools: Annotated[list[_SpecEntry], _FAST]


_PartEntry: TypeAlias = Annotated[
    _TextEntry | _ImageEntry | _CallEntry | _ResultEntry | _ToolsEntry, Field(discriminator="kind")
]


class _TurnEntry(_Strict):
    id: int
    parent: int | None
    role: Role
    status: Status
    model: str | None
    tokens: Annotated[tuple[int, ...], _FAST] | None
    tokenizer: str | None
    meta: dict[str, Any]
    created: _Time
    parts: Annotated[list[_PartEntry], _FAST]

    def turn(self) -> Turn:
        """The turn, without the place it had in the tree."""
        fields = self.model_dump(exclude={"id", "parent", "parts", "created"})
        return Turn(parts=tuple(load(part.model_dump()) for part in self.parts), **fields)


class PictureEntry(_Strict):
    """A picture that has a name, or that a crop was cut from: its bytes are an entry of their own."""

    key: Annotated[str, Field(pattern=r"^(sha256|recipe):[0-9a-f]{64}$")]
    mime: _Mime
    size: Annotated[int, Field(ge=0, le=MAX_BYTES)]
    width: Annotated[int, Field(ge=1, le=MAX_PIXELS)]
    height: Annotated[int, Field(ge=1, le=MAX_PIXELS)]
    frames: Annotated[int, Field(ge=1, le=MAX_BYTES)]
    recipe: str | None
    gone: bool
    notes: Annotated[dict[Literal["alt", "caption", "text"], str], _FAST]

    @model_validator(mode="after")
    def _check_key(self) -> PictureEntry:
        made = self.made
        if made.key != self.key if made else self.key.startswith("recipe:"):
            raise ValueError(f"the recipe of {self.key!r} doesn't match its key")
        return self

    @property
    def made(self) -> Recipe | None:
        """The recipe, if it has one."""
        return None if self.recipe is None else _recipe(self.recipe)

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
    created: _Time


class _WaitingEntry(_CallEntry):
    tool: _ToolName  # this one may be run


class _ApprovalEntry(_Strict):
    turn: int
    call: _WaitingEntry
    reason: str
    state: Any
    decided: bool | None
    note: str
    created: _Time


class Document(_Strict):
    """Everything of a conversation but the bytes of its pictures; turns and pictures stand after what they need."""

    format: Literal["looktwice conversation"]
    version: int
    name: str
    head: int | None
    created: _Time
    updated: _Time
    turns: Annotated[list[_TurnEntry], _FAST]
    pictures: Annotated[list[PictureEntry], _FAST]
    names: Annotated[list[_NameEntry], _FAST]
    approvals: Annotated[list[_ApprovalEntry], _FAST]

    @model_validator(mode="after")
    def _check_references(self) -> Document:
        gone = _check_pictures(self.pictures)
        names = {fold(name.name) for name in self.names}
        if len(names) < len(self.names):
            raise ValueError("a name is there twice")
        for name in self.names:
            if name.key not in gone or (gone[name.key] and not name.forgotten):
                raise ValueError(f"the picture of {name.name!r} is not there")
        for turn in self.turns:
            for part in turn.parts:
                if isinstance(part, _ImageEntry) and fold(part.name) not in names:
                    raise ValueError(f"turn {turn.id} shows the picture {part.name!r}, which is not there")
        return self


def _check_pictures(pictures: list[PictureEntry]) -> dict[str, bool]:
    """Which of the pictures are gone. Crops are made again, so they must have an end."""
    gone, chains = dict[str, bool](), dict[str, tuple[int, int]]()
    cropped = 0
    for picture in pictures:
        recipe = picture.made
        if picture.key in gone or (recipe is not None and recipe.parent not in gone):
            raise ValueError(f"the picture {picture.key!r} is there twice, or before its parent")
        if recipe is not None and gone[recipe.parent] and not picture.gone:
            raise ValueError(f"the picture {picture.key!r} is cut from one that was forgotten")
        gone[picture.key] = picture.gone
        chains[picture.key] = (0, 0)
        if recipe is not None and not picture.gone:
            (depth, chain), size = chains[recipe.parent], recipe.size[0] * recipe.size[1]
            chains[picture.key] = (depth + 1, chain + size)
            cropped += size
    for what, found, limit in (
        ("steps from crop to crop", max((depth for depth, _ in chains.values()), default=0), MAX_DEPTH),
        ("pixels in crops of crops", max((chain for _, chain in chains.values()), default=0), MAX_CHAIN),
        ("pixels in crops", cropped, MAX_CROPPED),
    ):
        if found > limit:
            raise ValueError(f"it has {found} {what}, over the limit of {limit}")
    return gone


def _recipe(stored: str) -> Recipe:
    """The recipe; pydantic turns a ValueError into its own and says where it stands."""
    try:
        return Recipe.load(stored)
    except StoreError as error:
        raise ValueError(str(error)) from error


def describe(database: Database, conversation: Conversation) -> Document:
    """The document of a conversation as it stands now. Raises StoreError for one that ``parse`` would refuse."""
    turns = Turns(database).all(conversation)
    ids = {turn.id for turn in turns}
    try:
        return Document(
            format=FORMAT,
            version=VERSION,
            name=conversation.name,
            head=conversation.head,
            created=conversation.created,
            updated=conversation.updated,
            turns=[_dump_turn(turn) for turn in turns],
            pictures=_dump_pictures(database, conversation),
            names=[_dump_name(picture, ids) for picture in Pictures(database).all(conversation)],
            approvals=[_dump_approval(approval) for approval in Approvals(database).all(conversation)],
        )
    except ValidationError as error:
        why = f"{_first(error)}; fork it at an earlier turn, or run verify on the database"
        raise StoreError(f"the conversation {conversation.name!r} can't be exported: {why}") from error


def _dump_name(picture: NamedPicture, turns: set[int]) -> _NameEntry:
    fields = {field: getattr(picture, field) for field in _NameEntry.model_fields if field != "turn"}
    # A fork may have the name of a crop that was made on a branch it doesn't share.
    return _NameEntry(**fields, turn=picture.turn if picture.turn in turns else None)


def _dump_turn(turn: Turn) -> _TurnEntry:
    fields = {field: getattr(turn, field) for field in _TurnEntry.model_fields if field != "parts"}
    return _TurnEntry.model_validate({**fields, "parts": [dump(part) for part in turn.parts]})


def _dump_approval(approval: Approval) -> _ApprovalEntry:
    fields = {field: getattr(approval, field) for field in _ApprovalEntry.model_fields if field != "call"}
    return _ApprovalEntry(**fields, call=_WaitingEntry(**dump(approval.call)))


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
    pictures = [dict(zip(fields, row, strict=True)) for row in rows]
    notes = Pictures(database).notes
    return [PictureEntry.model_validate({**p, "notes": {} if p["gone"] else notes(p["key"])}) for p in pictures]


def parse(data: bytes) -> Document:
    """The document in JSON from outside. Raises InvalidInput that names the first field that is wrong."""
    fields: Any = json.loads(data)
    if isinstance(fields, dict) and "version" in fields and fields["version"] != VERSION:
        raise InvalidInput(f"it has version {fields['version']!r} and this looktwice knows {VERSION}; upgrade")
    try:
        return Document.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput(_first(error)) from error


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(step) for step in first['loc']) or 'conversation.json'}: {first['msg']}"
