"""RapidOCR as an engine, with the models that its package brings, and never a download.

Settings that were measured to matter: the line angle classifier is off (it turns upright lines over and then reads
nonsense with high scores), and the detector looks at 960 px of the longer side. Pages that lie on their side are
the concern of ``reading.py``.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from ...errors import MissingExtra, ToolError
from .engine import Line
from .words import Corners, Recognised, box_around, words_of

__all__ = ["RapidEngine", "default_engine"]

_LOWEST_SCORE = 0.5  # below, it is noise more often than text
_DETECTOR_SIDE = 960


class RapidEngine:
    """RapidOCR's detector and recogniser, loaded at the first reading (about a second).

    Raises MissingExtra when rapidocr or onnxruntime is not installed, ToolError when its models are not there.
    """

    name = "rapidocr"
    scripts = ("Latin", "Chinese", "Japanese")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the library's objects keep state between calls
        self._parts: _Parts | None = None

    def read(self, image: Image.Image) -> list[Line]:
        """The lines of an RGB picture; without text where the models found some that they can't read."""
        with self._lock:
            return self._loaded().lines(image)

    def read_line(self, image: Image.Image) -> Line:
        """A picture of one line, by recognition alone."""
        with self._lock:
            (recognised,) = self._loaded().recognise([_pixels(image)])
        width, height = image.size
        return _line(recognised, [[0, 0], [width, 0], [width, height], [0, height]], image.size)

    def _loaded(self) -> _Parts:
        if self._parts is None:
            self._parts = _Parts()
        return self._parts


@functools.cache
def default_engine() -> RapidEngine:
    """The one engine of this process: two would hold the models twice."""
    return RapidEngine()


class _Parts:
    """The library's two steps, taken one by one: its own call drops the places that it could not read."""

    def __init__(self) -> None:
        try:
            import onnxruntime  # noqa: F401  # pyright: ignore[reportMissingTypeStubs, reportUnusedImport]
            from rapidocr import main  # pyright: ignore[reportMissingTypeStubs]
        except ImportError as error:
            raise MissingExtra("the text reader rapidocr", "ocr") from error
        library: Any = main
        self._nothing_found: type[Exception] = library.RapidOCRError
        self._to_picture: Callable[..., Any] = library.map_boxes_to_original
        self._rapid: Any = library.RapidOCR(params=_settings(Path(library.root_dir) / "models"))

    def lines(self, image: Image.Image) -> list[Line]:
        pixels, steps = self._rapid.preprocess_img(_pixels(image))
        try:
            crops, found = self._rapid.detect_and_crop(pixels, steps)
        except self._nothing_found:
            return []
        places: list[Corners] = self._to_picture(found.boxes, steps, image.height, image.width).tolist()
        return [_line(read, corners, image.size) for read, corners in zip(self.recognise(crops), places, strict=True)]

    def recognise(self, crops: list[Any]) -> list[Recognised]:
        read = self._rapid.recognize_txt(crops)
        found = zip(read.txts, read.scores, read.word_results, strict=True)
        return [Recognised(str(text), float(score), *_letters(info)) for text, score, info in found]


def _settings(models: Path) -> dict[str, Any]:
    """Every model by its path: the library would download one that it knows by name and doesn't find."""
    recogniser = _bundled(models, "rec")
    return {
        "Global.log_level": "critical",
        "Global.use_cls": False,
        "Global.return_word_box": True,
        "Det.limit_type": "max",
        "Det.limit_side_len": _DETECTOR_SIDE,
        "Det.model_path": str(_bundled(models, "det")),
        "Rec.model_path": str(recogniser),
        # The model holds its list of characters; a path that exists keeps the library from fetching another list.
        "Rec.rec_keys_path": str(recogniser),
    }


def _bundled(models: Path, step: str) -> Path:
    name = f"PP-OCR*_{step}_small.onnx"
    found = sorted(models.glob(name))
    if not found:
        raise ToolError(f"rapidocr brings no model like {str(models / name)!r}; run: pip install 'looktwice[ocr]'")
    return found[-1]


def _pixels(image: Image.Image) -> Any:
    """Height x width x 3 in blue, green, red, as the library takes arrays to be."""
    import numpy as np

    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])


def _line(read: Recognised, corners: Corners, size: tuple[int, int]) -> Line:
    """A space where no word stands before or after it is a word that the recogniser has no characters for."""
    words = " ".join(read.text.split())
    box, slope = box_around(corners, size), _slope(corners)
    has_letters = any(char.isalnum() for char in words)
    if read.score < _LOWEST_SCORE or (words != read.text and not has_letters):
        return Line("", box, read.score, slope=slope)
    placed = words_of(read, corners, size)
    return Line(
        " ".join(word.text for word in placed), box, read.score, gaps=words != read.text, slope=slope, words=placed
    )


def _letters(info: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of each letter of a line the score; of each one but spaces the middle, 0..1 of the line's width."""
    scores = tuple(float(score) for score in info.confs)
    middles = tuple((column + 0.5) / info.line_txt_len for word in info.word_cols for column in word)
    return scores, middles


def _slope(corners: Corners) -> float:
    """Of the upper edge; corners come from the upper left one on, clockwise."""
    (x0, y0), (x1, y1) = corners[:2]
    return (y1 - y0) / (x1 - x0) if x1 > x0 else 0.0
