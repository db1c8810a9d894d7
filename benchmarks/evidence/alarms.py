"""False alarm rates of the tests, of the gate on one metric, and of the gate on families of metrics and slices.

"No change" is one model sampled twice: for each example a fair coin chooses which of the two answers is that of the
candidate, so that the true difference is exactly 0 for every metric. At the margin's edge, the margin is the true
difference of two real models, so that the candidate is exactly as bad as is tolerable.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.evidence.coverage import LEVEL, varying
from benchmarks.evidence.population import SAMPLED, SAMPLED_AGAIN, WORSE, Population, Rows
from benchmarks.evidence.rates import Case, Events
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Comparison, Question
from harness.stats.multiplicity import is_significant
from harness.stats.noninferiority import GateOutcome, decide, threshold
from harness.stats.paired import compare, compare_metrics
from harness.types import FloatArray

RESAMPLER = Resampler(seed=0, permutations=999)
TEST = "two-sided test, p at most 5%"
GATE = "gate fails, margin 0"
USUAL = "gate, margin 0.02"
EDGE = "gate at the margin's edge"
MARGIN = 0.02
KINDS = ("rougeL", "bleu", "chrf", "ter", "embedding_similarity", "fact_f1")
"""One metric of each kind: with ROUGE-L in the largest slices they are the family."""
SLICES = 4


def no_change(population: Population, n: int, rng: np.random.Generator) -> Events:
    """Yield for each metric whether an unchanged candidate is significantly different, and whether a gate fails it."""
    rows, coins = population.draw(n, rng), rng.integers(SAMPLED, SAMPLED_AGAIN + 1, n)
    family: list[tuple[Comparison, bool]] = []
    names = varying(population, SAMPLED, SAMPLED_AGAIN)
    metrics = [population.metric(name) for name in names]
    pairs = [answers(population, name, rows, coins) for name in names]
    for name, metric, compared in zip(names, metrics, compare_metrics(metrics, pairs, RESAMPLER), strict=True):
        comparison = compared.pairs[0]
        yield Case(TEST, name, n), is_significant(comparison.p, LEVEL)
        if metric.higher_is_better is not None:
            yield Case(GATE, name, n), _outcome(comparison, metric.higher_is_better) is GateOutcome.FAIL
            if name in KINDS:
                family.append((comparison, metric.higher_is_better))
    family += [(comparison, True) for comparison in _slices(population, rows, coins)]
    results = decide([comparison for comparison, _ in family], [higher for _, higher in family])
    failed = any(result.outcome is GateOutcome.FAIL for result in results)
    yield Case(GATE, f"any of {len(family)} metrics and slices", n), failed
    question = Question(LEVEL, threshold(MARGIN, higher_is_better=True))
    pair = answers(population, "rougeL", rows, coins)
    observed = _outcome(compare(population.metric("rougeL"), *pair, RESAMPLER, question=question), True)
    yield from ((Case(f"{USUAL}: {outcome}", "rougeL", n), observed is outcome) for outcome in GateOutcome)


def edge(population: Population, n: int, rng: np.random.Generator) -> Events:
    """Yield for metrics of each kind the outcome of a gate whose candidate is worse by exactly the margin."""
    rows = population.draw(n, rng)
    for name in [name for name in varying(population, WORSE, SAMPLED) if name in KINDS]:
        metric = population.metric(name)
        question = Question(LEVEL, threshold=population.difference(name, WORSE, SAMPLED))
        candidate, baseline = (population.stats[name][rows, system] for system in (WORSE, SAMPLED))
        comparison = compare(metric, candidate, baseline, RESAMPLER, question=question)
        outcome = _outcome(comparison, metric.higher_is_better is not False)
        for wrong in (GateOutcome.PASS, GateOutcome.FAIL):
            yield Case(f"{EDGE}: {wrong}", name, n), outcome is wrong


def answers(population: Population, name: str, rows: Rows, coins: Rows) -> tuple[FloatArray, FloatArray]:
    """Return the statistics of the candidate, whose answers the coins choose, and of the baseline."""
    stats = population.stats[name]
    return stats[rows, coins], stats[rows, SAMPLED + SAMPLED_AGAIN - coins]


def _slices(population: Population, rows: Rows, coins: Rows) -> Iterator[Comparison]:
    """Compare ROUGE-L within the largest topics."""
    topics, counts = np.unique(population.topics, return_counts=True)
    for topic in topics[np.argsort(counts)[-SLICES:]]:
        part = population.topics[rows] == topic
        pair = answers(population, "rougeL", rows[part], coins[part])
        yield compare(population.metric("rougeL"), *pair, RESAMPLER)


def _outcome(comparison: Comparison, higher_is_better: bool) -> GateOutcome:
    return decide([comparison], [higher_is_better])[0].outcome
