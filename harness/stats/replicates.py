"""Intervals and comparisons over training seeds, a second source of noise beside the sampled examples.

With the two to five runs that teams can afford, resampling runs gives intervals that are far too narrow: of three runs
a bootstrap sees two thirds of the variance, and it uses no t quantile. So the two variances are estimated and added:
that of the examples by the jackknife of the mean over runs, that of training by the spread between runs, with
Satterthwaite's degrees of freedom. Source: Satterthwaite (1946), Biometrics Bulletin 2(6).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StoreError
from harness.protocols import Metric
from harness.stats.bootstrap import cluster_sums, jackknife_error, leave_one_out, unit_text
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.distributions import Student
from harness.stats.intervals import RELATIVE_TOLERANCE, Interval
from harness.types import FloatArray
from harness.wording import counted


def compare_replicates(
    metric: Metric,
    first: Sequence[FloatArray],
    second: Sequence[FloatArray],
    clusters: ArrayLike | None = None,
    question: Question | None = None,
) -> Comparison:
    """Compare two systems, each trained one or more times, by the statistics, shape (n, k), of every training run.

    All runs answer the same n examples in the same order. A system with a single run contributes no training noise;
    `method` then says so.
    """
    question = question or Question()
    student, sample = _student(metric, (first, second), clusters)
    if student is None:
        return Comparison(sample, question, None, f"none: {sample.of}", f"none: {sample.of}")
    return Comparison(
        sample,
        question,
        student.estimate,
        method=f"t, {sample.of}",
        test="t",
        p=2 * min(student.p_value(0.0), 1 - student.p_value(0.0)),
        standard_error=student.standard_error,
    ).bounded(student)


def replicate_interval(
    metric: Metric, runs: Sequence[FloatArray], clusters: ArrayLike | None = None, confidence: float = 0.95
) -> Interval:
    """Return the interval of one system's expected score over training runs, from each run's statistics (n, k)."""
    student, sample = _student(metric, (runs,), clusters)
    if student is None:
        return Interval(None, None, f"none: {sample.of}")
    return Interval(*student.interval(confidence), f"t, {sample.of}")


def _student(
    metric: Metric, systems: Sequence[Sequence[FloatArray]], clusters: ArrayLike | None
) -> tuple[Student | None, Sample]:
    """Return the distribution of the mean score, or of the difference of two; None where there is no variance."""
    shapes = {run.shape for runs in systems for run in runs}
    if len(shapes) != 1 or not all(systems):
        raise StoreError(f"Expected training runs on the same examples, got statistics of shapes {sorted(shapes)}.")
    units = [cluster_sums(np.stack(runs, axis=1), clusters) for runs in systems]
    n_runs = [len(runs) for runs in systems]
    sample = Sample(
        n=len(systems[0][0]), units=len(units[0]), of=_sample_text(n_runs, unit_text(len(units[0]), clusters))
    )
    if sample.units < 2:
        return None, sample
    scores = [metric.aggregate(stats.sum(axis=0)) for stats in units]
    jackknife_scores = [metric.aggregate(leave_one_out(stats)).mean(axis=1) for stats in units]
    parts = [(float(jackknife_error(jackknife_scores[0] - sum(jackknife_scores[1:]))) ** 2, sample.units - 1)]
    parts += [(float(by_run.var(ddof=1)) / len(by_run), len(by_run) - 1) for by_run in scores if len(by_run) > 1]
    variance = sum(part for part, _ in parts)
    means = [float(by_run.mean()) for by_run in scores]
    if not variance**0.5 > RELATIVE_TOLERANCE * max(map(abs, means)):
        return None, sample
    degrees = variance**2 / sum(part**2 / part_degrees for part, part_degrees in parts)
    return Student(means[0] - sum(means[1:]), variance**0.5, degrees), sample


def _sample_text(n_runs: Sequence[int], units: str) -> str:
    runs = counted(n_runs[0], "training run") if len(n_runs) == 1 else f"{n_runs[0]} and {n_runs[1]} training runs"
    noise = " (training noise of a single run not included)" if 1 in n_runs else ""
    return f"{runs} on {units}{noise}"
