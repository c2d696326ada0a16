"""What a model is asked for a description: in four languages, and editable in a file.

A file of prompts is TOML with any of the names of `Prompts`:

    title = "Say in one sentence what {picture} shows."
    layout = ""                                       # this part is left out

``{picture}`` stands for the picture's name, ``{about}`` for the question that was asked before.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from ....errors import InvalidInput
from ...words import later, words

__all__ = ["Prompts", "filled"]


@dataclass(frozen=True, slots=True)
class Prompts:
    """The questions. One that is empty is not asked; an empty title shows the model the picture without a word.

    ``title`` asks for the first sentence, ``shorter`` for a shorter one, ``social`` for a paragraph, ``overview`` and
    ``layout`` for the parts of a long description. ``focus`` is added to these where a question was asked before.
    """

    title: str = later(
        "Describe {picture} in one short sentence of at most 100 characters, for somebody who can't see it. Begin with"
        " what matters most, and not with words such as 'image of'."
    )
    shorter: str = later("Say that once more in at most 80 characters: only what matters most.")
    social: str = later(
        "Describe {picture} in three to five sentences for somebody who can't see it: first what it shows as a whole,"
        " then what matters in it. Don't begin with words such as 'image of'."
    )
    overview: str = later(
        "Describe {picture} for somebody who can't see it: first what it shows as a whole, then what matters in it."
        " Name colours only where they matter, and say so where you aren't sure."
    )
    layout: str = later("Go through {picture} from left to right and say what is where.")
    focus: str = later("Attend above all to what matters for this question: {about}")

    @classmethod
    def spoken(cls, lang: str) -> Prompts:
        """The prompts that looktwice brings, in a language."""
        say = words(lang)
        return cls(**{name: say(text) for name, text in asdict(cls()).items()})

    @classmethod
    def read(cls, path: str | os.PathLike[str], lang: str = "en") -> Prompts:
        """The prompts of a TOML file; those that it doesn't name stay. Raises InvalidInput in one line."""
        try:
            found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InvalidInput(f"can't read the prompts in {os.fspath(path)!r}: {error.strerror}") from error
        except ValueError as error:  # no TOML, or no UTF-8
            raise InvalidInput(f"the prompts in {os.fspath(path)!r} are no TOML ({error}); correct it") from error
        return cls.spoken(lang).changed(found, f"in {os.fspath(path)!r}")

    def changed(self, given: Mapping[str, object], where: str = "here") -> Prompts:
        """These prompts with others in their place. Raises InvalidInput for a name or a value that is none."""
        known = [field.name for field in fields(self)]
        for name, text in given.items():
            if name not in known:
                raise InvalidInput(f"no prompt {name!r} {where}; known: {', '.join(known)}")
            if not isinstance(text, str):
                raise InvalidInput(f"the prompt {name!r} {where} is {text!r}; write a text in quotes")
        return replace(self, **{name: str(text) for name, text in given.items()})

    def to_toml(self) -> str:
        """The prompts as a file to edit."""
        return "".join(f"{name} = {json.dumps(text, ensure_ascii=False)}\n" for name, text in asdict(self).items())


def filled(prompt: str, *, picture: str, about: str = "") -> str:
    """A prompt with the name of the picture in it, as a mention, and the question that was asked before."""
    return prompt.replace("{picture}", f"@{picture}").replace("{about}", about)
