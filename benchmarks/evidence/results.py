"""The results of all simulations, and the five figures that summarise them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.evidence import alarms, coverage, peeking, power
from benchmarks.evidence.rates import Case, Rate

PROMISED_FROM = 64
"""With fewer examples, coverage is shown but not promised."""


@dataclass(frozen=True, slots=True)
class Share:
    """The exact coverage of the interval of a share, or of a difference of two, averaged over true shares."""

    what: str
    n: int
    coverage: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """The results that a report is made from."""

    rates: Mapping[Case, Rate]
    shares: tuple[Share, ...]
    planned: int
    """The number of examples from the power calculation."""
    samples: int
    """Simulated for each case of coverage."""
    comparisons: int
    """Simulated without a change, with a loss, and as sequences of looks."""

    def of(self, *whats: str) -> dict[Case, Rate]:
        """Return the rates of these cases, those of each metric by n."""
        rates = {case: rate for case, rate in self.rates.items() if case.what in whats}
        metrics = list(dict.fromkeys(case.metric for case in rates))
        return dict(sorted(rates.items(), key=lambda item: (metrics.index(item[0].metric), item[0].n)))

    @property
    def coverages(self) -> dict[Case, Rate]:
        """The rates of intervals that contain the truth."""
        return self.of(coverage.SCORE, coverage.DIFFERENCE, coverage.SIMILAR, coverage.CLUSTERED)

    @property
    def promised(self) -> dict[tuple[str, str], Rate]:
        """The coverage of each kind of interval of each metric, over all n from 64."""
        rates_of: dict[tuple[str, str], dict[Case, Rate]] = {}
        for case, rate in self.coverages.items():
            if case.n >= PROMISED_FROM:
                rates_of.setdefault((case.what, case.metric), {})[case] = rate
        return {key: pooled(rates) for key, rates in rates_of.items()}

    @property
    def coverage_range(self) -> tuple[float, float]:
        """The lowest and the highest promised coverage, shares near 0% and 100% included."""
        shares = [rate.share for rate in self.promised.values()] + [share.coverage for share in self.shares]
        return min(shares), max(shares)

    @property
    def false_alarm(self) -> Rate:
        """Two-sided tests of no change, over all metrics and numbers of examples."""
        return pooled(self.of(alarms.TEST))

    @property
    def power(self) -> Rate:
        """Losses that were detected at the planned number of examples."""
        return self.rates[Case(power.CAUGHT, power.METRIC, self.planned)]

    @property
    def sequential(self) -> Rate:
        """False alarms of a sequential gate, at any look."""
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
    """Return the mean rate, with as many trials as there were samples: metrics of one sample are not independent."""
    samples = {case.n: rate.trials for case, rate in rates.items()}
    share = sum(rate.hits for rate in rates.values()) / sum(rate.trials for rate in rates.values())
    return Rate(round(share * sum(samples.values())), sum(samples.values()))


def last(rates: Mapping[Case, Rate]) -> Rate:
    """Return the rate of the largest n."""
    return max(rates.items(), key=lambda item: item[0].n)[1]
