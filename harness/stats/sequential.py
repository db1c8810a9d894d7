"""A confidence sequence for the mean of bounded values: an interval that may be inspected after every chunk of data.

It contains the true mean at all times simultaneously with the nominal confidence, so a test may stop as soon as the
interval is narrow enough to decide. It bets against every candidate mean on a grid; a mean is excluded permanently once
the bets against it have multiplied their capital by 1 / alpha. Source: Waudby-Smith and Ramdas (2024), Estimating means
of bounded random variables by betting, JRSS B 86(1), section 4: the hedged capital process, with predictable plug-in
bets tuned to a planned n.

Values must come in random order: shuffle the examples with a seed before the first chunk.
"""

from __future__ import annotations

import numpy as np

from harness.types import FloatArray

STEPS = 2000
"""Grid cells over the range of the values; bounds are rounded outwards by one cell."""
MAX_BET = 0.75
"""The largest share of the capital that one value may lose."""
ROWS = 128
"""Values that are processed at once, so that a long chunk takes no more memory than a short one."""


class ConfidenceSequence:
    """Running bounds on the mean of values in [low, high], narrowest near the `planned` number of values."""

    def __init__(self, planned: int, low: float = -1.0, high: float = 1.0, confidence: float = 0.95) -> None:
        if planned < 1 or not low < high or not 0 < confidence < 1:
            raise ValueError(
                f"Expected planned > 0, low < high and a confidence between 0 and 1, "
                f"got {planned}, {low}, {high} and {confidence}."
            )
        self.n = 0
        self._low, self._range, self._planned = low, high - low, planned
        self._exclusion = float(np.log(2 / (1 - confidence)))
        self._means = np.linspace(0.0, 1.0, STEPS + 1)
        self._log_capital = np.zeros((2, STEPS + 1))
        # One prior value of 1/2 with variance 1/4 starts the estimates, as in the paper.
        self._sum, self._squares = 0.5, 0.25

    def update(self, values: FloatArray) -> tuple[float, float]:
        """Add the next chunk of `values`, shape (m,), and return the bounds on the mean; they never widen."""
        scaled = (np.asarray(values, np.float64) - self._low) / self._range
        if not ((scaled >= 0) & (scaled <= 1)).all():
            raise ValueError(
                f"Expected values from {self._low} to {self._low + self._range}, got values outside this range or nan."
            )
        for start in range(0, len(scaled), ROWS):
            self._bet(scaled[start : start + ROWS])
        alive = (self._log_capital < self._exclusion).all(axis=0)
        # All means are excluded with a probability below alpha; the last bounds then stay.
        if alive.any():
            self._means, self._log_capital = self._means[alive], self._log_capital[:, alive]
        low, high = max(0.0, self._means[0] - 1 / STEPS), min(1.0, self._means[-1] + 1 / STEPS)
        return float(self._low + low * self._range), float(self._low + high * self._range)

    def _bet(self, values: FloatArray) -> None:
        bets = self._bets(values)[:, None]
        gaps, means = values[:, None] - self._means, self._means
        with np.errstate(divide="ignore"):
            upward, downward = np.minimum(bets, MAX_BET / means), np.minimum(bets, MAX_BET / (1 - means))
        self._log_capital[0] += np.log1p(upward * gaps).sum(axis=0)
        self._log_capital[1] += np.log1p(-downward * gaps).sum(axis=0)

    def _bets(self, values: FloatArray) -> FloatArray:
        """Return the bet on each value, which may depend only on the values before it."""
        counts = self.n + 1 + np.arange(1, len(values) + 1)
        sums = self._sum + np.cumsum(values)
        squares = self._squares + np.cumsum((values - sums / counts) ** 2)
        before = np.concatenate([[self._squares], squares[:-1]]) / (counts - 1)
        self.n, self._sum, self._squares = self.n + len(values), float(sums[-1]), float(squares[-1])
        return np.asarray(np.sqrt(2 * self._exclusion / (before * self._planned)))
