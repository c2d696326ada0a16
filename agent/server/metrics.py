"""What a server counts, in the text format of Prometheus: numbers alone, nothing of what was asked."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence

from ..answer import Usage

__all__ = ["Metrics"]

_EDGES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_HELP = {
    "requests_total": ("counter", "Requests by path and status."),
    "tokens_total": ("counter", "Tokens: of prompts, of these those reused, of these those of pictures, and written."),
    "turned_away_total": ("counter", "Requests that found no place."),
    "running": ("gauge", "Requests that are answered or wait."),
    "answer_seconds": ("histogram", "From a request to the end of its answer."),
    "first_token_seconds": ("histogram", "From a request to the first word of its answer."),
}


class Metrics:
    """Counted by several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._counts: Counter[str] = Counter({'tokens_total{kind="prompt"}': 0, "turned_away_total": 0})
        self._seconds: dict[str, list[float]] = {}
        self._buckets: dict[str, Counter[float]] = {"answer_seconds": Counter(), "first_token_seconds": Counter()}

    def request(self, path: str, status: int) -> None:
        """Count a request that has ended."""
        self.count("requests", f'{{path="{path}",status="{status}"}}')

    def used(self, usage: Usage) -> None:
        """Count what an answer cost."""
        kinds = {"prompt": usage.prompt, "reused": usage.reused, "image": usage.image, "written": usage.output}
        for kind, tokens in kinds.items():
            self.count("tokens", f'{{kind="{kind}"}}', tokens)

    def count(self, name: str, labels: str = "", number: int = 1) -> None:
        """Add to a counter."""
        with self._guard:
            self._counts[f"{name}_total{labels}"] += number

    def took(self, name: str, seconds: float) -> None:
        """Put seconds into a histogram."""
        with self._guard:
            self._buckets[name][next((edge for edge in _EDGES if seconds <= edge), float("inf"))] += 1
            kept = self._seconds.setdefault(name, [0.0])
            kept[0] += seconds

    def text(self, *, running: int) -> str:
        """Everything, as Prometheus reads it."""
        with self._guard:
            lines = [*self._counted(), f"looktwice_running {running}", *self._timed()]
        return "\n".join([*_with_help(lines), ""])

    def _counted(self) -> Iterator[str]:
        for name, number in sorted(self._counts.items()):
            yield f"looktwice_{name} {number}"

    def _timed(self) -> Iterator[str]:
        for name, buckets in self._buckets.items():
            total = 0
            for edge in (*_EDGES, float("inf")):
                total += buckets[edge]
                yield f'looktwice_{name}_bucket{{le="{"+Inf" if edge == float("inf") else edge}"}} {total}'
            yield f"looktwice_{name}_sum {self._seconds.get(name, [0.0])[0]:.6f}"
            yield f"looktwice_{name}_count {total}"


def _with_help(lines: Sequence[str]) -> Iterator[str]:
    """The lines, each family after what it is."""
    for name, (kind, told) in _HELP.items():
        own = [line for line in lines if line.startswith(f"looktwice_{name}")]
        if own:
            yield f"# HELP looktwice_{name} {told}"
            yield f"# TYPE looktwice_{name} {kind}"
            yield from own
