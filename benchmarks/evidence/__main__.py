"""Do the statistics keep their promises? Simulates, writes `reports/evidence.md`, and prints what it comes to.

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
from benchmarks.evidence.found import SMALL, Found, Share
from benchmarks.evidence.population import load
from benchmarks.evidence.rates import Job, plan, simulate
from benchmarks.evidence.report import summary, write


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is simulated."""

    samples: int
    """Of each case of coverage."""
    comparisons: int
    """Without a change, losses, and sequences of looks."""
    sizes: tuple[int, ...] = (16, 64, 256, 1000)
    looks: int = 512
    """Examples of a sequence, in chunks."""


FULL = Effort(samples=2000, comparisons=2000)
QUICK = Effort(samples=120, comparisons=100, sizes=(64, 256), looks=256)


def gather(effort: Effort, workers: int = 1) -> Found:
    """Run every study."""
    needed = power.planned(load())
    promised = [n for n in effort.sizes if n >= SMALL]
    fewer = promised[:2]
    jobs: list[Job] = []
    for study, sizes in (
        (coverage.scores, effort.sizes),
        (coverage.passing, effort.sizes),
        (coverage.differences, promised),
        (coverage.clustered, fewer),
    ):
        jobs += plan(study, sizes, effort.samples)
    for study, sizes in (
        (alarms.no_change, fewer),
        (alarms.edge, fewer),
        (power.loss, [round(needed * fraction) for fraction in power.FRACTIONS if fraction != 1]),
        (power.loss_after_pilot, [power.PILOT]),
        (peeking.looks, [effort.looks]),
    ):
        jobs += plan(study, sizes, effort.comparisons)
    jobs += plan(power.loss, [needed], 4 * effort.comparisons)  # a promise of 90% is known to half a point only so
    rates = simulate(jobs, workers)
    return Found(rates, tuple(_shares(promised)), needed, effort.samples, effort.comparisons)


def _shares(sizes: list[int]) -> list[Share]:
    exact = []
    for n in sizes:
        near = coverage.FEW / n
        exact += [
            Share("share from 0% to 100%", n, coverage.share(n, 0.0, 1.0)),
            Share("share near 0%", n, coverage.share(n, 0.0, near)),
            Share("share near 100%", n, coverage.share(n, 1 - near, 1.0)),
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
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that share the work
    found = gather(QUICK if options.quick else FULL, options.workers)
    if options.out or not options.quick:
        write(found, options.out or Path("reports"))
    Console().print(summary(found))
    print(json.dumps(found.figures()))


if __name__ == "__main__":
    main()
