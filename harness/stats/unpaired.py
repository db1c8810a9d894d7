"""Unpaired comparison of systems on different examples, for where pairing is impossible.

The noise of both samples adds up, so an unpaired comparison needs several times the examples of a paired one to detect
the same difference.
"""

from __future__ import annotations

import numpy as np

from harness.protocols import Metric
from harness.stats.bootstrap import Resampler, jackknife_error, leave_one_out
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.distributions import percentile
from harness.stats.intervals import RELATIVE_TOLERANCE
from harness.stats.resampling import permutation_p_value
from harness.types import FloatArray
from harness.wording import counted


def compare_unpaired(
    metric: Metric,
    first: FloatArray,
    second: FloatArray,
    resampler: Resampler,
    question: Question | None = None,
    units: str = "examples",
) -> Comparison:
    """Compare two systems from statistics of shapes (n, k) and (m, k) on different, independent examples.

    For clustered examples pass their `cluster_sums`; `units` is what to call the rows.
    """
    question = question or Question()
    n = min(len(first), len(second))
    of = f"{len(first):,} and {len(second):,} unpaired {units}"
    sample = Sample(n=n, units=n, of=of, paired=False)
    if n < 2:
        return Comparison(sample, question, None, f"none: {of}", f"none: {of}")
    systems = (first, second)
    totals = [float(metric.aggregate(stats.sum(axis=0))) for stats in systems]
    resampled = [metric.aggregate(resampler.sums(stats, stream)) for stream, stats in enumerate(systems)]
    errors = [float(jackknife_error(metric.aggregate(leave_one_out(stats)))) for stats in systems]
    difference, scores = totals[0] - totals[1], resampled[0] - resampled[1]
    standard_error = float(np.hypot(errors[0], errors[1]))
    if not (np.isfinite(scores).all() and standard_error > RELATIVE_TOLERANCE * max(map(abs, totals))):
        reason = f"none: {of}, undefined for some resamples or with equal scores"
        return Comparison(sample, question, difference, reason, reason)
    p = permutation_p_value(scores - difference, difference)
    return Comparison(
        sample,
        question,
        difference,
        method=f"unpaired percentile, {counted(len(scores), 'resample')} of {of}",
        test="unpaired centred bootstrap",
        p=p,
        p_bootstrap=p,
        standard_error=standard_error,
    ).bounded(percentile(scores, degrees=n - 1))
