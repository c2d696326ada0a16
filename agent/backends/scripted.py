"""A backend that answers from a script: for tests of what you build on looktwice, without a model.

    agent = Agent(ScriptedBackend(["I need a closer look. <tool_call>...</tool_call>", "42.10"]), memory=":memory:")

Each answer is a text, or a function from the prompt to one. What it was asked stays in ``prompts``.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TypeAlias

from ...errors import ModelError
from ..answer import Finish, Usage
from ..calls import Offer
from ..formats import FAMILIES, Format, Literal
from ..prompt import Prompt, Shown, Style, Words
from .backend import Done, Pixels, Row, Settings, Token
from .limits import Limits

Line: TypeAlias = str | Callable[[Prompt], str]
Table: TypeAlias = Mapping[str, float] | Callable[[Prompt], Mapping[str, float]]


class ScriptedBackend:
    """Plays its lines in order; a word counts as a token, a picture as ``image_tokens``, its thumbnail as fewer.

    ``pace`` are seconds between two words, for tests of streaming and cancelling. ``weights`` are how likely words are
    to come next, or a function from the prompt to them; what was weighed stays in ``weighed``.
    """

    def __init__(
        self,
        script: Sequence[Line],
        *,
        context: int = 1_000_000,
        image_tokens: int = 100,
        thumbnail_tokens: int = 20,
        family: str = "chatml",
        style: Style | None = None,
        pace: float = 0.0,
        weights: Table | None = None,
    ) -> None:
        self.model = "scripted"
        self.note = ""
        self.context = context
        self.style = style or Style()
        self.prompts: list[Prompt] = []
        self.offers: list[Offer | None] = []
        self._script = list(script)
        self.weighed: list[Prompt] = []
        self._pace = pace
        self._weights = weights
        self._image_tokens = {"full": image_tokens, "thumbnail": min(thumbnail_tokens, image_tokens)}
        self._format: Format = FAMILIES[family]
        self._counted: tuple[Prompt | None, list[Row]] = (None, [])
        self._lock = threading.Lock()

    def rows(self, prompt: Prompt) -> list[Row]:
        """The prompt in the chosen family's format, one row a piece."""
        last, rows = self._counted
        if last is not prompt:  # a prompt is counted before it is asked
            rows = [self._row(piece) for piece in self._format.row(prompt)]
            self._counted = prompt, rows
        return list(rows)

    def generate(
        self,
        prompt: Prompt,
        settings: Settings,
        *,
        pixels: Pixels,
        offer: Offer | None = None,
        cancel: threading.Event | None = None,
    ) -> Generator[Token | Done]:
        """The next line, word by word. Raises ModelError when the script has ended."""
        limits = Limits(settings.timeout, cancel)
        text = self._next(prompt, offer)
        ends = [place for word in settings.stop if (place := text.find(word)) >= 0]
        words = re.findall(r"\S+\s*|\s+", text[: min(ends, default=None)])
        said: list[str] = []
        finish: Finish = "stop"
        for word in words:
            if reason := limits.reached():
                finish = reason
                break
            if len(said) == settings.max_new_tokens:
                finish = "length"
                break
            said.append(word)
            yield Token(word)
            if self._pace:
                time.sleep(self._pace)
        rows = self.rows(prompt)
        total = sum(row.tokens for row in rows)
        image = sum(row.tokens for row in rows if row.image)
        usage = Usage(prompt=total, new=total, image=image, output=len(said))
        yield Done("".join(said), finish, usage, logprobs=(0.0,) * len(said))

    def weigh(
        self, prompts: Sequence[Prompt], words: Sequence[str], *, pixels: Pixels
    ) -> list[tuple[float, ...]] | None:
        """The ``weights`` of the words after each prompt, 0 for those not named; None without ``weights``."""
        if self._weights is None:
            return None
        self.weighed += prompts
        tables = [self._weights(prompt) if callable(self._weights) else self._weights for prompt in prompts]
        return [tuple(table.get(word, 0.0) for word in words) for table in tables]

    def close(self) -> None:
        """Nothing to give back."""

    def _next(self, prompt: Prompt, offer: Offer | None) -> str:
        with self._lock:
            self.prompts.append(prompt)
            self.offers.append(offer)
            if not self._script:
                raise ModelError(
                    f"the script has no line for question {len(self.prompts)}; give ScriptedBackend one more"
                )
            line = self._script.pop(0)
        return line if isinstance(line, str) else line(prompt)

    def _row(self, piece: object) -> Row:
        match piece:
            case Shown(name, key, _, tier):
                return Row("image", "", self._image_tokens[tier], name, tier, key)
            case Literal(text):
                return Row("format", text, 1)
            case Words(text):
                return Row("text", text, len(text.split()))
            case _:
                text = "".join(part.text for part in getattr(piece, "text", ()))
                return Row("answer", text, len(text.split()))
