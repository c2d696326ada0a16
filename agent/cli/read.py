"""``looktwice read``: all the text of pictures in reading order, without a language model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Unpack

import click

from ...errors import InvalidInput, LookTwiceError, PictureRejected, ToolError
from . import options
from .output import Lines, say, say_json
from .speaking import SpeechOptions, opened_voice, speech_options, spoken

if TYPE_CHECKING:
    from ...tools.ocr import Engine, EngineName, Layout
    from ..access import Transcript


@click.command(short_help="Read all text of pictures in order, without a model.")
@click.argument("pictures", nargs=-1, metavar="PICTURE...")
@click.option(
    "--layout",
    type=click.Choice(["auto", "rows", "columns", "table"]),
    default="auto",
    show_default=True,
    help="How pages are read: across, as receipts, or column by column.",
)
@click.option("--spell", is_flag=True, help='Spell the codes that are found: "B as in Bravo".')
@click.option("--spell-out", metavar="TEXT", help="Spell this text; needs no picture.")
@click.option("--engine", type=click.Choice(["rapidocr", "tesseract", "both"]), help="What reads; else what can.")
@click.option("--ocr-lang", metavar="LANG", help="The language of the text, such as ru or de+en; else --lang.")
@options.lang
@speech_options
@options.json
def read(
    pictures: tuple[str, ...],
    layout: Layout,
    spell: bool,
    spell_out: str | None,
    engine: EngineName | None,
    ocr_lang: str | None,
    lang: str,
    as_json: bool,
    **speech: Unpack[SpeechOptions],
) -> int:
    """Read all the text of each PICTURE, in the order in which one reads it. No model is asked.

    Uncertain words are marked in words; notes on the text follow it: what could not be read, and whether a receipt
    adds up.
    """
    from ..words import spoken as language
    from .follow import stopped_by_interrupt

    if not pictures and spell_out is None:
        raise click.UsageError("no picture is given; name one, as in: looktwice read bill.jpg")
    found = _read(pictures, engine, ocr_lang or language(lang), layout) if pictures else iter(())
    if as_json:
        return _told_as_json(found, lang, spell=spell, spell_out=spell_out)
    failed = list[str]()
    told = _told(found, len(pictures), lang, spell=spell, spell_out=spell_out, failed=failed)
    with opened_voice(speech, lang, Lines()) as voice:
        if voice is None:
            _print(told)
            return int(bool(failed))
        with stopped_by_interrupt() as stopped:
            _print(spoken(voice, told, stopped))
    return 130 if stopped.is_set() else int(bool(failed))


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)


def _told(
    found: Iterator[tuple[str, Transcript | LookTwiceError]],
    count: int,
    lang: str,
    *,
    spell: bool,
    spell_out: str | None,
    failed: list[str],
) -> Iterator[str]:
    """The lines to print; pictures that can't be read are told as errors, and added to ``failed``."""
    for number, (path, transcript) in enumerate(found, 1):
        if count > 1:
            yield _heading(number, count, path, lang)
        if isinstance(transcript, LookTwiceError):
            Lines().tell("error", str(transcript))
            failed.append(path)
        else:
            yield from transcript.said(lang, spell=spell)
    if spell_out is not None:
        yield _spelled(spell_out, lang)


def _read(
    pictures: tuple[str, ...], engine: EngineName | None, ocr_lang: str, layout: Layout
) -> Iterator[tuple[str, Transcript | LookTwiceError]]:
    """Each picture with what was read, or why it can't be; what is missing to read any ends it all."""
    from ...tools.ocr import open_engine
    from ..access import read as reading

    chosen: Engine = open_engine(engine, lang=ocr_lang)
    for path in pictures:
        try:
            yield path, reading(path, engine=chosen, layout=layout)
        except (PictureRejected, ToolError) as error:
            yield path, error


def _told_as_json(
    found: Iterator[tuple[str, Transcript | LookTwiceError]], lang: str, *, spell: bool, spell_out: str | None
) -> int:
    told: list[dict[str, Any]] = []
    for path, transcript in found:
        is_error = isinstance(transcript, LookTwiceError)
        read = {"error": str(transcript)} if is_error else transcript.to_json(lang, spell=spell)
        told.append({"picture": path, **read})
        if is_error:
            Lines().tell("error", str(transcript))
    if spell_out is not None:
        told.append({"code": spell_out, "spelled": _spelled(spell_out, lang)})
    say_json(told)
    return int(any("error" in each for each in told))


def _heading(number: int, count: int, path: str, lang: str) -> str:
    from ..words import words

    return words(lang)("Image {number} of {all}: {name}", number=number, all=count, name=path)


def _spelled(text: str, lang: str) -> str:
    from ..access.reading import spelled

    if not text.strip():
        raise InvalidInput("--spell-out has no text; give the letters to spell, as in: --spell-out AB-12")
    return spelled(text.strip(), lang)
