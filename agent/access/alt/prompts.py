"""What a model is asked for alternative texts. All its words stand here, and a TOML file may replace any of them."""

from __future__ import annotations

import os
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from ....errors import InvalidInput
from ..documents import Context

__all__ = ["KINDS", "Prompts"]

KINDS = ("photo", "drawing", "logo", "icon", "screenshot", "chart", "diagram", "map", "table", "decoration")
"""What a picture may be, as the model is asked."""

_LANGUAGES = {"de": "German", "fr": "French", "es": "Spanish"}
_MOST = 300  # characters of the page that are shown to the model
_FIELDS = ("page", "link", "kinds", "language")


@dataclass(frozen=True, slots=True)
class Prompts:
    """The questions. ``{page}`` stands for what the page says around the picture, ``{link}`` for where its link leads,
    ``{kinds}`` for the kinds of pictures, ``{language}`` for a sentence that asks for another language than English.
    """

    kind: str = "Is @picture a {kinds}? Answer with one word."
    simple: str = (
        "{page}Write an alternative text for @picture, for readers of this page who can't see it: one phrase of at most"
        " 125 characters that says what it shows and why it is here. Don't begin with 'image of'.{language}"
        " Describe @picture."
    )
    link: str = (
        "{page}@picture is a link or a button that leads to {link}. In at most eight words, where does it lead or what"
        " does it do?{language}"
    )
    short: str = (
        "{page}In one phrase of at most 125 characters, what kind of chart or diagram is @picture, and what is it"
        " about?{language}"
    )
    long: str = (
        "Describe @picture for readers who can't see it, from the general to the particular: first what it shows as a"
        " whole, then its parts and values as a list.{language}"
    )

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Prompts:
        """The questions with those of a TOML file in their places. Raises InvalidInput for one that can't be used."""
        label = repr(str(path))
        try:
            given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"the prompts in {label} can't be read: {error}; give a TOML file") from error
        except tomllib.TOMLDecodeError as error:
            raise InvalidInput(f"the prompts in {label} can't be read: {error}; mend that line") from error
        known = [each.name for each in fields(cls)]
        for name, value in given.items():
            if name not in known or not isinstance(value, str) or not value.strip():
                raise InvalidInput(f"{name!r} in {label} is no prompt; give words for one of {', '.join(known)}")
        return replace(cls(), **given)

    def filled(self, name: str, around: Context, lang: str) -> str:
        """The question of that name for a picture with these surroundings."""
        words: str = asdict(self)[name]
        language = _LANGUAGES.get(lang)
        values = {
            "page": _page(around),
            "link": _data(around.link) or "an action of this page",
            "kinds": f"{', '.join(KINDS[:-1])} or {KINDS[-1]}",
            "language": f" Answer in {language}." if language else "",
        }
        for field in _FIELDS:
            words = words.replace(f"{{{field}}}", values[field])
        return words


def _page(around: Context) -> str:
    told = {
        "title": around.title,
        "heading": around.heading,
        "before the picture": around.before[-_MOST:],
        "after the picture": around.after[:_MOST],
        "caption": around.caption,
    }
    lines = [f"{name}: {_data(words)}" for name, words in told.items() if words]
    return f"Page ({'; '.join(lines)}). " if lines else ""


def _data(words: str) -> str:
    """Words of a document inside a question: an at sign in them is no picture's name."""
    return " ".join(words.replace("\\", " ").replace("@", "\\@").split())[:_MOST]
