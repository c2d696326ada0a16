"""Keeps the catalogues in step with the code: ``make words``, or ``python -m looktwice.agent.words.catalogues``.

Each ``.po`` gets the sentences that the code says, with the translations that it has, and each ``.mo`` is made from it.
What is still to be translated is listed, and the exit status is 1. Needs polib, which is no part of what users install.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from . import LANGUAGES
from .sentences import Sentence, collect

__all__ = ["CATALOGUES", "faults", "update"]

_HERE = Path(__file__).parent
CATALOGUES = {name: _HERE / name / "LC_MESSAGES" / "looktwice.po" for name in LANGUAGES if name != "en"}
"""The catalogue of each language."""
_PLURALS = {"de": "(n != 1)", "es": "(n != 1)", "fr": "(n > 1)"}


def update(language: str, sentences: Iterable[Sentence]) -> Any:
    """The catalogue (a ``polib.POFile``) of these sentences, with the translations that the old one has."""
    polib: Any = importlib.import_module("polib")
    path = CATALOGUES[language]
    old = {(e.msgid, e.msgid_plural or None): e for e in polib.pofile(str(path))} if path.exists() else {}
    new = polib.POFile(wrapwidth=118)
    new.metadata = {
        "Project-Id-Version": "looktwice",
        "Language": language,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": f"nplurals=2; plural={_PLURALS[language]};",
    }
    for sentence in sentences:
        entry = polib.POEntry(msgid=sentence.one, occurrences=[(file, "") for file in sentence.files])
        known = old.get((sentence.one, sentence.many))
        if sentence.many is None:
            entry.msgstr = known.msgstr if known else ""
        else:
            entry.msgid_plural = sentence.many
            entry.msgstr_plural = known.msgstr_plural if known else {0: "", 1: ""}
        new.append(entry)
    return new


def faults(catalogue: Any, sentences: Iterable[Sentence]) -> Iterator[str]:
    """What is wrong with a catalogue: sentences that it lacks or that nobody says, and translations that don't fit."""
    said = {(sentence.one, sentence.many) for sentence in sentences}
    known = {(entry.msgid, entry.msgid_plural or None): entry for entry in catalogue}
    yield from (f"lacks {one!r}" for one, _ in sorted(said - known.keys(), key=str))
    yield from (f"nobody says {one!r}" for one, _ in sorted(known.keys() - said, key=str))
    for (one, many), entry in known.items():
        forms = [entry.msgstr] if many is None else [entry.msgstr_plural[n] for n in sorted(entry.msgstr_plural)]
        if entry.fuzzy or not all(forms) or (many is not None and len(forms) != 2):
            yield f"does not translate {one!r}"
        elif _names(forms[-1]) != _names(many or one) or not _names(forms[0]) <= _names(many or one):
            yield f"has other names in braces than {one!r}"


def _names(text: str) -> set[str]:
    return set(re.findall(r"\{(\w*)\}", text))


def main() -> int:
    """Bring every catalogue up to date."""
    sentences, wrong = collect(), 0
    for language, path in CATALOGUES.items():
        catalogue = update(language, sentences)
        path.parent.mkdir(parents=True, exist_ok=True)
        catalogue.save(str(path))
        catalogue.save_as_mofile(str(path.with_suffix(".mo")))
        found = list(faults(catalogue, sentences))
        wrong += len(found)
        print(f"{language}: {len(sentences)} sentences, {len(found)} to mend", *found, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
