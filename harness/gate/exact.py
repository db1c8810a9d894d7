"""Comparisons without a bootstrap: equal scores, equal differences, and counts of failed completions.

Resampling shows no variation where all examples agree, so the exact distributions are used for these cases. The
numbers of examples that would decide them are here too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtri, stdtrit

from harness.stats.bootstrap import cluster_sums, degrees_of_freedom, unit_text
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.distributions import Student
from harness.stats.intervals import RELATIVE_TOLERANCE
from harness.stats.proportions import Tango
from harness.types import FloatArray

POWER = 0.8
"""The probability with which the recommended number of examples decides."""


@dataclass(frozen=True, slots=True)
class EqualValues:
    """A confidence distribution of the mean of values in [low, high], if all `n` that were drawn are `value`.

    If a share q of all values is `value`, n draws out of n show it with probability q^n. So q is at least
    alpha^(1/n), and the rest is at worst at the bounds: the interval of Clopper and Pearson (1934) at n of n.
    """

    value: float
    n: int
    low: float
    high: float

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the bounds on the mean."""
        share = ((1 - confidence) / 2) ** (1 / self.n)
        of_all = share * self.value
        return of_all + (1 - share) * self.low, of_all + (1 - share) * self.high

    def p_value(self, threshold: float) -> float:
        """Return the one-sided p-value of "the true mean is at most `threshold`"."""
        if threshold < self.value:
            return float(((threshold - self.low) / (self.value - self.low)) ** self.n)
        if threshold > self.value:
            return float(1 - ((self.high - threshold) / (self.high - self.value)) ** self.n)
        return 1.0


def compare_unchanged(n: int, question: Question, higher_is_better: bool, reason: str) -> Comparison:
    """Return the comparison of a candidate without any difference from the baseline: it is not worse."""
    method = f"none needed: all {n} {reason}"
    p_above = 0.0 if higher_is_better else 1.0
    return Comparison(
        Sample(n=n, units=n, of=unit_text(n, None)),
        question,
        difference=0.0,
        method=method,
        test=method,
        low=0.0,
        high=0.0,
        p_above=p_above,
        p_below=1 - p_above,
        standard_error=0.0,
    )


def compare_equal_differences(comparison: Comparison, bounds: tuple[float, float]) -> Comparison:
    """Return a comparison whose examples all differ equally with the interval that the metric's bounds give it."""
    reach = bounds[1] - bounds[0]
    difference = min(max(comparison.difference or 0.0, -reach), reach)
    alike = "differ equally" if comparison.difference else "score as the baseline's"
    method = f"exact, {comparison.sample.of} that all {alike}"
    exact = replace(comparison, method=method, test=method, standard_error=0.0)
    return exact.bounded(EqualValues(difference, comparison.sample.units, -reach, reach))


def compare_failures(
    candidate: NDArray[np.bool_], baseline: NDArray[np.bool_], clusters: ArrayLike | None, confidence: float
) -> Comparison:
    """Compare the shares of failed or truncated completions, shape (n,) each, by the one-sided exact McNemar test.

    `p_above` is small if the candidate's share is significantly larger. With `clusters`, shape (n,), only the sum of
    each cluster counts, which makes it a sign test, and the interval is that of a mean over clusters.
    """
    differences = candidate.astype(np.float64) - baseline
    units = cluster_sums(differences, clusters)
    more, fewer, n = int((units > 0).sum()), int((units < 0).sum()), len(units)
    of = unit_text(n, clusters)
    if clusters is None:
        method, (low, high) = f"tango, {of}", Tango(more, fewer, n).interval(confidence)
    else:
        method, (low, high) = f"t, {of}", _clustered_interval(differences, clusters, confidence)
    p = 1.0 - (float(bdtr(more - 1, more + fewer, 0.5)) if more else 0.0)
    return Comparison(
        Sample(n=len(candidate), units=n, of=of),
        Question(confidence),
        difference=float(differences.mean()),
        method=method,
        test="mcnemar exact, one-sided",
        low=low,
        high=high,
        p_above=p,
        p_below=1 - p,
    )


def _clustered_interval(differences: FloatArray, clusters: ArrayLike, confidence: float) -> tuple[float, float]:
    """Return the interval of the mean of differences in [-1, 1], shape (n,), from the variation between clusters.

    Its standard error is that of a mean with clusters in survey statistics: Cochran (1977), Sampling Techniques,
    chapter 11. Where clusters do not vary, it is that of equal values.
    """
    sums = cluster_sums(np.column_stack([differences, np.ones(len(differences))]), clusters)
    n, mean = len(sums), float(differences.mean())
    residuals = sums[:, 0] - mean * sums[:, 1]
    error = float(np.sqrt(n / max(n - 1, 1) * (residuals**2).sum())) / len(differences)
    if n < 2 or error < RELATIVE_TOLERANCE:
        return EqualValues(mean, n, -1.0, 1.0).interval(confidence)
    low, high = Student(mean, error, n - 1).interval(confidence)
    return max(low, -1.0), min(high, 1.0)


def examples_if_unchanged(margin: float, confidence: float) -> int | None:
    """Return the examples at which the interval of a proportion is within `margin` if none of them changes.

    Tango's bound is then z^2 / (n + z^2).
    """
    if not 0 < margin < 1:
        return None
    z2 = float(ndtri((1 + confidence) / 2)) ** 2
    return int(np.ceil(z2 * (1 - margin) / margin))


def examples_if_equal(lost: float, margin: float, reach: float, confidence: float) -> int | None:
    """Return the examples at which a loss that is `lost` on each of them is decided; None if that is the margin.

    `reach` is the largest loss that an example can have; the interval is that of `EqualValues`.
    """
    if lost == margin or abs(lost) >= reach or not 0 < margin < reach:
        return None
    share = (reach - margin) / (reach - lost) if lost < margin else (reach + margin) / (reach + lost)
    return int(np.ceil(np.log((1 - confidence) / 2) / np.log(share)))


def examples_if_few_differ(differences: FloatArray, distance: float, confidence: float) -> int | None:
    """Return the examples that decide a difference which is `distance` standard errors from the margin, at 80% power.

    If a few of the `differences`, shape (n,), cause most of the standard error, it is poorly estimated, and a power
    calculation that takes it as known recommends too few examples. This one uses a t distribution whose degrees of
    freedom grow with n.
    """
    known = differences[np.isfinite(differences)]
    degrees = degrees_of_freedom(known)
    for factor in np.geomspace(1, 10_000, 400):
        scaled = degrees * factor
        if distance * factor**0.5 >= stdtrit(scaled, (1 + confidence) / 2) + stdtrit(scaled, POWER):
            return int(np.ceil(len(known) * factor))
    return None
