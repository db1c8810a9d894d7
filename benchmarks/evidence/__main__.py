"""Check coverage, level and power of the statistics by simulation, write `reports/evidence.md` and print a summary.

python -m benchmarks.evidence [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.evidence import alarms, coverage, peeking, power
from benchmarks.evidence.population import load
from benchmarks.evidence.rates import SimulationJob, plan, simulate
from benchmarks.evidence.report import summary, write
from benchmarks.evidence.results import PROMISED_FROM, Evidence, Share


@dataclass(frozen=True, slots=True)
class Effort:
    """The amount of simulation."""

    samples: int
    """Simulated samples for each case of coverage."""
    comparisons: int
    """Simulated comparisons: without a change, with a loss, and as sequences of looks."""
    sizes: tuple[int, ...] = (16, 64, 256, 1000)
    looks: int = 512
    """Examples of a sequence of looks."""


FULL = Effort(samples=2000, comparisons=2000)
QUICK = Effort(samples=120, comparisons=100, sizes=(64, 256), looks=256)


def gather(effort: Effort, workers: int = 1) -> Evidence:
    """Run every study."""
    needed = power.planned(load())
    promised = [n for n in effort.sizes if n >= PROMISED_FROM]
    two_sizes = promised[:2]
    jobs: list[SimulationJob] = []
    for study, sizes in (
        (coverage.scores, effort.sizes),
        (coverage.passing, effort.sizes),
        (coverage.differences, promised),
        (coverage.clustered, two_sizes),
    ):
        jobs += plan(study, sizes, effort.samples)
    for study, sizes in (
        (alarms.no_change, two_sizes),
        (alarms.edge, two_sizes),
        (power.loss, [round(needed * fraction) for fraction in power.FRACTIONS if fraction != 1]),
        (power.loss_after_pilot, [power.PILOT]),
        (peeking.looks, [effort.looks]),
    ):
        jobs += plan(study, sizes, effort.comparisons)
    jobs += plan(power.loss, [needed], 4 * effort.comparisons)  # estimates a power of 90% to half a percentage point
    rates = simulate(jobs, workers)
    return Evidence(rates, tuple(_shares(promised)), needed, effort.samples, effort.comparisons)


def _shares(sizes: list[int]) -> list[Share]:
    exact = []
    for n in sizes:
        edge = coverage.FEW / n
        exact += [
            Share("share from 0% to 100%", n, coverage.share(n, 0.0, 1.0)),
            Share("share near 0%", n, coverage.share(n, 0.0, edge)),
            Share("share near 100%", n, coverage.share(n, 1 - edge, 1.0)),
            Share("difference of shares, few examples differ", n, coverage.share_difference(n)),
        ]
    return exact


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer samples, in under a minute")
    parser.add_argument(
        "--out", type=Path, help="folder of the report (default: reports; with --quick none is written)"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)")
    options = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the worker processes use the cores
    evidence = gather(QUICK if options.quick else FULL, options.workers)
    if options.out or not options.quick:
        write(evidence, options.out or Path("reports"))
    Console().print(summary(evidence))
    print(json.dumps(evidence.figures()))


if __name__ == "__main__":
    main()
