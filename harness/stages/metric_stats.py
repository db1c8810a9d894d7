"""Each metric's statistics, stored by its signature and all that it reads, so that a second run computes none.

A failed completion has no statistics but bounds: those of an empty text, and those of the reference itself. What is
known of it whatever was generated, the likelihood of given completions, stays as it is in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.protocols import LikelihoodMetric, Metric
from harness.stages import parallel as workers
from harness.store.digest import digest, digest_lines
from harness.store.stages import Store
from harness.types import Completion, Example, FinishReason, FloatArray


@dataclass(frozen=True, slots=True)
class Rows:
    """One metric's statistics, shape (n, k): as they are, nan for failures, and with those at worst and best."""

    scored: FloatArray
    worst: FloatArray
    best: FloatArray


@dataclass(frozen=True, slots=True)
class Statistics:
    """One metric's rows, the key that they are stored under, and whether they were there."""

    rows: Rows
    key: str
    reused: bool


def statistics(
    metrics: Sequence[Metric], examples: Sequence[Example], completions: Sequence[Completion], store: Store
) -> Iterator[Statistics]:
    """Yield each metric's statistics as they are found; what several processes can do is done ahead, at once."""
    plain = _Read(examples, [replace(c, likelihoods={}) for c in completions])
    ahead = [m for m in metrics if m.parallel and not store.folder(_STAGE, plain.inputs(m)).exists()]
    found = workers.stats(ahead, plain.completions, plain.examples) if ahead else []
    made = {metric.name: stats for metric, stats in zip(ahead, found, strict=True)}
    for metric in metrics:
        read = _told(metric, examples, completions) if isinstance(metric, LikelihoodMetric) else plain
        yield read.statistics(metric, store, made.get(metric.name))


_STAGE = "scores"


class _Read:
    """What metrics read: the completions, with the bounds of failed ones after them, and what decides the key."""

    def __init__(self, examples: Sequence[Example], read: Sequence[Completion]) -> None:
        self.ok = [i for i, c in enumerate(read) if c.error is None]
        self.failed = [i for i, c in enumerate(read) if c.error is not None]
        worst = [_finished(read[i], "") for i in self.failed]
        best = [_finished(read[i], examples[i].reference) for i in self.failed]
        self.completions = [*(read[i] for i in self.ok), *worst, *best]
        self.examples = [examples[i] for i in [*self.ok, *self.failed, *self.failed]]
        pairs = zip(examples, read, strict=True)
        self._texts = digest_lines(part for e, c in pairs for part in (e.prompt, e.reference, _text(c)))
        self._likelihoods = [c.likelihoods for c in read]

    def inputs(self, metric: Metric) -> dict[str, Any]:
        """Return what decides the statistics."""
        inputs = {"signature": metric.signature, "texts": self._texts}
        if isinstance(metric, LikelihoodMetric):
            inputs["likelihoods"] = digest(self._likelihoods)
        return inputs

    def statistics(self, metric: Metric, store: Store, made: FloatArray | None) -> Statistics:
        """Return the stored statistics, or store them: those that are `made`, or the metric's own."""

        def make(folder: Path) -> None:
            found = metric.stats(self.completions, self.examples) if made is None else made
            np.save(folder / "stats.npy", found)

        folder, was_there = store.build(_STAGE, self.inputs(metric), make)
        return Statistics(self._rows(np.load(folder / "stats.npy", allow_pickle=False)), folder.name, was_there)

    def _rows(self, found: FloatArray) -> Rows:
        scored = np.full((len(self.ok) + len(self.failed), found.shape[1]), np.nan)
        scored[self.ok] = found[: len(self.ok)]
        worst, best = scored.copy(), scored.copy()
        worst[self.failed], best[self.failed] = np.split(found[len(self.ok) :], 2)
        return Rows(scored, worst, best)


def _told(metric: LikelihoodMetric, examples: Sequence[Example], completions: Sequence[Completion]) -> _Read:
    """Return the completions with those likelihoods alone that the metric asks for, so that its key is of no others."""
    pairs = zip(examples, completions, strict=True)
    return _Read(
        examples, [replace(c, likelihoods={text: c.likelihoods[text] for text in metric.wanted(e)}) for e, c in pairs]
    )


def _text(completion: Completion) -> str:
    return "\x00error" if completion.text is None else completion.text


def _finished(failed: Completion, text: str) -> Completion:
    return replace(failed, text=text, error=None, finish_reason=FinishReason.STOP)
