"""Whether a true loss is detected as often as the power calculation says, and the examples that it needs.

The loss is made of real answers: each example is answered by the worse model, instead of by the same model sampled
again, with the probability that gives the intended expected loss.
"""

from __future__ import annotations

import numpy as np

from benchmarks.evidence.population import SAMPLED, SAMPLED_AGAIN, WORSE, Population
from benchmarks.evidence.rates import Case, Events
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Comparison
from harness.stats.noninferiority import GateOutcome, decide
from harness.stats.paired import compare
from harness.stats.power import PowerPlan, pairs_needed

LOSS, PLAN = 0.02, PowerPlan(confidence=0.95, power=0.9)
METRIC = "rougeL"
FRACTIONS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Fractions of the planned n, for the power curve."""
PILOT = 100
"""Examples of the pilot run that a user plans from."""
STEP = 32
"""An n planned from a pilot is rounded up to a multiple of this, so that the cached resamples are reused."""
CAUGHT, FROM_PILOT = "loss caught", "loss caught, n planned from a pilot"
RESAMPLER = Resampler(seed=0, permutations=1)


def loss(population: Population, n: int, rng: np.random.Generator) -> Events:
    """Yield whether n examples detect the loss."""
    yield Case(CAUGHT, METRIC, n), _caught(lossy(population, n, rng))


def loss_after_pilot(population: Population, n: int, rng: np.random.Generator) -> Events:
    """PowerPlan from a pilot of n examples, and yield whether the planned examples detect the loss."""
    needed = pairs_needed(lossy(population, n, rng).sd_of_difference or 0.0, LOSS, PLAN) or 0
    yield Case(FROM_PILOT, METRIC, n), _caught(lossy(population, -(-needed // STEP) * STEP, rng))


def planned(population: Population) -> int:
    """Return the n of the power calculation from the true standard deviation of the lossy candidate's differences."""
    values, share = population.per_example(METRIC), replaced(population)
    squares = [((values[:, system] - values[:, SAMPLED]) ** 2).mean() for system in (SAMPLED_AGAIN, WORSE)]
    variance = (1 - share) * squares[0] + share * squares[1] - LOSS**2
    return pairs_needed(float(variance**0.5), LOSS, PLAN) or 0


def replaced(population: Population) -> float:
    """Return the probability that an example is answered by the worse model."""
    same, again, worse = population.per_example(METRIC).mean(axis=0)[[SAMPLED, SAMPLED_AGAIN, WORSE]]
    return float((again - same + LOSS) / (again - worse))


def lossy(population: Population, n: int, rng: np.random.Generator) -> Comparison:
    """Compare a candidate with a loss with the baseline, on n sampled examples."""
    rows, stats = population.draw(n, rng), population.stats[METRIC]
    systems = np.where(rng.random(n) < replaced(population), WORSE, SAMPLED_AGAIN)
    return compare(population.metric(METRIC), stats[rows, systems], stats[rows, SAMPLED], RESAMPLER)


def _caught(comparison: Comparison) -> bool:
    return decide([comparison], [True])[0].outcome is GateOutcome.FAIL
