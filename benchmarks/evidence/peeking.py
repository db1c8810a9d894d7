"""False alarm rates if the data are inspected after every chunk: by a sequential gate and by a fixed interval.

A sequential gate spends a part of its level on bounds that hold at all looks simultaneously, and the rest on its last
look; see `harness.gate.sequential`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmarks.evidence.alarms import answers
from benchmarks.evidence.coverage import LEVEL, RESAMPLER, contains
from benchmarks.evidence.population import SAMPLED, SAMPLED_AGAIN, WORSE, Population
from benchmarks.evidence.rates import Case, Events
from harness.gate.sequential import EARLY
from harness.stats.comparison import Question
from harness.stats.paired import compare
from harness.stats.sequential import ConfidenceSequence
from harness.types import FloatArray

METRIC = "rougeL"
CHUNK = 16
GATE, EDGE = "sequential gate, no change", "sequential gate at the margin's edge"
SEQUENCE, FIXED = "confidence sequence, no change", "fixed interval at every look, no change"
Excluded = NDArray[np.bool_]
"""For each look, whether its interval excludes the truth."""


def looks(population: Population, n: int, rng: np.random.Generator) -> Events:
    """Yield for each look whether the truth was excluded by then, without a change and at a margin's edge."""
    metric, stats = population.metric(METRIC), population.stats[METRIC]
    rows, coins = population.draw(n, rng), rng.integers(SAMPLED, SAMPLED_AGAIN + 1, n)
    unchanged = answers(population, METRIC, rows, coins)
    differences = metric.per_example(unchanged[0]) - metric.per_example(unchanged[1])
    yield from _by_then(SEQUENCE, _sequence(differences, 0.0, LEVEL))
    yield from _by_then(FIXED, _fixed(differences))
    edge = (stats[rows, WORSE], stats[rows, SAMPLED])
    for what, pair, truth in ((GATE, unchanged, 0.0), (EDGE, edge, population.difference(METRIC, WORSE, SAMPLED))):
        excluded = _sequence(metric.per_example(pair[0]) - metric.per_example(pair[1]), truth, 1 - (1 - LEVEL) * EARLY)
        last = compare(metric, pair[0], pair[1], RESAMPLER, question=Question(1 - (1 - LEVEL) * (1 - EARLY)))
        excluded[-1] |= not contains((last.low, last.high), truth)
        yield from _by_then(what, excluded)


def _by_then(what: str, excluded: Excluded) -> Events:
    ever = np.logical_or.accumulate(excluded)
    return ((Case(what, METRIC, (i + 1) * CHUNK), bool(excluded_by_then)) for i, excluded_by_then in enumerate(ever))


def _sequence(values: FloatArray, truth: float, confidence: float) -> Excluded:
    sequence = ConfidenceSequence(planned=len(values), confidence=confidence)
    bounds = [sequence.update(chunk) for chunk in np.split(values, len(values) // CHUNK)]
    return np.array([not low <= truth <= high for low, high in bounds])


def _fixed(values: FloatArray) -> Excluded:
    """Compute the t interval of all values so far at every look, as if it were the only one; the truth is 0."""
    n = np.arange(1, len(values) + 1)[CHUNK - 1 :: CHUNK]
    means = np.cumsum(values)[n - 1] / n
    variances = (np.cumsum(values**2)[n - 1] - n * means**2) / (n - 1)
    return np.asarray(np.abs(means) > stdtrit(n - 1, (1 + LEVEL) / 2) * np.sqrt(variances / n))
