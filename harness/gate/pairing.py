"""A candidate's answers beside the baseline's, example by example, refused where they are not the same thing.

A failed completion of the candidate has its worst statistics here: a model that answers nothing must not look as good
as one that answers. Where the baseline itself failed there is nothing to compare, and the example is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.errors import StoreError
from harness.gate.baseline import ACCEPT, AcceptedExample, Baseline
from harness.protocols import Metric
from harness.store.runs import StoredRun
from harness.tasks.audit import fingerprint
from harness.types import Completion, Example, FinishReason, FloatArray


@dataclass(frozen=True, slots=True)
class Answers:
    """What a candidate gave: completions of examples, and each metric's statistics with failures at their worst."""

    name: str
    run_id: str
    """Empty where only a part of the examples was asked for, which is no run."""
    examples: tuple[Example, ...]
    completions: tuple[Completion, ...]
    stats: Mapping[str, FloatArray]


def answers_of(run: StoredRun, metrics: Sequence[Metric]) -> Answers:
    """Return the answers of a stored run, its failures scored as empty texts."""
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
    return Answers(run.result.name, run.result.run_id, examples, completions, stats)


def require_same(baseline: Baseline, task: str, examples: Sequence[Example], signatures: Mapping[str, str]) -> None:
    """Raise a StoreError unless task, examples and metrics are the baseline's own."""
    accepted = baseline.result
    if task != accepted.task:
        raise StoreError(f"{baseline.folder}: is a baseline of task {accepted.task!r}, the candidate's is {task!r}.")
    for name, signature in signatures.items():
        found = accepted.metric(name)
        if found is None:
            baseline.stats(name)  # says which metrics there are
        elif found.signature != signature:
            raise StoreError(
                f"{baseline.folder}: {name} was scored as {found.signature}, the candidate's is {signature}: they do "
                f"not compare. Score the candidate alike, or accept a run that is scored in the new way: {ACCEPT}"
            )
    if fingerprint(examples) != accepted.dataset.fingerprint:
        raise StoreError(
            f"{baseline.folder}: the candidate's examples are not the baseline's ({_changes(baseline, examples)}). "
            f"Run it on the same data, seed and n_validation, or accept a run on the new data: {ACCEPT}"
        )


def _changes(baseline: Baseline, examples: Sequence[Example]) -> str:
    theirs = {each.id: each.digest for each in baseline.examples}
    ours = {each.id: fingerprint([each]) for each in examples}
    kinds = {
        "missing": [i for i in theirs if i not in ours],
        "new": [i for i in ours if i not in theirs],
        "changed": [i for i in theirs if i in ours and ours[i] != theirs[i]],
    }
    return ", ".join(f"{len(ids)} {kind}, such as {ids[0]!r}" for kind, ids in kinds.items() if ids) or "unknown"


class Paired:
    """The baseline's examples that a candidate was asked, in the candidate's order; `used` leaves out what the
    baseline failed on."""

    def __init__(self, baseline: Baseline, answers: Answers) -> None:
        self.baseline, self.answers = baseline, answers
        where = {each.id: i for i, each in enumerate(baseline.examples)}
        self._rows = np.array([where[example.id] for example in answers.examples], np.intp)
        self.accepted: tuple[AcceptedExample, ...] = tuple(baseline.examples[i] for i in self._rows)
        self.used = np.flatnonzero(~baseline.failed[self._rows])

    def stats(self, metric: str) -> tuple[FloatArray, FloatArray]:
        """Return the candidate's and the baseline's statistics of all asked examples, each of shape (n, k)."""
        return self.answers.stats[metric], self.baseline.stats(metric)[self._rows]

    @cached_property
    def same(self) -> NDArray[np.bool_]:
        """Which examples have the baseline's own completion, shape (n,)."""
        pairs = zip(self.answers.completions, self.accepted, strict=True)
        return np.array([ours.error is None and ours.text == theirs.completion for ours, theirs in pairs], bool)

    @cached_property
    def failures(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which completions of the candidate, and of the baseline, failed or were truncated; each of shape (n,)."""
        ours, theirs = self.answers.completions, self.accepted
        return _cut(ours), _cut(theirs)

    @cached_property
    def parts(self) -> dict[tuple[str, str], NDArray[np.intp]]:
        """The positions of the used examples of every slice, by key and value."""
        found: dict[tuple[str, str], list[int]] = {}
        for i in self.used:
            for pair in self.accepted[i].slices.items():
                found.setdefault(pair, []).append(int(i))
        return {pair: np.array(positions) for pair, positions in sorted(found.items())}

    def clusters(self, key: str | None) -> NDArray[np.str_] | None:
        """Return the cluster label of each asked example, or None where they are independent."""
        return None if key is None else np.array([each.slices[key] for each in self.accepted])


def _cut(completions: Sequence[Completion] | Sequence[AcceptedExample]) -> NDArray[np.bool_]:
    return np.array([c.error is not None or c.finish_reason is FinishReason.LENGTH for c in completions], bool)
