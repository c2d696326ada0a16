"""Runs questions in their modes, where earlier runs of the same left off, and hands over what came of it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from ...errors import InvalidInput, LookTwiceError, ModelError
from ...memory import Memory, Picture
from ..backends import Backend, Settings, open_model
from ..chat import Image
from ..toolbox import ToolLike, offered
from .asking import EVERY_MODE, MODES, Desk, Mode, Wanted
from .items import Item, Refused
from .layouts import read_data
from .results import Results, Scored
from .summary import Summary, summarised

__all__ = ["Evaluation", "Opened", "Progress", "REPLAY", "Tally", "default_tools", "evaluate", "wanted_of"]

Progress: TypeAlias = Callable[[int, int], object]
"""Is told how many of how many answers there are."""
REPLAY = "conversations"
"""The source of a run that asks stored questions again."""
_STARTS = 3
_PACKAGES = ("looktwice", "torch", "transformers", "pillow", "rapidocr", "onnxruntime")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of a run. ``is_whole``: it was not stopped before its end; the same call goes on with it."""

    run: int
    about: Mapping[str, Any]
    modes: tuple[str, ...]
    answers: tuple[Scored, ...] = field(repr=False)
    refused: tuple[Refused, ...]
    summary: Summary
    is_whole: bool
    path: str
    pictures: Callable[[str], Sequence[Picture]] = field(repr=False, compare=False)
    """The pictures of the question with that id, read anew."""

    @property
    def is_replay(self) -> bool:
        """Whether stored answers stand where right ones would."""
        return self.about["source"] == REPLAY

    def report(self) -> str:
        """The run as one HTML page."""
        from .report import render

        return render(self)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: the run, and its tables."""
        refused = [str(each) for each in self.refused]
        told = {"run": self.run, "results": self.path, "is_whole": self.is_whole, "modes": list(self.modes)}
        return {**told, "about": dict(self.about), **self.summary.to_json(), "refused": refused}


class Tally:
    """Counts the answers of a run, keeps each, and stops a run that fails from its very start."""

    def __init__(self, results: Results, run: int, total: int, progress: Progress | None) -> None:
        self._done = results.done(run)
        self._results = results
        self._run = run
        self._total = total
        self._progress = progress
        self._count = 0
        self._failures = 0
        self._is_started = bool(self._done)

    def is_done(self, item: str, mode: str) -> bool:
        """Whether there was an answer before."""
        return (item, mode) in self._done

    def keep(self, scored: Scored) -> None:
        """Keep an answer. Raises ModelError at the third one in a row that failed from the start; none is kept then."""
        self._results.keep(self._run, scored)
        if not self._is_started and scored.error is not None:
            self._failures += 1
            if self._failures == _STARTS:
                self._results.drop_failed(self._run)
                raise ModelError(f"the first {_STARTS} questions failed; the last one: {scored.error}")
        self._is_started = self._is_started or scored.error is None
        self.count(1)
        if self._progress:
            self._progress(self._count, self._total)

    def count(self, more: int) -> None:
        """So many more are there, now or from before."""
        self._count += more


def evaluate(
    data: str | os.PathLike[str],
    model: str | Backend = "pocket",
    *,
    tools: Iterable[ToolLike] | None = None,
    looks: int = 3,
    check: bool | None = None,
    modes: Sequence[Mode] = MODES,
    limit: int | None = None,
    out: str | os.PathLike[str] = ":memory:",
    keep: str | os.PathLike[str] | None = None,
    seed: int = 0,
    max_new_tokens: int = 512,
    system: str | None = None,
    calibration: Mapping[str, Any] | None = None,
    retry_failed: bool = False,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Ask every question of ``data`` in every mode, and score the answers.

    ``modes``: "off" has no tools and no checks, "on" leaves it to the model and the checks, "forced" demands the first
    tool. ``tools`` None: zoom, and ocr if its reader is installed. ``limit`` questions are drawn with ``seed``, which
    also draws the intervals. Answers are kept in ``out``, one by one; a call with the same model, settings and data
    goes on there. ``keep`` names a database for the conversations; ``calibration`` is a document as
    ``Memory.calibrations`` has it, None the checkpoint's own. Raises InvalidInput for data and settings that can't be
    used, ModelError where the first three questions fail, and StoreError.
    """
    read = read_data(data)
    wanted = wanted_of(tools, modes, looks=looks, check=check, system=system, max_new_tokens=max_new_tokens)
    wanted = replace(wanted, calibration=calibration)
    items = _drawn(read.items, limit, seed)
    with Opened(model, wanted, out=out, keep=keep) as place:
        run = place.run({"source": "data", "data": read.path.name, "sha256": read.sha256})
        place.results.refuse(run, read.refused)
        if retry_failed:
            place.results.drop_failed(run)
        tally = Tally(place.results, run, len(items) * len(modes), progress)
        is_whole = _asked(place, run, items, modes, tally, cancel or threading.Event())
        pictures = {item.id: item.images for item in items}
        return place.evaluation(
            run,
            [*pictures],
            modes,
            seed=seed,
            is_whole=is_whole,
            pictures=lambda name: [shown.picture() for shown in pictures[name]],
        )


def default_tools() -> tuple[str, ...]:
    """The tools that are offered where none are named: zoom, and ocr if its reader is installed."""
    return ("zoom", "ocr") if importlib.util.find_spec("rapidocr") else ("zoom",)


def wanted_of(
    tools: Iterable[ToolLike] | None,
    modes: Sequence[Mode],
    *,
    looks: int,
    check: bool | None,
    system: str | None,
    max_new_tokens: int,
) -> Wanted:
    """The settings of a run, checked. Raises InvalidInput."""
    found = tuple(offered(default_tools() if tools is None else tools))
    unknown = [mode for mode in modes if mode not in EVERY_MODE]
    if unknown or not modes or len(set(modes)) < len(modes):
        raise InvalidInput(f"modes {list(modes)!r} can't be used; give some of {', '.join(EVERY_MODE)}, each once")
    if "forced" in modes and (not found or looks < 1):
        raise InvalidInput("the mode 'forced' needs a tool and a look; give tools, or leave it out of the modes")
    if looks < 0:
        raise InvalidInput(f"looks {looks!r} can't be used; give 0 or more")
    settings = {"max_new_tokens": Settings(max_new_tokens=max_new_tokens).max_new_tokens}
    return Wanted(found, looks, check, system, settings=settings)


class Opened:
    """The model, the results and the kept conversations of a run; what was opened here is closed here."""

    def __init__(
        self,
        model: str | Backend,
        wanted: Wanted,
        *,
        out: str | os.PathLike[str],
        keep: str | os.PathLike[str] | None = None,
        calibrated_in: Memory | None = None,
    ) -> None:
        """``calibrated_in`` is where the model's calibration is taken from."""
        self._own = isinstance(model, str)
        self.backend = open_model(model) if isinstance(model, str) else model
        self._memory = None if keep is None else Memory(keep)
        if calibrated_in is not None:
            wanted = replace(wanted, calibration=calibrated_in.calibrations.get(self.backend.model))
        self.wanted = wanted
        self.results = Results(out)
        self.desk = Desk(self.backend, wanted, memory=self._memory)

    def run(self, source: Mapping[str, Any]) -> int:
        """The run of these settings on that source."""
        identity = {"model": self.backend.model, "weights": weights_of(self.backend), **self.wanted.to_json(), **source}
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        where = {"device": getattr(self.backend, "device", None), "dtype": str(getattr(self.backend, "dtype", ""))}
        return self.results.run({**identity, **where, "versions": _versions()}, {"machine": machine})

    def evaluation(
        self,
        run: int,
        ids: Sequence[str],
        modes: Sequence[str],
        *,
        seed: int,
        is_whole: bool,
        pictures: Callable[[str], Sequence[Picture]],
    ) -> Evaluation:
        """What there is of a run."""
        results = self.results
        answers, refused = results.answers(run, items=ids, modes=modes), results.refused(run)
        summary = summarised(answers, modes=modes, refused=len(refused), seed=seed)
        kept = (tuple(modes), tuple(answers), tuple(refused), summary)
        return Evaluation(run, results.about(run), *kept, is_whole, results.path, pictures)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.desk.close()
        self.results.close()
        if self._memory is not None:
            self._memory.close()
        if self._own:
            self.backend.close()


def _asked(
    place: Opened, run: int, items: Sequence[Item], modes: Sequence[Mode], tally: Tally, cancel: threading.Event
) -> bool:
    """Ask what has not been asked; whether that came to its end."""
    cold = set(modes)
    for item in items:
        left: list[Mode] = [mode for mode in modes if not tally.is_done(item.id, mode)]
        tally.count(len(modes) - len(left))
        try:
            pictures = [Image(shown.picture(), shown.name) for shown in item.images] if left else []
        except LookTwiceError as error:
            place.results.refuse(run, [Refused(item.place, str(error))])
            continue
        for mode in left:
            scored = place.desk.ask(item, pictures, mode, cancel, run=run, is_cold=mode in cold)
            if scored is None:
                return False
            cold.discard(mode)
            tally.keep(scored)
            if cancel.is_set():
                return False
    return True


def _drawn(items: Sequence[Item], limit: int | None, seed: int) -> list[Item]:
    """So many items, in their order; with the same seed a larger number has those of a smaller one."""
    if limit is None or limit >= len(items):
        return list(items)
    if limit < 1:
        raise InvalidInput(f"limit {limit!r} can't be used; give 1 or more, or None for all")
    order = [*range(len(items))]
    random.Random(seed).shuffle(order)
    return [items[place] for place in sorted(order[:limit])]


def weights_of(backend: Backend) -> str | None:
    """What tells a checkpoint's folder from what it held before; None for other models."""
    source = getattr(getattr(backend, "checkpoint", None), "source", None)
    if not isinstance(source, str) or not Path(source).is_dir():
        return None
    digest = hashlib.sha256()
    for file in sorted(Path(source).iterdir()):
        if file.suffix == ".json":
            digest.update(file.read_bytes())
        elif file.suffix in (".safetensors", ".bin"):
            digest.update(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}".encode())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found: dict[str, str] = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
