"""Rates of events in simulated samples, with their intervals.

A study draws one sample and yields, case by case, whether the event happened. Samples are drawn in batches, each with a
seed of its own, so the rates do not depend on the number of processes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from zlib import crc32

import numpy as np

from benchmarks.evidence.population import Population, load
from harness.progress import track
from harness.stats.proportions import wilson

BATCH = 50
"""Samples that share a seed."""


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """What is counted: one row of a table."""

    what: str
    metric: str
    n: int


@dataclass(frozen=True, slots=True)
class Rate:
    """How often an event happened."""

    hits: int
    trials: int

    @property
    def share(self) -> float:
        """The observed share."""
        return self.hits / self.trials

    @property
    def bounds(self) -> tuple[float, float]:
        """Wilson's 95% interval of the true share."""
        return wilson(self.share, self.trials, 0.95)

    def __str__(self) -> str:
        low, high = self.bounds
        return f"{self.share:.1%} ({low:.1%} to {high:.1%})"


Counts = dict[Case, list[int]]
"""Hits and trials by case."""
Events = Iterator[tuple[Case, bool]]
"""Whether the event of each case happened in a sample."""
Study = Callable[[Population, int, np.random.Generator], Events]
"""A function that draws one sample of n examples and yields its events."""


@dataclass(frozen=True, slots=True)
class SimulationJob:
    """One batch of samples of a study; `study` is a module-level function, so that it can be pickled."""

    study: Study
    n: int
    runs: int
    seed: tuple[int, ...]


def plan(study: Study, sizes: Iterable[int], runs: int) -> list[SimulationJob]:
    """Return the batches of a study; their seeds depend on the study's name."""
    name = crc32(study.__name__.encode())
    return [
        SimulationJob(study, n, min(BATCH, runs - start), (name, n, start))
        for n in sizes
        for start in range(0, runs, BATCH)
    ]


def simulate(jobs: Sequence[SimulationJob], workers: int = 1) -> dict[Case, Rate]:
    """Run all batches and return the rates in the order in which the cases first occurred."""
    counts: Counts = defaultdict(lambda: [0, 0])
    with track("evidence", total=sum(job.runs for job in jobs), unit="samples") as bar:
        for job, job_counts in _results(jobs, workers):
            for case, (hits, trials) in job_counts.items():
                counts[case][0] += hits
                counts[case][1] += trials
            bar.advance(job.runs, note=job.study.__name__.replace("_", " "))
    return {case: Rate(hits, trials) for case, (hits, trials) in counts.items()}


def _results(jobs: Sequence[SimulationJob], workers: int) -> Iterator[tuple[SimulationJob, Counts]]:
    if workers == 1:
        yield from ((job, _run(job)) for job in jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from zip(jobs, pool.map(_run, jobs), strict=True)


def _run(job: SimulationJob) -> Counts:
    counts: Counts = defaultdict(lambda: [0, 0])
    rng = np.random.default_rng(job.seed)
    for _ in range(job.runs):
        for case, hit in job.study(load(), job.n, rng):
            counts[case][0] += hit
            counts[case][1] += 1
    return dict(counts)
