"""How often is a change claimed that is not there? Tests, the gate's decision, and the gate on families.

No change is one model sampled twice: a fair coin says for each example which of its two answers is the candidate's,
so that the true difference is exactly 0 for every metric. At the margin's edge the true difference of two real models
is taken as the margin, so that the candidate is exactly as bad as is tolerated.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.evidence.coverage import LEVEL, varying
from benchmarks.evidence.population import SAMPLED, SAMPLED_AGAIN, WORSE, Population, Rows
from benchmarks.evidence.rates import Case, Happened
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Comparison, Question
from harness.stats.noninferiority import Outcome, decide, threshold
from harness.stats.paired import compare, compare_metrics
from harness.types import FloatArray

RESAMPLER = Resampler(seed=0, permutations=999)
TEST = "two-sided test, p at most 5%"
GATE = "gate fails, margin 0"
USUAL = "gate, margin 0.02"
EDGE = "gate at the margin's edge"
MARGIN = 0.02
KINDS = ("rougeL", "bleu", "chrf", "ter", "embedding_similarity", "fact_f1")
"""Metrics of each kind: the family, beside ROUGE-L in the largest slices."""
SLICES = 4


def no_change(population: Population, n: int, rng: np.random.Generator) -> Happened:
    """Say for each metric whether a candidate that did not change is told apart, and whether a gate fails it."""
    rows, coins = population.draw(n, rng), rng.integers(SAMPLED, SAMPLED_AGAIN + 1, n)
    family: list[tuple[Comparison, bool]] = []
    names = varying(population, SAMPLED, SAMPLED_AGAIN)
    metrics = [population.metric(name) for name in names]
    pairs = [answers(population, name, rows, coins) for name in names]
    for name, metric, compared in zip(names, metrics, compare_metrics(metrics, pairs, RESAMPLER), strict=True):
        found = compared.pairs[0]
        yield Case(TEST, name, n), found.p is not None and found.p <= 1 - LEVEL
        if metric.higher_is_better is not None:
            yield Case(GATE, name, n), decide([found], [metric.higher_is_better])[0].outcome is Outcome.FAIL
            if name in KINDS:
                family.append((found, metric.higher_is_better))
    family += [(found, True) for found in _slices(population, rows, coins)]
    decisions = decide([found for found, _ in family], [better for _, better in family])
    failed = any(decision.outcome is Outcome.FAIL for decision in decisions)
    yield Case(GATE, f"any of {len(family)} metrics and slices", n), failed
    question = Question(LEVEL, threshold(MARGIN, higher_is_better=True))
    pair = answers(population, "rougeL", rows, coins)
    yield from _outcomes(compare(population.metric("rougeL"), *pair, RESAMPLER, question=question), USUAL, n)


def edge(population: Population, n: int, rng: np.random.Generator) -> Happened:
    """Say for metrics of each kind what a gate finds where the candidate is worse by exactly the margin."""
    rows = population.draw(n, rng)
    for name in [name for name in varying(population, WORSE, SAMPLED) if name in KINDS]:
        metric = population.metric(name)
        question = Question(LEVEL, threshold=population.difference(name, WORSE, SAMPLED))
        candidate, baseline = (population.stats[name][rows, system] for system in (WORSE, SAMPLED))
        found = compare(metric, candidate, baseline, RESAMPLER, question=question)
        outcome = decide([found], [metric.higher_is_better is not False])[0].outcome
        for wrong in (Outcome.PASS, Outcome.FAIL):
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


def _outcomes(found: Comparison, what: str, n: int) -> Happened:
    outcome = decide([found], [True])[0].outcome
    return ((Case(f"{what}: {each}", "rougeL", n), outcome is each) for each in Outcome)
