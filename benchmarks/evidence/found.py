"""All that the simulations found, and the five figures that they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.evidence import alarms, coverage, peeking, power
from benchmarks.evidence.rates import Case, Rate

SMALL = 64
"""Below this many examples coverage is shown and not promised."""


@dataclass(frozen=True, slots=True)
class Share:
    """The exact coverage of the interval of a share, or of a difference of two, averaged over true shares."""

    what: str
    n: int
    coverage: float


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that a report says."""

    rates: Mapping[Case, Rate]
    shares: tuple[Share, ...]
    planned: int
    """Examples that the planner named."""
    samples: int
    """Simulated for each case of coverage."""
    comparisons: int
    """Simulated without a change, with a loss, and as sequences of looks."""

    def of(self, *whats: str) -> dict[Case, Rate]:
        """Return the rates of these cases, each metric's by n."""
        found = {case: rate for case, rate in self.rates.items() if case.what in whats}
        metrics = list(dict.fromkeys(case.metric for case in found))
        return dict(sorted(found.items(), key=lambda each: (metrics.index(each[0].metric), each[0].n)))

    @property
    def coverages(self) -> dict[Case, Rate]:
        """The rates of intervals that held the truth."""
        return self.of(coverage.SCORE, coverage.DIFFERENCE, coverage.SIMILAR, coverage.CLUSTERED)

    @property
    def promised(self) -> dict[tuple[str, str], Rate]:
        """The coverage of each kind of interval of each metric, over all n from 64."""
        kept: dict[tuple[str, str], dict[Case, Rate]] = {}
        for case, rate in self.coverages.items():
            if case.n >= SMALL:
                kept.setdefault((case.what, case.metric), {})[case] = rate
        return {key: pooled(rates) for key, rates in kept.items()}

    @property
    def coverage_range(self) -> tuple[float, float]:
        """The lowest and the highest promised coverage, shares near 0% and 100% included."""
        shares = [rate.share for rate in self.promised.values()] + [each.coverage for each in self.shares]
        return min(shares), max(shares)

    @property
    def false_alarm(self) -> Rate:
        """Two-sided tests of no change, over all metrics and numbers of examples."""
        return pooled(self.of(alarms.TEST))

    @property
    def power(self) -> Rate:
        """Losses that were caught at the planned number of examples."""
        return self.rates[Case(power.CAUGHT, power.METRIC, self.planned)]

    @property
    def sequential(self) -> Rate:
        """No change that looked like one to a sequential gate, at any look."""
        return last(self.of(peeking.GATE))

    def figures(self) -> dict[str, float]:
        """Return the figures of the last line."""
        figures = {
            "false_alarm": self.false_alarm.share,
            "power": self.power.share,
            "coverage_min": self.coverage_range[0],
            "coverage_max": self.coverage_range[1],
            "sequential_false_alarm": self.sequential.share,
        }
        return {name: round(value, 4) for name, value in figures.items()}


def pooled(rates: Mapping[Case, Rate]) -> Rate:
    """Return the mean rate, known as well as from the samples: what metrics say of one sample is not independent."""
    samples = {case.n: rate.trials for case, rate in rates.items()}
    share = sum(rate.hits for rate in rates.values()) / sum(rate.trials for rate in rates.values())
    return Rate(round(share * sum(samples.values())), sum(samples.values()))


def last(rates: Mapping[Case, Rate]) -> Rate:
    """Return the rate of the largest n."""
    return max(rates.items(), key=lambda each: each[0].n)[1]
