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
from ...memory.recipe import Box
from .engine import Line

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
            text, score = self._loaded().recognise([_pixels(image)])[0]
        return _line(text, (0, 0, *image.size), score)

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
        places: list[list[list[float]]] = self._to_picture(found.boxes, steps, image.height, image.width).tolist()
        read = self.recognise(crops)
        return [
            _line(text, _box(corners, image.size), score, slope=_slope(corners))
            for (text, score), corners in zip(read, places, strict=True)
        ]

    def recognise(self, crops: list[Any]) -> list[tuple[str, float]]:
        read = self._rapid.recognize_txt(crops)
        return [(str(text), float(score)) for text, score in zip(read.txts, read.scores, strict=True)]


def _settings(models: Path) -> dict[str, Any]:
    """Every model by its path: the library would download one that it knows by name and doesn't find."""
    recogniser = _bundled(models, "rec")
    return {
        "Global.log_level": "critical",
        "Global.use_cls": False,
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


def _line(text: str, box: Box, score: float, *, slope: float = 0.0) -> Line:
    """A space where no word stands before or after it is a word that the recogniser has no characters for."""
    words = " ".join(text.split())
    has_letters = any(char.isalnum() for char in words)
    if score < _LOWEST_SCORE or (words != text and not has_letters):
        return Line("", box, score, slope=slope)
    return Line(words, box, score, gaps=words != text, slope=slope)


def _slope(corners: list[list[float]]) -> float:
    """Of the upper edge; corners come from the upper left one on, clockwise."""
    (x0, y0), (x1, y1) = corners[:2]
    return (y1 - y0) / (x1 - x0) if x1 > x0 else 0.0


def _box(corners: list[list[float]], size: tuple[int, int]) -> Box:
    """The upright box around four corners, inside the picture and never empty."""
    xs, ys = [corner[0] for corner in corners], [corner[1] for corner in corners]
    x0, y0 = min(int(min(xs)), size[0] - 1), min(int(min(ys)), size[1] - 1)
    return (x0, y0, max(x0 + 1, min(size[0], round(max(xs)))), max(y0 + 1, min(size[1], round(max(ys)))))
