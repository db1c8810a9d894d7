"""Are the intervals as sure as they say, and do the tests raise false alarms as rarely as they say?

Samples are drawn from a population whose true scores are known, and the harness's own functions run on each. The
default interval stands beside its rivals on the same resamples, which is why it is the default.

    python -m benchmarks.evidence.coverage [--quick]
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.evidence.population import Population, populations
from harness.progress import track
from harness.stats.bootstrap import Resampler, cluster_sums, leave_one_out
from harness.stats.confidence import bca, percentile
from harness.stats.intervals import intervals
from harness.stats.paired import compare
from harness.stats.sequential import ConfidenceSequence
from harness.types import FloatArray

LEVEL = 0.95
DEFAULT = "default"
RESAMPLER = Resampler(seed=0, permutations=999)
Clusters = NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the report."""

    metric: str
    what: str
    n: int
    """Examples, or clusters where `what` says so."""


class Tally:
    """How often each method's interval held the true value, and how often a true null was rejected."""

    def __init__(self) -> None:
        self.held: dict[str, list[bool]] = defaultdict(list)
        self.rejected: list[bool] = []

    def add(self, method: str, bounds: tuple[float | None, float | None], truth: float) -> None:
        """Count one interval; one that could not be known held nothing."""
        low, high = bounds
        self.held[method].append(low is not None and high is not None and low <= truth <= high)

    def coverage(self, method: str) -> float:
        """Return the share of intervals that held the true value; nan where the method was not used."""
        return float(np.mean(self.held[method])) if method in self.held else float("nan")


def sample(population: Population, n: int, clustered: bool, rng: np.random.Generator) -> tuple[FloatArray, Clusters]:
    """Draw n examples, or n whole clusters with their labels: statistics of shape (rows, 2, k)."""
    if not clustered:
        return population.stats[rng.integers(0, len(population.stats), n)], None
    drawn = rng.integers(0, population.clusters.max() + 1, n)
    rows = [np.flatnonzero(population.clusters == cluster) for cluster in drawn]
    return population.stats[np.concatenate(rows)], np.repeat(np.arange(n), [len(each) for each in rows])


def score(population: Population, rows: FloatArray, clusters: Clusters, tally: Tally) -> None:
    """Count the intervals of the first system's score."""
    metric, stats = population.metric, rows[:, 0]
    truth = float(metric.aggregate(population.stats[:, 0].sum(axis=0)))
    (own,) = intervals([metric], [stats], RESAMPLER, clusters, LEVEL)
    tally.add(DEFAULT, (own.low, own.high), truth)
    if not metric.is_proportion:
        units = cluster_sums(stats, clusters)
        scores, leave_out = metric.aggregate(RESAMPLER.sums(units)), metric.aggregate(leave_one_out(units))
        rivals(tally, scores, float(metric.aggregate(units.sum(axis=0))), leave_out, truth)


def difference(population: Population, rows: FloatArray, clusters: Clusters, tally: Tally) -> None:
    """Count the intervals of the difference of the two systems."""
    metric = population.metric
    totals = metric.aggregate(population.stats.sum(axis=0))
    truth = float(totals[0] - totals[1])
    own = compare(metric, rows[:, 0], rows[:, 1], RESAMPLER, clusters)
    tally.add(DEFAULT, (own.low, own.high), truth)
    if not metric.is_proportion:
        units = cluster_sums(rows, clusters)
        scores, leave_out = metric.aggregate(RESAMPLER.sums(units)), metric.aggregate(leave_one_out(units))
        estimate = metric.aggregate(units.sum(axis=0))
        rivals(
            tally,
            scores[:, 0] - scores[:, 1],
            float(estimate[0] - estimate[1]),
            leave_out[:, 0] - leave_out[:, 1],
            truth,
        )


def rivals(tally: Tally, scores: FloatArray, estimate: float, leave_out: FloatArray, truth: float) -> None:
    """Count the four bootstrap intervals that one set of resampled scores gives."""
    few = len(leave_out) - 1
    tally.add("percentile", percentile(scores).interval(LEVEL), truth)
    tally.add("percentile, widened", percentile(scores, few).interval(LEVEL), truth)
    tally.add("bca", bca(scores, estimate, leave_out).interval(LEVEL), truth)
    tally.add("bca, widened", bca(scores, estimate, leave_out, few).interval(LEVEL), truth)


def no_change(
    population: Population, rows: FloatArray, clusters: Clusters, tally: Tally, rng: np.random.Generator
) -> None:
    """Test two systems that are made equal by exchanging their answers at random."""
    equal = np.where(rng.random((len(rows), 1, 1)) < 0.5, rows, rows[:, ::-1])
    own = compare(population.metric, equal[:, 0], equal[:, 1], RESAMPLER, clusters)
    tally.rejected.append(own.p is not None and own.p <= 1 - LEVEL)


def sequential_false_alarms(population: Population, runs: int, rng: np.random.Generator) -> float:
    """Return how often no change looks like one to somebody who peeks after every 16 of 512 examples."""
    scores = [population.metric.per_example(population.stats[:, system]) for system in (0, 1)]
    alarms = 0
    for _ in range(runs):
        values = rng.choice(scores[0] - scores[1], 512) * rng.choice([-1.0, 1.0], 512)
        sequence = ConfidenceSequence(planned=512, confidence=LEVEL)
        bounds = [sequence.update(chunk) for chunk in np.split(values, 32)]
        alarms += any(low > 0 or high < 0 for low, high in bounds)
    return alarms / runs


def simulate(everything: list[Population], sizes: dict[bool, list[int]], runs: int) -> dict[Case, Tally]:
    """Run every population at every number of examples (False) and of clusters (True)."""
    rng = np.random.default_rng(2)
    tallies: dict[Case, Tally] = defaultdict(Tally)
    cases = [(p, clustered, n) for clustered, ns in sizes.items() for n in ns for p in everything]
    with track("evidence", total=runs * len(cases), unit="samples") as bar:
        for population, clustered, n in cases:
            suffix = ", clustered" if clustered else ""
            name = population.metric.name
            for _ in range(runs):
                rows, clusters = sample(population, n, clustered, rng)
                score(population, rows, clusters, tallies[Case(name, f"score{suffix}", n)])
                tally = tallies[Case(name, f"difference{suffix}", n)]
                difference(population, rows, clusters, tally)
                no_change(population, rows, clusters, tally, rng)
            bar.advance(runs)
    return tallies


def show(tallies: dict[Case, Tally], runs: int) -> None:
    """Print the table for people."""
    methods = [DEFAULT, "percentile", "percentile, widened", "bca", "bca, widened"]
    table = Table("metric", "of", "n", *methods, "false alarms", title=f"Coverage at {LEVEL:.0%}, {runs} samples each")
    for case, tally in tallies.items():
        shares = [tally.coverage(method) for method in methods]
        alarms = f"{np.mean(tally.rejected):.1%}" if tally.rejected else ""
        cells = ["" if np.isnan(share) else f"{share:.1%}" for share in shares]
        table.add_row(case.metric, case.what, str(case.n), *cells, alarms)
    Console(width=140).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer samples, in under a minute")
    quick = parser.parse_args().quick
    runs = 100 if quick else 1000
    sizes = {False: [64, 256], True: [64]} if quick else {False: [16, 64, 256, 1000], True: [64, 200]}
    everything = populations(size=2000 if quick else 8000, seed=1)
    tallies = simulate(everything, sizes, runs)
    show(tallies, runs)
    decided = [tally for case, tally in tallies.items() if case.n >= 64]
    figures = {
        "runs": runs,
        "coverage_min": min(tally.coverage(DEFAULT) for tally in decided),
        "coverage_max": max(tally.coverage(DEFAULT) for tally in decided),
        "false_alarm": float(np.mean([alarm for tally in tallies.values() for alarm in tally.rejected])),
        "sequential_false_alarm": sequential_false_alarms(everything[0], runs, np.random.default_rng(3)),
    }
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
