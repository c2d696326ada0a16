"""What pictures are made of, whatever their names: bytes kept once by their hash, and recipes over them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import PIL
from PIL import Image

from ..errors import InvalidInput, StoreError, UnknownName
from .database import Database
from .picture import Picture, decode, perceptual_hash, pixel_hash
from .recipe import Recipe

__all__ = ["Made", "find_recipe", "is_gone", "keep", "keep_recipe", "origin", "pixels"]


@dataclass(frozen=True, slots=True)
class Made:
    """What is kept of the pixels that a recipe makes: their perceptual hash, and the exact one."""

    likeness: int
    pixels: str

    @classmethod
    def of(cls, image: Image.Image) -> Made:
        """Both hashes of an image."""
        return cls(perceptual_hash(image), pixel_hash(image))


# What stands in the row of a picture that is gone may come from an import: nothing of it is believed.
_COLUMNS = (
    *("mime", "bytes", "width", "height", "frames", "phash", "pixel_hash"),
    *("parent", "recipe", "maker", "gone", "created", "data"),
)
_REVIVE = f"ON CONFLICT (key) DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in _COLUMNS)}"


def keep(database: Database, picture: Picture) -> None:
    """Keep a picture's bytes, unless they are kept already."""
    if _is_kept(database, picture.key):
        return
    database.run(
        "INSERT INTO pictures (key, mime, bytes, width, height, frames, phash, created, data) "
        f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) {_REVIVE}",
        (
            picture.key,
            picture.mime,
            len(picture.data),
            picture.width,
            picture.height,
            picture.frames,
            picture.likeness,
            time.time(),
            picture.data,
        ),
    )


def keep_recipe(database: Database, recipe: Recipe, made: Made | None = None) -> None:
    """Keep a recipe, with hashes of the pixels it makes now. Raises InvalidInput for a box beyond the parent."""
    if _is_kept(database, recipe.key):
        return
    if made is None:
        made = Made.of(recipe.apply(pixels(database, recipe.parent)))
    database.run(
        "INSERT INTO pictures"
        " (key, mime, bytes, width, height, frames, phash, pixel_hash, parent, recipe, maker, created)"
        f" VALUES (?, 'image/png', 0, ?, ?, 1, ?, ?, ?, ?, ?, ?) {_REVIVE}",
        (
            recipe.key,
            *recipe.size,
            made.likeness,
            made.pixels,
            recipe.parent,
            recipe.dump(),
            PIL.__version__,
            time.time(),
        ),
    )


def find_recipe(database: Database, key: str) -> Recipe | None:
    """The recipe of a picture; None if it has bytes of its own. Raises UnknownName."""
    return _step(database, key)[1]


def is_gone(database: Database, key: str) -> bool:
    """Whether a picture was forgotten and its bytes are gone. Raises UnknownName."""
    return _step(database, key)[0]


def pixels(database: Database, key: str) -> Image.Image:
    """Upright RGB pixels, made again through any chain of recipes. Raises StoreError if gone or damaged."""
    recipes, data = origin(database, key)
    try:
        image = decode(data)
        for recipe in reversed(recipes):
            image = recipe.apply(image)
    except InvalidInput as error:
        raise StoreError(f"the picture {key!r} can't be made again: {error}; run verify on the database") from error
    return image


def origin(database: Database, key: str) -> tuple[list[Recipe], bytes]:
    """The recipes that lead back from a picture to the one with bytes, and those. Raises StoreError if gone."""
    recipes: list[Recipe] = []
    here = key
    while True:
        was_forgotten, recipe = _step(database, here)
        if was_forgotten:
            raise StoreError(f"the picture {key!r} was forgotten and its bytes are gone; add the file again")
        if recipe is None:
            break
        recipes.append(recipe)
        here = recipe.parent
    (found,) = database.rows("SELECT data FROM pictures WHERE key = ?", (here,))
    if found[0] is None:
        raise StoreError(f"pictures row {here!r} has lost its bytes; run verify on the database")
    return recipes, found[0]


def _is_kept(database: Database, key: str) -> bool:
    return database.row("SELECT 1 FROM pictures WHERE key = ? AND NOT gone", (key,)) is not None


def _step(database: Database, key: str) -> tuple[bool, Recipe | None]:
    """Whether a picture is gone, and its recipe."""
    row = database.row("SELECT gone, recipe FROM pictures WHERE key = ?", (key,))
    if row is None:
        raise UnknownName("picture", key, hint="keys come from a NamedPicture")
    return bool(row[0]), None if row[1] is None else Recipe.load(row[1])
