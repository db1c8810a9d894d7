"""A candidate's completions beside the baseline's, example by example, refused if task, data or metrics differ.

A failed completion of the candidate gets the worst statistics here: a model that returns nothing must not look as good
as one that answers. Examples on which the baseline itself failed are left out, because there is nothing to compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.analysis.comparisons import require_same_signature
from harness.errors import ConfigError, StoreError
from harness.gate.accepted import ACCEPT, same_data_elsewhere
from harness.gate.baseline import REPLACE, Baseline, BaselineExample
from harness.protocols import Metric
from harness.stages.readability import fitting, reading, unreadable_in_words
from harness.store.runs import StoredRun
from harness.tasks.audit import fingerprint
from harness.tasks.samples import cluster_labels
from harness.types import Completion, Example, FinishReason, FloatArray


@dataclass(frozen=True, slots=True)
class CandidateOutput:
    """The completions of a candidate, and its statistics by metric with failures at their worst."""

    name: str
    run_id: str
    """Empty if only a part of the examples was generated, which is not a run."""
    examples: tuple[Example, ...]
    completions: tuple[Completion, ...]
    stats: Mapping[str, FloatArray]

    @property
    def label(self) -> str:
        """The run id, or the name if there is no run."""
        return self.run_id or self.name


def output_of(run: StoredRun, metrics: Sequence[Metric]) -> CandidateOutput:
    """Return the output of a stored run, with its failures scored as empty texts."""
    predictions, stored = run.predictions(), run.stats().metrics
    examples = tuple(p.example for p in predictions)
    completions = tuple(p.completion for p in predictions)
    failed = [i for i, c in enumerate(completions) if c.error is not None]
    stats = {}
    for metric in metrics:
        rows = stored[metric.name].copy()
        if failed:
            empty = [replace(completions[i], text="", error=None, finish_reason=FinishReason.STOP) for i in failed]
            rows[failed] = metric.stats(empty, [examples[i] for i in failed])
        stats[metric.name] = rows
    return CandidateOutput(run.result.name, run.result.run_id, examples, completions, stats)


def require_comparable(
    baseline: Baseline, task: str, examples: Sequence[Example], signatures: Mapping[str, str | None]
) -> None:
    """Raise a StoreError unless a candidate has the task, the examples and the metric signatures of the baseline."""
    accepted = baseline.result
    if task != accepted.task:
        raise StoreError(
            f"{baseline.folder}: expected a candidate of the baseline's task {accepted.task!r}, got task {task!r}. "
            f"If they are the same data, run the candidate with task.name={accepted.task}."
        )
    for name, signature in signatures.items():
        baseline.stats(name)  # names the metrics of the baseline if this is not one of them
        result = accepted.metric(name)
        require_same_signature(
            name,
            {f"baseline {accepted.run_id}": result.signature if result else None, "candidate": signature},
            f"Score the candidate with the baseline's options, or accept a run that was scored like it: {ACCEPT}",
        )
    if (candidate := fingerprint(examples)) != accepted.dataset.fingerprint:
        raise StoreError(
            f"{baseline.folder}: the candidate's examples differ from the baseline's ({_changes(baseline, examples)}; "
            f"the baseline is of {accepted.dataset.source})."
            f"{same_data_elsewhere(baseline.folder, candidate)} "
            "Run it on the same data with the same task.sample_seed, n_validation and generation.n, or accept a run on "
            f"the new data: {REPLACE}"
        )


def require_readable(metrics: Sequence[Metric], examples: Sequence[Example]) -> None:
    """Raise a ConfigError for a gated metric that cannot read the references: it scores right answers as wrong ones."""
    for metric in metrics:
        read = reading(metric, examples)
        if read.is_refused:
            fixes = "; or ".join(f"{name} ({option})" if option else name for name, option in fitting(metric, examples))
            raise ConfigError(
                f"metric {metric.name}: {unreadable_in_words(read, examples)}. Gate a metric that reads them, which "
                f"the baseline has to have too: {fixes or 'no shipped one does; look at the data'}."
            )


def _changes(baseline: Baseline, examples: Sequence[Example]) -> str:
    before = {example.id: example.digest for example in baseline.examples}
    after = {example.id: fingerprint([example]) for example in examples}
    kinds = {
        "missing": [i for i in before if i not in after],
        "new": [i for i in after if i not in before],
        "changed": [i for i in before if i in after and after[i] != before[i]],
    }
    return ", ".join(f"{len(ids)} {kind}, such as {ids[0]!r}" for kind, ids in kinds.items() if ids) or "unknown"


class Paired:
    """The examples that a candidate completed, in its order, with the completions of both sides.

    `used` are the positions of the examples on which the baseline did not fail.
    """

    def __init__(self, baseline: Baseline, candidate: CandidateOutput) -> None:
        self.baseline, self.candidate = baseline, candidate
        position = {example.id: i for i, example in enumerate(baseline.examples)}
        self._rows = np.array([position[example.id] for example in candidate.examples], np.intp)
        self.accepted: tuple[BaselineExample, ...] = tuple(baseline.examples[i] for i in self._rows)
        self.used = np.flatnonzero(~baseline.failed[self._rows])

    def stats(self, metric: str) -> tuple[FloatArray, FloatArray]:
        """Return the candidate's and the baseline's statistics on all of these examples, each of shape (n, k)."""
        return self.candidate.stats[metric], self.baseline.stats(metric)[self._rows]

    def per_example(self, metric: Metric) -> tuple[FloatArray, FloatArray]:
        """Return the candidate's and the baseline's score of each of these examples, each of shape (n,)."""
        candidate, baseline = self.stats(metric.name)
        return metric.per_example(candidate), metric.per_example(baseline)

    @cached_property
    def same(self) -> NDArray[np.bool_]:
        """Which completions are equal to the baseline's, shape (n,)."""
        pairs = zip(self.candidate.completions, self.accepted, strict=True)
        return np.array([new.error is None and new.text == old.completion for new, old in pairs], bool)

    @cached_property
    def failures(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which completions of the candidate, and of the baseline, failed or were truncated; each of shape (n,)."""
        return _failed_or_truncated(self.candidate.completions), _failed_or_truncated(self.accepted)

    @cached_property
    def parts(self) -> dict[tuple[str, str], NDArray[np.intp]]:
        """The positions of the used examples of every slice, by key and value."""
        positions: dict[tuple[str, str], list[int]] = {}
        for i in self.used:
            for pair in self.accepted[i].slices.items():
                positions.setdefault(pair, []).append(int(i))
        return {pair: np.array(rows) for pair, rows in sorted(positions.items())}

    def clusters(self, key: str | None) -> NDArray[np.str_] | None:
        """Return the cluster label of each example, or None if the examples are independent."""
        return cluster_labels(self.candidate.examples, key)


def _failed_or_truncated(completions: Sequence[Completion] | Sequence[BaselineExample]) -> NDArray[np.bool_]:
    return np.array([c.error is not None or c.finish_reason is FinishReason.LENGTH for c in completions], bool)
