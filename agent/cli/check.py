"""``looktwice check``: whether pictures show anything, and how to take better ones."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict

import click

from . import options
from .output import Lines, say, say_json


@click.command(short_help="Say what is wrong with pictures: dark, blurred, text cut off.")
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@click.option("--no-text", is_flag=True, help="Don't read the text; faster, but finds none that is turned or cut off.")
@options.lang
@options.json
def check(pictures: tuple[str, ...], no_text: bool, lang: str, as_json: bool) -> None:
    """Say what is wrong with each PICTURE, and how to take a better one. No model is asked.

    Black, blank, tiny, dark and blurred pictures, and text that lies on its side or is cut off at an edge.
    """
    from ..access import check as checked
    from ..words import words

    speak, engine = words(lang), None
    if not no_text:
        if importlib.util.find_spec("rapidocr"):
            from ...tools.ocr.rapid import default_engine

            engine = default_engine()
        else:
            Lines().tell("status", speak("text is not looked at; to get that: pip install 'looktwice[ocr]'"))
    found = {path: checked(path, engine=engine, lang=lang) for path in pictures}
    if as_json:
        say_json([{"picture": path, "faults": [asdict(fault) for fault in faults]} for path, faults in found.items()])
        return
    for path, faults in found.items():
        for fault in faults:
            say(f"{path}: {fault.said}; {fault.advice}")
        if not faults:
            say(f"{path}: {speak('nothing is wrong with it')}")
