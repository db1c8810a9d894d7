"""Comparing systems on different examples: only where pairing is impossible, and labelled so.

The noise of both samples adds up, so it takes several times the examples of a paired comparison to show the same
difference.
"""

from __future__ import annotations

import numpy as np

from harness.protocols import Metric
from harness.stats.bootstrap import Resampler, jackknife_error, leave_one_out
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.distributions import percentile
from harness.stats.intervals import FLAT
from harness.stats.resampling import permutation_p_value
from harness.types import FloatArray


def compare_unpaired(
    metric: Metric, first: FloatArray, second: FloatArray, resampler: Resampler, question: Question | None = None
) -> Comparison:
    """Compare two systems from statistics of shapes (n, k) and (m, k) on different, independent examples.

    For examples that belong together pass their `cluster_sums`.
    """
    question = question or Question()
    n = min(len(first), len(second))
    of = f"{len(first)} and {len(second)} unpaired examples"
    sample = Sample(n=n, units=n, of=of, paired=False)
    if n < 2:
        return Comparison(sample, question, None, f"none: {of}", f"none: {of}")
    systems = (first, second)
    totals = [float(metric.aggregate(each.sum(axis=0))) for each in systems]
    scores = [metric.aggregate(resampler.sums(each, stream)) for stream, each in enumerate(systems)]
    errors = [float(jackknife_error(metric.aggregate(leave_one_out(each)))) for each in systems]
    difference, resampled = totals[0] - totals[1], scores[0] - scores[1]
    error = float(np.hypot(errors[0], errors[1]))
    if not (np.isfinite(resampled).all() and error > FLAT * max(map(abs, totals))):
        reason = f"none: {of}, undefined for some resamples or all the same"
        return Comparison(sample, question, difference, reason, reason)
    p = permutation_p_value(resampled - difference, difference)
    return Comparison(
        sample,
        question,
        difference,
        method=f"unpaired percentile, {len(resampled)} resamples of {of}",
        test="unpaired centred bootstrap",
        p=p,
        p_bootstrap=p,
        standard_error=error,
    ).bounded(percentile(resampled, degrees=n - 1))
