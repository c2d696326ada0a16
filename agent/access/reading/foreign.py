"""Text in a script that an engine can't read: said plainly, with the command that helps."""

from __future__ import annotations

from dataclasses import dataclass

from ....tools.ocr.languages import Language
from ....tools.ocr.tesseract import with_data
from ...words import Words

__all__ = ["Foreign"]


@dataclass(frozen=True, slots=True)
class Foreign:
    """Text that an engine, which knows ``scripts``, can't read. ``language`` is one of its script, if that is known."""

    engine: str
    scripts: tuple[str, ...]
    language: Language | None = None

    @property
    def command(self) -> str:
        """What installs an engine for the language; empty where it is there, or the language isn't known."""
        return "" if self.language is None or self.language in with_data() else self.language.install

    def said(self, say: Words) -> str:
        """What can't be read, and what to do."""
        if self.language is None:
            known = ", ".join(_named(script, say) for script in self.scripts)
            return say(
                "Some text could not be read; {engine} knows {known} script. Say which language it is, as in: "
                "--ocr-lang ru",
                engine=self.engine,
                known=known,
            )
        values = {"script": _named(self.language.script, say), "engine": self.engine, "code": self.language.code}
        if not self.command:
            return say("Some text is in {script} script, which {engine} can't read; add: --ocr-lang {code}", **values)
        return say(
            "Some text is in {script} script, which {engine} can't read; run: {command}, and add --ocr-lang {code}",
            command=self.command,
            **values,
        )


def _named(script: str, say: Words) -> str:
    """The name of a script; rare ones keep their English name."""
    names = {
        "Latin": say("Latin"),
        "Chinese": say("Chinese"),
        "Japanese": say("Japanese"),
        "Korean": say("Korean"),
        "Cyrillic": say("Cyrillic"),
        "Greek": say("Greek"),
        "Arabic": say("Arabic"),
        "Hebrew": say("Hebrew"),
        "Thai": say("Thai"),
        "Armenian": say("Armenian"),
        "Georgian": say("Georgian"),
    }
    return names.get(script, script)
