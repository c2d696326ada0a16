"""What is wrong with the alternative texts of a document, told without looking at a picture."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from ....errors import InvalidInput
from ...words import Words, words
from ..documents import SUFFIXES, Document, Place, open_document

__all__ = [
    "Fault",
    "FaultKind",
    "check_alternatives",
    "documents_in",
    "faults_of",
    "same_words",
    "shown_source",
    "without_opening",
]

FaultKind: TypeAlias = Literal["missing", "nameless link", "file name", "filler", "image of", "too long", "caption"]
LONGEST = 125
"""Characters of an alternative text; more belongs in the document."""

_EXTENSIONS = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".bmp", ".tif", ".tiff", ".avif", ".heic")
_CAMERA = re.compile(r"(?:img|dscn?|dscf|pxl|image|picture|photo|screenshot|scan|bild|foto)[-_ ]?\d[\w .-]*")
_FILLERS = frozenset(
    (
        *("image", "img", "picture", "photo", "photograph", "graphic", "graphics", "figure", "icon", "untitled"),
        *("placeholder", "alt", "todo", "spacer", "bild", "foto", "grafik", "abbildung", "symbol"),
        *("photographie", "icône", "imagen", "fotografía", "gráfico"),
    )
)
_OPENINGS = re.compile(
    r"(?:(?:this|an?|the) )?(?:image|picture|photo|photograph|graphic|drawing) (?:of|shows?|showing|depict(?:s|ing)) "
    r"|(?:(?:das|ein) )?(?:bild|foto|grafik) (?:von|zeigt) "
    r"|(?:une |l')?(?:image|photo|photographie) (?:de |d'|montre )"
    r"|(?:una )?(?:imagen|foto|fotografía) (?:de|muestra) "
)
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the text at a place, ``said`` in words."""

    kind: FaultKind
    said: str
    place: Place

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: the fault, where it is, and the picture and the text that it is about."""
        where = self.place.where
        return {
            "kind": self.kind,
            "said": self.said,
            "member": where.member or None,
            where.unit: where.line,
            "picture": self.place.source,
            "alt": self.place.alt,
        }


def check_alternatives(document: str | os.PathLike[str] | Document, *, lang: str = "en") -> tuple[Fault, ...]:
    """The faults of a document's alternative texts, in its order; none if all is well.

    Raises InvalidInput for what is no document that can be read.
    """
    opened = document if isinstance(document, Document) else open_document(document)
    say = words(lang)
    return tuple(fault for place in opened.places for fault in faults_of(place, say))


def documents_in(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files themselves, and for a folder all documents in it and below, in the order of their names.

    Folders with a dot before their names are left out. Raises InvalidInput for a folder without any document.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(_documents_below(path)) if path.is_dir() else [path]
        if not inside:
            raise InvalidInput(f"no document in {str(path)!r}; give one of {', '.join(SUFFIXES)}")
        found += inside
    return found


def faults_of(place: Place, say: Words) -> Iterator[Fault]:
    """The faults of one place."""
    if place.is_hidden:
        return
    for kind, said in _of_text(place, say) if place.alt and place.alt.strip() else _of_none(place, say):
        yield Fault(kind, said, place)


def same_words(one: str, other: str) -> bool:
    """Whether two texts are made of the same words."""
    said = re.findall(r"\w+", one.casefold())
    return bool(said) and said == re.findall(r"\w+", other.casefold())


def without_opening(text: str) -> str:
    """A text without words at its beginning that go without saying, as "image of"."""
    found = _OPENINGS.match(text.casefold())
    return text if found is None else text[found.end() :]


def shown_source(place: Place) -> str:
    """What a document names as the picture, as short as one can say it."""
    source = place.source
    if source[:5].lower() == "data:":
        return "data URL"
    return source if len(source) <= _SHOWN else f"...{source[-_SHOWN:]}"


def _documents_below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        below = path.relative_to(folder).parts
        if path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in below) and path.is_file():
            yield path


def _of_none(place: Place, say: Words) -> Iterator[tuple[FaultKind, str]]:
    """Where there is no text, or none that says anything."""
    picture = shown_source(place) or place.kind
    is_alone = (place.context.link or place.context.in_button) and not place.context.link_text
    if place.alt == "" and (place.kind in ("button", "area") or is_alone):
        yield (
            "nameless link",
            say("{picture} is all that a link or button has, and is marked as decorative", picture=picture),
        )
    elif place.alt is None and place.problem and place.kind != "drawing":
        yield (
            "missing",
            say("{picture} has no alternative text, and {problem}", picture=picture, problem=say(place.problem)),
        )
    elif place.alt != "":
        yield "missing", say("{picture} has no alternative text", picture=picture)


def _of_text(place: Place, say: Words) -> Iterator[tuple[FaultKind, str]]:
    text = (place.alt or "").strip()
    plain = " ".join(text.casefold().split())
    if _is_file_name(plain, place.source):
        yield "file name", say('"{text}" is the name of a file', text=text)
    elif plain in _FILLERS:
        yield "filler", say('"{text}" says nothing of the picture', text=text)
    elif _OPENINGS.match(plain):
        yield "image of", say('"{text}" begins with words that go without saying', text=text)
    if len(text) > LONGEST:
        said = say("{n} characters are more than {most}; put the rest into the document", n=len(text), most=LONGEST)
        yield "too long", said
    if same_words(text, place.context.caption):
        yield "caption", say('"{text}" is what the caption or the title says, too', text=text)


def _is_file_name(plain: str, source: str) -> bool:
    """A name with its ending, one that a camera gives, or the picture's own if that is no plain word."""
    try:
        name = unquote(urlsplit(source).path).rpartition("/")[2].casefold()
    except ValueError:
        name = ""
    stem = name.rpartition(".")[0]
    own = plain in (name, stem) and not stem.isalpha()
    return own or (plain.endswith(_EXTENSIONS) and " " not in plain) or bool(_CAMERA.fullmatch(plain))
