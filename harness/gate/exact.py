"""Comparisons that the bootstrap cannot make: nothing differs, everything differs alike, and counts of failures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtri, stdtrit

from harness.stats.bootstrap import cluster_sums, degrees_of_freedom
from harness.stats.comparison import Comparison, Question, Sample
from harness.stats.proportions import Tango
from harness.types import FloatArray

POWER = 0.8
"""How likely the examples that are named should decide."""


@dataclass(frozen=True, slots=True)
class Alike:
    """A confidence distribution of a mean of values in [low, high], of which `n` were drawn and all are `value`.

    Whatever the true mean is, a share q of all values is `value`; that n draws of n show it has the chance q^n. So q
    is at least alpha^(1/n), and the rest is at worst at the bounds: Clopper and Pearson's interval at n of n.
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


def unchanged(n: int, question: Question, higher_is_better: bool, what: str) -> Comparison:
    """Return the comparison of a candidate that no example tells from the baseline: it is not worse."""
    none = f"none needed: all {n} {what}"
    above = 0.0 if higher_is_better else 1.0
    return Comparison(
        Sample(n=n, units=n, of=f"{n} examples"),
        question,
        difference=0.0,
        method=none,
        test=none,
        low=0.0,
        high=0.0,
        p_above=above,
        p_below=1 - above,
        standard_error=0.0,
    )


def alike(found: Comparison, bounds: tuple[float, float]) -> Comparison:
    """Return a comparison whose examples all differ equally with the interval that the metric's bounds give it."""
    reach = bounds[1] - bounds[0]
    difference = min(max(found.difference or 0.0, -reach), reach)
    method = f"exact, {found.sample.of} that all differ equally"
    decided = replace(found, method=method, test=method, standard_error=0.0)
    return decided.bounded(Alike(difference, found.sample.n, -reach, reach))


def failures(
    ours: NDArray[np.bool_], theirs: NDArray[np.bool_], clusters: ArrayLike | None, confidence: float
) -> Comparison:
    """Compare the shares of failed or truncated completions, shape (n,) each, by the one-sided exact McNemar test.

    `p_above` is small when the candidate's share is surely the larger one. Of examples that belong together only
    their sum counts, which makes it a sign test of `clusters`, shape (n,).
    """
    differences = ours.astype(np.float64) - theirs
    units = cluster_sums(differences, clusters)
    more, fewer, n = int((units > 0).sum()), int((units < 0).sum()), len(units)
    of = f"{n} {'examples' if clusters is None else 'clusters'}"
    low, high = Tango(more, fewer, n).interval(confidence)
    p = 1.0 - (float(bdtr(more - 1, more + fewer, 0.5)) if more else 0.0)
    return Comparison(
        Sample(n=len(ours), units=n, of=of),
        Question(confidence),
        difference=float(differences.mean()),
        method=f"tango, {of}",
        test="mcnemar exact, one-sided",
        low=low,
        high=high,
        p_above=p,
        p_below=1 - p,
    )


def examples_without_change(margin: float, confidence: float) -> int | None:
    """Return the examples at which a proportion is surely within `margin` if none of them changes.

    Tango's bound is then z^2 / (n + z^2).
    """
    if not 0 < margin < 1:
        return None
    z2 = float(ndtri((1 + confidence) / 2)) ** 2
    return int(np.ceil(z2 * (1 - margin) / margin))


def examples_where_few_differ(differences: FloatArray, distance: float, confidence: float) -> int | None:
    """Return the examples that decide a difference which is `distance` standard errors from the margin, at 80% power.

    Where a few of the `differences`, shape (n,), make most of the error, the error itself is badly known, and the
    planner, which takes it as known, names too few. Both it and what is known of it grow with n.
    """
    known = differences[np.isfinite(differences)]
    degrees = degrees_of_freedom(known)
    for factor in np.geomspace(1, 10_000, 400):
        free = degrees * factor
        if distance * factor**0.5 >= stdtrit(free, (1 + confidence) / 2) + stdtrit(free, POWER):
            return int(np.ceil(len(known) * factor))
    return None
