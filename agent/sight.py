"""What a model says of what it sees, aside from its answer: whether it sees enough, and which part matters.

All of it is asked on the prompt that was just answered, whose computation is kept, with yes or no as the next word: a
pass over a few words, or over the parts of the picture all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image

from ..errors import ModelError
from ..memory import Memory, NamedPicture
from ..memory.recipe import Recipe
from ..tools.frame import frame
from .backends.backend import Backend, weighed
from .prompt import Prompt, Shown, asked_of_all, asked_of_part

__all__ = ["Part", "Sight"]

_LEAST = 0.05  # the probability of yes and no together under which a model says neither
_SIXTEENTHS = 1  # pictures; of more than that only quarters are asked about
_MOST = 5  # pictures

Box1000: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a picture: its name, the box (0..1000 of it), and how likely it shows what is asked for (0..1)."""

    image: str
    box: Box1000
    score: float


class Sight:
    """Asks a model what it sees of the prompt that it was last asked."""

    def __init__(
        self,
        backend: Backend,
        memory: Memory,
        prompt: Callable[[], Prompt | None],
        *,
        passed: Callable[[], object],
        notice: Callable[[str], object],
    ) -> None:
        """``passed`` hears of each pass, ``notice`` of one that failed."""
        self._backend = backend
        self._memory = memory
        self._prompt = prompt
        self._passed = passed
        self._notice = notice
        self.passes = 0
        """How many passes it took."""

    def visible(self) -> float | None:
        """How likely the model says that the question can be answered from what is visible, 0..1.

        None if it says neither yes nor no, or can't be asked. Asked first by ZoomEye (Shen et al., 2024,
        arXiv 2411.16044), which goes on looking as long as the answer is no.
        """
        prompt, sees = self._prompt(), self._backend.style.sees
        if prompt is None or prompt.open_answer or not sees.whole:
            return None
        found = self._shares([asked_of_all(prompt, sees)])
        return found[0] if found else None

    def parts(self, pictures: Sequence[NamedPicture]) -> list[Part]:
        """The quarters and sixteenths of a picture, or the quarters of several, the likeliest first, in one pass.

        The tree of parts and its best-first order follow ZoomEye (arXiv 2411.16044); there each part is a pass of its
        own and the tree is walked down. That a model knows where to look before it can read what is there, and that a
        crop beside the whole picture is enough, was shown by ViCrop (Zhang et al., 2025, arXiv 2502.17422); that the
        kept computation of the prompt tells it for less, by FOCUS (Zhong et al., 2025, arXiv 2506.21710). A sixteenth
        counts with the quarter that it lies in. None of it is kept. Empty if the model says neither yes nor no.
        """
        prompt, sees = self._prompt(), self._backend.style.sees
        if prompt is None or prompt.open_answer or not sees.part or not 0 < len(pictures) <= _MOST:
            return []
        levels = (2, 4) if len(pictures) <= _SIXTEENTHS else (2,)
        places = [(picture, box) for picture in pictures for level in levels for box in _grid(level)]
        recipes = [_recipe(picture, box) for picture, box in places]
        tier = "thumbnail" if self._backend.style.thumbnails else "full"
        asked = [
            asked_of_part(prompt, sees, Shown(f"{picture.name}.part", part.key, part.size, tier), of=picture.name)
            for (picture, _), part in zip(places, recipes, strict=True)
        ]
        found = self._shares(asked, {part.key: part for part in recipes})
        if not found:
            return []
        scores = {(picture.name, box): share or 0.0 for (picture, box), share in zip(places, found, strict=True)}
        parts = [Part(name, box, _with_outer(scores, name, box)) for name, box in scores]
        return sorted(parts, key=lambda part: -part.score) if any(found) else []

    def _shares(self, prompts: Sequence[Prompt], parts: Mapping[str, Recipe] | None = None) -> list[float | None]:
        """How likely yes is against no after each prompt; empty if the model can't be asked."""
        stored, made, sees = self._memory.pictures, parts or {}, self._backend.style.sees

        def pixels(key: str) -> Image.Image:
            part = made.get(key)
            return stored.pixels(key) if part is None else part.apply(stored.pixels(part.parent))

        longest = max(sum(row.tokens for row in self._backend.rows(prompt)) for prompt in prompts)
        if longest > self._backend.context:
            return []
        try:
            found = weighed(self._backend, prompts, (*sees.yes, *sees.no), pixels=pixels)
        except ModelError as error:  # there is an answer already, which this must not cost
            self._notice(f"the model could not be asked what it sees: {error}")
            return []
        if found is None:
            return []
        self.passes += 1
        self._passed()
        return [_share(row[: len(sees.yes)], row[len(sees.yes) :]) for row in found]


def _share(yes: Sequence[float], no: Sequence[float]) -> float | None:
    """Yes against no; without a word for yes, whatever isn't no."""
    if not yes:
        return round(1 - sum(no), 4)
    both = sum(yes) + sum(no)
    return round(sum(yes) / both, 4) if both >= _LEAST else None


def _grid(level: int) -> Iterator[Box1000]:
    step = 1000 // level
    for top in range(0, 1000, step):
        for left in range(0, 1000, step):
            yield left, top, left + step, top + step


def _with_outer(scores: dict[tuple[str, Box1000], float], name: str, box: Box1000) -> float:
    """A part's score, the mean with that of the part around it."""
    left, top = (edge // 500 * 500 for edge in box[:2])
    outer = (left, top, left + 500, top + 500)
    return (scores[name, box] + scores[name, outer]) / 2


def _recipe(picture: NamedPicture, box: Box1000) -> Recipe:
    """The part as the tool zoom would show it."""
    cut, size = frame((picture.width, picture.height), box)
    return Recipe(picture.key, "crop", cut, size)
