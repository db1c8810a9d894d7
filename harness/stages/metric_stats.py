"""Each metric's statistics, stored under its signature and everything that it reads, so that they are computed once.

A failed completion has no statistics, but bounds: those of an empty text and those of the reference itself. The
likelihoods of given completions do not depend on what was generated, and are the same in both bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.protocols import LikelihoodMetric, Metric
from harness.stages import parallel
from harness.store.digest import digest, digest_lines
from harness.store.stages import Store
from harness.types import Completion, Example, FinishReason, FloatArray

_STAGE = "scores"


@dataclass(frozen=True, slots=True)
class BoundedStatistics:
    """One metric's statistics, shape (n, k): with nan rows for failures, and with these at their worst and best."""

    scored: FloatArray
    worst: FloatArray
    best: FloatArray


@dataclass(frozen=True, slots=True)
class StoredStatistics:
    """One metric's statistics, the key that they are stored under, and whether they were stored already."""

    rows: BoundedStatistics
    key: str
    cached: bool


def statistics(
    metrics: Sequence[Metric], examples: Sequence[Example], completions: Sequence[Completion], store: Store
) -> Iterator[StoredStatistics]:
    """Yield each metric's statistics, in order; missing ones of `parallel` metrics are computed together up front."""
    plain = _Inputs(examples, [replace(c, likelihoods={}) for c in completions])
    missing = [m for m in metrics if m.parallel and not store.folder(_STAGE, plain.key_inputs(m)).exists()]
    arrays = parallel.stats(missing, plain.completions, plain.examples) if missing else []
    computed = {metric.name: array for metric, array in zip(missing, arrays, strict=True)}
    for metric in metrics:
        inputs = plain
        if isinstance(metric, LikelihoodMetric):
            inputs = _Inputs(examples, _with_read_likelihoods(metric, examples, completions))
        yield inputs.statistics(metric, store, computed.get(metric.name))


class _Inputs:
    """What metrics read: completions, then both bounds of the failed ones, and their examples."""

    def __init__(self, examples: Sequence[Example], completions: Sequence[Completion]) -> None:
        self.ok = [i for i, c in enumerate(completions) if c.error is None]
        self.failed = [i for i, c in enumerate(completions) if c.error is not None]
        worst = [_finished(completions[i], "") for i in self.failed]
        best = [_finished(completions[i], examples[i].reference) for i in self.failed]
        self.completions = [*(completions[i] for i in self.ok), *worst, *best]
        self.examples = [examples[i] for i in [*self.ok, *self.failed, *self.failed]]
        aligned = zip(examples, completions, strict=True)
        self._texts = digest_lines(part for e, c in aligned for part in (e.prompt, e.reference, _text(c)))
        self._likelihoods = [c.likelihoods for c in completions]

    def key_inputs(self, metric: Metric) -> dict[str, Any]:
        """Return what decides the statistics of a metric."""
        inputs = {"signature": metric.signature, "texts": self._texts}
        if isinstance(metric, LikelihoodMetric):
            inputs["likelihoods"] = digest(self._likelihoods)
        return inputs

    def statistics(self, metric: Metric, store: Store, computed: FloatArray | None) -> StoredStatistics:
        """Return the stored statistics; where there are none, store those `computed`, or the metric's own."""

        def make(folder: Path) -> None:
            array = parallel.checked_stats(metric, self.completions, self.examples) if computed is None else computed
            np.save(folder / "stats.npy", array)

        folder, cached = store.build(_STAGE, self.key_inputs(metric), make)
        array = np.load(folder / "stats.npy", allow_pickle=False)
        return StoredStatistics(self._bounded(array), folder.name, cached)

    def _bounded(self, array: FloatArray) -> BoundedStatistics:
        scored = np.full((len(self.ok) + len(self.failed), array.shape[1]), np.nan)
        scored[self.ok] = array[: len(self.ok)]
        worst, best = scored.copy(), scored.copy()
        worst[self.failed], best[self.failed] = np.split(array[len(self.ok) :], 2)
        return BoundedStatistics(scored, worst, best)


def _with_read_likelihoods(
    metric: LikelihoodMetric, examples: Sequence[Example], completions: Sequence[Completion]
) -> list[Completion]:
    """Return the completions with only those likelihoods that the metric reads, so that no others decide its key."""
    return [
        replace(c, likelihoods={text: c.likelihoods[text] for text in metric.texts_to_score(e)})
        for e, c in zip(examples, completions, strict=True)
    ]


def _text(completion: Completion) -> str:
    return "\x00error" if completion.text is None else completion.text


def _finished(failed: Completion, text: str) -> Completion:
    return replace(failed, text=text, error=None, finish_reason=FinishReason.STOP)
