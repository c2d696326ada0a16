"""What pictures are made of, whatever their names: bytes kept once by their hash, and recipes over them."""

from __future__ import annotations

import time

import PIL
from PIL import Image

from ..errors import StoreError, UnknownName
from .database import Database
from .picture import Picture, decode, perceptual_hash, pixel_hash
from .recipe import Recipe

__all__ = ["find_recipe", "keep", "keep_recipe", "origin", "pixels"]


def keep(database: Database, picture: Picture) -> None:
    """Keep a picture's bytes, unless they are kept already."""
    if _is_kept(database, picture.key):
        return
    database.run(
        "INSERT INTO pictures (key, mime, bytes, width, height, frames, phash, created, data) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (key) DO UPDATE SET phash = excluded.phash, data = excluded.data, gone = 0",
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


def keep_recipe(database: Database, recipe: Recipe) -> None:
    """Keep a recipe, with a hash of the pixels it makes now. Raises InvalidInput for a box beyond the parent."""
    if _is_kept(database, recipe.key):
        return
    image = recipe.apply(pixels(database, recipe.parent))
    database.run(
        "INSERT INTO pictures"
        " (key, mime, bytes, width, height, frames, phash, pixel_hash, parent, recipe, maker, created)"
        " VALUES (?, 'image/png', 0, ?, ?, 1, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
        " phash = excluded.phash, pixel_hash = excluded.pixel_hash, maker = excluded.maker, gone = 0",
        (
            recipe.key,
            *recipe.size,
            perceptual_hash(image),
            pixel_hash(image),
            recipe.parent,
            recipe.dump(),
            PIL.__version__,
            time.time(),
        ),
    )


def find_recipe(database: Database, key: str) -> Recipe | None:
    """The recipe of a picture; None if it has bytes of its own. Raises UnknownName."""
    return _step(database, key)[1]


def pixels(database: Database, key: str) -> Image.Image:
    """Upright RGB pixels, made again through any chain of recipes."""
    recipes, data = origin(database, key)
    image = decode(data)
    for recipe in reversed(recipes):
        image = recipe.apply(image)
    return image


def origin(database: Database, key: str) -> tuple[list[Recipe], bytes]:
    """The recipes that lead back from a picture to the one with bytes, and those. Raises StoreError if gone."""
    recipes: list[Recipe] = []
    here = key
    while True:
        is_gone, recipe = _step(database, here)
        if is_gone:
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
