"""A picture as a tool gets it: a name, a size, and pixels on demand. Tools know nothing of conversations."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from ..memory.recipe import Box

__all__ = ["View"]


class View:
    """One picture for one call of a tool.

    ``name`` is what model and user call it, ``key`` addresses its content, ``size`` is width and height in pixels.
    """

    __slots__ = ("_load", "_loaded", "_to_original", "key", "name", "size")

    def __init__(
        self,
        name: str,
        key: str,
        size: tuple[int, int],
        pixels: Callable[[], Image.Image],
        to_original: Callable[[Box], Box] | None = None,
    ) -> None:
        """``pixels`` loads the picture when it is first looked at; ``to_original`` is for a crop, see the method."""
        self.name = name
        self.key = key
        self.size = size
        self._load = pixels
        self._loaded: Image.Image | None = None
        self._to_original = to_original

    def pixels(self) -> Image.Image:
        """The picture in RGB, loaded once."""
        if self._loaded is None:
            self._loaded = self._load().convert("RGB")
        return self._loaded

    def to_original(self, box: Box) -> Box:
        """A box in pixels of this picture as a box in pixels of the original that it was cropped from."""
        return self._to_original(box) if self._to_original else box

    def __repr__(self) -> str:
        return f"View({self.name!r}, {self.size[0]}x{self.size[1]})"
