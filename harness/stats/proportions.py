"""Binary scores have exact methods, which stay honest at 0%, at 100% and at small n, where a bootstrap says ±0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, ndtr, ndtri, stdtrit

from harness.stats.bootstrap import cluster_sums
from harness.types import FloatArray

EDGE = 1 - 1e-12
"""The largest difference of two shares that the score statistic is evaluated at; at 1 its variance is 0."""


def wilson(share: float, n: float, confidence: float) -> tuple[float, float]:
    """Return the Wilson score interval of a `share` of `n` trials; `n` may be an effective, fractional size.

    Source: Wilson (1927), JASA 22(158); for whole n it is scipy's binomtest(...).proportion_ci(method="wilson").
    """
    z2 = float(ndtri((1 + confidence) / 2)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = np.sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n) / (1 + z2 / n)
    return max(0.0, float(centre - reach)), min(1.0, float(centre + reach))


def clopper_pearson(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """Return the exact interval, which covers at least `confidence` for every true share and is wider than Wilson's.

    Source: Clopper and Pearson (1934), Biometrika 26(4), from scipy.
    """
    from scipy.stats import binomtest

    bounds = binomtest(successes, n).proportion_ci(confidence, method="exact")
    return float(bounds.low), float(bounds.high)


def effective_size(values: FloatArray, clusters: ArrayLike, confidence: float) -> float:
    """Return how many independent trials the clustered 0/1 `values`, shape (n,), are worth; at most n.

    The design effect is the clustered variance of the share over the binomial one. Where all values are equal it
    cannot be estimated, and each cluster counts as one trial. Source: Korn and Graubard (1998), Survey Methodology
    24(2), with their correction for few clusters.
    """
    sums = cluster_sums(np.column_stack([values, np.ones(len(values))]), clusters)
    groups, n, share = len(sums), len(values), float(values.mean())
    if share in (0.0, 1.0) or groups < 2:
        return float(groups)
    residuals = sums[:, 0] - share * sums[:, 1]
    variance = groups / (groups - 1) * float((residuals**2).sum()) / n**2
    level = (1 + confidence) / 2
    few = float(stdtrit(n - 1, level) / stdtrit(groups - 1, level)) ** 2
    return min(float(n), share * (1 - share) / variance * few) if variance else float(n)


def mcnemar(higher: int, lower: int) -> tuple[float, float]:
    """Return McNemar's exact and mid-p values for pairs that only the first, or only the second, got right.

    The exact test is conservative; the mid-p one keeps its level in practice. Source: Fagerland, Lydersen and Laake
    (2013), BMC Medical Research Methodology 13:91.
    """
    fewer, pairs = min(higher, lower), higher + lower
    at_most = float(bdtr(fewer, pairs, 0.5))
    exactly = at_most - (float(bdtr(fewer - 1, pairs, 0.5)) if fewer else 0.0)
    return min(1.0, 2 * at_most), 2 * at_most - exactly


@dataclass(frozen=True, slots=True)
class Tango:
    """What `n` pairs of 0/1 scores say about the difference of two shares: Tango's score interval.

    Only the pairs that differ matter: `higher` where the first alone is 1, `lower` where the second alone is. It is
    not empty when no pair differs. Source: Tango (1998), Statistics in Medicine 17(8).
    """

    higher: int
    lower: int
    n: int

    def score(self, difference: float) -> float:
        """Return the score statistic, standard normal if `difference` is the true one."""
        b, c, n = self.higher, self.lower, self.n
        difference = min(max(difference, -EDGE), EDGE)
        if b - c == n * difference:
            return 0.0
        linear = (2 * n - b + c) * difference - b - c
        constant = -c * difference * (1 - difference)
        only_second = (np.sqrt(linear**2 - 8 * n * constant) - linear) / (4 * n)
        variance = n * (2 * only_second + difference * (1 - difference))
        return float((b - c - n * difference) / np.sqrt(variance))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the differences that the score test does not reject."""
        from scipy.optimize import brentq

        z, estimate = float(ndtri((1 + confidence) / 2)), (self.higher - self.lower) / self.n
        low = brentq(lambda d: self.score(d) - z, -EDGE, estimate) if estimate > -EDGE else -1.0
        high = brentq(lambda d: self.score(d) + z, estimate, EDGE) if estimate < EDGE else 1.0
        return float(low), float(high)

    def p_value(self, threshold: float) -> float:
        """Return the one-sided p-value of "the true difference is at most `threshold`"."""
        return float(ndtr(-self.score(threshold)))
