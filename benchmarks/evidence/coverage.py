"""Are the intervals as sure as they say? Every metric's score and difference, by the harness's own functions."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.stats import binom

from benchmarks.evidence.population import SAMPLED, SAMPLED_AGAIN, SYSTEMS, WORSE, Population
from benchmarks.evidence.rates import Case, Happened
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
"""As many resamples as the harness takes by default; p-values are not asked for here."""
SCORE, CLUSTERED = "score", "score, clusters of 3"
DIFFERENCE, SIMILAR = "difference of unlike models", "difference of like models"
PAIRS = {DIFFERENCE: (SAMPLED, WORSE), SIMILAR: (SAMPLED, SAMPLED_AGAIN)}
MARKS = (0.1, 0.6)
"""ROUGE-L from which an example passes: nearly all do at the lower mark, few at the upper one."""
SHARE = "share that passes"
FEW = 10
"""Where fewer examples than this are expected to differ from the others, a sample knows too little of them."""
RARE_GIVEN, RARE_HELD = "rare: an interval is given", "rare: the interval holds"


def scores(population: Population, n: int, rng: np.random.Generator) -> Happened:
    """Say for each metric whether the interval of one system's score holds the true score."""
    rows = population.draw(n, rng)
    names = varying(population, SAMPLED)
    stats = [population.stats[name][rows, SAMPLED] for name in names]
    found = intervals([population.metric(name) for name in names], stats, RESAMPLER, confidence=LEVEL)
    for name, own in zip(names, found, strict=True):
        case, expected = Case(SCORE, name, n), n * differing(population, name, SAMPLED)
        yield from _count(case, expected, (own.low, own.high), population.score(name, SAMPLED))


def clustered(population: Population, n: int, rng: np.random.Generator) -> Happened:
    """Do so for some metrics where all systems' answers to an example belong together, with n clusters."""
    rows, labels = population.draw(n, rng), np.repeat(np.arange(n), SYSTEMS)
    names = ("rougeL", "bleu", "chrf", "ter")
    stats = [np.concatenate(population.stats[name][rows]) for name in names]
    found = intervals([population.metric(name) for name in names], stats, RESAMPLER, labels, LEVEL)
    for name, own in zip(names, found, strict=True):
        truth = float(population.metric(name).aggregate(population.stats[name].sum(axis=(0, 1))))
        yield Case(CLUSTERED, name, n), holds((own.low, own.high), truth)


def differences(population: Population, n: int, rng: np.random.Generator) -> Happened:
    """Say for each metric whether the interval of a difference holds the true one, for unlike and for like models."""
    rows = population.draw(n, rng)
    for what, (first, second) in PAIRS.items():
        names = varying(population, first, second)
        metrics = [population.metric(name) for name in names]
        pairs = [[population.stats[name][rows, system] for system in (first, second)] for name in names]
        found = compare_metrics(metrics, pairs, RESAMPLER, question=Question(LEVEL))
        for name, compared in zip(names, found, strict=True):
            own, expected = compared.pairs[0], n * differing(population, name, first, second)
            truth = population.difference(name, first, second)
            yield from _count(Case(what, name, n), expected, (own.low, own.high), truth)


def passing(population: Population, n: int, rng: np.random.Generator) -> Happened:
    """Do all of that for the share of examples that pass a mark in ROUGE-L, which is another for each sample.

    Coverage of a share jumps with the true share (see `share`); so many marks average over it.
    """
    mark, rows = rng.uniform(*MARKS), population.draw(n, rng)
    passed = (population.per_example("rougeL") >= mark).astype(float)
    drawn, labels = passed[rows], np.repeat(np.arange(n), SYSTEMS)
    share, everywhere = float(passed[:, SAMPLED].mean()), float(passed.mean())
    (own,) = intervals([ExactMatch()], [mean_stats(drawn[:, SAMPLED])], RESAMPLER, confidence=LEVEL)
    yield from _count(Case(SCORE, SHARE, n), n * min(share, 1 - share), (own.low, own.high), share)
    (own,) = intervals([ExactMatch()], [mean_stats(drawn.ravel())], RESAMPLER, labels, LEVEL)
    few = n * min(everywhere, 1 - everywhere)
    yield from _count(Case(CLUSTERED, SHARE, n), few, (own.low, own.high), everywhere)
    for what, (first, second) in PAIRS.items():
        ours, theirs = (mean_stats(drawn[:, system]) for system in (first, second))
        found = compare(ExactMatch(), ours, theirs, RESAMPLER, question=Question(LEVEL))
        changes = passed[:, first] - passed[:, second]
        expected = n * float(np.abs(changes).mean())
        yield from _count(Case(what, SHARE, n), expected, (found.low, found.high), float(changes.mean()))


def _count(case: Case, expected: float, bounds: tuple[float | None, float | None], truth: float) -> Happened:
    """Count an interval; where few examples are expected to differ, whether there is one and then whether it holds."""
    if expected >= FEW:
        yield case, holds(bounds, truth)
        return
    name = f"{case.metric}, {case.what}"
    given = bounds[0] is not None
    yield Case(RARE_GIVEN, name, case.n), given
    if given:
        yield Case(RARE_HELD, name, case.n), holds(bounds, truth)


@cache
def differing(population: Population, name: str, first: int, second: int | None = None) -> float:
    """Return the share of examples whose score, or difference, is not the commonest one."""
    own = _as_commonest(population.per_example(name)[:, first])
    if second is not None:
        own = own - _as_commonest(population.per_example(name)[:, second])
    return 1 - float(np.unique(own, return_counts=True)[1].max()) / len(population)


def _as_commonest(values: FloatArray) -> FloatArray:
    """Give examples that do not count the commonest score: they say as little."""
    known, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    return np.where(np.isfinite(values), values, known[counts.argmax()])


@cache
def varying(population: Population, first: int, second: int | None = None) -> list[str]:
    """Return the metrics whose scores, or differences, are not all the same: the others have nothing to cover."""
    names = []
    for name, stats in population.stats.items():
        rows = stats[:, first] if second is None else stats[:, first] - stats[:, second]
        if not population.metric(name).is_proportion and np.ptp(rows, axis=0).any():
            names.append(name)
    return names


def holds(bounds: tuple[float | None, float | None], truth: float) -> bool:
    """Say whether an interval holds the truth; one that could not be known holds nothing."""
    low, high = bounds
    return low is not None and high is not None and low <= truth <= high


def share(n: int, low: float, high: float, points: int = 2000) -> float:
    """Return Wilson's coverage exactly, on average over true shares spread evenly from `low` to `high`.

    For one true share the coverage of any interval of a share jumps up and down with n and the share, because few
    counts are possible; its average is what can be promised: Brown, Cai and DasGupta (2001), Statistical Science
    16(2), section 4.
    """
    truths = np.linspace(low, high, points + 2)[1:-1, None]
    counts = np.arange(n + 1)
    bounds = np.array([wilson(count / n, n, LEVEL) for count in counts])
    held = (bounds[:, 0] <= truths) & (truths <= bounds[:, 1])
    return float((binom.pmf(counts, n, truths) * held).sum(axis=1).mean())


def share_difference(n: int, expected: float = FEW, points: int = 12) -> float:
    """Return Tango's coverage exactly where few pairs differ: on average over 0 to `expected` of either kind.

    Counts far above those expected are left out, as their chance is below 1e-6.
    """
    truths = (np.arange(points) + 0.5) / points * expected / n
    most = min(n, int(expected + 8 * expected**0.5))
    pairs = [(higher, lower) for higher in range(most) for lower in range(min(most, n - higher))]
    bounds = np.array([Tango(higher, lower, n).interval(LEVEL) for higher, lower in pairs])
    higher, lower = np.array(pairs).T
    held = []
    for p in truths:
        for q in truths:
            chances = binom.pmf(higher, n, p) * binom.pmf(lower, n - higher, q / (1 - p))
            held.append(float(chances[(bounds[:, 0] <= p - q) & (p - q <= bounds[:, 1])].sum()))
    return float(np.mean(held))
