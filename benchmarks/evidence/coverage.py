"""Coverage of the intervals of every metric's score and difference, from the harness's own functions."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.stats import binom

from benchmarks.evidence.population import SAMPLED, SAMPLED_AGAIN, SYSTEMS, WORSE, Population
from benchmarks.evidence.rates import Case, Events
from harness.metrics.base import mean_stats
from harness.metrics.exact import ExactMatch
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Question
from harness.stats.intervals import intervals
from harness.stats.paired import compare, compare_metrics
from harness.stats.proportions import Tango, wilson
from harness.types import FloatArray

LEVEL = 0.95
RESAMPLER = Resampler(seed=0, permutations=1)
"""The harness's default number of resamples; p-values are not used here."""
SCORE, CLUSTERED = "score", "score, clusters of 3"
DIFFERENCE, SIMILAR = "difference of unlike models", "difference of like models"
PAIRS = {DIFFERENCE: (SAMPLED, WORSE), SIMILAR: (SAMPLED, SAMPLED_AGAIN)}
MARKS = (0.1, 0.6)
"""The range of ROUGE-L from which an example passes: nearly all pass at the lower mark, few at the upper one."""
SHARE = "share that passes"
FEW = 10
"""If fewer examples than this are expected to differ from the others, a sample has too little information."""
RARE_EXISTS, RARE_COVERED = "rare: an interval exists", "rare: the interval contains the truth"


def scores(population: Population, n: int, rng: np.random.Generator) -> Events:
    """Yield for each metric whether the interval of one system's score contains the true score."""
    rows = population.draw(n, rng)
    names = varying(population, SAMPLED)
    stats = [population.stats[name][rows, SAMPLED] for name in names]
    results = intervals([population.metric(name) for name in names], stats, RESAMPLER, confidence=LEVEL)
    for name, interval in zip(names, results, strict=True):
        case, expected = Case(SCORE, name, n), n * differing(population, name, SAMPLED)
        yield from _count(case, expected, (interval.low, interval.high), population.score(name, SAMPLED))


def clustered(population: Population, n: int, rng: np.random.Generator) -> Events:
    """Yield the same for some metrics with n clusters, each of all systems' answers to one example."""
    rows, labels = population.draw(n, rng), np.repeat(np.arange(n), SYSTEMS)
    names = ("rougeL", "bleu", "chrf", "ter")
    stats = [np.concatenate(population.stats[name][rows]) for name in names]
    results = intervals([population.metric(name) for name in names], stats, RESAMPLER, labels, LEVEL)
    for name, interval in zip(names, results, strict=True):
        truth = float(population.metric(name).aggregate(population.stats[name].sum(axis=(0, 1))))
        yield Case(CLUSTERED, name, n), contains((interval.low, interval.high), truth)


def differences(population: Population, n: int, rng: np.random.Generator) -> Events:
    """Yield for each metric whether the interval of a difference contains the true one, for unlike and like models."""
    rows = population.draw(n, rng)
    for what, (first, second) in PAIRS.items():
        names = varying(population, first, second)
        metrics = [population.metric(name) for name in names]
        pairs = [[population.stats[name][rows, system] for system in (first, second)] for name in names]
        results = compare_metrics(metrics, pairs, RESAMPLER, question=Question(LEVEL))
        for name, result in zip(names, results, strict=True):
            comparison, expected = result.pairs[0], n * differing(population, name, first, second)
            truth = population.difference(name, first, second)
            yield from _count(Case(what, name, n), expected, (comparison.low, comparison.high), truth)


def passing(population: Population, n: int, rng: np.random.Generator) -> Events:
    """Yield the same for the share of examples above a mark in ROUGE-L, which is drawn anew for each sample.

    The coverage of a share jumps with the true share (see `share`); many marks average over it.
    """
    mark, rows = rng.uniform(*MARKS), population.draw(n, rng)
    passed = (population.per_example("rougeL") >= mark).astype(float)
    drawn, labels = passed[rows], np.repeat(np.arange(n), SYSTEMS)
    share, everywhere = float(passed[:, SAMPLED].mean()), float(passed.mean())
    (interval,) = intervals([ExactMatch()], [mean_stats(drawn[:, SAMPLED])], RESAMPLER, confidence=LEVEL)
    yield from _count(Case(SCORE, SHARE, n), n * min(share, 1 - share), (interval.low, interval.high), share)
    (interval,) = intervals([ExactMatch()], [mean_stats(drawn.ravel())], RESAMPLER, labels, LEVEL)
    few = n * min(everywhere, 1 - everywhere)
    yield from _count(Case(CLUSTERED, SHARE, n), few, (interval.low, interval.high), everywhere)
    for what, (first, second) in PAIRS.items():
        first_stats, second_stats = (mean_stats(drawn[:, system]) for system in (first, second))
        comparison = compare(ExactMatch(), first_stats, second_stats, RESAMPLER, question=Question(LEVEL))
        changes = passed[:, first] - passed[:, second]
        expected = n * float(np.abs(changes).mean())
        yield from _count(Case(what, SHARE, n), expected, (comparison.low, comparison.high), float(changes.mean()))


def _count(case: Case, expected: float, bounds: tuple[float | None, float | None], truth: float) -> Events:
    """Yield whether an interval contains the truth; if few examples are expected to differ, first whether it exists."""
    if expected >= FEW:
        yield case, contains(bounds, truth)
        return
    name = f"{case.metric}, {case.what}"
    exists = bounds[0] is not None
    yield Case(RARE_EXISTS, name, case.n), exists
    if exists:
        yield Case(RARE_COVERED, name, case.n), contains(bounds, truth)


@cache
def differing(population: Population, name: str, first: int, second: int | None = None) -> float:
    """Return the share of examples whose score, or difference, is not the most common one."""
    own = _fill_undefined(population.per_example(name)[:, first])
    if second is not None:
        own = own - _fill_undefined(population.per_example(name)[:, second])
    return 1 - float(np.unique(own, return_counts=True)[1].max()) / len(population)


def _fill_undefined(values: FloatArray) -> FloatArray:
    """Replace undefined scores by the most common one, because they carry as little information."""
    known, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    return np.where(np.isfinite(values), values, known[counts.argmax()])


@cache
def varying(population: Population, first: int, second: int | None = None) -> list[str]:
    """Return the metrics whose scores, or differences, are not all the same: others have no interval to check."""
    names = []
    for name, stats in population.stats.items():
        rows = stats[:, first] if second is None else stats[:, first] - stats[:, second]
        if not population.metric(name).is_proportion and np.ptp(rows, axis=0).any():
            names.append(name)
    return names


def contains(bounds: tuple[float | None, float | None], truth: float) -> bool:
    """Whether an interval contains the truth; one that does not exist does not."""
    low, high = bounds
    return low is not None and high is not None and low <= truth <= high


def share(n: int, low: float, high: float, points: int = 2000) -> float:
    """Return the exact coverage of Wilson's interval, averaged over true shares spread evenly from `low` to `high`.

    For one true share the coverage of any interval of a share jumps up and down with n and the share, because few
    counts are possible; only its average can be guaranteed: Brown, Cai and DasGupta (2001), Statistical Science 16(2),
    section 4.
    """
    truths = np.linspace(low, high, points + 2)[1:-1, None]
    counts = np.arange(n + 1)
    bounds = np.array([wilson(count / n, n, LEVEL) for count in counts])
    covered = (bounds[:, 0] <= truths) & (truths <= bounds[:, 1])
    return float((binom.pmf(counts, n, truths) * covered).sum(axis=1).mean())


def share_difference(n: int, expected: float = FEW, points: int = 12) -> float:
    """Return the exact coverage of Tango's interval if few pairs differ, averaged over 0 to `expected` of either kind.

    Counts far above the expected ones are left out, because their probability is below 1e-6.
    """
    truths = (np.arange(points) + 0.5) / points * expected / n
    most = min(n, int(expected + 8 * expected**0.5))
    pairs = [(higher, lower) for higher in range(most) for lower in range(min(most, n - higher))]
    bounds = np.array([Tango(higher, lower, n).interval(LEVEL) for higher, lower in pairs])
    higher, lower = np.array(pairs).T
    covered = []
    for p in truths:
        for q in truths:
            probabilities = binom.pmf(higher, n, p) * binom.pmf(lower, n - higher, q / (1 - p))
            covered.append(float(probabilities[(bounds[:, 0] <= p - q) & (p - q <= bounds[:, 1])].sum()))
    return float(np.mean(covered))
