"""Asks one question about many pictures: a loop around a model, between where rows come from and where answers go.

The loop is thin on purpose. Rows (`rows.py`), loading (`loading.py`) and results (`results.py`) know nothing of it, so
that an engine over many machines can take its place.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...errors import InvalidInput, LookTwiceError, ModelError, ModelMissing, PromptTooLong
from ..backends import Backend, Done, Settings, open_model
from ..budget import require_fit
from ..prompt import Prompt
from .asked import identity_of, prompt_of
from .loading import Loaded, loading
from .result import Kept, Result, Results
from .results import open_results, require_place
from .row import Row
from .rows import Places, read_rows
from .summary import BatchSummary, Progress

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ask_all", "ask_rows"]

_WINDOW = 4  # batches; rows of similar length are put together within so many
_STARTS = 3  # so many failures of the model at the very start end the run
_SHOWN = 5  # errors


def ask_all(
    model: str | Backend,
    source: Places,
    question: str | None = None,
    *,
    out: str | os.PathLike[str],
    batch: int = 8,
    limit: int | None = None,
    retry_errors: bool = False,
    cancel: threading.Event | None = None,
    on_progress: Progress | None = None,
    **settings: Any,
) -> BatchSummary:
    """Ask a question about every picture of a source, and keep the answers in ``out`` (.db, .jsonl or .parquet).

    A source is a folder, a picture, a .jsonl or .parquet file, or several of them; its rows may have questions of
    their own. A row that is in ``out`` is not asked again, unless it failed and ``retry_errors`` is set; so the same
    call goes on where it was stopped, by ``cancel`` or by anything else. Equal rows (the same bytes, the same
    question) are computed once. ``batch`` rows are computed together by a model that can, one by one else.
    ``settings`` are those of ``Settings``. What is wrong with one picture is told in its row.

    Raises InvalidInput for what can't be used and for results that another model or other settings made, ModelError
    where the model fails from the start, and StoreError.
    """
    wanted = Settings.of(**settings)
    require_place(out)
    rows = read_rows(source, question, limit=limit)
    backend = open_model(model) if isinstance(model, str) else model
    shared: dict[str, Any] = {"out": out, "batch": batch, "retry_errors": retry_errors, "cancel": cancel}
    try:
        return ask_rows(backend, rows, wanted, on_progress=on_progress, **shared)
    finally:
        if isinstance(model, str):
            backend.close()


def ask_rows(
    backend: Backend,
    rows: Sequence[Row],
    settings: Settings | None = None,
    *,
    out: str | os.PathLike[str],
    batch: int = 8,
    retry_errors: bool = False,
    cancel: threading.Event | None = None,
    on_progress: Progress | None = None,
) -> BatchSummary:
    """As ``ask_all``, for rows that were read already."""
    if batch < 1:
        raise InvalidInput(f"batch {batch!r} can't be used; give 1 or more")
    path, settings = require_place(out), settings or Settings()
    with closing(open_results(path, identity_of(backend, settings))) as results:
        run = _Run(backend, settings, results, str(path), batch, cancel or threading.Event(), on_progress)
        return run.over(rows, retry_errors=retry_errors)


@dataclass(slots=True)
class _Job:
    """A prompt, its length in tokens, and the rows that it answers; they are equal."""

    prompt: Prompt
    tokens: int
    sha256: str
    pixels: Image.Image
    rows: list[Row] = field(default_factory=list[Row])


class _Run:
    """The state of one run: what is done, and what it cost."""

    def __init__(
        self,
        backend: Backend,
        settings: Settings,
        results: Results,
        out: str,
        batch: int,
        cancel: threading.Event,
        progress: Progress | None,
    ) -> None:
        self._backend = backend
        self._settings = settings
        self._results = results
        self._out = out
        self._together = getattr(backend, "generate_many", None)
        self._batch = batch if self._together else 1
        self._window = batch * _WINDOW
        self._cancel = cancel
        self._progress = progress
        self._total = self._count = self._done = self._asked = 0
        self._failures = 0
        self._prompt_tokens = self._output_tokens = 0
        self._errors: list[tuple[str, str]] = []
        self._failed_rows = 0

    def over(self, rows: Sequence[Row], *, retry_errors: bool) -> BatchSummary:
        """Ask what is not there."""
        began, kept = time.monotonic(), self._results.kept()
        _require_same_questions(rows, kept, self._out)
        there = [row for row in rows if row.id in kept]
        again = {row.id for row in there if retry_errors and kept[row.id].failed}
        pending = [row for row in rows if row.id not in kept or row.id in again]
        self._failed_rows = sum(kept[row.id].failed for row in there if row.id not in again)
        self._results.begin_again(again)
        self._total, self._count = len(rows), len(rows) - len(pending)
        self._told()
        with loading(pending, window=self._window, cancel=self._cancel) as windows:
            is_whole = all(self._asked_all(window) for window in windows) and not self._cancel.is_set()
        is_whole = is_whole or self._count == self._total
        if is_whole:
            self._results.finish()
        return self._summary(time.monotonic() - began, len(rows) - len(pending), is_whole)

    def _asked_all(self, window: Sequence[Loaded]) -> bool:
        """Ask a window's rows, those of similar length together; whether that came to its end."""
        ready, jobs = self._sorted(window)
        self._keep(ready)
        jobs.sort(key=lambda job: job.tokens)
        starts = range(0, len(jobs), self._batch)
        return all(self._asked_together(jobs[start : start + self._batch]) for start in starts)

    def _sorted(self, window: Sequence[Loaded]) -> tuple[list[Result], list[_Job]]:
        """What needs no model (failures, and rows equal to one that is there), and what does."""
        ready: list[Result] = []
        jobs: dict[tuple[str, str], _Job] = {}
        for loaded in window:
            row = loaded.row
            if loaded.pixels is None or loaded.sha256 is None:
                ready.append(self._failed(row, loaded.sha256, loaded.problem or "there is no picture"))
                continue
            key = loaded.sha256, row.question
            known = None if key in jobs else self._results.known(*key)
            if known is not None:
                ready.append(replace(known, id=row.id, image=row.image, seconds=0.0))
                continue
            try:
                job = jobs.get(key) or self._job(row, loaded.sha256, loaded.pixels)
            except PromptTooLong as error:
                ready.append(self._failed(row, loaded.sha256, str(error)))
                continue
            jobs.setdefault(key, job).rows.append(row)
        return ready, list(jobs.values())

    def _job(self, row: Row, sha256: str, pixels: Image.Image) -> _Job:
        prompt = prompt_of(row, f"sha256:{sha256}", pixels.size, self._backend)
        counted = self._backend.rows(prompt)
        require_fit(counted, self._backend.context, self._settings.max_new_tokens)
        return _Job(prompt, sum(each.tokens for each in counted), sha256, pixels)

    def _asked_together(self, jobs: Sequence[_Job]) -> bool:
        """Ask and keep; False where it was cancelled, and nothing of these is kept then."""
        if self._cancel.is_set():
            return False
        began = time.monotonic()
        answers = self._answers(jobs)
        seconds = (time.monotonic() - began) / len(jobs)
        if any(isinstance(answer, Done) and answer.finish == "cancelled" for answer in answers):
            return False
        results: list[Result] = []
        for job, answer in zip(jobs, answers, strict=True):
            results += self._told_of(job, answer, round(seconds, 4))
        self._keep(results)
        return True

    def _answers(self, jobs: Sequence[_Job]) -> list[Done | ModelError]:
        """An answer to each job, or why there is none: where several fail together, each half is asked alone."""
        try:
            answers = self._generated(jobs)
        except ModelMissing:
            raise
        except ModelError as error:
            if len(jobs) == 1:
                return [self._counted(error)]
        else:
            self._failures = -1
            return answers
        middle = len(jobs) // 2
        return [*self._answers(jobs[:middle]), *self._answers(jobs[middle:])]

    def _generated(self, jobs: Sequence[_Job]) -> list[Done | ModelError]:
        prompts, pictures = [job.prompt for job in jobs], {f"sha256:{job.sha256}": job.pixels for job in jobs}
        shared: dict[str, Any] = {"pixels": pictures.__getitem__, "cancel": self._cancel}
        if self._together:
            return list(self._together(prompts, self._settings, **shared))
        return [self._alone(prompt, shared) for prompt in prompts]

    def _alone(self, prompt: Prompt, shared: dict[str, Any]) -> Done:
        with closing(self._backend.generate(prompt, self._settings, **shared)) as stream:
            for item in stream:
                if isinstance(item, Done):
                    return item
        raise ModelError(f"the backend {self._backend.model!r} ended without a Done; its generate must yield one")

    def _counted(self, error: ModelError) -> ModelError:
        """The error of a row, unless the model has failed from the start: then no row is to blame."""
        if self._failures >= 0:
            self._failures += 1
            if self._failures == _STARTS:
                raise ModelError(f"the first {_STARTS} questions failed; the last one: {error}") from error
        return error

    def _told_of(self, job: _Job, answer: Done | ModelError, seconds: float) -> list[Result]:
        first = job.rows[0]
        if isinstance(answer, LookTwiceError):
            return [self._failed(row, job.sha256, str(answer)) for row in job.rows]
        self._asked += 1
        self._prompt_tokens += answer.usage.prompt
        self._output_tokens += answer.usage.output
        likely = math.exp(sum(answer.logprobs) / len(answer.logprobs)) if answer.logprobs else None
        result = Result(
            first.id,
            first.image,
            job.sha256,
            first.question,
            answer=answer.text.strip(),
            finish=answer.finish,
            prompt_tokens=answer.usage.prompt,
            output_tokens=answer.usage.output,
            confidence=None if likely is None else round(likely, 4),
            seconds=seconds,
            model=self._backend.model,
        )
        return [result, *(replace(result, id=row.id, image=row.image, seconds=0.0) for row in job.rows[1:])]

    def _failed(self, row: Row, sha256: str | None, error: str) -> Result:
        told = " ".join(error.split())
        self._failed_rows += 1
        if len(self._errors) < _SHOWN:
            self._errors.append((row.id, told))
        return Result(row.id, row.image, sha256, row.question, error=told, model=self._backend.model)

    def _keep(self, results: Sequence[Result]) -> None:
        if results:
            self._results.keep(results)
            self._done += len(results)
            self._count += len(results)
            self._told()

    def _told(self) -> None:
        if self._progress:
            self._progress(self._count, self._total)

    def _summary(self, seconds: float, skipped: int, is_whole: bool) -> BatchSummary:
        return BatchSummary(
            out=self._out,
            total=self._total,
            done=self._done,
            skipped=skipped,
            failed=self._failed_rows,
            asked=self._asked,
            seconds=round(seconds, 3),
            prompt_tokens=self._prompt_tokens,
            output_tokens=self._output_tokens,
            is_whole=is_whole,
            errors=tuple(self._errors),
        )


def _require_same_questions(rows: Sequence[Row], kept: dict[str, Kept], out: str) -> None:
    for row in rows:
        before = kept.get(row.id)
        if before is not None and before.question != row.question:
            raise InvalidInput(
                f"the results in {out!r} were made with question {before.question!r} for {row.id!r}, not"
                f" {row.question!r}; name another file with --out"
            )
