"""Counting: how often something happened in simulated samples, and how sure that share is.

A study draws one sample and yields what happened in it, case by case. Samples are drawn in batches with seeds of
their own, so the figures are the same however many processes share the work.
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
    """What was counted: one row of a table."""

    what: str
    metric: str
    n: int


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened."""

    hits: int
    trials: int

    @property
    def share(self) -> float:
        """The observed share."""
        return self.hits / self.trials

    @property
    def bounds(self) -> tuple[float, float]:
        """Wilson's 95% interval of the true share: what is known after so many simulated samples."""
        return wilson(self.share, self.trials, 0.95)

    def __str__(self) -> str:
        low, high = self.bounds
        return f"{self.share:.1%} ({low:.1%} to {high:.1%})"


Counts = dict[Case, list[int]]
"""Hits and trials."""
Happened = Iterator[tuple[Case, bool]]
Study = Callable[[Population, int, np.random.Generator], Happened]
"""Draws one sample of n examples and yields what happened."""


@dataclass(frozen=True, slots=True)
class Job:
    """One batch of samples of a study; `study` is a function of a module, so that another process finds it."""

    study: Study
    n: int
    runs: int
    seed: tuple[int, ...]


def plan(study: Study, sizes: Iterable[int], runs: int) -> list[Job]:
    """Return the batches of a study."""
    name = crc32(study.__name__.encode())
    return [Job(study, n, min(BATCH, runs - start), (name, n, start)) for n in sizes for start in range(0, runs, BATCH)]


def simulate(jobs: Sequence[Job], workers: int = 1) -> dict[Case, Rate]:
    """Run all batches and return the rates in the order in which the cases first came."""
    counts: Counts = defaultdict(lambda: [0, 0])
    with track("evidence", total=sum(job.runs for job in jobs), unit="samples") as bar:
        for job, found in _results(jobs, workers):
            for case, (hits, trials) in found.items():
                counts[case][0] += hits
                counts[case][1] += trials
            bar.advance(job.runs, note=job.study.__name__.replace("_", " "))
    return {case: Rate(*found) for case, found in counts.items()}


def _results(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Counts]]:
    if workers == 1:
        yield from ((job, _run(job)) for job in jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from zip(jobs, pool.map(_run, jobs), strict=True)


def _run(job: Job) -> Counts:
    found: Counts = defaultdict(lambda: [0, 0])
    rng = np.random.default_rng(job.seed)
    for _ in range(job.runs):
        for case, hit in job.study(load(), job.n, rng):
            found[case][0] += hit
            found[case][1] += 1
    return dict(found)
