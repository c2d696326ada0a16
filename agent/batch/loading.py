"""Reads and decodes pictures in a thread, ahead of the model, a bounded number of bytes at a time."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ...errors import LookTwiceError
from ...memory import Picture, decode
from ...memory.picture import MAX_BYTES
from .row import Row

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Loaded", "loading"]

WINDOW_BYTES = 256_000_000
"""The most that the pixels of a window of rows may take, but for its last picture; up to three windows are held."""
_GLANCE = 0.1  # seconds between two looks at whether to go on


@dataclass(frozen=True, slots=True)
class Loaded:
    """A row with the hash of its picture's bytes and its upright RGB pixels, or with what is wrong with it."""

    row: Row
    sha256: str | None = None
    pixels: Image.Image | None = None
    problem: str | None = None


_Item: TypeAlias = "list[Loaded] | BaseException | None"


@contextmanager
def loading(rows: Iterable[Row], *, window: int, cancel: threading.Event) -> Generator[Iterator[list[Loaded]]]:
    """Windows of at most so many loaded rows, in order; they end early once ``cancel`` is set."""
    out: queue.Queue[_Item] = queue.Queue(maxsize=1)
    over = threading.Event()

    def put(item: _Item) -> None:
        while not over.is_set():
            try:
                out.put(item, timeout=_GLANCE)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for each in _windows(rows, window, over):
                put(each)
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="looktwice-loading", daemon=True)
    thread.start()
    try:
        yield _taken(out, cancel)
    finally:
        over.set()
        thread.join()


def _taken(out: queue.Queue[_Item], cancel: threading.Event) -> Iterator[list[Loaded]]:
    while not cancel.is_set():
        try:
            item = out.get(timeout=_GLANCE)
        except queue.Empty:
            continue
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item
        yield item


def _windows(rows: Iterable[Row], count: int, over: threading.Event) -> Iterator[list[Loaded]]:
    window: list[Loaded] = []
    held = 0
    for row in rows:
        if over.is_set():
            return
        loaded = _loaded(row)
        window.append(loaded)
        held += 0 if loaded.pixels is None else 3 * loaded.pixels.width * loaded.pixels.height
        if len(window) == count or held >= WINDOW_BYTES:
            yield window
            window, held = [], 0
    if window:
        yield window


def _loaded(row: Row) -> Loaded:
    if row.problem is not None or row.source is None:
        return Loaded(row, problem=row.problem or "there is no picture")
    sha256 = None
    try:
        held = row.source if isinstance(row.source, Path) else row.source.read()
        data = _read(held) if isinstance(held, Path) else held
        sha256 = hashlib.sha256(data).hexdigest()
        return Loaded(row, sha256, _decoded(data, held))
    except LookTwiceError as error:
        return Loaded(row, sha256, problem=" ".join(str(error).split()))


def _read(path: Path) -> bytes:
    try:
        if path.is_file() and path.stat().st_size <= MAX_BYTES:
            return path.read_bytes()
    except OSError:
        return Picture.load(path).data  # which says what is wrong with it
    return Picture.load(path).data


def _decoded(data: bytes, held: Path | bytes) -> Image.Image:
    try:
        return decode(data)
    except LookTwiceError:  # said again with the path, which the bytes alone don't tell
        return Picture.load(held).pixels()
